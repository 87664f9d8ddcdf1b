//! One shopper on one device: the session, the personal model, and the shelves they give.
//!
//! This is everything the browser module does, without a browser: times and seeds come in as
//! arguments, bytes go in and out. Native tests and the browser run the same code.

mod contribute;
mod explain;
mod foretell;
mod forget;
mod head;
mod request;
mod shelf;
mod state;

use onshelf_core::catalogue::Catalogue;
use onshelf_core::event::{Click, EventKind};
use onshelf_core::quality::{Gate, Reason, Rules};
use onshelf_core::rank::top_k;
use onshelf_core::version::{FineTuneConfig, Manifest, Strategy};
use onshelf_core::weights::Weights;

use crate::affinity::Traits;
use crate::encoder::gap_bucket;
use crate::error::ModelError;
use crate::personal::{Lesson, Personal, Tuned};
use crate::student::{Compute, Encoded, SessionInput, Student};

pub use explain::{Explanation, Share};
pub use foretell::Foretold;
pub use forget::Forgotten;
pub use head::REACH;
pub use request::{
    BOOST_LIMIT, BOOSTS_LIMIT, Boost, COUNT_LIMIT, Filter, Kind, Listed, Request, RequestError,
};
pub use state::Restored;

/// Clicks of a session that are kept; older ones are forgotten.
pub const SESSION_LIMIT: usize = 100;
/// Earlier sessions that are kept, where the model version asks for replay.
pub const PAST_SESSIONS: usize = 8;
/// Clicks of an earlier session that are kept, the newest.
pub const PAST_CLICKS: usize = 10;
/// Without a click for so long (30 minutes), the next one begins a new session.
pub const SESSION_GAP_MS: i64 = 30 * 60 * 1000;
/// A step that raises the loss by more (nats a click) is undone.
const WORSE: f64 = 0.5;

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tracked {
    /// It is part of the session.
    Accepted,
    /// It was left out; the reason is a stable word.
    LeftOut(&'static str),
}

/// A shopper's whole state beside a loaded model version.
pub struct Shopper {
    version: String,
    manifest: Manifest,
    catalogue: Catalogue,
    student: Student,
    traits: Traits,
    gate: Gate,
    config: FineTuneConfig,
    clicks: Vec<Click>,
    /// Earlier sessions, oldest first; empty where nothing is replayed.
    past: Vec<Vec<Click>>,
    /// When the newest event came, left out or not: silence ends a session.
    seen_ms: Option<i64>,
    personal: Personal,
    /// Time of the newest click that a contribution to a round was made of, Unix milliseconds.
    contributed_ms: Option<i64>,
    /// Clicks of this session that the guard has compared.
    judged: usize,
    /// The clicks as the student read them last.
    encoded: Encoded,
    seed: u64,
    lut: Vec<f32>,
    scores: Vec<f32>,
}

impl std::fmt::Debug for Shopper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Shopper(version {}, {} clicks)", self.version, self.clicks.len())
    }
}

/// Refuses elastic weight consolidation by what is not there.
fn check_fisher(student: &Student, config: &FineTuneConfig) -> Result<(), ModelError> {
    if config.ewc > 0.0 && student.fisher().is_none() {
        return Err(ModelError::State(
            "the strategy ewc needs a model version with the adapter's Fisher information, and this one has none; \
             distil and export it again, or choose proximal"
                .into(),
        ));
    }
    Ok(())
}

impl Shopper {
    /// Starts with an empty session.
    ///
    /// # Errors
    /// [`ModelError`] where the weights do not fit the manifest, or catalogue and table disagree.
    pub fn new(
        version: String,
        manifest: Manifest,
        catalogue: Catalogue,
        weights: &Weights,
        compute: &Compute,
        seed: u64,
    ) -> Result<Self, ModelError> {
        let student = Student::new(weights, &manifest.student, compute)?;
        let (items, rows) = (catalogue.len(), student.table().items());
        if items != rows || items != manifest.items as usize {
            return Err(ModelError::State(format!(
                "the manifest says {} items, the catalogue has {items}, the item table {rows}; export the model \
                 version again",
                manifest.items
            )));
        }
        check_fisher(&student, &manifest.fine_tune)?;
        let traits = Traits::of(&catalogue);
        let personal = Personal::new(&student, seed).leaning(traits.len());
        Ok(Self {
            version,
            config: manifest.fine_tune.clone(),
            manifest,
            catalogue,
            student,
            traits,
            gate: Gate::new(Rules::default()),
            clicks: Vec::new(),
            past: Vec::new(),
            seen_ms: None,
            personal,
            contributed_ms: None,
            judged: 0,
            encoded: Encoded::default(),
            seed,
            lut: Vec::new(),
            scores: Vec::new(),
        })
    }

