//! A config of Portkey's: what an application sends along in `x-portkey-config`, or names by its id.
//!
//! Such a config is about requests for any model, so its route is called `*` unless the names that applications send are given.

mod leaf;
pub(super) mod tables;

use super::Importing;
use super::ledger::Outcome;
use super::rules;
use super::tree::{Node, Value};

/// What a target has from those it is in.
#[derive(Debug, Clone, Default)]
struct Inherited<'n> {
    override_params: Vec<&'n Node>,
    custom_host: Option<&'n Node>,
    request_timeout: Option<&'n Node>,
    retry: Option<&'n Node>,
    forward_headers: Option<&'n Node>,
}

impl<'n> Inherited<'n> {
    /// With what `node` says itself, which goes before.
    fn with(&self, node: &'n Node) -> Inherited<'n> {
        let mut with = self.clone();
        with.override_params.extend(node.get("override_params"));
        with.custom_host = node.get("custom_host").or(self.custom_host);
        with.request_timeout = node.get("request_timeout").or(self.request_timeout);
        with.retry = node.get("retry").or(self.retry);
        with.forward_headers = node.get("forward_headers").or(self.forward_headers);
        with
    }
}

/// Reads the whole file; `routes` are the names that applications send.
pub(super) fn read(root: &Node, routes: &[String], importing: &mut Importing<'_>) {
    let any = ["*".to_owned()];
    let routes = if routes.is_empty() { &any[..] } else { routes };
    let first = routes.first().map(String::as_str).unwrap_or_default();
    let mut reader = Reader { route: first, importing };
    let chain = reader.group(root, &Inherited::default());
    if let Some(weight) = root.get("weight") {
        reader.importing.ledger.harmless(weight, "it is not among others");
    }
    if let Some((target, fallback)) = chain.split_first() {
        for route in routes {
            let chain = if route == first { None } else { Some(renamed(&chain, first, route, importing)) };
            let (target, fallback) = chain.as_deref().and_then(<[String]>::split_first).unwrap_or((target, fallback));
            importing.draft.route(route, target.clone(), fallback.to_vec());
        }
    }
    let outcome = Outcome::Harmless { why: "there is nothing in it".to_owned() };
    root.each_leaf(&mut |_, node| {
        let is_empty = matches!(&node.value, Value::Nothing)
            || matches!(&node.value, Value::List(items) if items.is_empty())
            || matches!(&node.value, Value::Map(entries) if entries.is_empty());
        if is_empty {
            importing.ledger.rest(node, &outcome);
        }
    });
}

/// The same targets for another name, where the model is the name that was sent.
fn renamed(chain: &[String], from: &str, to: &str, importing: &mut Importing<'_>) -> Vec<String> {
    let rename = |name: &String| {
        let target =
            importing.draft.targets.iter().find(|target| target.name == *name).map(|target| target.value.clone());
        match target {
            Some(mut target) if target.model.as_str() == from => {
                target.model = super::variables::Text::literal(to);
                importing.draft.target(&super::draft::slug(to), target)
            }
            _ => name.clone(),
        }
    };
    chain.iter().map(rename).collect()
}

struct Reader<'a, 't> {
    /// The name that is sent where nothing overrides it.
    route: &'a str,
    importing: &'a mut Importing<'t>,
}

impl<'n> Reader<'_, '_> {
    /// The targets of a config or of a target in it, in the order they are tried.
    fn group(&mut self, node: &'n Node, inherited: &Inherited<'n>) -> Vec<String> {
        if node.entries().is_empty() {
            let outcome = Outcome::Unsupported {
                why: "not of the form that Portkey reads here".into(),
                hint: "correct it at the source".into(),
            };
            self.importing.ledger.rest(node, &outcome);
            return Vec::new();
        }
        rules::settle(node, tables::CONFIG, &mut self.importing.ledger);
        let inherited = inherited.with(node);
        let targets = node.get("targets").map(Node::items).unwrap_or_default();
        if targets.is_empty() {
            let target = leaf::read(node, &inherited, self.route, self.importing);
            self.name(node);
            self.retry(node);
            rules::leftovers(node, tables::CONFIG, &["weight"], &mut self.importing.ledger);
            return target.into_iter().collect();
        }
        let mode = node.at(&["strategy", "mode"]);
        let chains: Vec<Vec<String>> = targets.iter().map(|target| self.group(target, &inherited)).collect();
        let chain = match mode.and_then(Node::text) {
            Some("fallback") => chains.concat(),
            Some("loadbalance") => self.balanced(targets, chains),
            Some("conditional") => self.conditional(node, targets, chains),
            _ => chains.into_iter().next().unwrap_or_default(),
        };
        self.strategy(node, mode);
        self.shared(node);
        self.name(node);
        self.retry(node);
        rules::leftovers(node, tables::CONFIG, &["targets", "weight"], &mut self.importing.ledger);
        chain
    }

