//! Where the rules of a route send requests: by what they ask for, once, and never round a rollout.

use std::sync::Arc;

use gateway::snapshot::{Route, RouteRule, RuleTo, Snapshot};
use govern::{KeySpec, Routes};
use routing::{HeaderIs, Language, Pattern, Size, Tools, When};
use scripted::{Script, Upstream, chat_completion};

use crate::client::{Answer, Connection};
use crate::harness::{Gateway, PLAIN, Setup, rollout};

fn upstream() -> Upstream {
    Upstream::start(vec![Script::json(chat_completion("x"))])
}

/// Three upstreams; `gpt-4o` is answered by `a` where no rule says otherwise.
struct Three {
    a: Upstream,
    b: Upstream,
    c: Upstream,
    gateway: Gateway,
}

impl Three {
    fn start(change: impl Fn(Setup) -> Setup) -> Self {
        let (a, b, c) = (upstream(), upstream(), upstream());
        let gateway = change(Setup::to(&[&a, &b, &c])).start();
        Self { a, b, c, gateway }
    }

    fn ask(&self, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut connection = Connection::open(self.gateway.addr);
        connection.send("POST", "/v1/chat/completions", headers, body.as_bytes());
        connection.answer().expect("an answer")
    }

    fn n(&self) -> [usize; 3] {
        [&self.a, &self.b, &self.c].map(|upstream| upstream.requests().len())
    }
}

/// Gives `gpt-4o` these rules: to a route where the name is one, else to a target.
pub fn rules(gateway: &Gateway, rules: &[(&str, When, &str)]) {
    let mut snapshot: Snapshot = (*gateway.snapshot.load_full()).clone();
    let own = Arc::clone(&snapshot.routes["gpt-4o"]);
    let rule = |(name, when, to): &(&str, When, &str)| RouteRule {
        name: (*name).to_owned(),
        when: when.clone(),
        to: match snapshot.routes.get(*to) {
            Some(route) => RuleTo::Route(Arc::clone(route)),
            None => RuleTo::Target(Arc::new(Route { target: (*to).to_owned(), ..(*own).clone() })),
        },
    };
    let rules = rules.iter().map(rule).collect();
    snapshot.routes.insert("gpt-4o".to_owned(), Arc::new(Route { rules, ..(*own).clone() }));
    gateway.snapshot.store(Arc::new(snapshot));
}

fn patterns(texts: &[&str]) -> Vec<Pattern> {
    texts.iter().map(|text| Pattern::new(text).unwrap()).collect()
}

fn header(name: &str, value: &str) -> When {
    When { headers: vec![HeaderIs { name: name.to_owned(), values: patterns(&[value]) }], ..When::default() }
}