    /// The model version's name.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The items.
    #[must_use]
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// The student.
    #[must_use]
    pub fn student(&self) -> &Student {
        &self.student
    }

    /// The clicks of the session, oldest first.
    #[must_use]
    pub fn clicks(&self) -> &[Click] {
        &self.clicks
    }

    /// What was learned from this shopper.
    #[must_use]
    pub fn personal(&self) -> &Personal {
        &self.personal
    }

    /// Steps that the manifest asks for after a click.
    #[must_use]
    pub fn steps_per_click(&self) -> usize {
        self.config.steps_per_click
    }

    /// Fine-tunes by another strategy than the model version asks for, from the next step on.
    ///
    /// # Errors
    /// [`ModelError::State`] for [`Strategy::Ewc`] where the student was shipped without its Fisher information;
    /// nothing is changed then.
    pub fn set_strategy(&mut self, strategy: Strategy) -> Result<(), ModelError> {
        let config = self.manifest.fine_tune.clone().with(strategy);
        check_fisher(&self.student, &config)?;
        self.config = config;
        if self.config.replay == 0.0 {
            self.past.clear();
        }
        Ok(())
    }

    /// Whether the personal model has a say in the order of shelves now.
    #[must_use]
    pub fn is_personal(&self) -> bool {
        self.personal.guard.say() > 0.0
    }

    /// Takes an event into the session, or says why not.
    pub fn track(&mut self, item_id: &str, kind: EventKind, dwell_ms: Option<u32>, now_ms: i64) -> Tracked {
        if !kind.names_item() {
            return Tracked::LeftOut("not_an_item_event");
        }
        let Some(item) = self.catalogue.index_of(item_id) else { return Tracked::LeftOut("unknown_item") };
        let click = Click { item, kind, at_ms: Some(now_ms), dwell_ms };
        let last = self.seen_ms.replace(now_ms);
        if last.is_some_and(|then| now_ms.saturating_sub(then) > SESSION_GAP_MS) {
            self.begin_session();
        }
        if let Some(reason) = self.gate.judge(&click).reason() {
            return Tracked::LeftOut(reason.as_str());
        }
        if self.gate.is_robot() {
            return Tracked::LeftOut(Reason::Robot.as_str());
        }
        if self.clicks.len() == SESSION_LIMIT {
            self.clicks.remove(0);
            self.judged = self.judged.saturating_sub(1);
        }
        self.clicks.push(click);
        Tracked::Accepted
    }

    fn begin_session(&mut self) {
        let mut over = std::mem::take(&mut self.clicks);
        // Nothing is kept that nothing is learned from.
        if self.config.replay > 0.0 && over.len() > 1 {
            over.drain(..over.len().saturating_sub(PAST_CLICKS));
            self.past.push(over);
            let surplus = self.past.len().saturating_sub(PAST_SESSIONS);
            self.past.drain(..surplus);
        }
        self.judged = 0;
        self.gate = Gate::new(Rules::default());
    }

    /// The session as the student reads it.
    fn input(&self) -> SessionInput {
        self.input_of(&self.clicks)
    }

    fn input_of(&self, clicks: &[Click]) -> SessionInput {
        let mut input = SessionInput::default();
        let mut before: Option<i64> = None;
        for click in clicks {
            input.items.push(click.item);
            input.kinds.push(click.kind.code());
            // A clock that goes backwards counts as no time at all.
            input
                .gaps
                .push(gap_bucket(click.at_ms.zip(before).map(|(now, then)| now.saturating_sub(then).max(0))));
            before = click.at_ms;
        }
        // A model trained on a log without times knows no gaps but "unknown".
        if !self.manifest.student.times {
            input.gaps.fill(0);
        }
        input
    }

    /// The items of the clicks that the student reads, oldest first.
    fn recent_items(&self) -> Vec<u32> {
        let from = self.clicks.len().saturating_sub(self.manifest.student.max_len);
        self.clicks[from..].iter().map(|c| c.item).collect()
    }

    /// Session vectors of the clicks as they are now.
    fn encode(&mut self) -> &[f32] {
        let input = self.input();
        self.student.encode_on(&input, &mut self.encoded);
        self.encoded.vectors()
    }

    /// The newest session vector; zeros before the first click.
    fn newest(&mut self) -> Vec<f32> {
        let dim = self.manifest.student.dim;
        let vectors = self.encode();
        match vectors.len() {
            0 => vec![0.0; dim],
            n => vectors[n - dim..].to_vec(),
        }
    }

