//! `[functions]`: each becomes a route to the targets of its variants. The heaviest serves; the others take over when it fails,
//! as TensorZero tries another variant then. A split by weight is not taken over: in Crossfade a share moves on evidence.

use std::collections::BTreeMap;

use super::super::Files;
use super::super::Importing;
use super::super::draft::{Rollout, slug};
use super::super::ledger::Outcome;
use super::super::render;
use super::super::rules;
use super::super::tree::Node;
use super::super::variables::{Text, is_secret_key, looks_secret};
use super::models::Model;
use super::provider::Context;
use super::{tables, variants};

/// What the variants of a function have in common.
#[derive(Debug, Default)]
pub(super) struct Shared<'n> {
    /// Request fields for callers that do not send them, as they are written.
    pub default: BTreeMap<String, String>,
    /// The schema of the answer: where it is named, and its text.
    pub schema: Option<(&'n Node, String)>,
    /// Whether answers are JSON.
    pub is_json: bool,
}

/// Reads all functions.
pub(super) fn read(
    root: &Node,
    models: &[Model<'_>],
    context: &Context,
    files: Files<'_>,
    importing: &mut Importing<'_>,
) {
    for (name, node) in root.get("functions").map(Node::entries).unwrap_or_default() {
        if looks_secret(name) {
            let outcome = Outcome::Unsupported {
                why: "the name looks like a secret, and names are shown".into(),
                hint: "give it another name".into(),
            };
            importing.ledger.rest(node, &outcome);
            continue;
        }
        rules::settle(node, tables::FUNCTION, &mut importing.ledger);
        let shared = shared(root, node, files, importing);
        let order = order(node, importing);
        let mut chain: Vec<(String, f64)> = Vec::new();
        for (variant, weight) in &order {
            let Some(settings) = node.at(&["variants", variant]) else { continue };
            let targets = variants::read(name, variant, settings, &shared, (models, context, files), importing);
            chain.extend(targets.into_iter().map(|target| (target, *weight)));
        }
        for (_, variant) in node.get("variants").map(Node::entries).unwrap_or_default() {
            importing.ledger.rest(variant, &Outcome::Harmless { why: "no experiment lets it serve".into() });
        }
        settle_schema(&shared, importing);
        add(name, node, &chain, importing);
    }
    for (_, tool) in root.get("tools").map(Node::entries).unwrap_or_default() {
        importing
            .ledger
            .rest(tool, &Outcome::Harmless { why: "no function that is carried over uses the tool".into() });
    }
}

fn settle_schema(shared: &Shared<'_>, importing: &mut Importing<'_>) {
    if let Some((node, _)) = &shared.schema {
        let hint = "check answers against the schema in the application";
        let outcome = Outcome::Unsupported {
            why: "no variant asks the provider to follow the schema (`json_mode = \"strict\"`)".into(),
            hint: hint.into(),
        };
        importing.ledger.rest(node, &outcome);
    }
}

fn shared<'n>(root: &Node, node: &'n Node, files: Files<'_>, importing: &mut Importing<'_>) -> Shared<'n> {
    let mut shared = Shared { is_json: node.get("type").and_then(Node::text) == Some("json"), ..Shared::default() };
    if let Some(kind) = node.get("type") {
        importing.ledger.mapped(kind, "routes");
    }
    if let Some(parallel) = node.get("parallel_tool_calls") {
        shared.default.insert("parallel_tool_calls".into(), json("parallel_tool_calls", parallel, importing));
        importing.ledger.mapped(parallel, "targets.*.parameters.default.parallel_tool_calls");
    }
    if let Some(schema) = node.get("output_schema") {
        match schema.text().and_then(files).filter(|text| serde_json::from_str::<serde_json::Value>(text).is_ok()) {
            Some(text) => shared.schema = Some((schema, text)),
            None => importing.ledger.unsupported(
                schema,
                "the file cannot be read as JSON",
                "write `response_format` into the targets",
            ),
        }
    }
    tools(root, node, files, &mut shared, importing);
    shared
}

