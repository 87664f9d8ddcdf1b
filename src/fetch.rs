//! Fetching files in a worker, with progress.

use js_sys::Uint8Array;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{ReadableStreamDefaultReader, Response, WorkerGlobalScope};

use crate::error::{Code, Failure};

/// Most bytes of one file (512 MiB): a wrong address must not fill the memory.
const LIMIT: usize = 512 << 20;

fn network(url: &str, what: &str) -> Failure {
    Failure::new(Code::Network, format!("{url}: {what}"))
}

/// Fetches a file; `progress` gets the bytes so far. `expected` bytes are reserved at once, and
/// more than that are never read.
pub(crate) async fn fetch(url: &str, expected: Option<usize>, mut progress: impl FnMut(usize)) -> Result<Vec<u8>, Failure> {
    let scope: WorkerGlobalScope =
        js_sys::global().dyn_into().map_err(|_| network(url, "not in a worker"))?;
    let response = JsFuture::from(scope.fetch_with_str(url)).await.map_err(|e| network(url, &text(&e)))?;
    let response: Response = response.dyn_into().map_err(|_| network(url, "no response"))?;
    if !response.ok() {
        return Err(network(url, &format!("the server answered {}", response.status())));
    }
    let body = response.body().ok_or_else(|| network(url, "the response has no body"))?;
    let reader: ReadableStreamDefaultReader =
        body.get_reader().dyn_into().map_err(|_| network(url, "the response cannot be read"))?;
    // One byte beyond what is expected tells a file that is too long from a whole one.
    let limit = expected.map_or(LIMIT, |n| n.saturating_add(1)).min(LIMIT);
    let mut out = Vec::with_capacity(expected.unwrap_or(0).min(LIMIT));
    loop {
        let chunk = JsFuture::from(reader.read()).await.map_err(|e| network(url, &text(&e)))?;
        let get = |name: &str| js_sys::Reflect::get(&chunk, &name.into()).unwrap_or(JsValue::UNDEFINED);
        if get("done").is_truthy() {
            return Ok(out);
        }
        let bytes = Uint8Array::new(&get("value"));
        out.extend_from_slice(&bytes.to_vec());
        progress(out.len());
        if out.len() >= limit {
            let _ = JsFuture::from(reader.cancel()).await;
            return Ok(out);
        }
    }
}

/// An address relative to another.
pub(crate) fn resolve(base: &str, relative: &str) -> String {
    let folder = base.split(['?', '#']).next().unwrap_or(base);
    let folder = folder.rsplit_once('/').map_or("", |(folder, _)| folder);
    format!("{folder}/{relative}")
}

fn text(error: &JsValue) -> String {
    error.dyn_ref::<js_sys::Error>().map_or_else(|| "failed".into(), |e| String::from(e.message()))
}
