//! Item tables, top-k, metrics, and the simple methods.

use onshelf_core::metrics::{Accumulator, Summary, mrr_at, ndcg_at, rank_of, recall_at};
use onshelf_core::neighbour::{SessionLog, Transitions, Vsknn, VsknnOptions, VsknnScratch};
use onshelf_core::rank::{CENTROIDS, ItemTable, top_k};
use onshelf_core::slices::softmax;
use onshelf_model::personal::loss_of;
use serde::Deserialize;

use crate::support::{close, golden};

#[derive(Deserialize)]
struct RankingFile {
    tables: Vec<Table>,
    tops: Vec<Top>,
}

#[derive(Deserialize)]
struct Table {
    dim: usize,
    subspaces: usize,
    codes: Vec<Vec<u8>>,
    centroids: Vec<f32>,
    levels: Vec<f32>,
    query: Vec<f32>,
    scores: Vec<f32>,
    best: Vec<u32>,
}

#[derive(Deserialize)]
struct Top {
    scores: Vec<f32>,
    k: usize,
    best: Vec<u32>,
    allowed: Vec<u32>,
    best_allowed: Vec<u32>,
}

fn items(list: Vec<(u32, f32)>) -> Vec<u32> {
    list.into_iter().map(|(item, _)| item).collect()
}

#[test]
fn look_up_scores_agree_for_every_width_of_row() {
    for t in golden::<RankingFile>("ranking.json").tables {
        let table = ItemTable::new(t.dim, t.subspaces, t.codes.concat(), t.centroids, t.levels).unwrap();
        let (mut lut, mut scores) = (Vec::new(), Vec::new());
        table.score_all(&t.query, &mut lut, &mut scores);
        close("scores", &scores, &t.scores, 1e-5);
        let one: Vec<f32> = (1..=25).map(|i| table.score_one(&t.query, i).unwrap()).collect();
        close("single scores", &one, &t.scores, 1e-5);
        assert_eq!(items(top_k(&scores, 25, |_| true)), t.best);
    }
}

#[derive(Deserialize)]
struct TrendFile {
    dim: usize,
    subspaces: usize,
    temperature: f32,
    codes: Vec<Vec<u8>>,
    centroids: Vec<f32>,
    levels: Vec<f32>,
    trend: Vec<f32>,
    query: Vec<f32>,
    scores: Vec<f32>,
    target: u32,
    shares: Vec<f32>,
    /// So many centroids of each subspace are some item's.
    used: usize,
    masses: Vec<f32>,
    gradient: Vec<f32>,
    level_gradient: Vec<f32>,
}

#[test]
fn a_trend_scores_and_its_gradient_agrees() {
    let t: TrendFile = golden("trend.json");
    let table = ItemTable::new(t.dim, t.subspaces, t.codes.concat(), t.centroids, t.levels).unwrap();
    let table = table.with_trend(t.trend).unwrap();
    let scaled: Vec<f32> = t.query.iter().map(|x| x / t.temperature).collect();
    let (mut lut, mut scores) = (Vec::new(), Vec::new());
    table.score_all(&scaled, &mut lut, &mut scores);
    close("scores", &scores, &t.scores, 1e-4);
    softmax(&mut scores);
    close("shares", &scores, &t.shares, 1e-5);
    let mut masses = vec![0.0; (t.subspaces + 1) * CENTROIDS];
    table.add_masses(&scores, &mut masses);
    let used = |books: &[f32], width: usize| -> Vec<f32> {
        books.chunks_exact(CENTROIDS * width).flat_map(|book| book[..t.used * width].to_vec()).collect()
    };
    close("masses", &used(&masses[..t.subspaces * CENTROIDS], 1), &t.masses, 1e-5);
    // The gradient that `onshelf_model::shared` is made of: (mass − clicked) · query / temperature.
    let own = table.codes_of(t.target).unwrap();
    let width = t.dim / t.subspaces;
    let mut gradient = Vec::new();
    for (m, query) in scaled.chunks_exact(width).enumerate() {
        for code in 0..CENTROIDS {
            let clicked = f32::from(u8::from(usize::from(own[m]) == code));
            gradient.extend(query.iter().map(|q| (masses[m * CENTROIDS + code] - clicked) * q));
        }
    }
    close("gradient", &used(&gradient, width), &t.gradient, 1e-4);
    // And of a bias level: mass − clicked.
    let level = |code: usize| {
        masses[t.subspaces * CENTROIDS + code] - f32::from(u8::from(usize::from(own[t.subspaces]) == code))
    };
    let found: Vec<f32> = (0..CENTROIDS).map(level).collect();
    close("gradient of the levels", &found, &t.level_gradient, 1e-4);
}

#[test]
fn top_k_agrees_with_ties_and_filters() {
    for t in golden::<RankingFile>("ranking.json").tops {
        assert_eq!(items(top_k(&t.scores, t.k, |_| true)), t.best);
        assert_eq!(items(top_k(&t.scores, t.k, |i| t.allowed.contains(&i))), t.best_allowed);
    }
}