/// A function's tools become a default, for callers of Crossfade send their own.
fn tools(root: &Node, node: &Node, files: Files<'_>, shared: &mut Shared<'_>, importing: &mut Importing<'_>) {
    let mut definitions = Vec::new();
    for item in node.get("tools").map(Node::items).unwrap_or_default() {
        let tool = item.text().and_then(|name| Some((name, root.at(&["tools", name])?)));
        let Some((key, tool)) = tool else {
            importing.ledger.unsupported(item, "no tool is called so", "correct it at the source");
            continue;
        };
        let parameters = tool.get("parameters").and_then(Node::text).and_then(files);
        let parameters = parameters.and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok());
        let Some(parameters) = parameters else {
            importing.ledger.unsupported(
                item,
                "the file with the tool's parameters cannot be read as JSON",
                "send the tool in the request",
            );
            continue;
        };
        let name = tool.get("name").and_then(Node::text).unwrap_or(key);
        let description = tool.get("description").and_then(Node::text).unwrap_or_default();
        let strict = tool.get("strict").and_then(Node::boolean).unwrap_or(false);
        let function =
            serde_json::json!({ "name": name, "description": description, "parameters": parameters, "strict": strict });
        definitions.push(serde_json::json!({ "type": "function", "function": function }));
        importing.ledger.mapped_but(
            item,
            "targets.*.parameters.default.tools",
            "a caller that sends tools sends all of them",
        );
        let outcome = Outcome::Mapped { to: "targets.*.parameters.default.tools".into(), note: None };
        importing.ledger.rest(tool, &outcome);
    }
    if definitions.is_empty() {
        if let Some(choice) = node.get("tool_choice") {
            importing.ledger.harmless(choice, "there are no tools to choose from");
        }
        return;
    }
    shared.default.insert("tools".into(), render::json(&definitions.into()));
    if let Some(choice) = node.get("tool_choice") {
        let specific = choice.get("specific").and_then(Node::text);
        let json = match (choice.text(), specific) {
            (_, Some(name)) => render::json(&serde_json::json!({ "type": "function", "function": { "name": name } })),
            (Some(word), None) if ["none", "auto", "required"].contains(&word) => render::json(&word.into()),
            _ => {
                return importing.ledger.unsupported(
                    choice,
                    "no choice that is known",
                    "send `tool_choice` in the request",
                );
            }
        };
        shared.default.insert("tool_choice".into(), json);
        importing.ledger.mapped(choice, "targets.*.parameters.default.tool_choice");
    }
}

const SPLIT: &str = "a constant split between variants; in Crossfade a share moves on evidence";
const SPLIT_HINT: &str = "the end of the config has a rollout from the heaviest variant to the next, to be uncommented";

/// Which variants may serve, the heaviest first, with their weights.
fn order(node: &Node, importing: &mut Importing<'_>) -> Vec<(String, f64)> {
    let variants = node.get("variants").map(Node::entries).unwrap_or_default();
    let mut weights: Vec<(String, f64)> = Vec::new();
    let mut last: Vec<(String, f64)> = Vec::new();
    if let Some(experiment) = node.get("experimentation") {
        for item in experiment.get("candidate_variants").map(Node::items).unwrap_or_default() {
            weights.extend(item.text().map(|name| (name.to_owned(), 1.0)));
            importing.ledger.mapped_but(item, "routes", "which of them serves is not drawn: the first does");
        }
        for (name, weight) in experiment.get("candidate_variants").map(Node::entries).unwrap_or_default() {
            weights.push((name.clone(), weight.number().unwrap_or(0.0)));
            importing.ledger.unsupported(weight, SPLIT, SPLIT_HINT);
        }
        for item in experiment.get("fallback_variants").map(Node::items).unwrap_or_default() {
            last.extend(item.text().map(|name| (name.to_owned(), 0.0)));
            importing.ledger.mapped(item, "routes.*.fallback");
        }
        rules::settle(experiment, tables::EXPERIMENT, &mut importing.ledger);
        let hint = "write a rollout: it moves traffic on evidence, and says which";
        let outcome = Outcome::Unsupported { why: "an experiment of TensorZero's".into(), hint: hint.into() };
        importing.ledger.rest(experiment, &outcome);
    }
    let is_named = !weights.is_empty() || !last.is_empty();
    for (name, variant) in variants {
        let weight = variant.get("weight");
        if let Some(weight) = weight {
            importing.ledger.unsupported(weight, SPLIT, SPLIT_HINT);
        }
        if !is_named {
            weights.push((name.clone(), weight.map_or(1.0, |weight| weight.number().unwrap_or(0.0))));
        }
    }
    weights.sort_by(|a, b| b.1.total_cmp(&a.1));
    weights.extend(last);
    weights
}

