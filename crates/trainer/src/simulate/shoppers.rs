//! The shoppers of the made-up shop, their visits, and the robots among them.

use onshelf_core::event::EventKind;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::products::Stock;
use super::words::{BRANDS, COLOURS};
use super::{DAY_MS, FLOOD_EVENTS, Planted, Row, START_MS, SimulateOptions};

/// How busy each hour of the day is.
const HOURS: [u32; 24] =
    [4, 2, 1, 1, 1, 2, 5, 9, 12, 13, 14, 15, 17, 16, 15, 15, 16, 18, 21, 25, 27, 24, 16, 9];
/// How often the products of a list are chosen, the first the most.
const BY_PLACE: [f64; 4] = [8.0, 4.0, 2.0, 1.0];
/// Visits after the first of a shopper who was there from the beginning: the chance that there is
/// one more, for a mean of about 7.
const ANOTHER_VISIT: f64 = 0.876;
/// Views per session: the chance that there is one more, for a mean of about 3.7.
const ANOTHER_VIEW: f64 = 0.73;
/// Share of views that are fired twice.
const DOUBLE: f64 = 0.02;
/// Chance of a mis-click before a view.
const BOUNCE: f64 = 0.03;
/// Chance that a session has a flood.
const FLOOD: f64 = 0.000_5;

/// What has happened so far.
#[derive(Default)]
pub(super) struct Log {
    /// Rows that nobody took yet.
    pub(super) rows: Vec<Row>,
    pub(super) sessions: u32,
    pub(super) planted: Planted,
}

/// What a shopper likes at the moment.
struct Taste {
    leaves: [usize; 4],
    colours: [usize; 3],
    brands: [usize; 6],
    level: usize,
}

impl Taste {
    fn new(stock: &Stock, random: &mut ChaCha8Rng) -> Self {
        let mut taste = Self {
            leaves: std::array::from_fn(|_| random.random_range(0..stock.by_leaf.len())),
            colours: std::array::from_fn(|_| random.random_range(0..COLOURS.len())),
            brands: std::array::from_fn(|_| random.random_range(0..BRANDS.len())),
            level: random.random_range(0..4),
        };
        // Tastes keep together: half of the favourites are neighbours of the first.
        taste.leaves[1] = taste.leaves[0] / 12 * 12 + taste.leaves[1] % 12;
        taste
    }

    /// Each favourite changes now and then; called once a week.
    fn drift(&mut self, stock: &Stock, random: &mut ChaCha8Rng) {
        let fresh = Self::new(stock, random);
        let place = random.random_range(0..4);
        self.leaves[place] = fresh.leaves[place];
        if random.random_bool(0.3) {
            self.colours[0] = fresh.colours[0];
        }
        if random.random_bool(0.3) {
            self.brands[0] = fresh.brands[0];
        }
        if random.random_bool(0.1) {
            self.level = fresh.level;
        }
    }

    fn likes(&self, product: u32, stock: &Stock) -> f64 {
        let traits = &stock.traits[product as usize];
        let colour = if self.colours.contains(&traits.colour) { 3.0 } else { 1.0 };
        let brand = if self.brands.contains(&traits.brand) { 2.5 } else { 1.0 };
        let level = [3.0, 1.5, 0.6, 0.3][self.level.abs_diff(traits.level)];
        colour * brand * level
    }
}

/// All visits of a shopper.
pub(super) fn visit(shopper: u32, stock: &Stock, days: u32, log: &mut Log, random: &mut ChaCha8Rng) {
    let mut taste = Taste::new(stock, random);
    let days = days as i32;
    // Two in five shoppers find the shop during the weeks.
    let joins = match random.random_range(0..5) {
        0 | 1 => Some(random.random_range(0..days)),
        _ => None,
    };
    let mut visits = vec![joins.unwrap_or_else(|| random.random_range(0..days))];
    while random.random_bool(ANOTHER_VISIT) {
        visits.push(random.random_range(0..days));
    }
    visits.retain(|&day| joins.is_none_or(|joins| day >= joins));
    visits.sort_unstable();
    let mut week = 0;
    for day in visits {
        while week < day / 7 {
            taste.drift(stock, random);
            week += 1;
        }
        Session::new(shopper, day, stock, &taste, log, random).shop(random);
    }
}