    /// The heaviest first; the others take over from it.
    fn balanced(&mut self, targets: &'n [Node], chains: Vec<Vec<String>>) -> Vec<String> {
        let weight = |target: &Node| target.get("weight").and_then(Node::number).unwrap_or(1.0);
        let mut weighted: Vec<(f64, Vec<String>)> = targets.iter().map(weight).zip(chains).collect();
        weighted.sort_by(|a, b| b.0.total_cmp(&a.0));
        weighted.into_iter().flat_map(|(_, chain)| chain).collect()
    }

    /// The target that serves when no condition holds.
    fn conditional(&mut self, node: &'n Node, targets: &'n [Node], chains: Vec<Vec<String>>) -> Vec<String> {
        let default = node.at(&["strategy", "default"]).and_then(Node::text);
        let named = |target: &Node| target.get("name").and_then(Node::text).is_some_and(|name| Some(name) == default);
        let idx = targets.iter().position(named);
        idx.and_then(|idx| chains.into_iter().nth(idx)).unwrap_or_default()
    }

    fn name(&mut self, node: &'n Node) {
        if let Some(name) = node.get("name") {
            self.importing.ledger.rest(
                name,
                &Outcome::Harmless { why: "conditions name it; targets have names of their own".to_owned() },
            );
        }
    }

    fn strategy(&mut self, node: &'n Node, mode: Option<&'n Node>) {
        let ledger = &mut self.importing.ledger;
        let word = mode.and_then(Node::text);
        if let Some(mode) = mode {
            match word {
                Some("single" | "fallback") => ledger.mapped(mode, "routes.*"),
                Some("loadbalance") => ledger.mapped_but(
                    mode,
                    "routes.*",
                    "the heaviest target serves, the others take over when it fails",
                ),
                Some("conditional") => ledger.mapped_but(mode, "routes.*", "the default target serves"),
                _ => ledger.unsupported(mode, "no mode that Portkey knows", "correct it at the source"),
            }
        }
        for target in node.get("targets").map(Node::items).unwrap_or_default() {
            let Some(weight) = target.get("weight") else { continue };
            if word == Some("loadbalance") {
                let hint = "put what spreads requests in front, or write a rollout: it moves a share on evidence";
                ledger.unsupported(
                    weight,
                    "requests are not spread by weight; only the order of the targets follows from it",
                    hint,
                );
            } else {
                ledger.harmless(weight, "only `loadbalance` looks at weights");
            }
        }
        let Some(strategy) = node.get("strategy") else { return };
        if let Some(default) =
            strategy.get("default").filter(|default| default.text().is_some() && word == Some("conditional"))
        {
            ledger.mapped(default, "routes.*.target");
        }
        if let Some(codes) = strategy.get("on_status_codes") {
            let why = "which failures go elsewhere is Crossfade's own: no connection, a time limit, 429, 5xx";
            ledger.unsupported(codes, why, "check that these are the ones that are meant");
        }
        let conditions = Outcome::Unsupported {
            why: "a route looks at nothing but the model's name".to_owned(),
            hint: "give each condition a route of its own, and have the application name it".to_owned(),
        };
        ledger.rest(strategy, &conditions);
    }

    /// What of `retry` depends on how a call failed.
    fn retry(&mut self, node: &'n Node) {
        let Some(retry) = node.get("retry") else { return };
        let ledger = &mut self.importing.ledger;
        if let Some(attempts) = retry.get("attempts") {
            match attempts.attempts() {
                Some(_) => ledger.mapped_but(
                    attempts,
                    "targets.*.retries.max_attempts",
                    "retries share the provider's `retry_budget`",
                ),
                None => ledger.unsupported(attempts, "not a number of retries", "write `retries.max_attempts`"),
            }
        }
        if let Some(codes) = retry.get("on_status_codes") {
            let hint = "check that these are the ones that are meant";
            ledger.unsupported(
                codes,
                "what is tried again is Crossfade's own choice: no connection, a 5xx, an error in place of an answer",
                hint,
            );
        }
        if let Some(header) = retry.get("use_retry_after_header") {
            ledger.harmless(header, "what a provider says in `retry-after` always counts");
        }
    }

    /// What a group says for all of its targets was taken into account with each of them.
    fn shared(&mut self, node: &'n Node) {
        let all = [
            ("override_params", "targets.*.parameters"),
            ("custom_host", "providers.*.base_url"),
            ("request_timeout", "providers.*.timeouts"),
            ("forward_headers", "providers.*.forward_headers"),
        ];
        for (key, to) in all {
            if let Some(node) = node.get(key) {
                let note = Some("of every target in it that says nothing else".to_owned());
                self.importing.ledger.rest(node, &Outcome::Mapped { to: to.to_owned(), note });
            }
        }
        let outcome = Outcome::Harmless { why: "its targets say who answers".to_owned() };
        for (key, node) in node.entries().iter().filter(|(key, _)| key != "strategy" && key != "targets") {
            if matches!(rules::find(tables::CONFIG, key), Some(rules::Verdict::Mapped(_)))
                && !["weight", "name", "retry"].contains(&key.as_str())
            {
                self.importing.ledger.rest(node, &outcome);
            }
        }
    }
}
