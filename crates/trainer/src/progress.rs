//! How long work tells how far it is, without knowing whether a person or a program listens.

use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

/// The least time between two `advance` lines of [`JsonLines`].
const JSON_INTERVAL: Duration = Duration::from_millis(500);

/// Told by long work how far it is. One piece of work at a time.
pub trait Progress: Sync {
    /// Work begins; `total` is how far [`Self::advance`] will go, if known.
    fn start(&self, what: &str, total: Option<u64>);
    /// So much more is done.
    fn advance(&self, amount: u64);
    /// The work is done; `message` says with what result.
    fn finish(&self, message: &str);
}

/// Says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn start(&self, _: &str, _: Option<u64>) {}
    fn advance(&self, _: u64) {}
    fn finish(&self, _: &str) {}
}

/// Draws a bar with the time left to standard error. Where that is not a terminal, only the
/// closing messages are written.
#[derive(Debug, Default)]
pub struct Bars {
    bar: Mutex<Option<ProgressBar>>,
}

impl Bars {
    /// No bar yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Progress for Bars {
    fn start(&self, what: &str, total: Option<u64>) {
        let (length, template) = match total {
            Some(_) => (total, "{msg:<24} {bar:32} {percent:>3} %  {elapsed}, {eta} left"),
            None => (None, "{msg:<24} {spinner} {human_pos}  {elapsed}"),
        };
        let target = ProgressDrawTarget::stderr_with_hz(10);
        let bar = ProgressBar::with_draw_target(length, target).with_message(what.to_owned());
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        *lock(&self.bar) = Some(bar);
    }

    fn advance(&self, amount: u64) {
        if let Some(bar) = &*lock(&self.bar) {
            bar.inc(amount);
        }
    }

    fn finish(&self, message: &str) {
        if let Some(bar) = lock(&self.bar).take() {
            bar.finish_and_clear();
        }
        // Progress that cannot be shown is no reason to stop the work.
        let _ = writeln!(io::stderr(), "{message}");
    }
}

/// Writes one JSON object a line: `{"event":"start","what":…,"total":…}`,
/// `{"event":"advance","done":…}` at most twice a second, `{"event":"finish","message":…}`.
pub struct JsonLines<W> {
    state: Mutex<JsonState<W>>,
}

struct JsonState<W> {
    out: W,
    done: u64,
    told: Option<Instant>,
}

impl<W: Write + Send> JsonLines<W> {
    /// Lines go to `out`.
    #[must_use]
    pub fn new(out: W) -> Self {
        let state = JsonState { out, done: 0, told: None };
        Self { state: Mutex::new(state) }
    }
}

impl<W: Write> JsonState<W> {
    fn tell(&mut self, line: &serde_json::Value) {
        // Nobody listening any more is no reason to stop the work.
        let _ = writeln!(self.out, "{line}").and_then(|()| self.out.flush());
    }
}

impl<W: Write + Send> Progress for JsonLines<W> {
    fn start(&self, what: &str, total: Option<u64>) {
        let mut state = lock(&self.state);
        state.done = 0;
        state.told = Some(Instant::now());
        state.tell(&json!({"event": "start", "what": what, "total": total}));
    }

    fn advance(&self, amount: u64) {
        let mut state = lock(&self.state);
        state.done += amount;
        if state.told.is_none_or(|told| told.elapsed() >= JSON_INTERVAL) {
            state.told = Some(Instant::now());
            let line = json!({"event": "advance", "done": state.done});
            state.tell(&line);
        }
    }

    fn finish(&self, message: &str) {
        lock(&self.state).tell(&json!({"event": "finish", "message": message}));
    }
}

/// The progress for a command: JSON lines to standard error if asked for, else bars.
#[must_use]
pub fn for_command(json: bool) -> Box<dyn Progress> {
    if json { Box::new(JsonLines::new(io::stderr())) } else { Box::new(Bars::new()) }
}

/// A panic elsewhere while counting leaves nothing that could be inconsistent.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_lines_tell_the_whole_story() {
        let progress = JsonLines::new(Vec::new());
        progress.start("read", Some(10));
        progress.advance(4);
        progress.finish("read 10 \"rows\"");
        let out = progress.state.into_inner().unwrap().out;
        let lines: Vec<serde_json::Value> =
            String::from_utf8(out).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines[0], json!({"event": "start", "what": "read", "total": 10}));
        let last = json!({"event": "finish", "message": "read 10 \"rows\""});
        assert_eq!(lines.last(), Some(&last));
    }

    #[test]
    fn a_listener_that_left_stops_nothing() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let progress = JsonLines::new(Gone);
        progress.start("read", None);
        progress.advance(1);
        progress.finish("done");
    }
}