/// One visit going on.
struct Session<'a> {
    stock: &'a Stock,
    taste: &'a Taste,
    log: &'a mut Log,
    number: u32,
    shopper: u32,
    day: i32,
    now: i64,
    /// The leaf the shopper came for.
    focus: usize,
    viewed: Vec<u32>,
    cart: Vec<u32>,
}

impl<'a> Session<'a> {
    fn new(
        shopper: u32,
        day: i32,
        stock: &'a Stock,
        taste: &'a Taste,
        log: &'a mut Log,
        random: &mut ChaCha8Rng,
    ) -> Self {
        let number = log.sessions;
        log.sessions += 1;
        let focus = match random.random_range(0..10) {
            0..4 => taste.leaves[0],
            4..6 => taste.leaves[1],
            6 => taste.leaves[2],
            7 => taste.leaves[3],
            _ => random.random_range(0..stock.by_leaf.len()),
        };
        Self {
            stock,
            taste,
            log,
            number,
            shopper,
            day,
            now: moment(day, random),
            focus,
            viewed: Vec::new(),
            cart: Vec::new(),
        }
    }

    fn shop(mut self, random: &mut ChaCha8Rng) {
        if random.random_bool(0.12) {
            self.push(EventKind::Search, None, None);
            self.wait(random);
        }
        // Where nothing of the leaf is in the shop yet, the first leaf that has something.
        let leaves = std::iter::once(self.focus).chain(0..self.stock.by_leaf.len());
        let mut found = leaves.filter_map(|leaf| self.of_leaf(leaf, random));
        let Some(mut product) = found.next() else {
            return;
        };
        drop(found);
        if random.random_bool(FLOOD) {
            self.flood(random);
        }
        loop {
            self.view(product, random);
            if !random.random_bool(ANOTHER_VIEW) {
                break;
            }
            product = self.next(product, random);
        }
        self.leave(random);
    }

    /// The next product to look at. What comes after something was put in the cart goes with
    /// it; before that, the shopper compares.
    fn next(&self, product: u32, random: &mut ChaCha8Rng) -> u32 {
        let traits = &self.stock.traits[product as usize];
        let in_cart = self.cart.last() == Some(&product);
        let related = if in_cart { (50, 58) } else { (15, 55) };
        let chosen = match random.random_range(0..100) {
            roll if roll < related.0 => self.of_list(&traits.complements, random),
            roll if roll < related.1 => self.of_list(&traits.substitutes, random),
            0..75 => self.of_leaf(self.focus, random),
            75..90 => Some(self.viewed[random.random_range(0..self.viewed.len())]),
            90..97 => self.of_leaf(self.taste.leaves[random.random_range(0..4)], random),
            _ => self.of_leaf(random.random_range(0..self.stock.by_leaf.len()), random),
        };
        // Looking at the same product again is possible, too: the page is loaded anew.
        chosen.unwrap_or(product)
    }

    fn of_list(&self, list: &[u32], random: &mut ChaCha8Rng) -> Option<u32> {
        let there = |product: u32| self.stock.traits[product as usize].weight(self.day) > 0.0;
        let weights = list.iter().zip(BY_PLACE);
        let weights = weights.map(|(&product, weight)| (product, if there(product) { weight } else { 0.0 }));
        choose(weights, random)
    }

    fn of_leaf(&self, leaf: usize, random: &mut ChaCha8Rng) -> Option<u32> {
        let weights = self.stock.by_leaf[leaf].iter().map(|&product| {
            let weight = self.stock.traits[product as usize].weight(self.day);
            (product, weight * self.taste.likes(product, self.stock))
        });
        choose(weights, random)
    }

    fn view(&mut self, product: u32, random: &mut ChaCha8Rng) {
        if random.random_bool(BOUNCE) {
            self.bounce(product, random);
        }
        if random.random_bool(0.15) {
            self.push(EventKind::SelectItem, Some(product), None);
            self.now += random.random_range(200..900);
        }
        let dwell = random.random_range(1_000..20_000) * random.random_range(1..5);
        self.push(EventKind::ViewItem, Some(product), Some(dwell));
        if random.random_bool(DOUBLE) {
            let again = self.now + random.random_range(40..400);
            let first = self.now;
            self.now = again;
            self.push(EventKind::ViewItem, Some(product), Some(dwell));
            self.now = first;
            self.log.planted.duplicates += 1;
        }
        self.viewed.push(product);
        self.now += i64::from(dwell);
        if random.random_bool(0.1) && !self.cart.contains(&product) {
            self.push(EventKind::AddToCart, Some(product), None);
            self.cart.push(product);
        }
        self.wait(random);
    }

