//! A request can choose neither a URL nor a credential: whatever it says, every call goes to a provider of the config, with that
//! provider's key and nothing of the caller's.

use std::net::TcpListener;
use std::sync::Arc;

use gateway::snapshot::{Route, Target};
use govern::{KeySpec, Routes};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use providers::{BaseUrl, Dialect, ProviderConfig};
use scripted::{Received, Script, Upstream, chat_completion, chat_stream};
use wire::private::Private;
use wire::record::Endpoint;

use crate::client::Connection;
use crate::endpoints::{change, passing_on};
use crate::harness::{Gateway, PLAIN, Setup, target};

/// One provider of each dialect that puts something of a request into its URL, or could.
struct Houses {
    gateway: Gateway,
    upstreams: Vec<Upstream>,
    keys: Vec<String>,
    caller: String,
    /// Nobody may ever come here.
    trap: TcpListener,
}

const NAMES: [&str; 4] = ["plain", "any", "azure", "claude"];
const MESSAGE: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"x"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}"#;

fn answer(received: &Received) -> Script {
    if received.path.contains("/messages") {
        Script::json(MESSAGE)
    } else if received.text().contains("\"stream\":true") {
        Script::stream(chat_stream(&["x"], true))
    } else {
        Script::json(chat_completion("x"))
    }
}

impl Houses {
    fn new() -> Houses {
        let upstreams: Vec<Upstream> = NAMES.iter().map(|_| Upstream::with(answer)).collect();
        let keys: Vec<String> = NAMES.iter().map(|name| format!("sk-canary-of-{name}-provider")).collect();
        let mut setup = Setup::to(&[]);
        let at = |idx: usize, dialect: Dialect, model: &str| {
            let base = BaseUrl::parse_for(&upstreams[idx].url(), &dialect).unwrap();
            let mut provider = ProviderConfig::new(NAMES[idx], dialect, base);
            provider.api_key = Some(Private::new(keys[idx].clone()));
            let provider = Arc::new(provider);
            Target { provider, model: model.to_owned(), ..target(NAMES[idx], &upstreams[idx].url()) }
        };
        let azure = Dialect::Azure { api_version: Some("2024-10-21".to_owned()) };
        setup.targets = vec![
            at(0, Dialect::Openai, "model-of-plain"),
            at(1, Dialect::Openai, "*"),
            at(2, azure, "*"),
            at(3, Dialect::Anthropic, "*"),
        ];
        setup.retries.max_attempts = Some(1);
        let gateway = setup.keys_required().start();
        change(&gateway, |snapshot| {
            let routes = [("gpt-4o", 0), ("any-*", 1), ("azure-*", 2), ("claude-*", 3)];
            snapshot.routes = routes.map(|(name, idx)| (name.to_owned(), Arc::new(Route::to(name, NAMES[idx])))).into();
        });
        passing_on(&gateway, &[Endpoint::Files]);
        let spec = KeySpec { routes: Routes::All, ..KeySpec::default() };
        let caller = gateway.key("app", spec, None);
        let trap = TcpListener::bind("127.0.0.1:0").unwrap();
        trap.set_nonblocking(true).unwrap();
        Houses { gateway, upstreams, keys, caller, trap }
    }

    /// Words an attacker would put anywhere: another host, another provider's key.
    fn lures(&self) -> Vec<String> {
        let trap = self.trap.local_addr().unwrap();
        let mut lures = vec![
            format!("http://{trap}"),
            format!("http://{trap}/v1"),
            format!("https://{trap}/v1/chat/completions?x="),
            format!("{trap}"),
            format!("@{trap}/"),
            format!("//{trap}/"),
            format!("x@{trap}#"),
            format!("..%2f..%2f{trap}"),
            format!("../../{trap}/x"),
            "http://169.254.169.254/latest/meta-data".to_owned(),
            "localhost".to_owned(),
            "file:///etc/passwd".to_owned(),
        ];
        lures.extend(self.keys.iter().flat_map(|key| [key.clone(), format!("Bearer {key}")]));
        lures
    }

