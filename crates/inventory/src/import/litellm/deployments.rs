//! `model_list`: each entry becomes a target and, if there is none like it yet, its provider.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::Importing;
use super::super::decimal::millions;
use super::super::draft::{Concurrency, Price, Target};
use super::super::ledger::Outcome;
use super::super::render;
use super::super::rules;
use super::super::tree::{Node, Value};
use super::super::variables::{Text, is_secret_key, looks_secret, to_name};
use super::super::vendors::{Reach, Vendor, by_litellm_prefix, by_model_name};
use super::provider;
use super::settings::Settings;
use super::tables;
use super::variable;

/// One entry that could be carried over.
#[derive(Debug)]
pub(super) struct Deployment<'n> {
    /// The name it is called by, alone or with others.
    pub group: &'n str,
    /// The node of that name.
    pub name: &'n Node,
    /// The target that it is by itself.
    pub draft: Target,
    /// The target in the draft that stands for it; empty until it is placed.
    pub target: String,
    /// How many replicas that target has because of this group.
    pub n_replicas: usize,
    /// `order`: smaller first.
    pub order: f64,
    /// What LiteLLM may spread requests by, `weight`, `rpm` and `tpm`: larger is more of them.
    pub weights: [Option<f64>; 3],
    /// The nodes that say so.
    pub spreads: Vec<&'n Node>,
    /// Whether its model takes what a pattern's `*` stands for.
    pub wildcard: bool,
    /// What is decided when its target has a name: nodes, and where below the target they are.
    waiting: Vec<(&'n Node, String, Option<String>)>,
    /// What stands above its target.
    comment: String,
}

impl Deployment<'_> {
    /// Decides what waited for the target's name.
    pub(super) fn settle(&mut self, importing: &mut Importing<'_>) {
        let name = &self.target;
        for (node, below, note) in self.waiting.drain(..) {
            let to = format!("targets.{name}.{below}");
            match note {
                Some(note) => importing.ledger.mapped_but(node, to, note),
                None => importing.ledger.mapped(node, to),
            }
        }
        if let Some(target) = importing.draft.target_mut(name) {
            target.comment(self.comment.clone());
        }
    }
}

/// The whole list.
#[derive(Debug, Default)]
pub(super) struct Deployments<'n> {
    /// What could be carried over.
    pub kept: Vec<Deployment<'n>>,
    /// The names of what could not, about which nothing is decided yet, each with the line that says why.
    pub lost: Vec<(&'n str, &'n Node, usize)>,
}

/// Reads the list.
pub(super) fn read<'n>(root: &'n Node, settings: &Settings<'n>, importing: &mut Importing<'_>) -> Deployments<'n> {
    let items = root.get("model_list").map(Node::items).unwrap_or_default();
    let uses_tags = root.at(&["router_settings", "enable_tag_filtering"]).and_then(Node::boolean) == Some(true);
    let mut deployments = Deployments::default();
    for item in items {
        match Entry::read(item).and_then(|entry| entry.carry_over(settings, uses_tags, importing)) {
            Ok(deployment) => deployments.kept.push(deployment),
            Err(refused) => deployments.lost.extend(refuse(item, refused, importing)),
        }
    }
    deployments
}

/// What is decided when a target has a name.
type Waiting<'n> = Vec<(&'n Node, String, Option<String>)>;

/// How many calls wait for one of a bounded number to end.
const QUEUE: u64 = 1024;

type Refused<'n> = (Option<&'n Node>, String, String);

