//! Some new shoppers for a browser to repeat, with what they would have seen natively.

use std::path::Path;

use anyhow::{Context, Result};
use onshelf_core::event::EventKind;
use onshelf_core::version::FineTuneConfig;
use onshelf_model::shopper::{Filter, Request, Shopper};
use onshelf_model::training::TrainSet;
use pollster::block_on;
use serde::Serialize;

use super::shipped::Shipped;
use super::{FIRST, PACE_MS};
use crate::export::publish;
use crate::files::write_json;

/// New shoppers for a browser to repeat.
#[derive(Serialize)]
struct Repeat {
    /// Optimiser steps after each click.
    steps: usize,
    /// Milliseconds between two clicks.
    pace_ms: i64,
    /// A device's state before the first click: its seed decides what a step samples.
    state: Vec<u8>,
    shoppers: Vec<Repeated>,
}

/// One shopper.
#[derive(Serialize)]
struct Repeated {
    clicks: Vec<String>,
    /// Before every click after the first three: the ten best items not clicked yet, with their scores.
    shelves: Vec<Vec<(String, f32)>>,
    /// Whether each of these was the personal model's.
    personal: Vec<bool>,
}

impl Repeated {
    fn of(device: &mut Shopper, items: &[u32], steps: usize) -> Result<Self> {
        device.erase();
        let id = |item: u32| device.catalogue().id(item).map(str::to_owned).context("an item without an id");
        let clicks = items.iter().map(|&i| id(i)).collect::<Result<Vec<String>>>()?;
        let mut out = Self { clicks, shelves: Vec::new(), personal: Vec::new() };
        for at in 0..items.len() {
            if at >= FIRST {
                let filter = Filter { exclude: out.clicks[..at].to_vec(), ..Default::default() };
                let shelf = block_on(device.recommend(&Request { count: 10, filter, ..Default::default() }))?;
                out.shelves.push(shelf.into_iter().map(|l| (l.item_id, l.score)).collect());
                out.personal.push(device.is_personal());
            }
            device.track(&out.clicks[at], EventKind::ViewItem, None, at as i64 * PACE_MS);
            block_on(device.fine_tune(steps))?;
        }
        Ok(out)
    }
}

impl Shipped {
    /// Publishes the student as a model version in `out/models`, and in `out/replay.json` some new
    /// shoppers with what they would have seen natively, for a browser to repeat.
    pub(super) fn for_browsers(
        &self,
        people: &TrainSet,
        config: &FineTuneConfig,
        seed: u64,
        count: usize,
        out: &Path,
    ) -> Result<usize> {
        let catalogue = self.catalogue.to_json();
        let key = out.join("secret.key");
        let done = publish(self.manifest(config), &self.file, &catalogue, &key, &out.join("models"))?;
        let mut device = self.device(&done.version, config, seed)?;
        let histories: Vec<&[u32]> = people.log.iter().filter(|s| s.len() > FIRST).collect();
        let stride = histories.len().div_ceil(count.max(1)).max(1);
        let state = device.export_state()?;
        let mut shoppers = Vec::new();
        for items in histories.into_iter().step_by(stride) {
            shoppers.push(Repeated::of(&mut device, items, config.steps_per_click)?);
        }
        let repeat = Repeat { steps: config.steps_per_click, pace_ms: PACE_MS, state, shoppers };
        write_json(&out.join("replay.json"), &repeat)?;
        Ok(repeat.shoppers.len())
    }
}
