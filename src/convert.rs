//! Every conversion between Rust and JavaScript values.

use onshelf_model::shopper::{Boost, Filter, Kind, Request};
use serde::{Deserialize, Serialize};
use wasm_bindgen::JsValue;

use crate::error::{Code, Failure};

/// An event of the page.
#[derive(Deserialize)]
pub(crate) struct JsEvent {
    pub(crate) event: String,
    #[serde(default)]
    pub(crate) item_id: Option<String>,
    #[serde(default)]
    pub(crate) dwell_ms: Option<f64>,
}

/// What became of an event.
#[derive(Serialize)]
pub(crate) struct JsTracked {
    pub(crate) accepted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<&'static str>,
    pub(crate) session_length: usize,
}

#[derive(Deserialize, Default)]
struct JsFilter {
    #[serde(default)]
    category: Vec<String>,
    #[serde(default)]
    brand: Vec<String>,
    #[serde(default)]
    in_stock: bool,
    #[serde(default)]
    price_min: Option<f32>,
    #[serde(default)]
    price_max: Option<f32>,
    #[serde(default)]
    exclude: Vec<String>,
}

#[derive(Deserialize)]
struct JsBoost {
    #[serde(default)]
    item_ids: Vec<String>,
    #[serde(default)]
    brand: Vec<String>,
    #[serde(default)]
    category: Vec<String>,
    by: f32,
}

#[derive(Deserialize)]
struct JsRequest {
    slot: String,
    #[serde(default)]
    kind: Option<String>,
    #[serde(default)]
    item_id: Option<String>,
    #[serde(default)]
    count: Option<f64>,
    #[serde(default)]
    filter: Option<JsFilter>,
    #[serde(default)]
    candidates: Option<Vec<String>>,
    #[serde(default)]
    max_per_category: Option<f64>,
    #[serde(default)]
    boosts: Vec<JsBoost>,
    #[serde(default)]
    diversity: f32,
}

/// Items of a shelf where the page does not say how many.
const DEFAULT_COUNT: usize = 12;

/// Reads a request: its slot, its kind's name, and the request itself.
pub(crate) fn request(value: JsValue) -> Result<(String, String, Request), Failure> {
    let read: JsRequest = from_js(value, "request")?;
    let name = read.kind.unwrap_or_else(|| "for_you".into());
    let kind = match name.as_str() {
        "for_you" => Kind::ForYou,
        "similar" => Kind::Similar,
        "bought_together" => Kind::BoughtTogether,
        "popular" => Kind::Popular,
        "continue" => Kind::Continue,
        other => {
            let text =
                format!("kind {other:?} is not one of for_you, similar, bought_together, popular, continue");
            return Err(Failure::new(Code::InvalidRequest, text));
        }
    };
    let filter = read.filter.unwrap_or_default();
    let request = Request {
        kind,
        item_id: read.item_id,
        count: read.count.map_or(Ok(DEFAULT_COUNT), |n| whole(n, "count"))?,
        filter: Filter {
            category: filter.category,
            brand: filter.brand,
            in_stock: filter.in_stock,
            price_min: filter.price_min,
            price_max: filter.price_max,
            exclude: filter.exclude,
        },
        candidates: read.candidates,
        max_per_category: read.max_per_category.map_or(Ok(0), |n| whole(n, "max_per_category"))?,
        boosts: read.boosts.into_iter().map(boost).collect(),
        diversity: read.diversity,
    };
    Ok((read.slot, name, request))
}

fn boost(read: JsBoost) -> Boost {
    Boost { item_ids: read.item_ids, brand: read.brand, category: read.category, by: read.by }
}

fn whole(number: f64, name: &str) -> Result<usize, Failure> {
    if number.fract() == 0.0 && (0.0..=1e6).contains(&number) {
        Ok(number as usize)
    } else {
        Err(Failure::new(
            Code::InvalidRequest,
            format!("{name} is {number}, it must be a whole number from 0"),
        ))
    }
}

/// An item of a shelf.
#[derive(Serialize)]
pub(crate) struct JsItem {
    pub(crate) item_id: String,
    pub(crate) score: f32,
    pub(crate) rank: usize,
}