    /// What one of the upstreams received, held against the config.
    fn check(&self, idx: usize, received: &Received) -> Result<(), String> {
        let wrong = |what: &str| Err(format!("{what}: {} {} {:?}", NAMES[idx], received.path, received.headers));
        let key = &self.keys[idx];
        let credentials: Vec<(&str, &str)> = received
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .filter(|(name, _)| {
                ["authorization", "api-key", "x-api-key", "proxy-authorization", "cookie"].contains(name)
            })
            .collect();
        let bearer = format!("Bearer {key}");
        let own = match NAMES[idx] {
            "azure" => ("api-key", key.as_str()),
            "claude" => ("x-api-key", key.as_str()),
            _ => ("authorization", bearer.as_str()),
        };
        if credentials != [own] {
            return wrong("not this provider's credential, once");
        }
        let hosts: Vec<_> = received.headers.iter().filter(|(name, _)| name == "host").collect();
        if hosts.len() != 1 || hosts[0].1 != self.upstreams[idx].addr().to_string() {
            return wrong("another host");
        }
        // What the caller may say to a provider, it says in its own words.
        let travels = ["idempotency-key", "openai-beta", "x-client-request-id", "anthropic-version", "anthropic-beta"];
        let ours: Vec<_> = received.headers.iter().filter(|(name, _)| !travels.contains(&name.as_str())).collect();
        let told = format!("{ours:?}");
        let others = self.keys.iter().filter(|other| *other != key);
        if others.chain([&self.caller]).any(|secret| told.contains(secret.as_str())) {
            return wrong("somebody else's key");
        }
        let allowed = [
            "accept",
            "api-key",
            "authorization",
            "content-length",
            "content-type",
            "host",
            "user-agent",
            "x-api-key",
            "x-crossfade-hops",
            "x-request-id",
        ];
        if let Some((name, _)) = ours.iter().find(|(name, _)| !allowed.contains(&name.as_str())) {
            return wrong(&format!("header {name}"));
        }
        if is_a_path_of(NAMES[idx], &received.path) { Ok(()) } else { wrong("another path") }
    }

    /// Sends one request and holds against the config whatever came of it.
    fn fire(&self, request: &[u8]) -> Result<(), String> {
        let before: Vec<usize> = self.upstreams.iter().map(|upstream| upstream.requests().len()).collect();
        let mut connection = Connection::open(self.gateway.addr);
        std::io::Write::write_all(&mut connection.stream, request).map_err(|error| error.to_string())?;
        connection.answer();
        for (idx, upstream) in self.upstreams.iter().enumerate() {
            for received in &upstream.requests()[before[idx]..] {
                self.check(idx, received)?;
            }
        }
        if self.trap.accept().is_ok() { Err("somebody came to the trap".to_owned()) } else { Ok(()) }
    }
}

/// The paths that a provider of the config is ever called at. What a request puts in is one segment, escaped.
fn is_a_path_of(name: &str, path: &str) -> bool {
    let is_segment = |text: &str| {
        !text.is_empty()
            && text.chars().any(|c| c != '.')
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:~=%".contains(c))
            && !["%2e", "%2f", "%5c", "%25"].iter().any(|escape| text.to_ascii_lowercase().contains(escape))
    };
    let path_only = path.split('?').next().unwrap_or_default();
    match name {
        "azure" => {
            let Some(rest) = path.strip_prefix("/openai/deployments/") else { return false };
            let Some((deployment, rest)) = rest.split_once('/') else { return false };
            is_segment(deployment)
                && ["chat/completions?api-version=2024-10-21", "embeddings?api-version=2024-10-21"].contains(&rest)
        }
        "claude" => ["/v1/messages", "/v1/embeddings"].contains(&path),
        _ => {
            let files = path_only.strip_prefix("/v1/files").is_some_and(|rest| {
                rest.is_empty()
                    || (rest.starts_with('/') && rest[1..].split('/').all(is_segment) && !rest.contains('%'))
            });
            (name == "plain" && files) || ["/v1/chat/completions", "/v1/embeddings"].contains(&path)
        }
    }
}

/// Headers that some gateway, proxy or server takes an address or a credential from.
const HEADERS: &str = "
    x-forwarded-host x-original-url x-rewrite-url x-host forwarded via api-base x-api-base x-base-url
    x-portkey-custom-host x-portkey-forward-headers x-portkey-provider x-litellm-api-base helicone-target-url
    openai-organization openai-base-url x-upstream x-target x-crossfade-target proxy-authorization cookie
    x-goog-api-key ocp-apim-subscription-key anthropic-beta openai-beta idempotency-key x-client-request-id referer
    origin x-stainless-helper-method connection te
