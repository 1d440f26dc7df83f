//! What may not leave the house does not: not by a target, not by one that takes over, not by a candidate or a copy.

use std::sync::Arc;

use gateway::snapshot::Route;
use govern::{KeySpec, Residency, Routes};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use providers::Class;
use scripted::{Cut, Received, Script, Upstream, chat_completion, chat_stream};
use wire::record::Endpoint;

use crate::client::{Answer, Connection, post};
use crate::endpoints::{change, passing_on};
use crate::harness::{Gateway, PLAIN, Setup, rollout};
use crate::outbound::requests;

impl Setup {
    /// These targets stand in the house; the others are somebody else's.
    fn inside(mut self, names: &[&str]) -> Self {
        for target in self.targets.iter_mut().filter(|target| names.contains(&target.name.as_str())) {
            let mut provider = (*target.provider).clone();
            provider.class = Class::SelfHosted;
            target.provider = Arc::new(provider);
        }
        self
    }

    /// Requests of the route `gpt-4o` may not leave the house.
    fn internal(mut self) -> Self {
        self.residency = Residency::Internal;
        self
    }
}

fn well(received: &Received) -> Script {
    if received.text().contains("\"stream\":true") {
        Script::stream(chat_stream(&["x"], true))
    } else {
        Script::json(chat_completion("x"))
    }
}

fn ask(gateway: &Gateway, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut connection = Connection::open(gateway.addr);
    connection.send("POST", path, headers, body.as_bytes());
    connection.answer().unwrap()
}

#[test]
fn no_request_of_an_internal_route_opens_a_connection_out_of_the_house() {
    // In the house a server that fails in every way; outside two that would take over, gladly.
    let failing = Upstream::with(|received| match received.body.len() % 5 {
        0 => Script::error(500, "server_error", "oops"),
        1 => Script::hang_up(Cut::Fin),
        2 => Script::error(429, "requests", "rate_limit_exceeded"),
        3 => Script::stream(chat_stream(&["x"], true)).cut_after(10, Cut::Rst),
        _ => well(received),
    });
    let (fallback, candidate) = (Upstream::with(well), Upstream::with(well));
    let live = rollout(0.5, 1.0);
    let mut setup = Setup::to(&[&failing, &candidate, &fallback]).with(&live).inside(&["a"]).internal();
    setup.panic = true;
    setup.emergency_fallback = true;
    let gateway = setup.falling_back_to(&["c", "b"]).start();
    change(&gateway, |snapshot| {
        let route = Route::clone(&snapshot.routes["gpt-4o"]);
        for name in ["any-*", "azure-*", "claude-*"] {
            let route = Route { name: name.to_owned(), ..route.clone() };
            snapshot.routes.insert(name.to_owned(), Arc::new(route));
        }
    });
    let lures = [format!("http://{}/v1", fallback.addr()), "https://192.0.2.1/x".to_owned(), "b".to_owned()];
    let n_cases = if std::env::var_os("CROSSFADE_SLOW_TESTS").is_some() { 4_000 } else { 300 };
    let config = Config { cases: n_cases, failure_persistence: None, ..Config::default() };
    let fired = TestRunner::new(config).run(&requests(lures.to_vec()), |request| {
        let mut connection = Connection::open(gateway.addr);
        std::io::Write::write_all(&mut connection.stream, &request).unwrap();
        connection.answer();
        prop_assert_eq!((fallback.n_connections(), candidate.n_connections()), (0, 0));
        Ok(())
    });
    fired.unwrap();
    for _ in 0..50 {
        post(gateway.addr, PLAIN);
    }
    assert_eq!((fallback.n_connections(), candidate.n_connections()), (0, 0));
    assert!(failing.requests().len() > 50, "otherwise the test would hold for a gateway that calls nobody");
    assert_eq!(gateway.serving.shadow_totals().sent, 0);
    let rows = gateway.connections();
    assert!(!rows.is_empty() && rows.iter().all(|row| row.class == "self_hosted"), "{rows:?}");
}

