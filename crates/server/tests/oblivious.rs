//! Oblivious HTTP: uploads of an independent client (`ohttp`, `bhttp`) through our relay and gateway, our client's half
//! against an independent gateway, and all that is refused.

mod support;

use std::io::Cursor;
use std::sync::{Arc, Mutex};

use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use bhttp::{Message, Mode};
use ohttp::hpke::{Aead, Kdf, Kem};
use ohttp::{ClientRequest, KeyConfig, SymmetricSuite};
use onshelf_core::protocol::bhttp as ours;
use onshelf_core::protocol::ohttp::{encapsulate, key_hash, pinned_key};
use onshelf_server::http::router;
use onshelf_server::problem::Problem;
use onshelf_server::service::serve;
use onshelf_server::{keys, random, relay};
use support::{Options, Pair, sqlite, vector};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// A relay before a gateway that notes what it is sent, before a pair.
struct Path {
    pair: Pair,
    relay: String,
    gateway: String,
    seen: Arc<Mutex<Vec<String>>>,
    stop: watch::Sender<bool>,
}

impl Drop for Path {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
    }
}

async fn listen(app: axum::Router, stopped: &watch::Receiver<bool>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(serve(listener, app, stopped.clone()));
    url
}

impl Path {
    async fn new() -> Self {
        let gateway_keys = vec![keys::of_gateway(&[5; 32]), keys::of_gateway(&[6; 32])];
        let mut options = Options { gateway_keys, ..Options::default() };
        options.limits.report_bytes = 20_000;
        let pair = Pair::new(sqlite(), options).await;
        let (stop, stopped) = watch::channel(false);
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let notes = seen.clone();
        let noting = from_fn(move |request: Request, next: Next| {
            notes.lock().unwrap().push(format!("{} {:?}", request.uri(), request.headers()));
            async move { next.run(request).await }
        });
        let gateway = listen(router(pair.leader.clone(), false).layer(noting), &stopped).await;
        let relay = listen(relay::router(&gateway).unwrap(), &stopped).await;
        Self { pair, relay, gateway, seen, stop }
    }

    /// What somebody sends to an address as a browser would, with headers that tell who it is.
    async fn post(&self, url: &str, media: &str, body: Vec<u8>) -> (u16, String, Vec<u8>) {
        let request = self.pair.client.post(url).header("content-type", media).body(body);
        let request = request.header("cookie", "who=shopper").header("user-agent", "Shopper/1.0");
        let request =
            request.header("x-forwarded-for", "192.0.2.7").header("referer", "https://shop.example/");
        let answer = request.send().await.unwrap();
        let media = answer.headers()["content-type"].to_str().unwrap().to_owned();
        (answer.status().as_u16(), media, answer.bytes().await.unwrap().to_vec())
    }

    async fn keys(&self) -> Vec<u8> {
        let answer = self.pair.client.get(format!("{}ohttp-keys", self.relay)).send().await.unwrap();
        assert_eq!(answer.headers()["content-type"], "application/ohttp-keys");
        assert_eq!(answer.headers()["access-control-allow-origin"], "*");
        answer.bytes().await.unwrap().to_vec()
    }

    /// A request of the independent client through the relay: status and body of the answer inside.
    async fn ask(&self, method: &str, path: &str, media: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let client = ClientRequest::from_encoded_config_list(&self.keys().await).unwrap();
        let (sealed, opening) = client.encapsulate(&request(method, path, media, body)).unwrap();
        let (status, media, answer) = self.post(&self.relay, "message/ohttp-req", sealed).await;
        assert_eq!((status, &media[..]), (200, "message/ohttp-res"));
        let answer = opening.decapsulate(&answer).unwrap();
        let answer = Message::read_bhttp(&mut Cursor::new(&answer[..])).unwrap();
        (answer.control().status().unwrap().code(), answer.content().to_vec())
    }
}

