//! Azure's paths and headers, on both sides.

use std::sync::Arc;

use providers::{BaseUrl, Dialect, ProviderConfig};
use scripted::{Script, Upstream, chat_completion, chat_stream};
use wire::private::Private;

use crate::client::{Answer, Connection};
use crate::harness::{Gateway, PROVIDER_KEY, Setup};

fn post(gateway: &Gateway, path: &str, body: &str) -> Answer {
    let mut connection = Connection::open(gateway.addr);
    connection.send(
        "POST",
        path,
        &[("api-key", "sk-canary-caller"), ("content-type", "application/json")],
        body.as_bytes(),
    );
    connection.answer().expect("an answer")
}

/// A gateway whose only target is at Azure.
fn to_azure(upstream: &Upstream, api_version: Option<&str>) -> Gateway {
    let mut setup = Setup::to(&[upstream]);
    let dialect = Dialect::Azure { api_version: api_version.map(str::to_owned) };
    let base = BaseUrl::parse_for(&upstream.url(), &dialect).unwrap();
    let mut provider = ProviderConfig::new("azure", dialect, base);
    provider.api_key = Some(Private::new(PROVIDER_KEY.to_owned()));
    setup.targets[0].provider = Arc::new(provider);
    setup.start()
}

#[test]
fn a_deployment_in_the_path_is_the_route_whatever_the_body_says() {
    let upstream = Upstream::start(vec![Script::json(chat_completion("x"))]);
    let gateway = Setup::to(&[&upstream]).start();
    for (body, expected) in [
        (r#"{"messages":[]}"#, r#"{"messages":[],"model":"model-a"}"#),
        (r#"{"model":"gpt-4o","messages":[]}"#, r#"{"model":"model-a","messages":[]}"#),
        (r#"{"model":"something else","messages":[]}"#, r#"{"model":"model-a","messages":[]}"#),
        (r#"{"model":null,"messages":[]}"#, r#"{"model":"model-a","messages":[]}"#),
    ] {
        let answer = post(&gateway, "/openai/deployments/gpt%2D4o/chat/completions?api-version=2024-10-21", body);
        assert_eq!(answer.text(), chat_completion("x"));
        let received = upstream.requests().pop().unwrap();
        assert_eq!((received.text().as_str(), received.path.as_str()), (expected, "/v1/chat/completions"));
    }
    let refused = post(&gateway, "/openai/deployments/other/chat/completions", r#"{"model":"gpt-4o","messages":[]}"#);
    assert_eq!((refused.status, refused.error()["code"].as_str()), (404, Some("model_not_found")));
    assert_eq!(post(&gateway, "/openai/v1/chat/completions", r#"{"model":"gpt-4o","messages":[]}"#).status, 200);
}

#[test]
fn a_callers_key_in_azures_header_is_a_principal_and_goes_no_further() {
    let upstream = Upstream::start(vec![Script::json(chat_completion("x"))]);
    let gateway = Setup::to(&[&upstream]).start();
    post(&gateway, "/openai/deployments/gpt-4o/chat/completions", r#"{"messages":[]}"#);
    assert_eq!(upstream.requests()[0].header("api-key"), None);
    assert!(gateway.exchange().exchange.principal.is_some());
}

#[test]
fn a_target_at_azure_has_its_model_in_the_path_and_its_key_in_azures_header() {
    let body = r#"{"id":"1","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"x"},"finish_reason":"stop","content_filter_results":{"hate":{"filtered":false,"severity":"safe"}}}],"prompt_filter_results":[{"prompt_index":0}]}"#;
    let upstream = Upstream::start(vec![Script::json(body)]);
    let gateway = to_azure(&upstream, Some("2024-10-21"));
    let answer = post(&gateway, "/v1/chat/completions", r#"{"model":"gpt-4o","messages":[]}"#);
    assert_eq!(answer.text(), body, "the content filter's fields are the caller's too");
    let received = &upstream.requests()[0];
    assert_eq!(received.path, "/openai/deployments/model-a/chat/completions?api-version=2024-10-21");
    assert_eq!((received.header("api-key"), received.header("authorization")), (Some(PROVIDER_KEY), None));
    post(&gateway, "/v1/moderations", r#"{"model":"gpt-4o","input":"x"}"#);
    assert_eq!(upstream.requests()[1].path, "/openai/moderations?api-version=2024-10-21");
}

#[test]
fn a_target_at_azure_without_a_version_is_called_below_v1_and_streams() {
    let filter = "data: {\"choices\":[],\"prompt_filter_results\":[{\"prompt_index\":0}]}\n\n".to_owned();
    let events = [vec![filter], chat_stream(&["x"], true)].concat();
    let upstream = Upstream::start(vec![Script::stream(events.clone())]);
    let gateway = to_azure(&upstream, None);
    let asked = r#"{"model":"gpt-4o","stream":true,"stream_options":{"include_usage":true},"messages":[]}"#;
    assert_eq!(post(&gateway, "/openai/deployments/gpt-4o/chat/completions", asked).text(), events.concat());
    assert_eq!(upstream.requests()[0].path, "/openai/v1/chat/completions");
}