/// Marks an entry that cannot be carried over: the reason where it is, and everything else but the name as part of it.
fn refuse<'n>(
    item: &'n Node,
    (at, why, hint): Refused<'n>,
    importing: &mut Importing<'_>,
) -> Option<(&'n str, &'n Node, usize)> {
    let name = item.get("model_name").filter(|name| name.text().is_some());
    let line = at.unwrap_or(item).place.line;
    let reason = Outcome::Unsupported { why, hint };
    let part = Outcome::Unsupported {
        why: "part of a deployment that is not carried over".to_owned(),
        hint: format!("see line {line}"),
    };
    if let Some(at) = at {
        importing.ledger.rest(at, &reason);
    }
    let rest = if at.is_some() { &part } else { &reason };
    for (_, node) in item.entries().iter().filter(|(key, _)| key != "model_name" || name.is_none()) {
        importing.ledger.rest(node, rest);
    }
    name.and_then(|name| Some((name.text()?, name, line)))
}

/// An entry whose provider is known.
struct Entry<'n> {
    item: &'n Node,
    name: &'n Node,
    group: &'n str,
    params: &'n Node,
    model_node: &'n Node,
    vendor: &'static Vendor,
    model: String,
}

impl<'n> Entry<'n> {
    fn read(item: &'n Node) -> Result<Entry<'n>, Refused<'n>> {
        let missing = |what: &str| {
            (None, format!("there is no `{what}`, so LiteLLM has nothing to call"), "complete it or drop it".to_owned())
        };
        let name = item.get("model_name").ok_or_else(|| missing("model_name"))?;
        let params = item.get("litellm_params").ok_or_else(|| missing("litellm_params"))?;
        let model_node = params.get("model").ok_or_else(|| missing("litellm_params.model"))?;
        let refused = |why: String, hint: &str| (Some(model_node), why, hint.to_owned());
        if name.is_withheld() || model_node.is_withheld() {
            return Err(refused(
                "the name looks like a secret, and names are shown".to_owned(),
                "give it another name",
            ));
        }
        let group = name.text().ok_or_else(|| missing("model_name"))?;
        let written = model_node.text().ok_or_else(|| missing("litellm_params.model"))?;
        if written.starts_with("os.environ/") {
            let hint = "write the model and its provider into the source first";
            return Err(refused("the provider cannot be told from a variable".to_owned(), hint));
        }
        let (vendor, model) = vendor(params, written).ok_or_else(|| {
            let hint = "if it is OpenAI-compatible, write its provider, target and route by hand";
            refused(format!("`{written}` names no provider that the importer knows"), hint)
        })?;
        if let Reach::No { why, hint } = vendor.reach {
            return Err(refused(format!("{}: {why}", vendor.name), hint));
        }
        let stars = |text: &str| text.matches('*').count();
        if stars(&model) > 1 || stars(group) > 1 || stars(&model) > stars(group) {
            let hint = "write a route for each name, or one pattern with one `*`";
            return Err(refused(
                "a route's name and a target's model have at most one `*`, both or only the route".into(),
                hint,
            ));
        }
        Ok(Entry { item, name, group, params, model_node, vendor, model })
    }

    fn carry_over(
        self,
        settings: &Settings<'n>,
        uses_tags: bool,
        importing: &mut Importing<'_>,
    ) -> Result<Deployment<'n>, Refused<'n>> {
        let provider = provider::read(self.params, self.vendor, settings, importing)?;
        rules::settle(self.item, tables::MODEL, &mut importing.ledger);
        rules::settle(self.params, tables::PARAMS, &mut importing.ledger);
        let mut draft = Target::new(provider, Text::literal(self.model.clone()));
        let mut waiting = vec![(self.model_node, "model".to_owned(), self.model_note())];
        self.parameters(&mut draft, &mut waiting, importing);
        self.calls(&mut draft, settings, &mut waiting, importing);
        self.price(&mut draft, &mut waiting, importing);
        let spreads = self.spreads(uses_tags, importing);
        self.info(importing);
        Ok(Deployment {
            group: self.group,
            name: self.name,
            draft,
            target: String::new(),
            n_replicas: 0,
            order: self.params.get("order").and_then(Node::number).unwrap_or(f64::MAX),
            weights: weights(self.params, self.item),
            spreads,
            wildcard: self.model.contains('*'),
            waiting,
            comment: format!("line {}: {}", self.item.place.line, self.written()),
        })
    }

