//! Simple methods that a trained model has to beat: VSKNN, item transitions and popularity.
//!
//! * VSKNN: Ludewig & Jannach, *Evaluation of session-based recommendation algorithms*
//!   (UMUAI 2018), with linear session weights and inverse document frequency.
//! * Item transitions: "sequential rules" of the same paper.
//!
//! All of them give one score per item, `scores[i]` for item `i + 1`.

/// Sessions in order of time, as item indices (1-based; 0 is padding and never occurs).
#[derive(Clone, Default)]
pub struct SessionLog {
    items: Vec<u32>,
    offsets: Vec<u32>,
}

/// Never prints a click.
impl std::fmt::Debug for SessionLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "SessionLog({} sessions, {} clicks)",
            self.offsets.len().saturating_sub(1),
            self.items.len()
        )
    }
}

impl SessionLog {
    /// An empty log.
    #[must_use]
    pub fn new() -> Self {
        Self { items: Vec::new(), offsets: vec![0] }
    }

    /// Appends a session, the newest so far.
    pub fn push(&mut self, session: &[u32]) {
        self.items.extend_from_slice(session);
        self.offsets.push(self.items.len() as u32);
    }

    /// Number of sessions.
    #[must_use]
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there is no session.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The clicks of session `s`.
    #[must_use]
    pub fn session(&self, s: usize) -> &[u32] {
        &self.items[self.offsets[s] as usize..self.offsets[s + 1] as usize]
    }

    /// All sessions, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &[u32]> {
        (0..self.len()).map(|s| self.session(s))
    }

    /// Number of clicks.
    #[must_use]
    pub fn clicks(&self) -> usize {
        self.items.len()
    }

    /// Clicks on each item; index 0 is padding.
    #[must_use]
    pub fn counts(&self, items: usize) -> Vec<u32> {
        let mut counts = vec![0; items + 1];
        for &i in &self.items {
            if let Some(c) = counts.get_mut(i as usize) {
                *c += 1;
            }
        }
        counts
    }
}

/// Parameters of [`Vsknn`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VsknnOptions {
    /// Candidate sessions, the most recent ones that share an item (1,500).
    pub sample: usize,
    /// Nearest sessions that vote (200).
    pub neighbours: usize,
    /// How many of the session's last clicks are compared, with weights falling linearly to 0; 5 was
    /// best on validation weeks of DIGINETICA (the paper uses 10).
    pub window: usize,
}

impl Default for VsknnOptions {
    fn default() -> Self {
        Self { sample: 1500, neighbours: 200, window: 5 }
    }
}

/// Vector multiplication session-based k-nearest neighbours.
#[derive(Clone)]
pub struct Vsknn {
    log: SessionLog,
    postings: Vec<u32>,
    starts: Vec<u32>,
    idf: Vec<f32>,
    options: VsknnOptions,
}

/// Working memory of one caller of [`Vsknn`], kept between calls.
#[derive(Clone, Default)]
pub struct VsknnScratch {
    similarity: Vec<f32>,
    touched: Vec<u32>,
    weight_of: Vec<f32>,
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
        let idf = lists.iter().map(|l| (sessions / l.len().max(1) as f32).ln()).collect();
        Self { log, postings, starts, idf, options }
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
            let decay = clicks.iter().map(|&i| scratch.weight_of[i as usize]).fold(0.0_f32, f32::max);
            for (n, &i) in clicks.iter().enumerate() {
                // An item votes once a session.
                if clicks[..n].contains(&i) {
                    continue;
                }
                if let Some(score) = scores.get_mut(i as usize - 1) {
                    *score += similarity * decay * self.idf[i as usize];
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
                *slot += weight;
            }
        }
        let mut found: Vec<(u32, f32)> = scratch
            .touched
            .iter()
            .filter(|&&s| Some(s) != exclude)
            .map(|&s| {
                // Cosine against the weighted session; the constant norm of `item_seq` drops out.
                (s, scratch.similarity[s as usize])
            })
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

/// Item-to-item transition counts, weighted by 1/distance (sequential rules).
#[derive(Clone)]
pub struct Transitions {
    followers: Vec<Vec<(u32, f32)>>,
}

impl Transitions {
    /// Counts who follows whom within ten clicks of each session.
    #[must_use]
    pub fn new(log: &SessionLog, items: usize) -> Self {
        let mut maps: Vec<std::collections::HashMap<u32, f32>> = vec![Default::default(); items + 1];
        for session in log.iter() {
            for (j, &to) in session.iter().enumerate() {
                for (distance, &from) in session[..j].iter().rev().take(10).enumerate() {
                    if from != to && (from as usize) < maps.len() {
                        *maps[from as usize].entry(to).or_default() += 1.0 / (distance + 1) as f32;
                    }
                }
            }
        }
        let followers = maps
            .into_iter()
            .map(|m| {
                let mut list: Vec<_> = m.into_iter().collect();
                list.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
                list
            })
            .collect();
        Self { followers }
    }

    /// The items that follow `item`, best first.
    #[must_use]
    pub fn followers(&self, item: u32) -> &[(u32, f32)] {
        self.followers.get(item as usize).map_or(&[], Vec::as_slice)
    }

    /// Scores every item by the newest click of `item_seq` alone.
    pub fn score(&self, item_seq: &[u32], scores: &mut [f32]) {
        scores.fill(0.0);
        if let Some(&last) = item_seq.last() {
            for &(to, weight) in self.followers(last) {
                if let Some(s) = scores.get_mut(to as usize - 1) {
                    *s = weight;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> SessionLog {
        let mut log = SessionLog::new();
        log.push(&[1, 2, 3]);
        log.push(&[1, 2, 4]);
        log.push(&[5, 6]);
        log
    }

    #[test]
    fn neighbours_share_items() {
        let knn = Vsknn::new(log(), 6, VsknnOptions::default());
        let mut scores = vec![0.0; 6];
        knn.score(&[1, 2], None, &mut VsknnScratch::default(), &mut scores);
        assert!(scores[2] > 0.0 && scores[3] > 0.0);
        assert_eq!((scores[4], scores[5]), (0.0, 0.0));
    }

    #[test]
    fn an_excluded_session_does_not_vote() {
        let knn = Vsknn::new(log(), 6, VsknnOptions::default());
        let mut scores = vec![0.0; 6];
        let mut scratch = VsknnScratch::default();
        knn.score(&[1, 2], Some(0), &mut scratch, &mut scores);
        assert_eq!(scores[2], 0.0);
        assert!(scores[3] > 0.0);
        knn.score(&[1, 2], None, &mut scratch, &mut scores);
        assert!(scores[2] > 0.0, "scratch must be clean between calls");
    }

    #[test]
    fn transitions_follow_order() {
        let t = Transitions::new(&log(), 6);
        let mut scores = vec![0.0; 6];
        t.score(&[2], &mut scores);
        assert_eq!(scores, [0.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
        t.score(&[], &mut scores);
        assert!(scores.iter().all(|&s| s == 0.0));
    }
}