#[test]
fn whoever_is_marked_internal_is_refused_in_clear_words_where_only_others_answer_and_that_is_on_record() {
    let upstream = Upstream::with(well);
    let mut setup = Setup::to(&[&upstream]).keys_required();
    setup.internal_tenants.insert("clinic".to_owned());
    let gateway = setup.start();
    let key = |tenant: &str| {
        let spec = KeySpec { routes: Routes::All, tenant: Some(tenant.to_owned()), ..KeySpec::default() };
        gateway.key(tenant, spec, None)
    };
    let (clinic, shop) = (key("clinic"), key("shop"));
    let refused = ask(&gateway, "/v1/chat/completions", &[("x-api-key", &clinic)], PLAIN);
    assert_eq!((refused.status, refused.error()["code"].as_str()), (403, Some("residency")));
    assert_eq!(refused.header("x-should-retry"), Some("false"));
    let detail = gateway.exchange();
    assert_eq!((detail.exchange.outcome.as_str(), detail.exchange.failure.as_deref()), ("refused", Some("residency")));
    assert_eq!(detail.attempts.len(), 0);
    // A header makes it stricter, and never freer.
    let headers = [("x-api-key", shop.as_str()), ("x-crossfade-tenant-id", "clinic")];
    assert_eq!(ask(&gateway, "/v1/chat/completions", &headers, PLAIN).status, 403);
    let headers = [("x-api-key", clinic.as_str()), ("x-crossfade-tenant-id", "shop")];
    assert_eq!(ask(&gateway, "/v1/chat/completions", &headers, PLAIN).status, 403);
    assert_eq!(upstream.n_connections(), 0);
    assert_eq!(ask(&gateway, "/v1/chat/completions", &[("x-api-key", &shop)], PLAIN).status, 200);
}

#[test]
fn a_reload_that_moves_a_provider_out_or_a_tenant_in_counts_from_the_next_request() {
    let (house, other) = (Upstream::with(well), Upstream::with(well));
    let gateway = Setup::to(&[&house, &other]).inside(&["a"]).internal().falling_back_to(&["b"]).start();
    assert_eq!(post(gateway.addr, PLAIN).status, 200);
    change(&gateway, |snapshot| {
        let mut target = (*snapshot.targets["a"]).clone();
        let mut provider = (*target.provider).clone();
        provider.class = Class::Hosted;
        target.provider = Arc::new(provider);
        snapshot.targets.insert("a".to_owned(), Arc::new(target));
    });
    assert_eq!(post(gateway.addr, PLAIN).status, 403);
    let direct = PLAIN.replace("gpt-4o", "to-b-directly");
    assert_eq!(post(gateway.addr, &direct).status, 200, "another route is not internal");
    change(&gateway, |snapshot| snapshot.internal_tenants = ["t".to_owned()].into());
    let headers = [("x-crossfade-tenant-id", "t")];
    assert_eq!(ask(&gateway, "/v1/chat/completions", &headers, &direct).status, 403);
    assert_eq!((house.requests().len(), other.requests().len()), (1, 1));
}

#[test]
fn an_internal_route_is_served_from_the_house_and_by_nobody_else_when_that_fails() {
    let house = Upstream::start(vec![Script::json(chat_completion("x")), Script::error(500, "server_error", "oops")]);
    let other = Upstream::with(well);
    let gateway = Setup::to(&[&house, &other]).inside(&["a"]).internal().falling_back_to(&["b"]).start();
    assert_eq!(post(gateway.addr, PLAIN).status, 200);
    assert_eq!(post(gateway.addr, PLAIN).status, 502);
    assert_eq!(other.n_connections(), 0);
}