    fn written(&self) -> &'n str {
        self.model_node.text().unwrap_or_default()
    }

    fn model_note(&self) -> Option<String> {
        let prefix = self.written().split('/').next().unwrap_or_default();
        match self.vendor.name {
            "ollama" => Some("Ollama's OpenAI-compatible endpoint is called, not its own API".to_owned()),
            "gemini" | "cohere" => Some("the vendor's OpenAI-compatible endpoint is called".to_owned()),
            "azure" => Some("the name of the deployment".to_owned()),
            _ if prefix == "text-completion-openai" => Some(
                "LiteLLM turns chat requests into text completions for it; Crossfade passes them on as they are"
                    .to_owned(),
            ),
            _ => None,
        }
    }

    /// Request parameters become defaults of the target, for LiteLLM lets a caller overrule them.
    fn parameters(&self, target: &mut Target, waiting: &mut Waiting<'n>, importing: &mut Importing<'_>) {
        let extra = self.params.get("extra_body");
        if let Some(node) = extra.filter(|node| node.entries().is_empty()) {
            importing.ledger.harmless(node, "there are no fields in it");
        }
        let extra = extra.map(Node::entries).unwrap_or_default();
        let named = self.params.entries().iter().filter(|(key, _)| tables::REQUEST_PARAMETERS.contains(&key.as_str()));
        for (key, node) in named.chain(extra) {
            if node.value == Value::Nothing {
                importing.ledger.harmless(node, "nothing is set");
                continue;
            }
            if ["model", "messages", "stream"].contains(&key.as_str()) {
                importing.ledger.unsupported(
                    node,
                    format!("`{key}` is the caller's or Crossfade's own to set"),
                    "drop it",
                );
                continue;
            }
            target.default.insert(key.clone(), json(key, node, self.group, importing));
            waiting.push((node, format!("parameters.default.{key}"), None));
        }
        if let Some(node) = self.params.get("stream") {
            importing.ledger.harmless(node, "the caller says whether it wants a stream");
        }
        if let Some(node) = self.params.get("drop_params") {
            super::settings::drop_params(node, importing);
        }
    }

    /// How often it is called for one request, and how many calls there are at once.
    fn calls(
        &self,
        target: &mut Target,
        settings: &Settings<'_>,
        waiting: &mut Waiting<'n>,
        importing: &mut Importing<'_>,
    ) {
        let retries = ["max_retries", "num_retries"].iter().find_map(|key| self.params.get(key));
        for node in ["max_retries", "num_retries"].iter().filter_map(|key| self.params.get(key)) {
            match node.attempts().filter(|_| retries.is_some_and(|first| std::ptr::eq(first, node))) {
                Some(n) => {
                    target.max_attempts = Some(n);
                    waiting.push((node, "retries.max_attempts".to_owned(), Some(super::settings::BUDGET.to_owned())));
                }
                None => importing.ledger.unsupported(
                    node,
                    "not a number of retries, or one of two",
                    "write `retries.max_attempts`",
                ),
            }
        }
        let Some(node) = self.params.get("max_parallel_requests") else { return };
        let Some(n) = node.count() else {
            return importing.ledger.unsupported(
                node,
                "not a number of calls",
                "write `max_concurrency` into the target",
            );
        };
        let patience = settings.timeout.unwrap_or(Duration::from_secs(60));
        target.concurrency = Some(Concurrency { max: n, queue: QUEUE, timeout: patience });
        waiting.push((
            node,
            "max_concurrency".to_owned(),
            Some(format!("at most {QUEUE} calls wait; LiteLLM lets any number")),
        ));
    }

    /// Prices per token, in the deployment or in its info, become a row of the target's own.
    fn price(&self, target: &mut Target, waiting: &mut Waiting<'n>, importing: &mut Importing<'_>) {
        let mut rates = BTreeMap::new();
        for owner in [Some(self.params), self.item.get("model_info")].into_iter().flatten() {
            for (key, meter) in tables::RATES {
                let Some(node) = owner.get(key) else { continue };
                match node.word().and_then(millions).filter(|_| !rates.contains_key(*meter)) {
                    Some(price) => {
                        rates.insert(*meter, price);
                        waiting.push((node, format!("price.rates.{meter}"), None));
                    }
                    None => importing.ledger.unsupported(
                        node,
                        "not a price, or the second of two",
                        "write it into the target's `price`",
                    ),
                }
            }
        }
        if !rates.is_empty() {
            target.price = Some(Price { rates, source: importing.file.clone(), checked: importing.today.clone() });
        }
    }

    /// What says how requests are spread is decided with the routes; tags are decided here.
    fn spreads(&self, uses_tags: bool, importing: &mut Importing<'_>) -> Vec<&'n Node> {
        if let Some(tags) = self.params.get("tags") {
            if uses_tags {
                importing.ledger.unsupported(
                    tags,
                    "routes do not look at the tags of a request",
                    "give each tag a route of its own",
                );
            } else {
                importing
                    .ledger
                    .harmless(tags, "tags choose nothing unless `router_settings.enable_tag_filtering` is on");
            }
        }
        let in_params = ["order", "weight", "rpm", "tpm"].iter().filter_map(|key| self.params.get(key));
        let beside = ["rpm", "tpm"].iter().filter_map(|key| self.item.get(key));
        in_params.chain(beside).collect()
    }

    fn info(&self, importing: &mut Importing<'_>) {
        if let Some(info) = self.item.get("model_info") {
            rules::settle(info, tables::INFO, &mut importing.ledger);
            if info.entries().is_empty() {
                importing.ledger.rest(info, &Outcome::Harmless { why: "there is nothing in it".to_owned() });
            }
        }
    }
}

