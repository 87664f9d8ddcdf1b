//! What pages, clocks and storage can hand to a shopper's runtime, and what must come of it.

#[path = "bad_input/events.rs"]
mod events;
#[path = "bad_input/orders.rs"]
mod orders;
#[path = "bad_input/parts.rs"]
mod parts;
#[path = "support/random.rs"]
mod random;
#[path = "bad_input/requests.rs"]
mod requests;
#[path = "bad_input/shop.rs"]
mod shop;
#[path = "bad_input/state.rs"]
mod state;
#[path = "bad_input/versions.rs"]
mod versions;
