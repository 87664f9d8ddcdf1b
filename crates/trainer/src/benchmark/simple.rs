//! The methods that need no training.

use anyhow::Result;
use onshelf_core::metrics::{Accumulator, rank_of};
use onshelf_core::neighbour::VsknnScratch;
use rayon::prelude::*;

use super::chain::Work;
use super::{Cell, Results};
use crate::baselines::Baseline;
use crate::corpus::{Corpus, CorpusOptions};

pub(super) fn run(work: &Work<'_>, results: &mut Results, period: u32) -> Result<()> {
    if Baseline::NAMES.iter().all(|m| results.find(m, 0, period).is_some()) {
        return Ok(());
    }
    let seen = work.before(period);
    let corpus = Corpus::new(work.data, &CorpusOptions { last_period: seen, ..Default::default() })?;
    let tests = work.tests(period)?;
    let cases: Vec<(&[u32], u32)> =
        tests.log.iter().flat_map(|s| (1..s.len()).map(move |j| (&s[..j], s[j]))).collect();
    for method in Baseline::NAMES {
        if results.find(method, 0, period).is_some() {
            continue;
        }
        work.progress.start(&format!("{method}, period {period}"), None);
        let baseline = Baseline::new(method, &corpus.train.log, corpus.items);
        let ranks: Vec<Option<usize>> = cases
            .par_iter()
            .map_init(
                || (VsknnScratch::default(), vec![0.0; corpus.items]),
                |(scratch, scores), (prefix, target)| {
                    baseline.score(prefix, scratch, scores);
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
        let cell = Cell { method: method.into(), period, metrics, ..Default::default() };
        results.add(cell, &work.options.out)?;
    }
    Ok(())
}
