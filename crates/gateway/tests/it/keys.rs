//! Who may call: every door, every header, and what becomes of a key that is taken back.

use std::sync::Arc;

use gateway::snapshot::Route;
use govern::{Asker, KeySpec, NewKey, Role, Routes, Scope};
use scripted::{Script, Upstream, chat_completion};

use crate::client::{Answer, Connection};
use crate::endpoints::{change, passing_on};
use crate::harness::{Gateway, PLAIN, PROVIDER_KEY, Setup};

fn upstream() -> Upstream {
    Upstream::start(vec![Script::json(chat_completion("x"))])
}

fn guarded() -> (Upstream, Gateway) {
    let upstream = upstream();
    let gateway = Setup::to(&[&upstream]).keys_required().start();
    (upstream, gateway)
}

fn all() -> Scope {
    let spec = KeySpec { routes: Routes::All, role: Some(Role::Admin), ..KeySpec::default() };
    Scope::of(&spec, None).unwrap()
}

impl Gateway {
    /// A new key, known from when this returns.
    pub fn key(&self, name: &str, spec: KeySpec, expires_at_us: Option<u64>) -> String {
        let new = NewKey { name: name.to_owned(), spec, expires_at_us, ..NewKey::default() };
        let asker = Asker { name: "test", scope: &all() };
        let issued = govern::create(self.keeper.database(), asker, new, gateway::live::now().0).unwrap();
        self.keeper.refresh().unwrap();
        issued.text.unwrap().expose().to_owned()
    }

    pub fn plain_key(&self, name: &str) -> String {
        self.key(name, KeySpec { routes: Routes::All, ..KeySpec::default() }, None)
    }

    pub fn revoke(&self, name: &str) {
        let asker = Asker { name: "test", scope: &all() };
        govern::revoke(self.keeper.database(), asker, name, "", gateway::live::now().0).unwrap();
        self.keeper.refresh().unwrap();
    }
}

fn ask(gateway: &Gateway, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut connection = Connection::open(gateway.addr);
    connection.send(method, path, headers, body.as_bytes());
    connection.answer().expect("an answer")
}

fn chat(gateway: &Gateway, headers: &[(&str, &str)]) -> Answer {
    ask(gateway, "POST", "/v1/chat/completions", headers, PLAIN)
}

fn bearer(key: &str) -> String {
    format!("Bearer {key}")
}

#[track_caller]
fn refused(answer: &Answer, status: u16, code: Option<&str>) {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.error()["code"].as_str(), code);
    assert_eq!(answer.error()["type"], "invalid_request_error");
    assert_eq!(answer.header("x-should-retry"), Some("false"));
    assert_eq!(answer.header("x-crossfade-origin"), Some("caller"));
    assert_eq!(answer.header("www-authenticate"), (status == 401).then_some("Bearer"));
    assert!(answer.header("x-crossfade-exchange-id").is_some());
}

#[test]
fn one_key_opens_the_same_in_every_header() {
    let (upstream, gateway) = guarded();
    let key = gateway.plain_key("app");
    let bearer = bearer(&key);
    for headers in [
        &[("authorization", bearer.as_str())][..],
        &[("Authorization", &bearer.replace("Bearer", "bearer"))],
        &[("api-key", &key)],
        &[("x-api-key", &key)],
        &[("x-api-key", &key), ("authorization", &bearer)],
    ] {
        assert_eq!(chat(&gateway, headers).status, 200, "{headers:?}");
    }
    assert_eq!(upstream.requests().len(), 5);
    let principals: Vec<_> = gateway.exchanges(5).into_iter().map(|exchange| exchange.exchange.principal).collect();
    assert_eq!(principals, vec![Some(key[3..15].to_owned()); 5], "the record has the public id");
}

#[test]
fn a_check_that_fails_refuses_in_every_header_and_nothing_is_called_or_recorded() {
    let (upstream, gateway) = guarded();
    let (key, other) = (gateway.plain_key("app"), gateway.plain_key("other"));
    refused(&chat(&gateway, &[]), 401, None);
    let almost = &key[..key.len() - 1];
    for wrong in ["", "Bearer", "null", "undefined", "sk-canary", almost, &key[3..15], "*", "' OR 1=1 --", "admin"] {
        for header in ["authorization", "api-key", "x-api-key"] {
            refused(&chat(&gateway, &[(header, wrong)]), 401, Some("invalid_api_key"));
            refused(&chat(&gateway, &[(header, &bearer(wrong))]), 401, Some("invalid_api_key"));
        }
    }
    refused(&chat(&gateway, &[("authorization", &bearer(&key)), ("x-api-key", &other)]), 401, Some("invalid_api_key"));
    refused(&chat(&gateway, &[("authorization", &format!("Basic {key}"))]), 401, Some("invalid_api_key"));
    refused(&chat(&gateway, &[("cookie", &format!("api-key={key}"))]), 401, None);
    refused(&ask(&gateway, "POST", &format!("/v1/chat/completions?api_key={key}"), &[], PLAIN), 401, None);
    assert_eq!(upstream.requests().len(), 0);
    gateway.exchanges(0);
    assert!(gateway.serving.totals().refused["unauthenticated"] > 60);
}

