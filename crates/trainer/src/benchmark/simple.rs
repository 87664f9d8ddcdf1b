//! The methods that need no training.

use anyhow::Result;
use onshelf_core::metrics::{Accumulator, rank_of};
use onshelf_core::neighbour::{Transitions, Vsknn, VsknnOptions, VsknnScratch};
use rayon::prelude::*;

use super::chain::Work;
use super::{Cell, Results};
use crate::corpus::{Corpus, CorpusOptions};

/// Names of the simple methods.
pub(crate) const SIMPLE: [&str; 4] = ["popularity", "item transitions", "VSKNN", "teacher's neighbours"];

pub(super) fn run(work: &Work<'_>, results: &mut Results, period: u32) -> Result<()> {
    if SIMPLE.iter().all(|m| results.find(m, 0, period).is_some()) {
        return Ok(());
    }
    let seen = work.before(period);
    let corpus = Corpus::new(work.data, &CorpusOptions { last_period: seen, ..Default::default() })?;
    let tests = work.tests(period)?;
    let cases: Vec<(&[u32], u32)> =
        tests.log.iter().flat_map(|s| (1..s.len()).map(move |j| (&s[..j], s[j]))).collect();
    let log = &corpus.train.log;
    let transitions = Transitions::new(log, corpus.items);
    let published = Vsknn::new(log.clone(), corpus.items, VsknnOptions::default());
    let ours = Vsknn::new(log.clone(), corpus.items, VsknnOptions::teacher());
    let popularity: Vec<f32> = corpus.counts[1..].iter().map(|&c| c as f32).collect();
    for method in SIMPLE {
        if results.find(method, 0, period).is_some() {
            continue;
        }
        work.progress.start(&format!("{method}, period {period}"), None);
        let ranks: Vec<Option<usize>> = cases
            .par_iter()
            .map_init(
                || (VsknnScratch::default(), vec![0.0; corpus.items]),
                |(scratch, scores), (prefix, target)| {
                    match method {
                        "popularity" => scores.copy_from_slice(&popularity),
                        "item transitions" => transitions.score(prefix, scores),
                        "VSKNN" => published.score(prefix, None, scratch, scores),
                        _ => ours.score(prefix, None, scratch, scores),
                    }
                    rank_of(scores, *target)
                },
            )
            .collect();
        let mut sum = Accumulator::new();
        ranks.into_iter().for_each(|r| sum.add(r));
        let metrics = sum.summary(corpus.items);
        work.progress.finish(&format!(
            "{method:<22} period {period}: R@20 {:.2} MRR@20 {:.2}",
            metrics.recall_20 * 100.0,
            metrics.mrr_20 * 100.0
        ));
        let cell = Cell {
            method: method.into(),
            seed: 0,
            period,
            metrics,
            teacher: None,
            cpu_seconds: 0.0,
            update: None,
        };
        results.add(cell, &work.options.out)?;
    }
    Ok(())
}