#[test]
fn what_would_make_a_server_of_the_house_reach_out_is_refused_and_the_field_is_named() {
    let house = Upstream::with(well);
    let gateway = Setup::to(&[&house]).inside(&["a"]).internal().start();
    let part = |part: &str| {
        format!(r#"{{"model":"gpt-4o","max_tokens":5,"messages":[{{"role":"user","content":[{part}]}}]}}"#)
    };
    let image = part(r#"{"type":"image_url","image_url":{"url":"https://a.example/x.png"}}"#);
    let answer = post(gateway.addr, &image);
    let error = answer.error();
    assert_eq!((answer.status, error["code"].as_str()), (400, Some("residency")));
    assert_eq!(error["param"], "messages[0].content[0].image_url.url");
    assert_eq!(gateway.exchange().exchange.outcome, "refused");
    let responses = r#"{"model":"gpt-4o","input":"hi","tools":[{"type":"mcp","server_label":"x","server_url":"https://mcp.example"}]}"#;
    let answer = ask(&gateway, "/v1/responses", &[], responses);
    assert_eq!((answer.status, answer.error()["param"].as_str()), (400, Some("tools[0].server_url")));
    let messages = part(r#"{"type":"image","source":{"type":"url","url":"http://a.example"}}"#);
    let answer = ask(&gateway, "/v1/messages", &[], &messages);
    assert_eq!(answer.status, 400);
    let said: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((said["type"].as_str(), said["error"]["type"].as_str()), (Some("error"), Some("invalid_request_error")));
    assert!(said["error"]["message"].as_str().unwrap().contains("messages[0].content[0].source.url"), "{said}");
    assert_eq!(house.requests().len(), 0);
    // The same picture with its bytes goes through, and on another route the address does.
    let data = part(r#"{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}"#);
    assert_eq!(post(gateway.addr, &data).status, 200);
    assert_eq!(post(gateway.addr, &image.replace("gpt-4o", "to-a-directly")).status, 200);
}

#[test]
fn requests_in_an_uploaded_file_are_looked_into_line_by_line() {
    let house = Upstream::with(|_| Script::json(r#"{"id":"file-1","object":"file","purpose":"batch"}"#));
    let gateway = Setup::to(&[&house]).inside(&["a"]).internal().start();
    passing_on(&gateway, &[Endpoint::Files, Endpoint::Uploads]);
    let upload = |purpose: &str, line: &str| {
        let form = format!(
            "--b\r\ncontent-disposition: form-data; name=\"purpose\"\r\n\r\n{purpose}\r\n--b\r\ncontent-disposition: form-data; \
             name=\"file\"; filename=\"in.jsonl\"\r\ncontent-type: application/jsonl\r\n\r\n{line}\r\n--b--\r\n"
        );
        ask(&gateway, "/v1/files", &[("content-type", "multipart/form-data; boundary=b")], &form)
    };
    let line = |url: &str| {
        format!(
            r#"{{"custom_id":"1","method":"POST","url":"/v1/chat/completions","body":{{"model":"m","messages":[{{"role":"user","content":[{{"type":"image_url","image_url":{{"url":"{url}"}}}}]}}]}}}}"#
        )
    };
    let refused =
        upload("batch", &format!("{}\n{}", line("data:image/png;base64,AA"), line("https://a.example/x.png")));
    assert_eq!((refused.status, refused.error()["code"].as_str()), (400, Some("residency")));
    assert_eq!(refused.error()["param"], "file[1].body.messages[0].content[0].image_url.url");
    assert_eq!(upload("batch", "no request").status, 400);
    let json = [("content-type", "application/json")];
    let in_parts = r#"{"filename":"in.jsonl","purpose":"batch","bytes":3,"mime_type":"application/jsonl"}"#;
    let answer = ask(&gateway, "/v1/uploads", &json, in_parts);
    assert_eq!((answer.status, answer.error()["param"].as_str()), (400, Some("purpose")));
    assert_eq!(house.requests().len(), 0);
    // What carries its bytes along, and documents, go through; and so does everything of those who may leave the house.
    assert_eq!(upload("batch", &line("data:image/png;base64,AA")).status, 200);
    assert_eq!(upload("user_data", &line("https://a.example/x.png")).status, 200);
    assert_eq!(ask(&gateway, "/v1/uploads", &json, &in_parts.replace("batch", "user_data")).status, 200);
    change(&gateway, |snapshot| {
        for route in snapshot.passthrough.values_mut() {
            Arc::make_mut(route).residency = Residency::Anywhere;
        }
    });
    assert_eq!(upload("batch", &line("https://a.example/x.png")).status, 200);
}

#[test]
fn a_conversation_begun_in_the_house_stays_there_whatever_route_it_goes_on_by() {
    let (house, other) = (Upstream::with(well), Upstream::with(well));
    let gateway = Setup::to(&[&house, &other]).inside(&["a"]).internal().start();
    let first = ask(&gateway, "/v1/responses", &[], r#"{"model":"gpt-4o","input":"a secret of the house"}"#);
    assert_eq!(first.status, 200, "{}", first.text());
    let said: serde_json::Value = serde_json::from_slice(&first.body).unwrap();
    let on = |model: &str| {
        let body = serde_json::json!({ "model": model, "input": "and?", "previous_response_id": said["id"] });
        ask(&gateway, "/v1/responses", &[], &body.to_string())
    };
    let refused = on("to-b-directly");
    assert_eq!((refused.status, refused.error()["code"].as_str()), (403, Some("residency")));
    assert_eq!(other.n_connections(), 0);
    assert_eq!(on("gpt-4o").status, 200);
    assert!(house.requests()[1].text().contains("a secret of the house"));
}