    /// The query that gives the scores of the best items for a session vector.
    fn query(&self, session: &[f32]) -> Vec<f32> {
        // Scores are linear in the query: a blend of queries is the blend of scores, for one scan.
        match self.personal.guard.say() {
            0.0 => self.shipped_query(session),
            1.0 => self.personal.query(session),
            say => {
                let mut blend = self.shipped_query(session);
                let personal = self.personal.query(session);
                blend.iter_mut().zip(personal).for_each(|(b, p)| *b += say * (p - *b));
                blend
            }
        }
    }

    fn shipped_query(&self, session: &[f32]) -> Vec<f32> {
        self.student.base().apply(session, None)
    }

    /// Leaves the scores of all items for a query in `self.scores`.
    async fn score_all(&mut self, query: &[f32], prefix: &[u32]) -> Result<(), ModelError> {
        self.student.score(query, prefix, &mut self.lut, &mut self.scores).await
    }

    /// The `count` best items that may be shown, best first.
    async fn best(
        &mut self,
        query: &[f32],
        prefix: &[u32],
        count: usize,
        allow: impl Fn(&Catalogue, u32) -> bool,
    ) -> Result<Vec<(u32, f32)>, ModelError> {
        #[cfg(feature = "webgpu")]
        {
            let allow = |item| allow(&self.catalogue, item);
            if let Some(best) = self.student.best(query, prefix, count, allow).await? {
                return Ok(best);
            }
        }
        self.score_all(query, prefix).await?;
        Ok(top_k(&self.scores, count, |item| allow(&self.catalogue, item)))
    }

    /// The leanings by the say that the personal model has.
    fn leanings(&self) -> Vec<f32> {
        let say = self.personal.guard.say();
        self.personal.affinity.iter().map(|x| say * x).collect()
    }

    /// Learns from the session: `steps` optimiser steps, of which the newest click counts most.
    /// `None` where the session has fewer than two clicks. A step that makes things worse is undone.
    ///
    /// # Errors
    /// [`ModelError`]; what was learned before is kept.
    pub async fn fine_tune(&mut self, steps: usize) -> Result<Option<Tuned>, ModelError> {
        let dim = self.manifest.student.dim;
        let items: Vec<u32> = self.clicks.iter().map(|c| c.item).collect();
        let vectors = self.encode().to_vec();
        let Some(lesson) = Lesson::new(&vectors, &items, dim) else { return Ok(None) };
        self.judge(&vectors, &items).await?;
        let before = self.personal.clone();
        let config = self.config.clone();
        let earlier = self.earlier_lesson();
        let lesson = match config.hard {
            0 => lesson,
            hard => lesson.with_hard(self.best_before_newest(&vectors, &items, hard).await?),
        };
        let mut losses = Vec::with_capacity(steps + 1);
        for _ in 0..steps {
            match self.personal.step(&self.student, &lesson, earlier.as_ref(), &config).await {
                Ok(loss) => losses.push(loss),
                Err(error) => {
                    self.personal = before;
                    return Err(error);
                }
            }
        }
        let after = self.personal.loss(&self.student, &lesson, &config).await?;
        let first = losses.first().copied().unwrap_or(after);
        let kept = after.is_finite() && after <= first + WORSE;
        if !kept {
            self.personal = before;
        }
        Ok(Some(Tuned { steps: steps as u32, loss_before: first, loss_after: after, kept }))
    }

    /// One of the earlier sessions, in turn.
    fn earlier_lesson(&self) -> Option<Lesson> {
        let turn = self.personal.steps.checked_rem(self.past.len() as u64)?;
        let clicks = &self.past[turn as usize];
        let mut encoded = Encoded::default();
        self.student.encode_on(&self.input_of(clicks), &mut encoded);
        let items: Vec<u32> = clicks.iter().map(|c| c.item).collect();
        Lesson::new(encoded.vectors(), &items, self.manifest.student.dim)
    }

    /// What the shipped student would have shown before the newest click.
    async fn best_before_newest(
        &mut self,
        vectors: &[f32],
        items: &[u32],
        count: usize,
    ) -> Result<Vec<u32>, ModelError> {
        let dim = self.manifest.student.dim;
        let positions = vectors.len() / dim;
        let query = self.shipped_query(&vectors[(positions - 2) * dim..(positions - 1) * dim]);
        let prefix = &items[items.len() - positions..items.len() - 1];
        Ok(self.best(&query, prefix, count, |_, _| true).await?.into_iter().map(|s| s.0).collect())
    }

    /// Forgets everything learned and the session.
    pub fn erase(&mut self) {
        self.clicks.clear();
        self.past.clear();
        self.seen_ms = None;
        self.contributed_ms = None;
        self.encoded = Encoded::default();
        self.judged = 0;
        self.gate = Gate::new(Rules::default());
        self.personal = self.nobody();
    }

    /// A shopper nothing is known about.
    fn nobody(&self) -> Personal {
        Personal::new(&self.student, self.seed).leaning(self.traits.len())
    }
}
