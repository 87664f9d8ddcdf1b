//! A log of sessions, packed.

/// Sessions in order of time, as item indices (1-based; 0 is padding and never occurs).
#[derive(Clone)]
pub struct SessionLog {
    items: Vec<u32>,
    offsets: Vec<u32>,
}

impl Default for SessionLog {
    fn default() -> Self {
        Self::new()
    }
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
        &self.items[self.range(s)]
    }

    /// Where the clicks of session `s` are among all.
    #[must_use]
    pub fn range(&self, s: usize) -> std::ops::Range<usize> {
        self.offsets[s] as usize..self.offsets[s + 1] as usize
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
