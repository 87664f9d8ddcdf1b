//! A shelf, from a request to items: who finds them, what the page pushes, who may stand beside whom.

use std::collections::HashSet;

use onshelf_core::catalogue::Catalogue;
use onshelf_core::event::{Click, EventKind};
use onshelf_core::rank::{cap_per_group, diversify, top_k};

use super::Shopper;
use super::head::{Change, REACH};
use super::request::{Checked, Kind, Listed, Request, RequestError};
use crate::error::ModelError;

/// Candidates for each place of a shelf whose order is not by score alone.
const CHOICE: usize = 8;
/// Among so many of the best a diverse shelf is chosen, or among as many as it has places.
const DIVERSE_POOL: usize = 400;

/// How a shelf's items are found.
struct Search {
    /// The shipped student's query.
    query: Vec<f32>,
    /// What the personal model changes in the order of the best.
    change: Option<Change>,
    /// Items that are not shown: what the shelf is about.
    own: Vec<u32>,
    /// Categories that are not shown, by number: what would replace an item rather than go with it.
    substitutes: HashSet<u32>,
}

impl Shopper {
    /// Ranks a shelf.
    ///
    /// # Errors
    /// [`RequestError`] where the request cannot be met, with the remedy.
    pub async fn recommend(&mut self, request: &Request) -> Result<Vec<Listed>, RequestError> {
        let checked = request.check(&self.catalogue)?;
        if request.kind == Kind::Continue {
            return Ok(self.recent(request, &checked));
        }
        let Some(search) = self.search(request, &checked) else { return Ok(Vec::new()) };
        let prefix = if request.kind == Kind::ForYou { self.recent_items() } else { Vec::new() };
        let plain = request.max_per_category == 0 && request.diversity == 0.0;
        let wanted = if plain { request.count } else { request.count * CHOICE };
        let mut ranked = self.found(&search, &prefix, wanted.max(REACH), &checked).await?;
        if let Some(change) = &search.change {
            self.reorder(&mut ranked, change, self.personal.guard.say());
        }
        ranked.truncate(wanted);
        if request.diversity > 0.0 {
            let pool = ranked.len().min(DIVERSE_POOL.max(request.count));
            let table = self.student.table();
            diversify(&mut ranked[..pool], request.diversity, |item, out| table.push_vector(item, out));
        }
        let catalogue = &self.catalogue;
        let kept =
            cap_per_group(&ranked, request.count, request.max_per_category, |i| catalogue.category_code(i));
        Ok(self.listed(&kept))
    }

    /// The best `count` items that may be shown, best first, with the page's boosts.
    async fn found(
        &mut self,
        search: &Search,
        prefix: &[u32],
        count: usize,
        checked: &Checked,
    ) -> Result<Vec<(u32, f32)>, ModelError> {
        let allow = |catalogue: &Catalogue, item| {
            !search.own.contains(&item)
                && !search.substitutes.contains(&catalogue.category_code(item))
                && checked.allows(catalogue, item)
        };
        if !checked.has_boosts() {
            return self.best(&search.query, prefix, count, allow).await;
        }
        // What is pushed may come from far behind: every score is looked at.
        self.score_all(&search.query, prefix).await?;
        checked.boost(&self.catalogue, &mut self.scores);
        Ok(top_k(&self.scores, count, |item| allow(&self.catalogue, item)))
    }

    /// How the items of a shelf are found; `None` where there is nothing that it could be about.
    fn search(&mut self, request: &Request, checked: &Checked) -> Option<Search> {
        let of = |query| Search { query, change: None, own: Vec::new(), substitutes: HashSet::new() };
        match request.kind {
            Kind::Popular => Some(of(vec![0.0; self.manifest.student.dim])),
            Kind::Similar => {
                let item = checked.item?;
                Some(Search { own: vec![item], ..of(self.like(item)) })
            }
            Kind::BoughtTogether => {
                let basket = match checked.item {
                    Some(item) => vec![Click { kind: EventKind::AddToCart, ..Click::view(item) }],
                    None => self.cart(),
                };
                if basket.is_empty() {
                    return None;
                }
                let own: Vec<u32> = basket.iter().map(|click| click.item).collect();
                let session = self.student.encode_last(&[self.input_of(&basket)]);
                let substitutes = categories_of(&self.catalogue, &own);
                Some(Search { own, substitutes, ..of(self.shipped_query(&session)) })
            }
            Kind::ForYou | Kind::Continue => {
                let session = self.newest();
                let change = self.is_personal().then(|| self.change(&session));
                Some(Search { change, ..of(self.shipped_query(&session)) })
            }
        }
    }

    /// The query that finds what is like an item: its own vector, at unit length.
    fn like(&self, item: u32) -> Vec<f32> {
        let mut vector = Vec::with_capacity(self.manifest.student.dim);
        self.student.table().push_vector(item, &mut vector);
        let norm = (vector.iter().map(|x| x * x).sum::<f32>() + 1e-6).sqrt();
        vector.iter_mut().for_each(|x| *x /= norm);
        vector
    }

    /// What lies in the cart as far as this session knows: the newest `add_to_cart` of each item that was neither
    /// taken out nor bought since, oldest first.
    fn cart(&self) -> Vec<Click> {
        let mut cart: Vec<Click> = Vec::new();
        for click in &self.clicks {
            match click.kind {
                EventKind::AddToCart | EventKind::RemoveFromCart | EventKind::Purchase => {
                    cart.retain(|other| other.item != click.item);
                }
                EventKind::ViewItem | EventKind::SelectItem | EventKind::Search => {}
            }
            if click.kind == EventKind::AddToCart {
                cart.push(*click);
            }
        }
        cart
    }

    /// The items of the session, newest first, each once.
    fn recent(&self, request: &Request, checked: &Checked) -> Vec<Listed> {
        let mut seen = Vec::new();
        for click in self.clicks.iter().rev() {
            if seen.len() < request.count
                && !seen.contains(&click.item)
                && checked.allows(&self.catalogue, click.item)
            {
                seen.push(click.item);
            }
        }
        let ranked: Vec<(u32, f32)> =
            seen.iter().enumerate().map(|(rank, &i)| (i, 1.0 / (rank + 1) as f32)).collect();
        self.listed(&ranked)
    }

    fn listed(&self, ranked: &[(u32, f32)]) -> Vec<Listed> {
        ranked
            .iter()
            .map(|&(item, score)| Listed {
                item_id: self.catalogue.id(item).unwrap_or_default().to_owned(),
                score,
            })
            .collect()
    }
}

/// The categories of some items, by number; none for items without a category.
fn categories_of(catalogue: &Catalogue, items: &[u32]) -> HashSet<u32> {
    let known = items.iter().filter(|&&item| !catalogue.category(item).is_empty());
    known.map(|&item| catalogue.category_code(item)).collect()
}
