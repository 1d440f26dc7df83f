//! The same requests, sent to LiteLLM's own proxy (once, by `tests/oracles/litellm_routing.py`) and to the imported config:
//! they arrive at the same hosts, for the same models, with the same keys, in the same order.

use std::collections::{BTreeMap, BTreeSet};

use scripted::{Received, Script, Upstream, chat_completion};
use serde_json::{Value, json};

use super::{environment, fixtures, import, run};
use crate::parts::{CONFIG, Gateway, House, post};

/// The answer of a host, in the words of the dialect that the path is in. A host whose name begins with `down` answers 500.
fn answer(request: &Received) -> Script {
    let (host, path) = host_and_path(request);
    if host.starts_with("down") {
        return Script::error(500, "server_error", "down");
    }
    if path.ends_with("messages") {
        let message = r#"{"id":"x","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}"#;
        return Script::json(message);
    }
    if path.contains("/embeddings") || path.starts_with("embeddings") {
        return Script::json(
            r#"{"object":"list","model":"m","data":[{"object":"embedding","index":0,"embedding":[0.0]}],"usage":{"prompt_tokens":1,"total_tokens":1}}"#,
        );
    }
    if path.ends_with("rerank") {
        return Script::json(
            r#"{"id":"x","results":[{"index":0,"relevance_score":0.5}],"meta":{"billed_units":{"search_units":1}}}"#,
        );
    }
    Script::json(chat_completion("hi"))
}

fn host_and_path(request: &Received) -> (String, String) {
    let path = request.path.trim_start_matches("/at/");
    let (host, path) = path.split_once('/').unwrap_or((path, ""));
    (host.to_owned(), path.split('?').next().unwrap_or_default().to_owned())
}

/// What arrived, in the words of the oracle.
fn arrival(request: &Received) -> Value {
    let (host, path) = host_and_path(request);
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    let deployment = path.split("openai/deployments/").nth(1).and_then(|rest| rest.split('/').next());
    let bearer = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    let key = request.header("x-api-key").or(request.header("api-key")).or(bearer).unwrap_or_default();
    let model = deployment.map_or_else(|| body["model"].clone(), Value::from);
    json!({ "at": host, "model": model, "key": key, "temperature": body["temperature"] })
}

/// The text with every address at this upstream, as the oracle does it.
fn pointed(text: &str, upstream: &Upstream) -> String {
    let base = format!("{}/at/", upstream.url());
    let is_host = |rest: &str| rest.starts_with(|c: char| c.is_ascii_alphanumeric());
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("http") {
        let scheme = ["https://", "http://"].into_iter().find(|scheme| rest[at..].starts_with(scheme));
        let (before, after) = rest.split_at(at + scheme.map_or(4, str::len));
        match scheme {
            Some(scheme) if is_host(after) => {
                out.push_str(&before[..before.len() - scheme.len()]);
                out.push_str(&base);
            }
            _ => out.push_str(before),
        }
        rest = after;
    }
    out + rest
}

/// The values of the variables: addresses at the upstream, keys as the oracle had them.
fn values(report: &Value, source: &str, upstream: &Upstream) -> BTreeMap<String, String> {
    let mut values = environment(report);
    for variable in report["environment"].as_array().unwrap() {
        let name = variable["name"].as_str().unwrap();
        if variable["kind"] == "url" {
            values.insert(name.to_owned(), format!("{}/at/{name}/v1", upstream.url()));
        }
        if let Some(line) = variable["hint"].as_str().and_then(|hint| hint.split("on line ").nth(1)) {
            let line = source.lines().nth(line.parse::<usize>().unwrap() - 1).unwrap();
            let secret = line.split("api_key:").nth(1).unwrap().split([',', '}']).next().unwrap();
            values.insert(name.to_owned(), secret.trim().to_owned());
        }
    }
    values
}

/// Serves an imported config with every address at `upstream`.
fn serve<'h>(house: &'h House, report: &Value, source: &str, upstream: &Upstream) -> (Gateway<'h>, String) {
    let config = std::fs::read_to_string(house.path().join("crossfade.yaml")).unwrap();
    let values = values(report, source, upstream);
    // Who calls is not what this is about; the ports are any that are free.
    let is_place = |line: &&str| !line.starts_with("listen: ") && !line.starts_with("auth: ");
    let config: String = pointed(&config, upstream).lines().filter(is_place).map(|line| format!("{line}\n")).collect();
    house.write(&format!("listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0 }}\n{config}"));
    run(house, &["check"], &values).exits(0);
    let environment: Vec<(&str, &str)> = values.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    (house.serve_with(&environment), config)
}

/// Imports an example, serves it, and sends what the oracle sent.
fn check(name: &str, sent: &[Value]) {
    let upstream = Upstream::with(answer);
    let source = std::fs::read_to_string(fixtures("litellm").join(format!("{name}.yaml"))).unwrap();
    let house = House::new(CONFIG);
    let report = import(&house, &source, None);
    let (gateway, config) = serve(&house, &report, &source, &upstream);
    for request in sent {
        let (model, path) = (request["model"].as_str().unwrap(), request["path"].as_str().unwrap());
        let n_before = upstream.requests().len();
        let mut body = match path {
            "embeddings" => json!({ "input": "x" }),
            "rerank" => json!({ "query": "x", "documents": ["x"] }),
            _ => json!({ "messages": [{ "role": "user", "content": "x" }] }),
        };
        body["model"] = model.into();
        let answer = post(gateway.data, &format!("/v1/{path}"), &body.to_string());
        let arrived: Vec<Value> = upstream.requests()[n_before..].iter().map(arrival).collect();
        let context = format!("{name} {model}\n{config}\n{answer:?}");
        if is_lost(&report, &source, model) {
            // What is not carried over is not served, unless by a pattern that the report names.
            assert!(
                answer.status == 404
                    || config.contains(&format!("`{model}`, which is not carried over, comes here too")),
                "{context}"
            );
            continue;
        }
        if let Some(spread) = request["spread"].as_array() {
            let found = spread_of(&gateway, &upstream, model);
            assert_eq!(found, spread.iter().map(Value::to_string).collect(), "{context}");
        } else {
            assert_eq!(Value::from(arrived), request["arrived"], "{context}");
        }
        assert_eq!(answer.status == 200, request["answered"] == true, "{context}");
    }
}

