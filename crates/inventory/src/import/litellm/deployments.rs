//! `model_list`: each entry becomes a target and, if there is none like it yet, its provider.

use super::super::Importing;
use super::super::draft::{Target, slug};
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
    /// The target that stands for it.
    pub target: String,
    /// `order`: smaller first.
    pub order: f64,
    /// What LiteLLM may spread requests by, `weight`, `rpm` and `tpm`: larger is more of them.
    pub weights: [Option<f64>; 3],
    /// The nodes that say so.
    pub spreads: Vec<&'n Node>,
    /// How to call another model in the same way, for a pattern's `*`.
    pub wildcard: bool,
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

type Refused<'n> = (Option<&'n Node>, String, String);

/// Marks an entry that cannot be carried over: the reason where it is, and everything else but the name as part of it.
fn refuse<'n>(
    item: &'n Node,
    (at, why, hint): Refused<'n>,
    importing: &mut Importing<'_>,
) -> Option<(&'n str, &'n Node, usize)> {
    let name = item.get("model_name").filter(|name| name.text().is_some_and(|name| !looks_secret(name)));
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
        let group = name.text().ok_or_else(|| missing("model_name"))?;
        let params = item.get("litellm_params").ok_or_else(|| missing("litellm_params"))?;
        let model_node = params.get("model").ok_or_else(|| missing("litellm_params.model"))?;
        let written = model_node.text().ok_or_else(|| missing("litellm_params.model"))?;
        let refused = |why: String, hint: &str| (Some(model_node), why, hint.to_owned());
        if looks_secret(group) || looks_secret(written) {
            return Err(refused(
                "the name looks like a secret, and names are shown".to_owned(),
                "give it another name",
            ));
        }
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
        let mut target = Target::new(provider, Text::literal(self.model.clone()));
        let mut requested = Vec::new();
        self.parameters(&mut target, &mut requested, importing);
        let n_targets = importing.draft.targets.len();
        let name = importing.draft.target(&slug(self.group), target);
        let is_new = importing.draft.targets.len() > n_targets;
        let line = self.item.place.line;
        match (is_new, self.model_note()) {
            (false, _) => {
                let note = "the target is shared with a deployment that is just like it";
                importing.ledger.mapped_but(self.model_node, format!("targets.{name}.model"), note);
            }
            (true, Some(note)) => importing.ledger.mapped_but(self.model_node, format!("targets.{name}.model"), note),
            (true, None) => importing.ledger.mapped(self.model_node, format!("targets.{name}.model")),
        }
        if let Some(target) = importing.draft.target_mut(&name) {
            target.comment(format!("line {line}: {}", self.written()));
        }
        for (key, node) in requested {
            importing.ledger.mapped(node, format!("targets.{name}.parameters.default.{key}"));
        }
        let spreads = self.spreads(uses_tags, importing);
        self.info(importing);
        Ok(Deployment {
            group: self.group,
            name: self.name,
            order: self.params.get("order").and_then(Node::number).unwrap_or(f64::MAX),
            weights: weights(self.params, self.item),
            spreads,
            wildcard: self.model.contains('*'),
            target: name,
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
    fn parameters(&self, target: &mut Target, requested: &mut Vec<(String, &'n Node)>, importing: &mut Importing<'_>) {
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
            requested.push((key.clone(), node));
        }
        if let Some(node) = self.params.get("stream") {
            importing.ledger.harmless(node, "the caller says whether it wants a stream");
        }
        if let Some(node) = self.params.get("drop_params") {
            super::settings::drop_params(node, importing);
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