/// A ranked shelf.
#[derive(Serialize)]
pub(crate) struct JsShelf<'a> {
    pub(crate) shelf_id: String,
    pub(crate) slot: String,
    pub(crate) kind: String,
    pub(crate) items: Vec<JsItem>,
    pub(crate) model_version: &'a str,
    pub(crate) personal: bool,
}

/// What learning did.
#[derive(Serialize)]
pub(crate) struct JsTuned {
    pub(crate) steps: u32,
    pub(crate) loss_before: f64,
    pub(crate) loss_after: f64,
    pub(crate) kept: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<&'static str>,
}

/// One click's share of a score.
#[derive(Serialize)]
pub(crate) struct JsShare {
    pub(crate) item_id: String,
    pub(crate) position: usize,
    pub(crate) contribution: f32,
}

/// Why an item is recommended.
#[derive(Serialize)]
pub(crate) struct JsExplanation {
    pub(crate) item_id: String,
    pub(crate) score: f32,
    pub(crate) because: Vec<JsShare>,
    pub(crate) personal_contribution: f32,
}

/// What was loaded.
#[derive(Serialize)]
pub(crate) struct JsModel {
    pub(crate) model_version: String,
    pub(crate) model_digest: String,
    pub(crate) items: usize,
    pub(crate) parameters: usize,
    pub(crate) personal_parameters: usize,
    pub(crate) steps_per_click: usize,
}

/// A click of the session.
#[derive(Serialize)]
pub(crate) struct JsClick {
    pub(crate) item_id: String,
    pub(crate) event: &'static str,
}

/// A category and how much learning lifts it.
#[derive(Serialize)]
pub(crate) struct JsLearned {
    pub(crate) category: String,
    pub(crate) weight: f32,
}

/// The state in words.
#[derive(Serialize)]
pub(crate) struct JsInspection {
    #[serde(flatten)]
    pub(crate) model: JsModel,
    pub(crate) session: Vec<JsClick>,
    pub(crate) steps: f64,
    pub(crate) guard: JsGuard,
    pub(crate) learned: Vec<JsLearned>,
}

/// What the guard knows.
#[derive(Serialize)]
pub(crate) struct JsGuard {
    pub(crate) compared: u32,
    pub(crate) lead_nats: f64,
    pub(crate) evidence_nats: f64,
    pub(crate) personal: bool,
    pub(crate) say: f32,
    pub(crate) rolled_back: u32,
}

/// The graphics adapter in use.
#[derive(Serialize)]
pub(crate) struct JsAdapter {
    pub(crate) name: String,
    pub(crate) fallback: bool,
}

/// A task of a private round.
#[cfg(feature = "sync")]
#[derive(Serialize)]
pub(crate) struct JsTask<'a> {
    pub(crate) task_id: String,
    pub(crate) lineage: &'a str,
    pub(crate) round: f64,
    pub(crate) model: &'a str,
    pub(crate) parameters: usize,
    pub(crate) participations: u32,
    pub(crate) epsilon: f64,
    pub(crate) delta: f64,
    pub(crate) min_batch: f64,
    pub(crate) opens_s: f64,
    pub(crate) expires_s: f64,
    pub(crate) leader: &'a str,
    pub(crate) helper: &'a str,
}

/// What became of a wish to forget an item.
#[derive(Serialize)]
pub(crate) struct JsForgotten {
    pub(crate) removed: usize,
    pub(crate) left: usize,
}

/// Bytes that were stored.
#[derive(Serialize)]
pub(crate) struct JsSaved {
    pub(crate) bytes: usize,
}

/// Reads a JavaScript value.
pub(crate) fn from_js<T: for<'de> Deserialize<'de>>(value: JsValue, what: &str) -> Result<T, Failure> {
    serde_wasm_bindgen::from_value(value)
        .map_err(|e| Failure::new(Code::InvalidRequest, format!("{what}: {e}")))
}

/// Makes a JavaScript value: plain objects, no `Map`s.
pub(crate) fn to_js(value: &impl Serialize) -> Result<JsValue, Failure> {
    value
        .serialize(&serde_wasm_bindgen::Serializer::json_compatible())
        .map_err(|e| Failure::new(Code::Panic, e.to_string()))
}