/// The provider of a model and what it calls the model.
fn vendor(params: &Node, written: &str) -> Option<(&'static Vendor, String)> {
    if let Some(custom) = params.get("custom_llm_provider").and_then(Node::text) {
        let vendor = by_litellm_prefix(custom)?;
        let model = written.strip_prefix(custom).and_then(|rest| rest.strip_prefix('/')).unwrap_or(written);
        return Some((vendor, named(vendor, model)));
    }
    match written.split_once('/') {
        Some((prefix, model)) if !model.is_empty() => {
            by_litellm_prefix(prefix).map(|vendor| (vendor, named(vendor, model)))
        }
        _ => by_model_name(written).map(|vendor| (vendor, written.to_owned())),
    }
}

/// The model as the provider itself calls it.
fn named(vendor: &Vendor, model: &str) -> String {
    match vendor.name {
        // LiteLLM completes short names of Fireworks' models; a deployment's has a `#` in it.
        "fireworks" if !model.starts_with("accounts/") && !model.contains(['#', '*']) => {
            format!("accounts/fireworks/models/{model}")
        }
        _ => model.to_owned(),
    }
}

fn weights(params: &Node, item: &Node) -> [Option<f64>; 3] {
    ["weight", "rpm", "tpm"].map(|key| params.get(key).or_else(|| item.get(key)).and_then(Node::number))
}

/// A parameter's value as the config writes it; a secret in it becomes a variable.
fn json(key: &str, node: &Node, group: &str, importing: &mut Importing<'_>) -> String {
    let mut text = |node: &Node, text: &str, key: &str| {
        if let Some(name) = variable(text) {
            importing.variables.named(name, super::super::VariableKind::Text)
        } else if is_secret_key(key) || looks_secret(text) {
            importing.variables.secret(text, &to_name(&format!("{group} {key}")), node.place.line)
        } else {
            Text::literal(text)
        }
    };
    render::flow(node, key, &mut text)
}
