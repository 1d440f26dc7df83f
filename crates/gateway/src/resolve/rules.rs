//! Where the rules of a route send a request. Decided once: retries and failover keep to it.

use std::cell::OnceCell;
use std::sync::Arc;

use http::HeaderMap;
use routing::language::ENOUGH_BYTES;
use routing::{Facts, Language};
use wire::record::{DecidedBy, Decision, Service};
use wire::request::prompt_about;

use crate::authenticate::Principal;
use crate::parse::Parsed;
use crate::snapshot::{Route, RuleTo};
use crate::worker::Worker;

/// The header by which a caller says which workload its request belongs to.
const WORKLOAD: &str = "x-crossfade-workload";
/// The header by which a caller says which part of the world a request is from, where its key does not.
const GEOGRAPHY: &str = "x-crossfade-geography";
/// The header by which a caller says what a request is for.
const TASK: &str = "x-crossfade-task";

/// A route, and how it came to be that one.
pub(crate) struct Chosen {
    pub(crate) route: Arc<Route>,
    pub(crate) decision: Option<Decision>,
}

/// The route that answers a request to `named`.
pub(crate) fn choose(worker: &Worker, named: &Arc<Route>, asked: &Asked<'_>) -> Chosen {
    let stays = |decision| Chosen { route: Arc::clone(named), decision };
    if named.rules.is_empty() || asked.request.endpoint.service() == Service::Provider {
        return stays(None);
    }
    let rules = &worker.counters.choices;
    let Some(idx) = routing::first(named.rules.iter().map(|rule| &rule.when), asked) else {
        rules.count_rule(&named.name, "none", || "own target".to_owned());
        return stays(None);
    };
    let rule = &named.rules[idx];
    let holds = format!("rule {} of {}: {}", rule.name, named.name, rule.when.because(asked));
    // The config refuses this. Where a rollout outlives its config, it is still the one who assigns.
    let live = if matches!(rule.to, RuleTo::Target(_)) { worker.deps.live.for_route(&named.name) } else { None };
    if let Some(live) = live {
        rules.count_rule(&named.name, &rule.name, || "not followed".to_owned());
        let because = format!("{holds}; not followed, because rollout {} splits the route", live.identity.name);
        return stays(Some(Decision { by: DecidedBy::Rule, choice: format!("route {}", named.name), because }));
    }
    rules.count_rule(&named.name, &rule.name, || rule.to.choice());
    let decision = Decision { by: DecidedBy::Rule, choice: rule.to.choice(), because: holds };
    Chosen { route: Arc::clone(rule.to.route()), decision: Some(decision) }
}

/// A request as rules see it.
pub(crate) struct Asked<'a> {
    pub(crate) headers: &'a HeaderMap,
    pub(crate) principal: &'a Principal,
    pub(crate) request: &'a Parsed,
    workload: Option<&'a str>,
    tokens: OnceCell<u64>,
    language: OnceCell<Language>,
}

impl<'a> Asked<'a> {
    pub(crate) fn new(
        headers: &'a HeaderMap,
        principal: &'a Principal,
        (route, request): (&'a Route, &'a Parsed),
    ) -> Self {
        let said = headers.get(WORKLOAD).and_then(|value| value.to_str().ok());
        let workload = said.or(route.workload.as_deref());
        Self { headers, principal, request, workload, tokens: OnceCell::new(), language: OnceCell::new() }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

impl Facts for Asked<'_> {
    fn header_fits(&self, name: &str, test: &dyn Fn(&str) -> bool) -> bool {
        self.headers.get_all(name).iter().any(|value| value.to_str().is_ok_and(test))
    }

    fn tenant(&self) -> Option<&str> {
        self.principal.tenant()
    }

    fn workload(&self) -> Option<&str> {
        self.workload
    }

    fn prompt_bytes(&self) -> u64 {
        self.request.view.prompt_bytes(&self.request.body)
    }

    fn prompt_tokens(&self) -> u64 {
        let body = &self.request.body;
        let about = || self.request.view.spans(body).into_iter().map(|span| prompt_about(&body[span])).sum();
        *self.tokens.get_or_init(about)
    }

    fn has_tools(&self) -> bool {
        self.tool_fits(&|_| true)
    }

    fn tool_fits(&self, test: &dyn Fn(&str) -> bool) -> bool {
        let mut found = false;
        self.request.view.each_tool(&self.request.body, |tool| {
            found = test(tool);
            !found
        });
        found
    }

    fn geography(&self) -> Option<&str> {
        // What a key says of its place, no header overrules.
        self.principal.geography().or_else(|| self.header(GEOGRAPHY))
    }

    fn task(&self) -> Option<&str> {
        self.header(TASK)
    }

    fn language(&self) -> Language {
        let said = || self.request.view.last_user_text(&self.request.body, ENOUGH_BYTES);
        *self.language.get_or_init(|| Language::of(&said()))
    }
}
