//! Real sessions with the student's native rankings, for a browser to repeat click by click.

use std::path::Path;

use anyhow::Result;
use onshelf_core::rank::top_k;
use onshelf_model::training::exact_batches;
use serde::{Deserialize, Serialize};

use crate::corpus::Corpus;
use crate::dataset::Dataset;
use crate::files::write_json;
use crate::student::LoadedStudent;

/// A session and what the student showed after each click but the last.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Replay {
    /// Clicked items, by the shop's ids.
    pub clicks: Vec<String>,
    /// The kinds of those clicks, GA4 names.
    pub kinds: Vec<String>,
    /// Milliseconds of each click; empty without times.
    pub times: Vec<i64>,
    /// After each click but the last: the 25 best items and their scores, best first.
    pub rankings: Vec<Vec<(String, f32)>>,
}

/// Writes `count` sessions of a period, evenly spread, with their native rankings.
///
/// # Errors
/// Where the device or the file fails.
pub fn write(
    data: &Dataset,
    corpus: &Corpus,
    student: &LoadedStudent,
    period: u32,
    count: usize,
    path: &Path,
) -> Result<usize> {
    let range = data.sessions.in_period(period);
    let usable: Vec<usize> = range
        .filter(|&s| {
            let items = data.sessions.session(s);
            items.len() >= 2 && items.iter().all(|&i| corpus.counts[i as usize] > 0)
        })
        .collect();
    let stride = usable.len().div_ceil(count.max(1)).max(1);
    let mut out = Vec::new();
    for &s in usable.iter().step_by(stride) {
        let set = corpus.tests(data, s..s + 1);
        let items = data.sessions.session(s);
        let mut rankings = vec![Vec::new(); items.len() - 1];
        for batch in exact_batches(&set, student.info.student.max_len, 256) {
            let scores = student.ready.scores(&batch)?;
            for (row, &position) in scores.chunks_exact(corpus.items).zip(&batch.positions) {
                // What a browser shows without being asked: clicked items, and those with a place.
                let shown =
                    |i: u32| corpus.counts[i as usize] > 0 || student.info.placed.binary_search(&i).is_ok();
                let named = top_k(row, 25, shown).into_iter().map(|(i, s)| (id(data, i), s)).collect();
                rankings[position as usize - 1] = named;
            }
        }
        out.push(Replay {
            clicks: items.iter().map(|&i| id(data, i)).collect(),
            kinds: data.sessions.kinds(s).iter().map(|k| k.as_str().to_owned()).collect(),
            times: data.sessions.times(s).unwrap_or_default().to_vec(),
            rankings,
        });
    }
    write_json(path, &out)?;
    Ok(out.len())
}

fn id(data: &Dataset, item: u32) -> String {
    data.catalogue.id(item).unwrap_or_default().to_owned()
}
