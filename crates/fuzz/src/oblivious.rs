//! Oblivious HTTP: what a gateway is sent, what is inside, and what a client reads.

use axum::http::Method;
use onshelf_core::protocol::bhttp::{Request, Response};
use onshelf_core::protocol::ohttp::{
    Asked, KEYS_MEDIA_TYPE, REQUEST_MEDIA_TYPE, decapsulate, decode_keys, encapsulate, encode_keys,
};
use onshelf_server::keys::of_gateway;

use crate::fixture::{GATEWAY, fixture, stream};
use crate::{Seeds, Target};

pub(crate) const TARGETS: &[Target] = &[
    Target { name: "ohttp_request", run: request, seeds: request_seeds },
    Target { name: "ohttp_request_content", run: request_content, seeds: request_content_seeds },
    Target { name: "ohttp_answer", run: answer, seeds: answer_seeds },
    Target { name: "ohttp_keys", run: keys, seeds: keys_seeds },
];

fn request(bytes: &[u8]) {
    let f = fixture();
    f.ask(&f.leader, Method::POST, "/ohttp-gateway", REQUEST_MEDIA_TYPE, bytes);
}

fn sealed(content: &[u8]) -> (Vec<u8>, Asked) {
    encapsulate(of_gateway(&GATEWAY).public(), content, &mut stream(3)).expect("sealed")
}

fn request_seeds() -> Seeds {
    vec![("good", sealed(&upload().encoded()).0), ("short", vec![1; 38])]
}

/// What is inside of a request, well sealed. Whatever it is, the answer can be opened and read.
fn request_content(bytes: &[u8]) {
    let f = fixture();
    let (message, asked) = sealed(bytes);
    let (status, answer) = f.answer(&f.leader, Method::POST, "/ohttp-gateway", REQUEST_MEDIA_TYPE, &message);
    assert_eq!(status, 200);
    let answer = Response::decode(&asked.open(&answer).expect("opens")).expect("binary HTTP");
    assert!(answer.status < 500, "answered with {} inside", answer.status);
    if let Ok(request) = Request::decode(bytes) {
        assert_eq!(Request::decode(&request.encoded()), Ok(request));
    }
}

fn upload() -> Request {
    let f = fixture();
    Request {
        method: b"PUT".to_vec(),
        scheme: b"https".to_vec(),
        authority: b"leader.example".to_vec(),
        path: f.path("reports", &[]).into_bytes(),
        fields: vec![(b"content-type".to_vec(), b"application/dap-report".to_vec())],
        content: f.report(3).bytes,
    }
}

fn request_content_seeds() -> Seeds {
    let config = Request { method: b"GET".to_vec(), path: b"/hpke_config".to_vec(), ..Request::default() };
    let other = Request { path: b"/onshelf/status".to_vec(), ..config.clone() };
    vec![("upload", upload().encoded()), ("config", config.encoded()), ("other", other.encoded())]
}

/// What a client is answered: as it comes, and what is inside.
fn answer(bytes: &[u8]) {
    let (_, asked) = sealed(&[]);
    let _ = asked.open(bytes);
    if let Ok(response) = Response::decode(bytes) {
        assert_eq!(Response::decode(&response.encoded()), Ok(response));
    }
}

fn answer_seeds() -> Seeds {
    let response = Response { status: 201, fields: vec![], content: vec![1, 2, 3] };
    let (message, _) = sealed(&[]);
    let (_, opened) = decapsulate(&[of_gateway(&GATEWAY)], &message).expect("opens");
    let sealed = opened.seal(&response.encoded(), &mut stream(4)).expect("sealed");
    vec![("content", response.encoded()), ("sealed", sealed)]
}

/// Key configurations, as a client reads them.
fn keys(bytes: &[u8]) {
    if let Ok(key) = decode_keys(bytes) {
        let list = encode_keys(std::slice::from_ref(&key));
        assert_eq!(decode_keys(&list), Ok(key));
    }
}

fn keys_seeds() -> Seeds {
    let f = fixture();
    let (status, list) = f.answer(&f.leader, Method::GET, "/ohttp-keys", KEYS_MEDIA_TYPE, &[]);
    assert_eq!(status, 200);
    vec![("good", list)]
}