";

/// Fields that some gateway or client library takes one from.
const FIELDS: &str = "
    api_base base_url api_key apiKey api_version url host provider custom_llm_provider organization extra_headers
    headers extra_body litellm_params azure_endpoint deployment_id resourceName aws_bedrock_runtime_endpoint
    vertex_credentials fallbacks mock_response webhook_url
";

/// Where it is sent: to what there is, and to what somebody hopes there is.
fn paths(
    model: impl Strategy<Value = String>,
    lure: impl Strategy<Value = String> + Clone,
) -> impl Strategy<Value = String> {
    prop_oneof![
        6 => Just("/v1/chat/completions".to_owned()),
        2 => Just("/v1/embeddings".to_owned()),
        2 => Just("/v1/messages".to_owned()),
        2 => model.prop_map(|model| {
            let model: String = model.chars().filter(|c| c.is_ascii_graphic() && *c != '/').collect();
            format!("/openai/deployments/{model}/chat/completions")
        }),
        2 => lure.clone().prop_map(|lure| format!("/v1/files/{}", lure.replace(' ', "%20"))),
        1 => lure.clone().prop_map(|lure| format!("/v1/files?after={}", lure.replace(' ', "+"))),
        1 => lure.clone().prop_map(|lure| format!("{}/v1/chat/completions", lure.replace(' ', ""))),
        1 => prop::sample::select(vec![
            "/v1/proxy/chat/completions", "/v1/chat/completions/..;/files", "/v1/%63hat/completions", "//v1/chat/completions",
            "/v1/chat%2fcompletions", "/v1/files/..", "/v1/files/%2e%2e/x", "/v1/../v1/chat/completions", "/openai/deployments/..%2f..%2fx/chat/completions",
        ]).prop_map(str::to_owned),
    ]
}

/// A request as a script kiddie, a fuzzer or a confused proxy would write it.
pub fn requests(lures: Vec<String>) -> impl Strategy<Value = Vec<u8>> {
    let lure = prop::sample::select(lures);
    let header = prop::sample::select(HEADERS.split_whitespace().collect::<Vec<_>>());
    let field = prop::sample::select(FIELDS.split_whitespace().collect::<Vec<_>>());
    let model = prop_oneof![
        3 => prop::sample::select(vec!["gpt-4o", "any-x", "azure-x", "claude-x", "nope", ""]).prop_map(str::to_owned),
        5 => ("(gpt-4o|any-|azure-|claude-)", lure.clone()).prop_map(|(before, lure)| format!("{before}{lure}")),
        2 => "(any|azure|claude)-[ -~]{0,12}",
        1 => "azure-(\\.\\.|\\.|%2e%2e|%2f|\\?|#|;|\\\\|\u{e9}|\u{2215}){1,4}",
    ];
    let path = paths(model.clone(), lure.clone());
    let query = prop::option::of(
        (field.clone(), lure.clone()).prop_map(|(name, lure)| format!("{name}={}", lure.replace(' ', "+"))),
    );
    let headers = prop::collection::vec((header, lure.clone()), 0..6);
    let fields = prop::collection::vec((field, lure.clone()), 0..6);
    let host = prop_oneof![3 => Just("gateway".to_owned()), 2 => lure.clone()];
    let picture = prop::option::of(lure);
    let rest = (any::<bool>(), prop::sample::select(vec!["POST", "POST", "POST", "GET", "DELETE"]), host, picture);
    (path, query, model, headers, fields, rest).prop_map(
        |(path, query, model, headers, fields, (stream, method, host, picture))| {
            let mut body = serde_json::json!({ "model": model, "stream": stream, "input": "x", "max_tokens": 5 });
            let content = match picture {
                Some(url) => serde_json::json!([{ "type": "image_url", "image_url": { "url": url } }]),
                None => "hi".into(),
            };
            body["messages"] = serde_json::json!([{ "role": "user", "content": content }]);
            for (name, lure) in fields {
                body[name] = lure.into();
            }
            let body = body.to_string();
            let target = query.map_or(path.clone(), |query| format!("{path}?{query}"));
            let mut head = format!(
                "{method} {target} HTTP/1.1\r\nhost: {host}\r\nx-api-key: CALLER\r\ncontent-type: application/json\r\n"
            );
            for (name, lure) in headers {
                head.push_str(&format!("{name}: {lure}\r\n"));
            }
            head.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
            head.into_bytes()
        },
    )
}