#[test]
fn every_path_asks_for_a_key_but_those_that_say_whether_the_process_lives() {
    let (_upstream, gateway) = guarded();
    let key = bearer(&gateway.plain_key("app"));
    for (method, path) in [
        ("POST", "/v1/chat/completions"),
        ("POST", "/chat/completions"),
        ("POST", "/v1/embeddings"),
        ("GET", "/v1/chat/completions"),
        ("GET", "/v1/models"),
        ("HEAD", "/v1/models"),
        ("GET", "/v1/models/"),
        ("GET", "/"),
        ("GET", "/health/../v1/models"),
        ("GET", "/health%2f..%2fv1/models"),
        ("POST", "/health"),
        ("GET", "//health"),
        ("GET", "/HEALTH"),
        ("OPTIONS", "*"),
    ] {
        let mut connection = Connection::open(gateway.addr);
        connection.send(method, path, &[], b"");
        assert_eq!(connection.head().unwrap().status, 401, "{method} {path}");
    }
    for path in ["/health", "/ready", "/v1/health", "/v1/ready"] {
        assert_eq!(ask(&gateway, "GET", path, &[], "").status, 200, "{path}");
    }
    assert_eq!(ask(&gateway, "GET", "/v1/models", &[("authorization", &key)], "").status, 200);
    assert_eq!(ask(&gateway, "GET", "/v1/nothing", &[("authorization", &key)], "").status, 404);
}

#[test]
fn what_host_a_request_names_changes_nothing_about_who_is_asked() {
    let (upstream, gateway) = guarded();
    for target in [
        "/v1/chat/completions",
        "http://localhost/health/v1/chat/completions",
        "http://127.0.0.1:4001/v1/chat/completions",
    ] {
        for host in ["localhost", "127.0.0.1", "127.0.0.1:4001", "gateway/health", "api.openai.com", ""] {
            let mut connection = Connection::open(gateway.addr);
            let head = format!(
                "POST {target} HTTP/1.1\r\nhost: {host}\r\nx-forwarded-host: localhost\r\nx-original-url: /health\r\n\
                 x-rewrite-url: /health\r\nx-forwarded-for: 127.0.0.1\r\ncontent-length: {}\r\n\r\n{PLAIN}",
                PLAIN.len()
            );
            std::io::Write::write_all(&mut connection.stream, head.as_bytes()).unwrap();
            let status = connection.answer().map(|answer| answer.status);
            assert!(matches!(status, Some(400 | 401)), "{target} {host}: {status:?}");
        }
    }
    assert_eq!(upstream.requests().len(), 0);
}