/// Where the first attempts of many conversations arrive: with two to draw from, forty miss one in 2^39 runs.
fn spread_of(gateway: &Gateway<'_>, upstream: &Upstream, model: &str) -> BTreeSet<String> {
    let first = |n: usize| {
        let n_before = upstream.requests().len();
        let body = json!({ "model": model, "messages": [{ "role": "user", "content": format!("x{n}") }] });
        post(gateway.data, "/v1/chat/completions", &body.to_string());
        arrival(&upstream.requests()[n_before]).to_string()
    };
    (0..40).map(first).collect()
}

/// Whether the report says that no deployment called so is carried over.
fn is_lost(report: &Value, source: &str, model: &str) -> bool {
    let named = |key: &Value| {
        let path = key["key"].as_str().unwrap_or_default();
        let line = source.lines().nth(usize::try_from(key["line"].as_u64().unwrap()).unwrap() - 1).unwrap();
        path.ends_with("].model_name")
            && line.split('#').next().unwrap().trim_end_matches(['"', '\'', ' ']).ends_with(model)
    };
    let mut named = report["keys"].as_array().unwrap().iter().filter(|key| named(key)).peekable();
    named.peek().is_some() && named.all(|key| key["outcome"] == "unsupported")
}

fn oracle() -> BTreeMap<String, Vec<Value>> {
    let text = std::fs::read_to_string(fixtures("litellm/routing.json")).unwrap();
    let all: BTreeMap<String, Value> = serde_json::from_str(&text).unwrap();
    all.into_iter().filter_map(|(name, of)| Some((name, of["requests"].as_array()?.clone()))).collect()
}

#[test]
fn requests_arrive_where_litellms_own_router_sends_them() {
    let oracle = oracle();
    assert!(oracle.len() == 23, "the oracle answered for {} examples", oracle.len());
    for (name, sent) in &oracle {
        check(name, sent);
    }
}

/// Sends a chat to each model and says which hosts were asked for which model, in order.
fn arrivals(source: &str, file: &str, models: &[&str]) -> Vec<String> {
    let upstream = Upstream::with(answer);
    let house = House::new(CONFIG);
    std::fs::write(house.path().join(file), source).unwrap();
    let report = house.run(&["import", file, "--output", "crossfade.yaml", "--force", "--format", "json"]).json();
    let (gateway, _) = serve(&house, &report, source, &upstream);
    let mut seen = 0;
    let mut arrivals = Vec::new();
    for model in models {
        let body = json!({ "model": model, "messages": [{ "role": "user", "content": "x" }] });
        post(gateway.data, "/openai/v1/chat/completions", &body.to_string());
        let requests = upstream.requests();
        let words = |request: &Received| {
            let arrival = arrival(request);
            format!("{} {}", arrival["at"].as_str().unwrap(), arrival["model"].as_str().unwrap())
        };
        arrivals.push(requests[seen..].iter().map(words).collect::<Vec<_>>().join(", "));
        seen = requests.len();
    }
    arrivals
}

#[test]
fn applications_of_tensorzeros_keep_their_model_names() {
    let source = "
[models.m]
routing = ['first', 'second']
[models.m.providers.first]
type = 'openai'
model_name = 'a'
api_base = 'http://down-first/v1'
[models.m.providers.second]
type = 'vllm'
model_name = 'b'
api_base = 'http://up-second/v1/'
[functions.f]
type = 'chat'
[functions.f.experimentation]
type = 'static'
candidate_variants = { light = 0.1, heavy = 0.9 }
[functions.f.variants.light]
type = 'chat_completion'
model = 'm'
[functions.f.variants.heavy]
type = 'chat_completion'
model = 'groq::llama'
";
    let models = ["tensorzero::model_name::m", "tensorzero::function_name::f", "gpt-4o"];
    let arrivals = arrivals(source, "tensorzero.toml", &models);
    assert_eq!(arrivals, ["down-first a, up-second b", "api.groq.com llama", ""]);
}

#[test]
fn a_config_of_portkeys_takes_any_model() {
    let source = r#"{
        "strategy": { "mode": "fallback" },
        "targets": [
            { "provider": "openai", "custom_host": "http://down-first/v1" },
            { "strategy": { "mode": "loadbalance" }, "targets": [
                { "provider": "ollama", "custom_host": "http://up-light/v1", "weight": 0.1, "override_params": { "model": "light" } },
                { "provider": "ollama", "custom_host": "http://up-heavy/v1", "weight": 0.9, "override_params": { "model": "heavy" } }
            ] }
        ]
    }"#;
    let arrivals = arrivals(source, "portkey.json", &["gpt-4o", "any/thing"]);
    assert_eq!(arrivals, ["down-first gpt-4o, up-heavy heavy", "down-first any/thing, up-heavy heavy"]);
}
