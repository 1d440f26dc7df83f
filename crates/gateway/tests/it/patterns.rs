//! Routes whose name is a pattern, and targets that take their model from what its `*` stood for.

use std::sync::Arc;

use gateway::snapshot::{Parameters, Route, Snapshot, Target};
use scripted::{Received, Script, Upstream, chat_completion};

use crate::client::{get, post};
use crate::harness::{Gateway, Setup, target};

const PLAIN: &str = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}"#;

fn upstream() -> Upstream {
    Upstream::start(vec![Script::json(chat_completion("x"))])
}

/// Swaps in these routes, each to the target called as its second word.
fn route(gateway: &Gateway, targets: Vec<Target>, routes: &[(&str, &str)]) {
    let old = gateway.snapshot.load_full();
    let route = |(name, target): &(&str, &str)| {
        let route =
            Route { name: (*name).to_owned(), target: (*target).to_owned(), fallback: Vec::new(), ..Route::default() };
        (route.name.clone(), Arc::new(route))
    };
    gateway.snapshot.store(Arc::new(Snapshot {
        hash: "patterns".to_owned(),
        targets: targets.into_iter().map(|target| (target.name.clone(), Arc::new(target))).collect(),
        routes: routes.iter().map(route).collect(),
        ..(*old).clone()
    }));
}

fn models(upstream: &Upstream) -> Vec<String> {
    let body = |request: &Received| serde_json::from_slice::<serde_json::Value>(&request.body).ok();
    let model = |request: &Received| body(request)?["model"].as_str().map(str::to_owned);
    upstream.requests().iter().filter_map(model).collect()
}

#[test]
fn a_name_goes_to_its_route_else_to_the_longest_pattern_that_fits_else_nowhere() {
    let (exact, vendor, any) = (upstream(), upstream(), upstream());
    let gateway = Setup::to(&[&exact]).start();
    let star = |name: &str, upstream: &Upstream, model: &str| Target {
        model: model.to_owned(),
        ..target(name, &upstream.url())
    };
    let targets = || vec![target("exact", &exact.url()), star("vendor", &vendor, "*"), star("any", &any, "x/*:free")];
    let routes = [("gpt-4o", "exact"), ("vendor/*", "vendor"), ("*", "any")];
    route(&gateway, targets(), &routes);
    for model in ["gpt-4o", "vendor/some-model", "vendor-less"] {
        assert_eq!(post(gateway.addr, &PLAIN.replace("gpt-4o", model)).status, 200, "{model}");
    }
    assert_eq!(models(&exact), ["model-exact"]);
    assert_eq!(models(&vendor), ["some-model"]);
    assert_eq!(models(&any), ["x/vendor-less:free"]);
    let listed = get(gateway.addr, "/v1/models").text();
    assert!(listed.contains(r#""id":"gpt-4o""#) && !listed.contains('*'), "{listed}");

    let exchanges = gateway.exchanges(3);
    let attempted: Vec<_> = exchanges.iter().map(|exchange| exchange.attempts[0].model.as_deref()).collect();
    assert!(attempted.contains(&Some("some-model")), "the record names the model that was asked for: {attempted:?}");
    route(&gateway, targets(), &routes[..2]);
    assert_eq!(post(gateway.addr, &PLAIN.replace("gpt-4o", "nobody")).status, 404);
}

#[test]
fn a_default_is_for_callers_that_say_nothing() {
    let upstream = upstream();
    let gateway = Setup::to(&[&upstream]).start();
    let default = vec![("temperature".to_owned(), "0.1".to_owned())];
    let parameters = Parameters { default, ..Parameters::default() };
    route(&gateway, vec![Target { parameters, ..target("a", &upstream.url()) }], &[("gpt-4o", "a")]);
    post(gateway.addr, PLAIN);
    post(gateway.addr, &PLAIN.replacen('{', r#"{"temperature":1,"#, 1));
    let sent: Vec<String> = upstream.requests().iter().map(Received::text).collect();
    assert!(sent[0].contains(r#""temperature":0.1"#), "{}", sent[0]);
    assert!(sent[1].contains(r#""temperature":1,"#) && !sent[1].contains("0.1"), "{}", sent[1]);
}