fn add(name: &str, node: &Node, chain: &[(String, f64)], importing: &mut Importing<'_>) {
    let route = format!("tensorzero::function_name::{name}");
    let targets: Vec<String> = chain.iter().map(|(target, _)| target.clone()).collect();
    let Some((first, rest)) = targets.split_first() else { return };
    let Some(added) = importing.draft.route(&route, first.clone(), rest.to_vec()) else { return };
    added.comment(format!("line {}", node.place.line));
    let fallback = added.value.fallback.clone();
    let shares: f64 = chain.iter().map(|(_, weight)| weight).sum();
    let next = chain.iter().find(|(target, weight)| *weight > 0.0 && fallback.contains(target));
    if let (Some((candidate, weight)), true) = (next, shares > 0.0) {
        added.comment(format!(
            "TensorZero draws a variant for each request. Here `{first}` serves and the others take over when it fails; see the end of the file."
        ));
        let percent = weight / shares * 100.0;
        importing.draft.rollouts.push(Rollout {
            name: slug(name),
            why: format!("`{candidate}` had {percent:.0} % of the route"),
            route,
            baseline: first.clone(),
            candidate: candidate.clone(),
        });
    }
}

/// Fields that `extra_body` sets and removes, those at the top of the request.
pub(super) fn extra_body(owner: &Node, importing: &mut Importing<'_>) -> (Vec<(String, String)>, Vec<String>) {
    let (mut set, mut remove) = (Vec::new(), Vec::new());
    for item in owner.get("extra_body").map(Node::items).unwrap_or_default() {
        let field = item.get("pointer").and_then(Node::text).and_then(|pointer| pointer.strip_prefix('/'));
        let field = field.filter(|field| !field.is_empty() && !field.contains(['/', '~']) && !looks_secret(field));
        let own = ["model", "messages", "stream"];
        match (
            field.filter(|field| !own.contains(field)),
            item.get("value"),
            item.get("delete").and_then(Node::boolean),
        ) {
            (Some(field), Some(value), _) => {
                set.push((field.to_owned(), json(field, value, importing)));
                importing.ledger.mapped(item, format!("targets.*.parameters.set.{field}"));
            }
            (Some(field), None, Some(true)) => {
                remove.push(field.to_owned());
                importing.ledger.mapped(item, format!("targets.*.parameters.remove: {field}"));
            }
            _ => importing.ledger.rest(
                item,
                &Outcome::Unsupported {
                    why: "only fields at the top of a request are set or removed, and none that is Crossfade's own"
                        .into(),
                    hint: "set the whole field, or let the caller send it".into(),
                },
            ),
        }
    }
    (set, remove)
}

/// A value as the config writes it; a secret in it becomes a variable.
pub(super) fn json(key: &str, node: &Node, importing: &mut Importing<'_>) -> String {
    let mut text = |node: &Node, text: &str, key: &str| {
        if is_secret_key(key) || looks_secret(text) {
            importing.variables.secret(text, &super::super::variables::to_name(key), node.place.line)
        } else {
            Text::literal(text)
        }
    };
    render::flow(node, key, &mut text)
}

/// Whether a template says the same whatever it is given.
pub(super) fn is_plain(template: &str) -> bool {
    !["{{", "{%", "{#"].iter().any(|mark| template.contains(mark))
}