    /// A mis-click on another product, left at once.
    fn bounce(&mut self, wanted: u32, random: &mut ChaCha8Rng) {
        let leaf = random.random_range(0..self.stock.by_leaf.len());
        let Some(product) = self.of_leaf(leaf, random).filter(|product| *product != wanted) else {
            return;
        };
        let dwell = random.random_range(80..700);
        self.push(EventKind::ViewItem, Some(product), Some(dwell));
        self.log.planted.bounces += 1;
        self.now += i64::from(dwell);
        self.wait(random);
    }

    /// A tool in the browser opens dozens of products at once.
    fn flood(&mut self, random: &mut ChaCha8Rng) {
        let products = self.stock.products.len();
        for _ in 0..FLOOD_EVENTS {
            let product = random.random_range(0..products) as u32;
            self.push(EventKind::ViewItem, Some(product), None);
            self.now += random.random_range(40..60);
        }
        self.log.planted.flood_sessions += 1;
        self.log.planted.flood_events += FLOOD_EVENTS;
        // Longer than the window of the rule, so that what follows is none of it.
        self.now += 11_000;
    }

    fn leave(&mut self, random: &mut ChaCha8Rng) {
        if self.cart.is_empty() {
            return;
        }
        if self.cart.len() > 1 && random.random_bool(0.15) {
            let product = self.cart.swap_remove(random.random_range(0..self.cart.len()));
            self.push(EventKind::RemoveFromCart, Some(product), None);
            self.wait(random);
        }
        if random.random_bool(0.35) {
            for product in std::mem::take(&mut self.cart) {
                self.push(EventKind::Purchase, Some(product), None);
            }
        }
    }

    fn push(&mut self, kind: EventKind, product: Option<u32>, dwell_ms: Option<u32>) {
        self.log.rows.push(Row {
            session: self.number,
            shopper: self.shopper,
            product,
            kind,
            time_ms: self.now,
            dwell_ms,
        });
    }

    /// Longer than the rule against duplicates looks, so that only planted ones are found.
    fn wait(&mut self, random: &mut ChaCha8Rng) {
        self.now += random.random_range(1_500..9_000);
    }
}

/// A moment of a day, by how busy the hours are.
fn moment(day: i32, random: &mut ChaCha8Rng) -> i64 {
    let hours = (0_i64..).zip(HOURS.map(f64::from));
    let hour = choose(hours, random).unwrap_or(12);
    START_MS + i64::from(day) * DAY_MS + hour * 3_600_000 + random.random_range(0..3_600_000)
}

/// One of the values by their weights; `None` when no weight is above 0.
fn choose<T: Copy>(weights: impl Iterator<Item = (T, f64)> + Clone, random: &mut ChaCha8Rng) -> Option<T> {
    let total: f64 = weights.clone().map(|(_, weight)| weight).sum();
    if total <= 0.0 {
        return None;
    }
    let mut left = random.random_range(0.0..total);
    let mut last = None;
    for (value, weight) in weights.filter(|(_, weight)| *weight > 0.0) {
        last = Some(value);
        if left < weight {
            break;
        }
        left -= weight;
    }
    last
}

/// A robot that walks through the shop. Those with even numbers go at full speed, the others at the
/// speed of a person who never gets tired.
pub(super) fn robot(
    number: u32,
    stock: &Stock,
    options: &SimulateOptions,
    log: &mut Log,
    random: &mut ChaCha8Rng,
) {
    let events = random.random_range(210..400);
    let gap = if number.is_multiple_of(2) { 50 } else { 3_000 };
    let day = random.random_range(0..options.days as i32);
    let mut time_ms = moment(day, random);
    let first = random.random_range(0..stock.products.len());
    for step in 0..events {
        let product = ((first + step) % stock.products.len()) as u32;
        log.rows.push(Row {
            session: log.sessions,
            shopper: options.shoppers as u32 + number,
            product: Some(product),
            kind: EventKind::ViewItem,
            time_ms,
            dwell_ms: None,
        });
        time_ms += gap + random.random_range(0..20);
    }
    log.sessions += 1;
    log.planted.robot_sessions += 1;
    log.planted.robot_events += events;
}
