//! Nearest sessions.

use super::SessionLog;

/// Parameters of [`Vsknn`]. The default is VSKNN as published but for its window; the fields from
/// `similarity_idf` on bring in what its successors found: rarer shared items count more, sessions
/// age, and an item votes the more the nearer it stands to the shared one (STAN, Garg et al.,
/// SIGIR 2019; VSTAN, Ludewig et al., UMUAI 2021).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VsknnOptions {
    /// Candidate sessions, the most recent ones that share an item (1,500).
    pub sample: usize,
    /// Nearest sessions that vote (200).
    pub neighbours: usize,
    /// How many of the session's last clicks are compared, with weights falling linearly to 0; 5 was
    /// best on validation weeks of DIGINETICA (the paper uses 10).
    pub window: usize,
    /// Exponent on a shared item's inverse document frequency in the similarity (0: all alike).
    pub similarity_idf: f32,
    /// Exponent on an item's inverse document frequency in its votes (1).
    pub vote_idf: f32,
    /// A session's similarity is divided by its length to this power (0).
    pub length: f32,
    /// The newest session counts `e^age` times as much as the oldest (0).
    pub age: f32,
    /// Clicks between the shared item and another after which the other's vote falls by `e`
    /// (0: distance does not matter).
    pub proximity: f32,
    /// Share of a vote that an item clicked before the shared one keeps (1).
    pub backward: f32,
    /// Exponent on the weight of the newest shared item (1).
    pub recency: f32,
}

impl Default for VsknnOptions {
    fn default() -> Self {
        Self {
            sample: 1500,
            neighbours: 200,
            window: 5,
            similarity_idf: 0.0,
            vote_idf: 1.0,
            length: 0.0,
            age: 0.0,
            proximity: 0.0,
            backward: 1.0,
            recency: 1.0,
        }
    }
}

impl VsknnOptions {
    /// The neighbours of onshelf's teacher: found by a random search on sessions held out of three
    /// training periods (`docs/experiments.md`).
    #[must_use]
    pub fn teacher() -> Self {
        Self {
            sample: 3000,
            window: 7,
            similarity_idf: 1.0,
            vote_idf: 1.25,
            length: 0.25,
            age: 0.75,
            proximity: 10.0,
            backward: 0.9,
            recency: 1.5,
            ..Self::default()
        }
    }
}

/// Vector multiplication session-based k-nearest neighbours.
#[derive(Clone)]
pub struct Vsknn {
    log: SessionLog,
    postings: Vec<u32>,
    starts: Vec<u32>,
    /// Weight of a shared item, and of a vote, by the item's inverse document frequency.
    shared: Vec<f32>,
    vote: Vec<f32>,
    /// Weight of a vote by its distance from the shared item.
    near: Vec<f32>,
    options: VsknnOptions,
}

/// Working memory of one caller of [`Vsknn`], kept between calls.
#[derive(Clone, Default)]
pub struct VsknnScratch {
    similarity: Vec<f32>,
    touched: Vec<u32>,
    weight_of: Vec<f32>,
    voted: Vec<u32>,
}

impl VsknnScratch {
    /// The items that the last call of [`Vsknn::add_votes`] gave votes to.
    #[must_use]
    pub fn voted(&self) -> &[u32] {
        &self.voted
    }
}

impl Vsknn {
    /// Indexes a log. `items` is the catalogue's size.
    #[must_use]
    pub fn new(log: SessionLog, items: usize, options: VsknnOptions) -> Self {
        let mut lists: Vec<Vec<u32>> = vec![Vec::new(); items + 1];
        for (s, session) in log.iter().enumerate() {
            for &i in session {
                if let Some(list) = lists.get_mut(i as usize)
                    && list.last() != Some(&(s as u32))
                {
                    list.push(s as u32);
                }
            }
        }
        let mut postings = Vec::with_capacity(log.clicks());
        let mut starts = Vec::with_capacity(items + 2);
        for list in &lists {
            starts.push(postings.len() as u32);
            // Newest first: the sample keeps the most recent sessions.
            postings.extend(list.iter().rev());
        }
        starts.push(postings.len() as u32);
        let sessions = log.len().max(1) as f32;
        let idf: Vec<f32> = lists.iter().map(|l| (sessions / l.len().max(1) as f32).ln()).collect();
        let power = |by: f32| idf.iter().map(|x| x.powf(by)).collect();
        let near = |d: usize| {
            if options.proximity > 0.0 { (-(d as f32) / options.proximity).exp() } else { 1.0 }
        };
        let longest = log.iter().map(<[u32]>::len).max().unwrap_or(0);
        Self {
            shared: power(options.similarity_idf),
            vote: power(options.vote_idf),
            near: (0..=longest).map(near).collect(),
            log,
            postings,
            starts,
            options,
        }
    }

