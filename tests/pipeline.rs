//! From a shop's log to a shelf on a shopper's device, natively: simulate, prepare, train, distill,
//! evaluate, export, inspect, load, replay, learn, save, erase. And what happens when it is
//! interrupted, repeated, or finds damaged files.

#[path = "pipeline/attacks.rs"]
mod attacks;
#[path = "pipeline/built.rs"]
mod built;
#[path = "pipeline/collect.rs"]
mod collect;
#[path = "pipeline/damage.rs"]
mod damage;
#[path = "pipeline/device.rs"]
mod device;
#[path = "pipeline/federated.rs"]
mod federated;
#[path = "pipeline/meta.rs"]
mod meta;
#[path = "pipeline/repeat.rs"]
mod repeat;
#[path = "pipeline/server.rs"]
mod server;
#[path = "pipeline/update.rs"]
mod update;