#[derive(Deserialize)]
struct MetricsFile {
    items: usize,
    cases: Vec<Ranked>,
    summary: Summary,
    losses: Vec<Loss>,
}

#[derive(Deserialize)]
struct Ranked {
    /// `None` is ruled out: minus infinity.
    scores: Vec<Option<f32>>,
    target: u32,
    rank: Option<usize>,
    best: Vec<u32>,
}

#[derive(Deserialize)]
struct Loss {
    scores: Vec<f32>,
    item: u32,
    loss: f64,
}

#[test]
fn metrics_agree_on_ties_and_misses() {
    let file: MetricsFile = golden("metrics.json");
    let mut sum = Accumulator::new();
    for case in &file.cases {
        let scores: Vec<f32> = case.scores.iter().map(|s| s.unwrap_or(f32::NEG_INFINITY)).collect();
        let best = items(top_k(&scores, 20, |_| true));
        assert_eq!(best, case.best);
        let rank = rank_of(&scores, case.target);
        assert_eq!(rank, case.rank);
        // The list and the rank tell the same story.
        assert_eq!(best.iter().position(|&i| i == case.target).map(|at| at + 1), rank.filter(|&r| r <= 20));
        sum.add(rank);
        sum.show(best);
    }
    let found = sum.summary(file.items);
    let list =
        |s: &Summary| [s.recall_20, s.mrr_20, s.ndcg_20, s.hr_5, s.ndcg_5, s.hr_10, s.ndcg_10, s.coverage_20];
    assert_eq!(found.tests, file.summary.tests);
    for (f, e) in list(&found).into_iter().zip(list(&file.summary)) {
        assert!((f - e).abs() < 1e-8, "{found:?} expected {:?}", file.summary);
    }
}

#[test]
fn the_cut_is_inclusive() {
    assert_eq!((recall_at(Some(20), 20), recall_at(Some(21), 20), recall_at(None, 20)), (1.0, 0.0, 0.0));
    assert_eq!((mrr_at(Some(20), 20), mrr_at(Some(21), 20)), (0.05, 0.0));
    assert!((ndcg_at(Some(3), 5) - 0.5).abs() < 1e-12);
    assert_eq!(ndcg_at(Some(6), 5), 0.0);
}

#[test]
fn losses_agree() {
    for case in golden::<MetricsFile>("metrics.json").losses {
        assert!((loss_of(&case.scores, case.item) - case.loss).abs() < 1e-5);
    }
    assert!(loss_of(&[1.0], 0).is_nan() && loss_of(&[1.0], 2).is_nan());
}

#[derive(Deserialize)]
struct NeighbourFile {
    items: usize,
    log: Vec<Vec<u32>>,
    cases: Vec<Neighbours>,
    long: Long,
    /// `[from][to]`
    transitions: Vec<Vec<f32>>,
}

#[derive(Deserialize)]
struct Neighbours {
    item_seq: Vec<u32>,
    sample: usize,
    neighbours: usize,
    window: usize,
    exclude: Option<u32>,
    scores: Vec<f32>,
}

#[derive(Deserialize)]
struct Long {
    items: usize,
    log: Vec<Vec<u32>>,
    item_seq: Vec<u32>,
    scores: Vec<f32>,
}

fn session_log(sessions: &[Vec<u32>]) -> SessionLog {
    let mut log = SessionLog::new();
    sessions.iter().for_each(|s| log.push(s));
    log
}

#[test]
fn vsknn_agrees() {
    let file: NeighbourFile = golden("neighbours.json");
    let mut scratch = VsknnScratch::default();
    for (at, case) in file.cases.iter().enumerate() {
        let options = VsknnOptions {
            sample: case.sample,
            neighbours: case.neighbours,
            window: case.window,
            ..VsknnOptions::default()
        };
        let knn = Vsknn::new(session_log(&file.log), file.items, options);
        let mut scores = vec![9.0; file.items];
        knn.score(&case.item_seq, case.exclude, &mut scratch, &mut scores);
        close(&format!("case {at}"), &scores, &case.scores, 1e-5);
    }
}

#[test]
fn in_a_long_session_too_an_item_votes_once() {
    let Long { items, log, item_seq, scores: expected } = golden::<NeighbourFile>("neighbours.json").long;
    let knn = Vsknn::new(session_log(&log), items, VsknnOptions::default());
    let mut scores = vec![0.0; items];
    knn.score(&item_seq, None, &mut VsknnScratch::default(), &mut scores);
    close("scores", &scores, &expected, 1e-5);
}

#[test]
fn transitions_agree() {
    let file: NeighbourFile = golden("neighbours.json");
    let rules = Transitions::new(&session_log(&file.log), file.items);
    for (from, expected) in (1..).zip(&file.transitions) {
        let mut scores = vec![9.0; file.items];
        rules.score(&[3, from], &mut scores);
        close(&format!("after {from}"), &scores, expected, 1e-5);
    }
}
