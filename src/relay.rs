//! Oblivious HTTP in the third module: a request to an aggregator, sealed for its gateway, goes through a relay of
//! another party.

use onshelf_core::protocol::ProtocolError;
use onshelf_core::protocol::bhttp::{Request, Response};
use onshelf_core::protocol::ohttp::{Asked, encapsulate, pinned_key};
use wasm_bindgen::prelude::*;

use crate::error::{Code, Failure};
use crate::sync::Pool;

/// One request and its answer. Whoever tries again makes another: the same bytes twice would tell the relay that
/// both are one shopper's.
#[wasm_bindgen]
pub struct Exchange {
    message: Vec<u8>,
    asked: Option<Asked>,
    answer: Response,
}

#[wasm_bindgen]
impl Exchange {
    /// Seals a request with this browser's own randomness. `keys` are the gateway's key configurations, `hash` the
    /// SHA-256 (hex, lower case) that the page expects of them; `media` is empty where there is no content.
    ///
    /// # Errors
    /// `RELAY_MISMATCH` for other keys, `INVALID_REQUEST` for an address that is not absolute.
    pub fn seal(
        keys: &[u8],
        hash: &str,
        method: &str,
        url: &str,
        media: &str,
        content: Vec<u8>,
    ) -> Result<Exchange, JsValue> {
        let key = pinned_key(keys, hash).map_err(|error| failure(Code::RelayMismatch, &error))?;
        let request = Request::to(method, url, media, content);
        let request = request.map_err(|error| failure(Code::InvalidRequest, &error))?.encoded();
        let mut pool = Pool::new()?;
        let sealed = encapsulate(&key, &request, &mut |bytes| pool.fill(bytes));
        let (message, asked) = sealed.map_err(|error| failure(Code::RelayMismatch, &error))?;
        Ok(Self { message, asked: Some(asked), answer: Response::default() })
    }

    /// What the relay is sent; once.
    pub fn message(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.message)
    }

    /// Opens what the relay answered, once: gives the status of the aggregator's answer.
    ///
    /// # Errors
    /// `NETWORK` where it is not the gateway's answer to this very request.
    pub fn open(&mut self, answer: &[u8]) -> Result<u16, JsValue> {
        let asked = self.asked.take().ok_or_else(|| Failure::new(Code::Network, "answered already"))?;
        let opened = asked.open(answer).and_then(|bytes| Response::decode(&bytes));
        self.answer = opened.map_err(|error| failure(Code::Network, &error))?;
        Ok(self.answer.status)
    }

    /// A header of the answer that was opened; `name` in lower case.
    pub fn header(&self, name: &str) -> Option<String> {
        let (_, value) = self.answer.fields.iter().find(|(found, _)| found == name.as_bytes())?;
        String::from_utf8(value.clone()).ok()
    }

    /// The body of the answer that was opened; once.
    pub fn content(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.answer.content)
    }
}

fn failure(code: Code, error: &ProtocolError) -> Failure {
    Failure::new(code, error.to_string())
}