fn saying(text: &str, more: &str) -> String {
    format!(r#"{{"model":"gpt-4o","messages":[{{"role":"user","content":"{text}"}}]{more}}}"#)
}

#[test]
fn the_first_rule_that_holds_is_followed_recorded_and_counted() {
    let three = Three::start(|setup| setup);
    let long = When { prompt_tokens: Some(Size { over: Some(500), up_to: None }), ..When::default() };
    let tools = When { tools: Some(Tools::Named(patterns(&["search_*"]))), ..When::default() };
    let german = When { languages: vec![Language::named("de").unwrap()], ..When::default() };
    rules(
        &three.gateway,
        &[
            ("gold", header("x-tier", "gold"), "b"),
            ("long", long, "to-c-directly"),
            ("search", tools, "c"),
            ("german", german, "b"),
        ],
    );
    let search = r#","tools":[{"type":"function","function":{"name":"search_web"}}]"#;
    for (headers, body, target, because) in [
        (&[][..], saying("hi", ""), "a", None),
        (
            &[("x-tier", "gold")][..],
            saying(&"word ".repeat(900), ""),
            "b",
            Some("rule gold of gpt-4o: header x-tier is gold"),
        ),
        (
            &[("x-tier", "silver")][..],
            saying(&"word ".repeat(900), ""),
            "c",
            Some("rule long of gpt-4o: prompt has about 1133 tokens, over 500"),
        ),
        (&[][..], saying("hi", search), "c", Some("rule search of gpt-4o: a tool is search_*")),
        (
            &[][..],
            saying("Kannst du bitte diesen Vertrag für mich zusammenfassen?", ""),
            "b",
            Some("rule german of gpt-4o: language is de"),
        ),
        (&[][..], saying("Could you please summarise this contract for me?", ""), "a", None),
    ] {
        let answer = three.ask(headers, &body);
        assert_eq!((answer.status, answer.header("x-crossfade-target")), (200, Some(target)), "{because:?}");
        let n = three.gateway.serving.totals().exchanges["complete"];
        let newest = three.gateway.exchanges(usize::try_from(n).unwrap()).remove(0);
        let decision = &newest.exchange.decisions[0];
        assert_eq!(decision["because"].as_str(), because);
        if target == "c" && because.is_some_and(|because| because.contains("long")) {
            assert_eq!(decision["choice"], "route to-c-directly");
            assert_eq!(
                newest.exchange.route.as_deref(),
                Some("to-c-directly"),
                "the policies of that route are in force"
            );
        }
    }
    let counted = &three.gateway.serving.totals().choices.rules["gpt-4o"];
    let counted: Vec<_> =
        counted.iter().map(|(rule, followed)| (rule.as_str(), followed.to.as_str(), followed.n)).collect();
    assert_eq!(
        counted,
        [
            ("german", "target b", 1),
            ("gold", "target b", 1),
            ("long", "route to-c-directly", 1),
            ("none", "own target", 2),
            ("search", "target c", 1),
        ]
    );
}

#[test]
fn retries_and_failover_keep_to_the_decision() {
    let (a, c) = (upstream(), upstream());
    let b = Upstream::start(vec![Script::status(503)]);
    let gateway = Setup::to(&[&a, &b, &c]).falling_back_to(&["c"]).calling_up_to(2).start();
    rules(&gateway, &[("gold", header("x-tier", "gold"), "b")]);
    let three = Three { a, b, c, gateway };
    let answer = three.ask(&[("x-tier", "gold")], PLAIN);
    assert_eq!((answer.status, answer.header("x-crossfade-target")), (200, Some("c")));
    assert_eq!(three.n(), [0, 2, 1], "the rule's target twice, then the route's fallback, and never its own target");
    assert_eq!(three.gateway.exchange().exchange.decisions.as_array().map(Vec::len), Some(1));
}

#[test]
fn a_rule_goes_round_no_rollout() {
    // The rollout splits gpt-4o all the way to b. A rule may not choose a target past it, but may choose another route.
    let live = rollout(1.0, 0.0);
    let three = Three::start(|setup| setup.with(&live));
    rules(
        &three.gateway,
        &[("gold", header("x-tier", "gold"), "c"), ("spare", header("x-tier", "spare"), "to-c-directly")],
    );
    let answer = three.ask(&[("x-tier", "gold")], PLAIN);
    assert_eq!(answer.header("x-crossfade-target"), Some("b"), "assigned as if there were no rule");
    let exchange = three.gateway.exchange().exchange;
    assert_eq!(exchange.arm.as_deref(), Some("candidate"));
    let because = "rule gold of gpt-4o: header x-tier is gold; not followed, because rollout to-b splits the route";
    assert_eq!(exchange.decisions[0]["because"], because);
    let answer = three.ask(&[("x-tier", "spare")], PLAIN);
    assert_eq!(answer.header("x-crossfade-target"), Some("c"));
    let exchange = three.gateway.exchanges(2).remove(0).exchange;
    assert_eq!(
        (exchange.rollout, exchange.route.as_deref()),
        (None, Some("to-c-directly")),
        "it is no part of the rollout"
    );
    assert_eq!(live.evidence().arm(rollout::Arm::Candidate).tally(rollout::Metric::Error).n, 1);
}

#[test]
fn a_rule_to_a_route_with_a_rollout_is_split_by_it() {
    let live = rollout(1.0, 0.0);
    let three = Three::start(|setup| setup.with(&live));
    let mut snapshot: Snapshot = (*three.gateway.snapshot.load_full()).clone();
    let to = RuleTo::Route(Arc::clone(&snapshot.routes["gpt-4o"]));
    let rule = RouteRule { name: "1".to_owned(), when: header("x-tier", "gold"), to };
    let entry = Route { name: "entry".to_owned(), rules: vec![rule], ..Route::to("entry", "c") };
    snapshot.routes.insert("entry".to_owned(), Arc::new(entry));
    three.gateway.snapshot.store(Arc::new(snapshot));
    let body = PLAIN.replace("gpt-4o", "entry");
    assert_eq!(three.ask(&[], &body).header("x-crossfade-target"), Some("c"));
    assert_eq!(three.ask(&[("x-tier", "gold")], &body).header("x-crossfade-target"), Some("b"));
    let exchange = three.gateway.exchanges(2).remove(0).exchange;
    assert_eq!((exchange.rollout.as_deref(), exchange.arm.as_deref()), (Some("to-b"), Some("candidate")));
}

#[test]
fn the_tenant_is_what_the_key_says_and_the_workload_what_the_request_says() {
    let three = Three::start(Setup::keys_required);
    let shop = When { tenants: patterns(&["shop"]), ..When::default() };
    let support = When { workloads: patterns(&["support"]), ..When::default() };
    rules(&three.gateway, &[("shop", shop, "b"), ("support", support, "c")]);
    let key = |name: &str, tenant: &str| {
        let spec = KeySpec { routes: Routes::All, tenant: Some(tenant.to_owned()), ..KeySpec::default() };
        format!("Bearer {}", three.gateway.key(name, spec, None))
    };
    let (shop, bank) = (key("one", "shop"), key("two", "bank"));
    for (key, more, target) in [
        (&shop, ("x-other", ""), "b"),
        (&bank, ("x-crossfade-tenant-id", "shop"), "a"),
        (&bank, ("x-crossfade-workload", "support"), "c"),
    ] {
        let answer = three.ask(&[("authorization", key), more], PLAIN);
        assert_eq!((answer.status, answer.header("x-crossfade-target")), (200, Some(target)), "{more:?}");
    }
}

#[test]
fn limits_of_the_route_that_was_named_and_of_the_one_that_was_chosen_both_hold() {
    let limits = |n: u64| govern::limits::Limits { requests_per_minute: n.try_into().ok(), ..Default::default() };
    for (named, chosen) in [(1, 10), (10, 1)] {
        let three = Three::start(|setup| setup.route_limits(limits(named)));
        let mut snapshot: Snapshot = (*three.gateway.snapshot.load_full()).clone();
        let to = Route { limits: limits(chosen), ..(*snapshot.routes["to-b-directly"]).clone() };
        snapshot.routes.insert(to.name.clone(), Arc::new(to));
        three.gateway.snapshot.store(Arc::new(snapshot));
        rules(&three.gateway, &[("gold", header("x-tier", "gold"), "to-b-directly")]);
        let statuses = [0, 1].map(|_| three.ask(&[("x-tier", "gold")], PLAIN).status);
        assert_eq!(statuses, [200, 429], "{named} {chosen}");
    }
}
