use std::path::Path;

use super::*;

fn options(dir: &Path) -> ConsoleOptions {
    // Ports that nobody listens on: the aggregators are away.
    let away =
        |port: u16| OperatorClient::new(&format!("http://127.0.0.1:{port}/"), Token("t".repeat(16))).unwrap();
    ConsoleOptions {
        models: dir.join("models"),
        rounds: dir.join("rounds"),
        pages: dir.join("pages"),
        aggregators: [away(9), away(9)],
        token: Token("console-console-1".into()),
        listen: "127.0.0.1:0".parse().unwrap(),
    }
}

async fn serve(options: ConsoleOptions) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router(options)).await });
    format!("http://{address}")
}

#[tokio::test]
async fn only_the_page_and_only_with_the_token_the_status() {
    let dir = tempfile::tempdir().unwrap();
    let own = options(dir.path());
    fs::create_dir_all(&own.pages).unwrap();
    for (name, _) in PAGES {
        fs::write(own.pages.join(name), name).unwrap();
    }
    fs::write(own.pages.join("secret.key"), "no").unwrap();
    let url = serve(own).await;
    let client = reqwest::Client::new();
    let get = |path: &str, token: Option<&str>| {
        let request = client.get(format!("{url}{path}"));
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        async move { request.send().await.unwrap() }
    };
    let page = get("/", None).await;
    assert_eq!(page.headers()["content-security-policy"], POLICY);
    assert_eq!(page.text().await.unwrap(), "index.html");
    assert_eq!(get("/console.js", None).await.status(), 200);
    for path in ["/secret.key", "/..%2Fmodels%2Flatest.json", "/models/latest.json"] {
        assert_eq!(get(path, None).await.status(), 404, "{path}");
    }
    for token in [None, Some("console-console-2"), Some("")] {
        assert_eq!(get("/status.json", token).await.status(), 401);
    }
    // The right token gets through to the folders, which are not there: said, not hidden.
    let found = get("/status.json", Some("console-console-1")).await;
    assert_eq!(found.status(), 500);
    assert!(found.text().await.unwrap().contains("public-keys.json"));
}

#[test]
fn a_page_that_is_not_built_and_a_short_token_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let own = options(dir.path());
    let error = run(own.clone(), &|_| ()).unwrap_err().to_string();
    assert!(error.contains("build.sh build"), "{error}");
    fs::create_dir_all(&own.pages).unwrap();
    for (name, _) in PAGES {
        fs::write(own.pages.join(name), name).unwrap();
    }
    let error = run(ConsoleOptions { token: Token("short".into()), ..own }, &|_| ()).unwrap_err().to_string();
    assert!(error.contains("16 characters"), "{error}");
}
