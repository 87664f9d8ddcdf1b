//! Reading Rust as text, just well enough for the rules.

/// The code of a file without comments, literals' contents and what is only compiled for tests;
/// lines keep their numbers.
pub(crate) fn code_of(source: &str) -> String {
    let mut code = without_comments_and_literals(source);
    while let Some(start) = code.find("#[cfg(test)]") {
        let end = start + item_length(&code[start..]);
        let lines: String = code[start..end].chars().filter(|c| *c == '\n').collect();
        code.replace_range(start..end, &lines);
    }
    code
}

/// Bytes up to the end of the first item: its semicolon or its closing brace.
fn item_length(code: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in code.char_indices() {
        match c {
            ';' if depth == 0 => return at + 1,
            '{' => depth += 1,
            '}' if depth <= 1 => return at + 1,
            '}' => depth -= 1,
            _ => {}
        }
    }
    code.len()
}

fn without_comments_and_literals(source: &str) -> String {
    let chars: Vec<char> = source.chars().collect();
    let mut out = String::with_capacity(source.len());
    let mut at = 0;
    while at < chars.len() {
        let skipped = literal_length(&chars[at..]).or_else(|| comment_length(&chars[at..]));
        match skipped.filter(|_| !(chars[at] == 'r' && at > 0 && is_word(chars[at - 1]))) {
            Some(length) => {
                out.extend(chars[at..at + length].iter().filter(|c| **c == '\n'));
                at += length;
            }
            None => {
                out.push(chars[at]);
                at += 1;
            }
        }
    }
    out
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn comment_length(rest: &[char]) -> Option<usize> {
    match rest {
        ['/', '/', ..] => Some(rest.iter().position(|c| *c == '\n').unwrap_or(rest.len())),
        ['/', '*', ..] => {
            let (mut depth, mut at) = (0, 0);
            loop {
                match rest.get(at..at + 2) {
                    Some(['/', '*']) => (depth, at) = (depth + 1, at + 2),
                    Some(['*', '/']) if depth == 1 => return Some(at + 2),
                    Some(['*', '/']) => (depth, at) = (depth - 1, at + 2),
                    Some(_) => at += 1,
                    None => return Some(rest.len()),
                }
            }
        }
        _ => None,
    }
}

fn literal_length(rest: &[char]) -> Option<usize> {
    match rest {
        ['"', ..] => Some(quoted(rest, '"')),
        ['\'', '\\', ..] => Some(quoted(rest, '\'')),
        ['\'', _, '\'', ..] => Some(3),
        ['r', '"' | '#', ..] => {
            let hashes = rest[1..].iter().take_while(|c| **c == '#').count();
            let open = 1 + hashes;
            (rest.get(open) == Some(&'"')).then_some(())?;
            let end: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
            let body = rest[open + 1..].windows(end.len()).position(|window| window == end);
            Some(body.map_or(rest.len(), |length| open + 1 + length + end.len()))
        }
        _ => None,
    }
}

fn quoted(rest: &[char], quote: char) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

/// The line of a byte, from 1.
pub(crate) fn line_of(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}