    /// Number of indexed sessions.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.log.len()
    }

    /// Scores every item after the clicks of `item_seq`, into `scores` (`scores[i]` is item
    /// `i + 1`'s). `exclude` names an indexed session that must not vote (the one being
    /// predicted, where targets for distillation are computed on the training log).
    pub fn score(
        &self,
        item_seq: &[u32],
        exclude: Option<u32>,
        scratch: &mut VsknnScratch,
        scores: &mut [f32],
    ) {
        scores.fill(0.0);
        self.add_votes(item_seq, exclude, scratch, scores);
    }

    /// Adds what [`Self::score`] gives to `scores`, and leaves the items that got a vote in
    /// [`VsknnScratch::voted`], in no order but each once, where their scores were 0 before.
    pub fn add_votes(
        &self,
        item_seq: &[u32],
        exclude: Option<u32>,
        scratch: &mut VsknnScratch,
        scores: &mut [f32],
    ) {
        scratch.voted.clear();
        let neighbours = self.nearest(item_seq, exclude, scratch);
        let distinct = weights_from_end(item_seq, self.options.window);
        scratch.weight_of.resize(self.starts.len(), 0.0);
        for &(item, weight) in &distinct {
            if let Some(w) = scratch.weight_of.get_mut(item as usize) {
                *w = weight;
            }
        }
        for (session, similarity) in neighbours {
            let clicks = self.log.session(session as usize);
            // The newest shared item, at its last place in the neighbour.
            let (mut at, mut decay) = (0, 0.0);
            for (n, &i) in clicks.iter().enumerate() {
                if scratch.weight_of[i as usize] >= decay && scratch.weight_of[i as usize] > 0.0 {
                    (at, decay) = (n, scratch.weight_of[i as usize]);
                }
            }
            let similarity = similarity * decay.powf(self.options.recency);
            for (n, &i) in clicks.iter().enumerate() {
                // An item votes once a session.
                if clicks[..n].contains(&i) {
                    continue;
                }
                let place = if n > at { 1.0 } else { self.options.backward } * self.near[n.abs_diff(at)];
                if let Some(score) = scores.get_mut(i as usize - 1) {
                    if *score == 0.0 {
                        scratch.voted.push(i);
                    }
                    *score += similarity * place * self.vote[i as usize];
                }
            }
        }
        for &(item, _) in &distinct {
            if let Some(w) = scratch.weight_of.get_mut(item as usize) {
                *w = 0.0;
            }
        }
    }

    /// The most similar sessions among the most recent candidates, with their similarity.
    fn nearest(&self, item_seq: &[u32], exclude: Option<u32>, scratch: &mut VsknnScratch) -> Vec<(u32, f32)> {
        scratch.similarity.resize(self.log.len(), 0.0);
        scratch.touched.clear();
        for (item, weight) in weights_from_end(item_seq, self.options.window) {
            let item = item as usize;
            if item + 1 >= self.starts.len() {
                continue;
            }
            let list = &self.postings[self.starts[item] as usize..self.starts[item + 1] as usize];
            for &s in list.iter().take(self.options.sample) {
                let slot = &mut scratch.similarity[s as usize];
                if *slot == 0.0 {
                    scratch.touched.push(s);
                }
                *slot += weight * self.shared[item];
            }
        }
        let mut found: Vec<(u32, f32)> = scratch
            .touched
            .iter()
            .filter(|&&s| Some(s) != exclude)
            // The constant norm of `item_seq` drops out of the cosine.
            .map(|&s| (s, scratch.similarity[s as usize] * self.standing(s)))
            .collect();
        for &s in &scratch.touched {
            scratch.similarity[s as usize] = 0.0;
        }
        if found.len() > self.options.sample {
            found.select_nth_unstable_by(self.options.sample, |a, b| b.0.cmp(&a.0));
            found.truncate(self.options.sample);
        }
        let order = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(b.0.cmp(&a.0));
        if found.len() > self.options.neighbours {
            found.select_nth_unstable_by(self.options.neighbours, order);
            found.truncate(self.options.neighbours);
        }
        found.sort_unstable_by(order);
        found
    }

    /// What a session counts for by its length and age alone.
    fn standing(&self, session: u32) -> f32 {
        let VsknnOptions { length, age, .. } = self.options;
        if length == 0.0 && age == 0.0 {
            return 1.0;
        }
        let clicks = self.log.session(session as usize).len().max(1) as f32;
        let old = 1.0 - session as f32 / self.log.len() as f32;
        (-old * age).exp() / clicks.powf(length)
    }
}

/// The distinct items of the last `window` clicks, each with the linear weight of its latest
/// click: 1 for the newest, falling evenly to 0 beyond the window.
fn weights_from_end(item_seq: &[u32], window: usize) -> Vec<(u32, f32)> {
    let mut out: Vec<(u32, f32)> = Vec::with_capacity(window);
    for (back, &item) in item_seq.iter().rev().take(window).enumerate() {
        if item != 0 && !out.iter().any(|&(i, _)| i == item) {
            out.push((item, 1.0 - back as f32 / window as f32));
        }
    }
    out
}