fn request(method: &str, path: &str, media: &str, body: &[u8]) -> Vec<u8> {
    let bytes = |text: &str| text.as_bytes().to_vec();
    let mut message = Message::request(bytes(method), bytes("https"), bytes("leader.example"), bytes(path));
    message.put_header("content-type", media);
    message.write_content(body);
    let mut out = Vec::new();
    message.write_bhttp(Mode::KnownLength, &mut out).unwrap();
    out
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_arrives_and_nobody_knows_whose() {
    let path = Path::new().await;
    let uploads = format!("/below/a/prefix/tasks/{}/reports", path.pair.task.id_text());
    let report = path.pair.seal(&vector(1, 8, 15)).bytes;
    let (status, body) = path.ask("PUT", &uploads, "application/dap-report", &report).await;
    assert_eq!(status, 201, "{}", String::from_utf8_lossy(&body));
    let counts = path.pair.leader.store.counts(&path.pair.task.id()).await.unwrap();
    assert_eq!(counts.waiting, 1);
    let config = format!("/hpke_config?task_id={}", path.pair.task.id_text());
    let (status, list) = path.ask("GET", &config, "", &[]).await;
    assert_eq!(status, 200);
    assert!(path.pair.task.parameters().leader.hpke.is_listed(&list));
    // Problems come through, inside, with the type that the client reads.
    let (status, body) = path.ask("PUT", &uploads, "application/dap-report", b"nonsense").await;
    let problem: Problem = serde_json::from_slice(&body).unwrap();
    assert_eq!((status, problem.kind.ends_with("invalidMessage")), (400, true));

    // What the gateway was sent: nothing of the sender's, whose own request had all of it.
    let seen = path.seen.lock().unwrap().clone();
    assert!(seen.iter().any(|line| line.starts_with("/ohttp-gateway")), "{seen:?}");
    for word in
        ["who=", "Shopper", "192.0.2.7", "shop.example", "cookie", "referer", "user-agent", "forwarded"]
    {
        assert!(seen.iter().all(|line| !line.contains(word)), "{word}: {seen:?}");
    }
    // Control: sent to the gateway itself, the same request would tell.
    let _ = path.post(&format!("{}ohttp-gateway", path.gateway), "message/ohttp-req", vec![1]).await;
    assert!(path.seen.lock().unwrap().last().unwrap().contains("who=shopper"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_for_clients_or_not_well_sealed_is_refused() {
    let path = Path::new().await;
    let problem = |bytes: &[u8]| serde_json::from_slice::<Problem>(bytes).unwrap();
    // Inside: other resources, whatever they would answer.
    for (method, resource) in [
        ("GET", "/onshelf/status"),
        ("GET", "/metrics"),
        ("POST", "/onshelf/tasks"),
        ("PUT", "/tasks/x/collection_jobs/y"),
        ("POST", "/ohttp-gateway"),
        ("DELETE", "/hpke_config"),
        ("PUT", "/reports"),
    ] {
        let (status, body) = path.ask(method, resource, "", &[]).await;
        assert_eq!((status, problem(&body).status), (403, 403), "{method} {resource}");
    }
    // Outside: media type, length, nonsense, a key that nobody has.
    let keys = path.keys().await;
    let seal = |keys: &[u8], inside: &[u8]| {
        ClientRequest::from_encoded_config_list(keys).unwrap().encapsulate(inside).unwrap().0
    };
    let good = seal(&keys, &request("GET", "/hpke_config", "", &[]));
    let mut unknown = good.clone();
    unknown[0] ^= 0x55;
    let mut changed = good.clone();
    *changed.last_mut().unwrap() ^= 1;
    let wrong = "message/ohttp-res";
    let cases = [
        (wrong, good.clone(), 415, "about:blank"),
        ("message/ohttp-req", vec![0; 30_000], 413, "about:blank"),
        ("message/ohttp-req", vec![], 400, "about:blank"),
        ("message/ohttp-req", changed, 400, "about:blank"),
        ("message/ohttp-req", unknown, 400, "https://iana.org/assignments/http-problem-types#ohttp-key"),
    ];
    for (media, body, status, kind) in cases {
        for url in [path.relay.clone(), format!("{}ohttp-gateway", path.gateway)] {
            let (found, given, body) = path.post(&url, media, body.clone()).await;
            assert_eq!((found, &given[..]), (status, "application/problem+json"), "{url} {kind}");
            assert_eq!(problem(&body).kind, kind, "{url}");
        }
    }
    // The relay's own bound: it need not read what is announced to be longer.
    let address = path.relay.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let head =
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-type: message/ohttp-req\r\ncontent-length: 2000000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 413");
    let nonsense = seal(&keys, b"not HTTP at all");
    assert_eq!(path.post(&path.relay, "message/ohttp-req", nonsense).await.0, 200, "refused inside");
    // The second of our keys, which is not offered any more, still opens.
    let old = onshelf_core::protocol::ohttp::encode_keys(&[keys::of_gateway(&[6; 32]).public().clone()]);
    let old = seal(&old, &request("GET", "/hpke_config", "", &[]));
    assert_eq!(path.post(&path.relay, "message/ohttp-req", old).await.0, 200);
    // Without keys there is no gateway.
    let without = Pair::new(sqlite(), Options::default()).await;
    let url = format!("{}ohttp-gateway", without.task.parameters().leader.url);
    assert_eq!(without.client.post(url).body(good).send().await.unwrap().status(), 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_gateways_time_to_come_again_is_passed_on() {
    let (_stop, stopped) = watch::channel(false);
    let busy = || async { (axum::http::StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "7")]) };
    let gateway = listen(axum::Router::new().fallback(busy), &stopped).await;
    let relay = listen(relay::router(&gateway).unwrap(), &stopped).await;
    let request = reqwest::Client::new().post(relay).header("content-type", "message/ohttp-req");
    let answer = request.body("sealed").send().await.unwrap();
    let headers = answer.headers();
    assert_eq!((answer.status().as_u16(), headers["retry-after"].as_bytes()), (503, &b"7"[..]));
    assert_eq!(headers["access-control-expose-headers"], "retry-after", "for pages to read it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_replayed_counts_once() {
    let path = Path::new().await;
    let report = path.pair.seal(&vector(1, 8, 15)).bytes;
    let uploads = format!("/tasks/{}/reports", path.pair.task.id_text());
    let client = ClientRequest::from_encoded_config_list(&path.keys().await).unwrap();
    let inside = request("PUT", &uploads, "application/dap-report", &report);
    let (sealed, _) = client.encapsulate(&inside).unwrap();
    for _ in 0..3 {
        assert_eq!(path.post(&path.relay, "message/ohttp-req", sealed.clone()).await.0, 200);
    }
    let counts = path.pair.leader.store.counts(&path.pair.task.id()).await.unwrap();
    assert_eq!((counts.waiting, counts.rejected["replayed"]), (1, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_clients_half_speaks_with_an_independent_gateway() {
    let suite = SymmetricSuite::new(Kdf::HkdfSha256, Aead::Aes128Gcm);
    let other = SymmetricSuite::new(Kdf::HkdfSha256, Aead::ChaCha20Poly1305);
    let config = KeyConfig::derive(9, Kem::X25519Sha256, vec![other, suite], &[3; 32]).unwrap();
    let list = KeyConfig::encode_list(&[&config]).unwrap();
    let gateway = ohttp::Server::new(config).unwrap();
    let key = pinned_key(&list, &key_hash(&list)).unwrap();
    assert_eq!(key.id(), 9);
    let url = "https://leader.example/tasks/x/reports";
    let asked = ours::Request::to("PUT", url, "application/dap-report", vec![7; 70_000]).unwrap();
    let (sealed, opening) = encapsulate(&key, &asked.encoded(), &mut random::fill).unwrap();
    let (inside, answering) = gateway.decapsulate(&sealed).unwrap();
    let read = Message::read_bhttp(&mut Cursor::new(&inside[..])).unwrap();
    assert_eq!((read.control().method(), read.content()), (Some(&b"PUT"[..]), &asked.content[..]));
    let named = (read.control().scheme(), read.control().authority(), read.control().path());
    assert_eq!(named, (Some(&b"https"[..]), Some(&b"leader.example"[..]), Some(&b"/tasks/x/reports"[..])));
    assert_eq!(read.header().get(b"content-type"), Some(&b"application/dap-report"[..]));
    let mut answer = Message::response(bhttp::StatusCode::try_from(429_u16).unwrap());
    answer.put_header("retry-after", "5");
    answer.write_content("later");
    let mut bytes = Vec::new();
    answer.write_bhttp(Mode::KnownLength, &mut bytes).unwrap();
    let expected = ours::Response {
        status: 429,
        fields: vec![(b"retry-after".to_vec(), b"5".to_vec())],
        content: b"later".to_vec(),
    };
    assert_eq!(ours::Response::decode(&bytes), Ok(expected));
    let sealed =
        answering.encapsulate(&ours::Response { status: 201, ..Default::default() }.encoded()).unwrap();
    assert_eq!(ours::Response::decode(&opening.open(&sealed).unwrap()).unwrap().status, 201);
}
