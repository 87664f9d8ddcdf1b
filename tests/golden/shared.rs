//! What a device contributes, against finite differences of the loss over all items.

use onshelf_core::part::Part;
use onshelf_core::rank::CENTROIDS;
use onshelf_core::weights::Tensor;
use onshelf_model::personal::loss_of;
use onshelf_model::shared::{Scratch, add_wish, contribution};
use onshelf_model::student::{Compute, LEVEL_TREND, SessionInput, Student, TREND};
use pollster::block_on;

use crate::shape::{Session, StudentFile};

fn input(session: &Session) -> SessionInput {
    SessionInput { items: session.items.clone(), kinds: session.kinds.clone(), gaps: session.gaps.clone() }
}

/// The level of one item alone, beside three that all others share.
const LONELY: usize = 200;

/// The student with a trend, and levels that a device may speak of.
fn student(file: &StudentFile, trend: &[f32]) -> Student {
    let mut codes = file.codes.clone();
    for (at, row) in codes.iter_mut().enumerate() {
        *row.last_mut().unwrap() = if at == 0 { LONELY as u8 } else { (at % 3) as u8 };
    }
    let mut weights = file.weights(&codes);
    let shape = vec![file.shape.subspaces, CENTROIDS, file.shape.dim / file.shape.subspaces];
    let (centroids, levels) = trend.split_at(CENTROIDS * file.shape.dim);
    weights.floats.insert(TREND.into(), Tensor { shape, values: centroids.to_vec() });
    weights.floats.insert(LEVEL_TREND.into(), Tensor { shape: vec![CENTROIDS], values: levels.to_vec() });
    Student::new(&weights, &file.shape, &Compute::Cpu).unwrap()
}

/// A trend that is not nothing, small beside the centroids.
fn some_trend(n: usize) -> Vec<f32> {
    (0..n).map(|at| 0.05 * (at as f32 * 1.7).sin()).collect()
}

/// The sum of a session's losses.
fn loss(student: &Student, session: &Session) -> f64 {
    let dim = student.shape().dim;
    let vectors = student.encode(&input(session));
    let (mut lut, mut scores) = (Vec::new(), Vec::new());
    let losses = (1..session.items.len()).map(|at| {
        let query = student.base().apply(&vectors[(at - 1) * dim..at * dim], None);
        block_on(student.score(&query, &session.items[..at], &mut lut, &mut scores)).unwrap();
        loss_of(&scores, session.items[at])
    });
    losses.sum()
}

fn wish(student: &Student, session: &Session) -> (Vec<f32>, usize, f64) {
    let vectors = student.encode(&input(session));
    let mut out = vec![0.0; student.table().trend_len()];
    let (positions, loss) =
        block_on(add_wish(student, &vectors, &session.items, &mut Scratch::default(), &mut out)).unwrap();
    (out, positions, loss)
}

#[test]
fn a_wish_is_the_negative_gradient_of_the_exact_loss() {
    let file = StudentFile::read();
    let n = CENTROIDS * (file.shape.dim + 1);
    let trend = some_trend(n);
    let session = file.sessions.iter().max_by_key(|s| s.items.len()).unwrap();
    let own = student(&file, &trend);
    let (wished, positions, told) = wish(&own, session);
    assert_eq!(positions, session.items.len() - 1);
    assert!((told - loss(&own, session)).abs() < 1e-3);
    // The values that an item has, and some that none has.
    let mut largest: Vec<usize> = (0..n).collect();
    largest.sort_by(|a, b| wished[*b].abs().total_cmp(&wished[*a].abs()));
    assert!(wished[largest[0]].abs() > 0.1);
    let levels: Vec<usize> = largest.iter().copied().filter(|at| *at >= CENTROIDS * file.shape.dim).collect();
    let first_level = CENTROIDS * file.shape.dim;
    assert_eq!(wished[first_level + LONELY], 0.0, "a level of one item");
    // Nor can it be told from the others, which would sum to nothing with it: another level is left out as well.
    let sent: Vec<f32> = wished[first_level..].iter().copied().filter(|x| *x != 0.0).collect();
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().sum::<f32>().abs() > 1e-3, "{sent:?}");
    assert!(levels[..2].iter().all(|at| wished[*at] != 0.0 && at - first_level < 3));
    let unused = largest[n - 4..].iter().filter(|at| **at != first_level + LONELY);
    for &at in largest[..12].iter().chain(unused).chain(&levels[..2]) {
        let moved = |by: f32| {
            let mut there = trend.clone();
            there[at] += by;
            loss(&student(&file, &there), session)
        };
        let slope = (moved(0.01) - moved(-0.01)) / 0.02;
        let found = f64::from(-wished[at]);
        assert!((slope - found).abs() < 0.01 + 0.02 * found.abs(), "{at}: {slope} {found}");
    }
}

#[test]
fn a_trend_changes_scores_but_no_session_vector() {
    let file = StudentFile::read();
    let trend = some_trend(CENTROIDS * (file.shape.dim + 1));
    let plain = student(&file, &vec![0.0; trend.len()]);
    let taught = student(&file, &trend);
    for session in &file.sessions {
        let vectors = plain.encode(&input(session));
        assert_eq!(vectors, taught.encode(&input(session)));
        let query = plain.base().apply(&vectors[vectors.len() - file.shape.dim..], None);
        let scores = |student: &Student| {
            let (mut lut, mut scores) = (Vec::new(), Vec::new());
            block_on(student.score(&query, &session.items, &mut lut, &mut scores)).unwrap();
            scores
        };
        let moved = scores(&taught);
        assert!(scores(&plain).iter().zip(&moved).any(|(a, b)| (a - b).abs() > 1e-3));
    }
}

#[test]
fn a_contribution_is_its_part_of_the_wishes_by_the_root_of_the_positions() {
    let file = StudentFile::read();
    let own = student(&file, &some_trend(CENTROIDS * (file.shape.dim + 1)));
    let sessions: Vec<&Session> = file.sessions.iter().filter(|s| s.items.len() > 1).take(2).collect();
    let vectors: Vec<Vec<f32>> = sessions.iter().map(|s| own.encode(&input(s))).collect();
    let pairs: Vec<(&[f32], &[u32])> =
        vectors.iter().zip(&sessions).map(|(v, s)| (&v[..], &s.items[..])).collect();
    let mut all = vec![f32::NAN; own.table().trend_len()];
    for part in Part::all(&file.shape).unwrap() {
        let given = block_on(contribution(&own, &part, &pairs, &mut Scratch::default())).unwrap().unwrap();
        all[part.range(&file.shape).unwrap()].copy_from_slice(&given);
    }
    let wishes: Vec<(Vec<f32>, usize, f64)> = sessions.iter().map(|s| wish(&own, s)).collect();
    let root = (wishes.iter().map(|w| w.1).sum::<usize>() as f32).sqrt();
    for (at, value) in all.iter().enumerate() {
        let expected = wishes.iter().map(|w| w.0[at]).sum::<f32>() / root;
        assert!((value - expected).abs() < 1e-4);
    }
    let nothing: [(&[f32], &[u32]); 1] = [(&vectors[0][..file.shape.dim], &sessions[0].items[..1])];
    let part = Part::of_round(&file.shape, 0).unwrap();
    assert_eq!(block_on(contribution(&own, &part, &nothing, &mut Scratch::default())).unwrap(), None);
    let beyond = Part { first: file.shape.subspaces + 1, count: 1 };
    assert!(block_on(contribution(&own, &beyond, &pairs, &mut Scratch::default())).is_err());
}