#[test]
fn whatever_a_request_says_calls_go_to_the_config_s_hosts_with_their_own_keys() {
    let houses = Houses::new();
    let n_cases = if std::env::var_os("CROSSFADE_SLOW_TESTS").is_some() { 5_000 } else { 400 };
    let config = Config { cases: n_cases, failure_persistence: None, ..Config::default() };
    let strategy = requests(houses.lures());
    let fired = TestRunner::new(config).run(&strategy, |request| {
        let request = String::from_utf8(request).unwrap().replace("CALLER", &houses.caller);
        houses.fire(request.as_bytes()).map_err(TestCaseError::fail)
    });
    fired.unwrap();
    let n_received: Vec<usize> = houses.upstreams.iter().map(|upstream| upstream.requests().len()).collect();
    // Otherwise the test would hold for a gateway that calls nobody.
    assert!(n_received.iter().all(|n| *n >= 5), "{n_received:?}");
}

#[test]
fn a_model_name_is_no_way_up_a_path() {
    let houses = Houses::new();
    let ask = |path: &str, model: &str| {
        let body = serde_json::json!({ "model": model, "messages": [] }).to_string();
        let mut connection = Connection::open(houses.gateway.addr);
        connection.send("POST", path, &[("x-api-key", &houses.caller)], body.as_bytes());
        connection.answer().unwrap()
    };
    for star in ["..", ".", "../x", "x/../../y", "%2e%2e", "x%2f..", "..\\x", "x?y", "x#y", "x;y", "x\n"] {
        let answer = ask("/v1/chat/completions", &format!("azure-{star}"));
        assert_eq!((answer.status, answer.error()["code"].as_str()), (404, Some("model_not_found")), "{star:?}");
    }
    assert_eq!(ask("/openai/deployments/azure-%2e%2e/chat/completions", "x").status, 404);
    assert_eq!(houses.upstreams[2].requests().len(), 0);
    assert_eq!(ask("/v1/chat/completions", "azure-gpt-4o.2024").status, 200);
    assert_eq!(
        houses.upstreams[2].requests()[0].path,
        "/openai/deployments/gpt-4o.2024/chat/completions?api-version=2024-10-21"
    );
}

#[test]
fn a_redirect_of_a_provider_is_not_followed() {
    let houses = Houses::new();
    let trap = format!("http://{}/v1/chat/completions", houses.trap.local_addr().unwrap());
    for status in [301, 302, 303, 307, 308] {
        let location = trap.clone();
        let upstream = Upstream::with(move |_| Script::status(status).header("location", &location));
        let mut setup = Setup::to(&[&upstream]);
        setup.retries.max_attempts = Some(1);
        let gateway = setup.start();
        let answer = crate::client::post(gateway.addr, PLAIN);
        assert_eq!(answer.status, 502, "{}", answer.text());
        assert_eq!(answer.header("location"), None);
        assert_eq!(upstream.requests().len(), 1);
    }
    assert!(houses.trap.accept().is_err());
}

#[test]
fn a_picture_s_address_is_the_providers_to_fetch_not_ours() {
    let houses = Houses::new();
    let url = format!("http://{}/picture.png", houses.trap.local_addr().unwrap());
    let part = serde_json::json!({ "type": "image_url", "image_url": { "url": url } });
    let body =
        serde_json::json!({ "model": "gpt-4o", "messages": [{ "role": "user", "content": [part] }] }).to_string();
    let mut connection = Connection::open(houses.gateway.addr);
    connection.send("POST", "/v1/chat/completions", &[("x-api-key", &houses.caller)], body.as_bytes());
    assert_eq!(connection.answer().unwrap().status, 200);
    assert!(houses.upstreams[0].requests()[0].text().contains(&url));
    assert!(houses.trap.accept().is_err());
}