#[test]
fn a_key_of_some_routes_learns_of_no_other() {
    let (upstream, gateway) = guarded();
    let only = |names: &[&str]| KeySpec {
        routes: Routes::Only(names.iter().map(|name| (*name).to_owned()).collect()),
        ..KeySpec::default()
    };
    let elsewhere = bearer(&gateway.key("elsewhere", only(&["other"]), None));
    let nowhere = bearer(&gateway.key("nowhere", only(&[]), None));
    let here = bearer(&gateway.key("here", only(&["gpt-4o", "other"]), None));
    for key in [&elsewhere, &nowhere] {
        let forbidden = chat(&gateway, &[("authorization", key)]);
        refused(&forbidden, 403, Some("model_not_found"));
        let body = PLAIN.replace("gpt-4o", "gpt-9");
        let missing = ask(&gateway, "POST", "/v1/chat/completions", &[("authorization", key)], &body);
        refused(&missing, 403, Some("model_not_found"));
        assert_eq!(forbidden.text().replace("gpt-4o", "gpt-9"), missing.text(), "there or not, the words are the same");
        let models = ask(&gateway, "GET", "/v1/models", &[("authorization", key)], "");
        assert!(!models.text().contains("gpt-4o"), "{}", models.text());
    }
    assert_eq!(chat(&gateway, &[("authorization", &here)]).status, 200);
    let body = PLAIN.replace("gpt-4o", "other");
    let missing = ask(&gateway, "POST", "/v1/chat/completions", &[("authorization", &here)], &body);
    refused(&missing, 404, Some("model_not_found"));
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn a_key_may_name_a_pattern_or_one_model_of_it() {
    let (upstream, gateway) = guarded();
    change(&gateway, |snapshot| {
        let route = Route::clone(&snapshot.routes["gpt-4o"]);
        snapshot.routes.insert("gpt-*".to_owned(), Arc::new(Route { name: "gpt-*".to_owned(), ..route }));
    });
    let only = |name: &str| KeySpec { routes: Routes::Only([name.to_owned()].into()), ..KeySpec::default() };
    let pattern = gateway.key("pattern", only("gpt-*"), None);
    let model = gateway.key("model", only("gpt-7"), None);
    for (key, name, status) in [
        (&pattern, "gpt-7", 200),
        (&pattern, "gpt-8", 200),
        (&pattern, "gpt-4o", 403),
        (&pattern, "claude", 403),
        (&model, "gpt-7", 200),
        (&model, "gpt-8", 403),
        (&model, "gpt-*", 403),
    ] {
        let body = PLAIN.replace("gpt-4o", name);
        let answer = ask(&gateway, "POST", "/v1/chat/completions", &[("api-key", key)], &body);
        assert_eq!(answer.status, status, "{name}: {}", answer.text());
    }
    assert_eq!(upstream.requests().len(), 3);
}

#[test]
fn a_route_named_in_the_path_is_the_one_the_key_must_open() {
    let (upstream, gateway) = guarded();
    let key = gateway.key(
        "app",
        KeySpec { routes: Routes::Only(["to-a-directly".to_owned()].into()), ..KeySpec::default() },
        None,
    );
    for (path, model, status) in [
        ("/openai/deployments/gpt-4o/chat/completions", "to-a-directly", 403),
        ("/openai/deployments/gpt%2D4o/chat/completions", "to-a-directly", 403),
        ("/openai/deployments/to-a-directly/chat/completions", "gpt-4o", 200),
        ("/openai/v1/chat/completions", "gpt-4o", 403),
        ("/v1/messages", "gpt-4o", 403),
        ("/v1/responses", "gpt-4o", 403),
        ("/v1/completions", "gpt-4o", 403),
    ] {
        let body = serde_json::json!({ "model": model, "messages": [], "input": "x", "prompt": "x", "max_tokens": 1 });
        let answer = ask(&gateway, "POST", path, &[("api-key", &key)], &body.to_string());
        assert_eq!(answer.status, status, "{path} {model}: {}", answer.text());
    }
    for path in ["/v1/models/gpt-4o", "/openai/v1/models/gpt-4o", "/v1/models/gpt%2d4o"] {
        assert_eq!(ask(&gateway, "GET", path, &[("api-key", &key)], "").status, 403, "{path}");
    }
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn a_tenants_key_does_not_reach_what_all_tenants_keep_at_a_provider() {
    let (upstream, gateway) = guarded();
    passing_on(&gateway, &[wire::record::Endpoint::Files]);
    let spec = |routes: Routes, tenant: Option<&str>| KeySpec {
        routes,
        tenant: tenant.map(str::to_owned),
        ..KeySpec::default()
    };
    let only = |name: &str| Routes::Only([name.to_owned()].into());
    let keys = [
        (gateway.key("ours", spec(Routes::All, None), None), 200),
        (gateway.key("tenant", spec(Routes::All, Some("acme")), None), 403),
        (gateway.key("named", spec(only("passthrough:files"), Some("acme")), None), 200),
        (gateway.key("other", spec(only("gpt-4o"), None), None), 403),
    ];
    for (key, status) in &keys {
        for (method, path) in
            [("GET", "/v1/files"), ("DELETE", "/v1/files/file-1"), ("GET", "/v1/files/file-1/content")]
        {
            assert_eq!(ask(&gateway, method, path, &[("api-key", key)], "").status, *status, "{method} {path}");
        }
    }
    assert_eq!(upstream.requests().len(), 6);
}

#[test]
fn a_key_of_another_network_and_one_that_expired_open_nothing() {
    let (_upstream, gateway) = guarded();
    let from =
        |network: &str| KeySpec { routes: Routes::All, networks: [network.to_owned()].into(), ..KeySpec::default() };
    let (here, there) =
        (gateway.key("here", from("127.0.0.0/8"), None), gateway.key("there", from("10.0.0.0/8"), None));
    assert_eq!(chat(&gateway, &[("api-key", &here)]).status, 200);
    let spoofed = [("api-key", there.as_str()), ("x-forwarded-for", "10.0.0.1"), ("forwarded", "for=10.0.0.1")];
    refused(&chat(&gateway, &spoofed), 401, Some("ip_not_authorized"));
    // Good for the time of its making and no longer: whatever the clock says next is later.
    let soon = gateway.key("soon", from("127.0.0.0/8"), Some(gateway::live::now().0 + 50_000));
    crate::harness::until("the key expires", || chat(&gateway, &[("api-key", &soon)]).status == 401);
    refused(&chat(&gateway, &[("api-key", &soon)]), 401, Some("invalid_api_key"));
}

#[test]
fn a_revoked_key_opens_nothing_from_then_on() {
    let (_upstream, gateway) = guarded();
    let key = bearer(&gateway.plain_key("app"));
    let mut kept = Connection::open(gateway.addr);
    kept.send("POST", "/v1/chat/completions", &[("authorization", &key)], PLAIN.as_bytes());
    assert_eq!(kept.answer().unwrap().status, 200);
    gateway.revoke("app");
    kept.send("POST", "/v1/chat/completions", &[("authorization", &key)], PLAIN.as_bytes());
    refused(&kept.answer().unwrap(), 401, Some("invalid_api_key"));
}

#[test]
fn a_revoked_key_opens_nothing_where_no_key_is_required_either() {
    let upstream = upstream();
    let gateway = Setup::to(&[&upstream]).start();
    let key = gateway.plain_key("app");
    assert_eq!(chat(&gateway, &[]).status, 200);
    assert_eq!(chat(&gateway, &[("api-key", "sk-canary-anything")]).status, 200);
    assert_eq!(chat(&gateway, &[("api-key", &key)]).status, 200);
    gateway.revoke("app");
    refused(&chat(&gateway, &[("api-key", &key)]), 401, Some("invalid_api_key"));
}

#[test]
fn a_key_revoked_between_two_attempts_ends_the_request() {
    let (handle, revoking) = std::sync::mpsc::sync_channel::<()>(1);
    let (revoked, go_on) = std::sync::mpsc::sync_channel::<()>(1);
    let go_on = std::sync::Mutex::new(go_on);
    // The first target fails only once the key is revoked.
    let failing = Upstream::with(move |_| {
        handle.send(()).unwrap();
        go_on.lock().unwrap().recv().unwrap();
        Script::error(500, "server_error", "boom")
    });
    let spare = upstream();
    let gateway = Arc::new(Setup::to(&[&failing, &spare]).falling_back_to(&["b"]).keys_required().start());
    let key = bearer(&gateway.plain_key("app"));
    let caller = {
        let gateway = Arc::clone(&gateway);
        std::thread::spawn(move || chat(&gateway, &[("authorization", &key)]))
    };
    revoking.recv_timeout(crate::client::PATIENCE).unwrap();
    gateway.revoke("app");
    revoked.send(()).unwrap();
    refused_on_record(&caller.join().unwrap());
    assert_eq!(spare.requests().len(), 0, "no second attempt for a key that was taken back");
    let exchange = gateway.exchange();
    assert_eq!((exchange.attempts.len(), exchange.exchange.failure.as_deref()), (1, Some("unauthenticated")));
}

fn refused_on_record(answer: &Answer) {
    assert_eq!((answer.status, answer.error()["code"].as_str()), (401, Some("invalid_api_key")));
    assert_eq!(answer.header("x-should-retry"), Some("false"));
}

#[test]
fn a_callers_key_goes_no_further() {
    let (upstream, gateway) = guarded();
    let key = gateway.plain_key("app");
    let headers = [
        ("authorization", bearer(&key)),
        ("api-key", key.clone()),
        ("x-api-key", key.clone()),
        ("cookie", format!("key={key}")),
        ("openai-organization", format!("org-{key}")),
        ("proxy-authorization", bearer(&key)),
    ];
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let answer = chat(&gateway, &headers);
    assert_eq!(answer.status, 200);
    let request = upstream.requests().remove(0);
    let secret = &key[16..];
    assert!(!format!("{request:?}").contains(secret), "{request:?}");
    assert_eq!(request.header("authorization"), Some(bearer(PROVIDER_KEY).as_str()));
    assert!(!format!("{answer:?}").contains(secret));
    gateway.exchange();
    for file in ["crossfade.db", "crossfade.db-wal"] {
        let bytes = std::fs::read(gateway.dir.path().join(file)).unwrap_or_default();
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{file}");
    }
}

#[test]
fn a_refused_request_with_a_large_body_gets_to_read_why() {
    let (_upstream, gateway) = guarded();
    let body = PLAIN.replace("hi", &"long ".repeat(40_000));
    let answer = ask(&gateway, "POST", "/v1/chat/completions", &[], &body);
    refused(&answer, 401, None);
}
