//! Fetching files in a worker, with progress.

use gloo::net::http::Request;
use js_sys::Uint8Array;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::ReadableStreamDefaultReader;

use crate::error::{Code, Failure};

/// Most bytes of one file (512 MiB): a wrong address must not fill the memory.
const LIMIT: u64 = 512 << 20;

fn network(url: &str, what: &str) -> Failure {
    Failure::new(Code::Network, format!("{url}: {what}"))
}

/// Fetches a file of at most `most` bytes, and one more to tell a file that is too long from a
/// whole one; `progress` gets the bytes so far.
pub(crate) async fn fetch(url: &str, most: u64, mut progress: impl FnMut(usize)) -> Result<Vec<u8>, Failure> {
    let limit = usize::try_from(most.min(LIMIT)).unwrap_or(usize::MAX).saturating_add(1);
    let response = Request::get(url).send().await.map_err(|e| network(url, &e.to_string()))?;
    if !response.ok() {
        return Err(network(url, &format!("the server answered {}", response.status())));
    }
    let body = response.body().ok_or_else(|| network(url, "the response has no body"))?;
    let reader: ReadableStreamDefaultReader =
        body.get_reader().dyn_into().map_err(|_| network(url, "the response cannot be read"))?;
    let mut out = Vec::new();
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

/// The address of a file of the version whose manifest is at `base`: files lie beside
/// `latest.json`, and one folder above `manifests/<version>.json`.
pub(crate) fn resolve(base: &str, relative: &str) -> String {
    let folder = base.split(['?', '#']).next().unwrap_or(base);
    let folder = folder.rsplit_once('/').map_or("", |(folder, _)| folder);
    let folder = folder.strip_suffix("/manifests").unwrap_or(folder);
    format!("{folder}/{relative}")
}

fn text(error: &JsValue) -> String {
    error.dyn_ref::<js_sys::Error>().map_or_else(|| "failed".into(), |e| String::from(e.message()))
}
