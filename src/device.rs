//! The one device of this module.

#[cfg(feature = "webgpu")]
use onshelf_model::gpu::Gpu;
use onshelf_model::student::Compute;
#[cfg(feature = "webgpu")]
use wasm_bindgen::JsCast;
use wasm_bindgen::JsValue;

use crate::convert::JsAdapter;
#[cfg(feature = "webgpu")]
use crate::error::Code;
use crate::error::Failure;

/// What this module computes on.
#[cfg(not(feature = "webgpu"))]
pub(crate) const KIND: &str = "cpu";
/// What this module computes on.
#[cfg(feature = "webgpu")]
pub(crate) const KIND: &str = "webgpu";

/// Opens the device.
#[cfg(not(feature = "webgpu"))]
pub(crate) async fn open() -> Result<(Compute, Option<JsAdapter>), Failure> {
    Ok((Compute::Cpu, None))
}

/// Opens the device. Once a module: a second device of one instance is refused by Burn, so the
/// page makes a new worker instead.
#[cfg(feature = "webgpu")]
pub(crate) async fn open() -> Result<(Compute, Option<JsAdapter>), Failure> {
    let adapter = adapter().await?;
    let gpu = Gpu::open().await.map_err(|e| Failure::new(Code::DeviceUnavailable, format!("WebGPU: {e}")))?;
    Ok((Compute::Gpu(gpu), Some(adapter)))
}

/// Asks the browser which adapter it would give.
#[cfg(feature = "webgpu")]
async fn adapter() -> Result<JsAdapter, Failure> {
    let none = || Failure::new(Code::DeviceUnavailable, "this browser offers no WebGPU adapter");
    let get = |object: &JsValue, name: &str| {
        js_sys::Reflect::get(object, &name.into()).ok().filter(|v| !v.is_undefined() && !v.is_null())
    };
    let gpu = get(&js_sys::global(), "navigator").and_then(|n| get(&n, "gpu")).ok_or_else(none)?;
    let request: js_sys::Function =
        get(&gpu, "requestAdapter").and_then(|f| f.dyn_into().ok()).ok_or_else(none)?;
    let promise: js_sys::Promise =
        request.call0(&gpu).ok().and_then(|p| p.dyn_into().ok()).ok_or_else(none)?;
    let adapter =
        wasm_bindgen_futures::JsFuture::from(promise).await.ok().filter(|a| !a.is_null()).ok_or_else(none)?;
    let info = get(&adapter, "info").unwrap_or(JsValue::NULL);
    let word = |name: &str| {
        if info.is_null() {
            None
        } else {
            get(&info, name).and_then(|v| v.as_string()).filter(|s| !s.is_empty())
        }
    };
    let name = [word("vendor"), word("architecture"), word("description")]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(" ");
    let flag = |object: &JsValue| {
        if object.is_null() { None } else { get(object, "isFallbackAdapter").and_then(|v| v.as_bool()) }
    };
    let fallback = flag(&info).or_else(|| flag(&adapter)).unwrap_or(false);
    Ok(JsAdapter { name: if name.is_empty() { "unnamed adapter".into() } else { name }, fallback })
}

/// The adapter as a JavaScript value; `null` on the CPU.
pub(crate) fn describe(adapter: Option<&JsAdapter>) -> Result<JsValue, Failure> {
    adapter.map_or(Ok(JsValue::NULL), crate::convert::to_js)
}
