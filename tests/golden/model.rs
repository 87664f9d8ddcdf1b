//! Encoder, adapter and scores of a whole student.

use burn::tensor::{Tensor, TensorData};
use onshelf_core::rank::top_k;
use onshelf_core::weights::Weights;
use onshelf_model::Device;
use onshelf_model::encoder::{Encoder, SessionBatch, boost_repeats};
use onshelf_model::student::{Adapter, Compute, Encoded, SessionInput, Student};
use pollster::block_on;
use serde::Deserialize;

use crate::shape::{Session, StudentFile};
use crate::support::{close, golden};

const TOLERANCE: f32 = 2e-5;

fn student() -> (StudentFile, Weights, Student) {
    let file = StudentFile::read();
    let weights = file.weights(&file.codes);
    let student = Student::new(&weights, &file.shape, &Compute::Cpu).unwrap();
    (file, weights, student)
}

fn input(session: &Session) -> SessionInput {
    SessionInput { items: session.items.clone(), kinds: session.kinds.clone(), gaps: session.gaps.clone() }
}

#[test]
fn session_vectors_agree_at_every_position() {
    let (file, _, student) = student();
    for session in &file.sessions {
        let found = student.encode(&input(session));
        close("session vectors", &found, &session.vectors.concat(), TOLERANCE);
    }
}

#[test]
fn a_session_that_goes_on_has_the_vectors_of_the_whole() {
    let (file, _, student) = student();
    // Sessions one after the other in the same place: one that is not gone on with begins anew.
    let mut encoded = Encoded::default();
    for session in &file.sessions {
        let whole = input(session);
        for clicks in 1..=whole.items.len() {
            let mut part = whole.clone();
            part.items.truncate(clicks);
            part.kinds.truncate(clicks);
            part.gaps.truncate(clicks);
            student.encode_on(&part, &mut encoded);
            let expected = session.vectors[..clicks].concat();
            close("vectors so far", encoded.vectors(), &expected, TOLERANCE);
        }
        let mut other = whole.clone();
        other.kinds[0] = (other.kinds[0] + 1) % 6;
        student.encode_on(&other, &mut encoded);
        assert_eq!(encoded.vectors(), student.encode(&other));
    }
}

#[test]
fn what_stands_in_the_padding_does_not_matter() {
    let (file, weights, student) = student();
    let device = Device::flex();
    let encoder = Encoder::new(&weights, &file.shape, &device, false).unwrap();
    let (length, dim) = (file.shape.max_len, file.shape.dim);
    let mut batch = SessionBatch { sessions: file.sessions.len(), length, ..Default::default() };
    let mut items = Vec::new();
    for session in &file.sessions {
        let pad = length - session.items.len();
        session.items.iter().for_each(|&i| student.table().push_vector(i, &mut items));
        items.extend(std::iter::repeat_n(7.5, pad * dim));
        batch.kinds.extend(session.kinds.iter().copied().chain(std::iter::repeat_n(3, pad)));
        batch.gaps.extend(session.gaps.iter().copied().chain(std::iter::repeat_n(5, pad)));
    }
    let x = Tensor::<3>::from_data(TensorData::new(items, [batch.sessions, length, dim]), &device);
    let found = encoder.forward(x.clone(), x, &batch).try_into_vec_as::<f32>().unwrap();
    for (all, session) in found.chunks_exact(length * dim).zip(&file.sessions) {
        let expected = session.vectors.concat();
        close("padded session", &all[..expected.len()], &expected, TOLERANCE);
    }
}

#[test]
fn the_last_vectors_of_a_batch_agree() {
    let (file, _, student) = student();
    let mut sessions: Vec<_> = file.sessions.iter().map(input).collect();
    sessions.insert(1, SessionInput::default());
    let mut expected: Vec<Vec<f32>> =
        file.sessions.iter().map(|s| s.vectors.last().unwrap().clone()).collect();
    expected.insert(1, vec![0.0; file.shape.dim]);
    let found = student.encode_last(&sessions);
    close("last vectors", &found, &expected.concat(), TOLERANCE);
}

#[test]
fn only_the_last_clicks_of_a_long_session_count() {
    let (file, _, student) = student();
    let session = file.sessions.iter().find(|s| s.items.len() == file.shape.max_len).unwrap();
    let mut longer = input(session);
    longer.items.splice(0..0, [40, 39, 38]);
    longer.kinds.splice(0..0, [1, 2, 3]);
    longer.gaps.splice(0..0, [7, 6, 5]);
    let found = student.encode(&longer);
    close("long session", &found, &session.vectors.concat(), TOLERANCE);
}

#[test]
fn the_adapter_agrees_with_and_without_taste() {
    let (file, weights, _) = student();
    let adapter = Adapter::read(&weights, file.shape.dim, file.shape.adapter_rank).unwrap();
    for session in &file.sessions {
        let newest = session.vectors.last().unwrap();
        close("query", &adapter.apply(newest, None), &session.query, TOLERANCE);
        close(
            "query with taste",
            &adapter.apply(newest, Some(&session.taste)),
            &session.query_with_taste,
            TOLERANCE,
        );
    }
}

#[test]
fn clicks_in_shelves_out() {
    let (file, _, student) = student();
    let (mut lut, mut scores) = (Vec::new(), Vec::new());
    for session in &file.sessions {
        let newest = student.encode_last(&[input(session)]);
        let query = student.base().apply(&newest, None);
        block_on(student.score(&query, &session.items, &mut lut, &mut scores)).unwrap();
        close("scores", &scores, &session.scores, 1e-4);
        let items = |list: Vec<(u32, f32)>| list.into_iter().map(|(i, _)| i).collect::<Vec<_>>();
        assert_eq!(items(top_k(&scores, 20, |_| true)), session.best);
        assert_eq!(items(top_k(&scores, 20, |i| session.allowed.contains(&i))), session.best_allowed);
    }
}

#[derive(Deserialize)]
struct Repeats {
    cases: Vec<Repeat>,
}

#[derive(Deserialize)]
struct Repeat {
    item_seq: Vec<u32>,
    scores: Vec<f32>,
    repeat: Vec<f32>,
    boosted: Vec<f32>,
}

#[test]
fn the_sessions_own_items_gain_by_their_age() {
    for case in golden::<Repeats>("repeat.json").cases {
        let mut scores = case.scores;
        boost_repeats(&mut scores, &case.item_seq, &case.repeat);
        close("boosted scores", &scores, &case.boosted, 1e-6);
    }
}
