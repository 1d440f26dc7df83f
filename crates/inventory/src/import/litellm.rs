//! LiteLLM's `config.yaml`, as version 1.110 reads it.

mod deployments;
mod provider;
mod routes;
mod settings;
pub(super) mod tables;

use super::Importing;
use super::ledger::Outcome;
use super::rules;
use super::tree::{Node, Value};

/// Reads the whole file.
pub(super) fn read(root: &Node, importing: &mut Importing<'_>) {
    root.each_leaf(&mut |_, node| {
        if let Some(name) = node.text().and_then(variable) {
            importing.variables.reserve(name);
        }
    });
    rules::settle(root, tables::TOP, &mut importing.ledger);
    let settings = settings::read(root, importing);
    let deployments = deployments::read(root, &settings, importing);
    routes::read(&deployments, &settings, importing);
    keepers(root, importing);
    environment(root, importing);
    wrong_forms(root, importing);
}

/// The variable that a text of LiteLLM's names.
fn variable(text: &str) -> Option<&str> {
    text.trim().strip_prefix("os.environ/").map(str::trim).filter(|name| super::variables::is_name(name))
}

/// `files_settings` and `finetune_settings`: of the credentials there, those of the vendor that keeps things for most.
fn keepers(root: &Node, importing: &mut Importing<'_>) {
    let what: [(&str, &[&str]); 2] =
        [("files_settings", &["files", "batches"]), ("finetune_settings", &["fine_tuning"])];
    for (section, kept) in what {
        for item in root.get(section).map(Node::items).unwrap_or_default() {
            keeper(item, kept, importing);
        }
    }
}

fn keeper(item: &Node, kept: &[&'static str], importing: &mut Importing<'_>) {
    let is_openai = item.get("custom_llm_provider").and_then(Node::text) == Some("openai");
    let is_free = kept.iter().all(|kept| !importing.draft.passthrough.contains_key(kept));
    let vendor = super::vendors::by_litellm_prefix("openai").filter(|_| is_openai && is_free);
    let provider =
        vendor.and_then(|vendor| provider::read(item, vendor, &settings::Settings::default(), importing).ok());
    if let Some(provider) = provider {
        for kept in kept {
            importing.draft.passthrough.insert(kept, provider.clone());
        }
    } else {
        let why =
            "what names no model goes to one provider, `passthrough` says to which; LiteLLM is told by each request";
        let hint = "call this vendor for it directly, or name it in `passthrough` in the other's place";
        importing.ledger.rest(item, &Outcome::Unsupported { why: why.into(), hint: hint.into() });
    }
}

/// `environment_variables`: what LiteLLM puts into its own environment at start.
fn environment(root: &Node, importing: &mut Importing<'_>) {
    let Some(section) = root.get("environment_variables") else { return };
    for (name, node) in section.entries() {
        if importing.variables.is_used(name) {
            let note = format!("set {name} in the environment of Crossfade: it takes no variables from its config");
            importing.ledger.mapped_but(node, format!("${{{name}}}"), note);
        } else {
            importing
                .ledger
                .harmless(node, "a variable of LiteLLM's own process, which nothing in the new config reads");
        }
    }
}

/// What stands under a key that is read, and is not of the form that is read there.
fn wrong_forms(root: &Node, importing: &mut Importing<'_>) {
    let mut sections = vec![(root, tables::TOP)];
    for (name, rules) in [
        ("litellm_settings", tables::LITELLM),
        ("router_settings", tables::ROUTER),
        ("general_settings", tables::GENERAL),
    ] {
        sections.extend(root.get(name).map(|section| (section, rules)));
    }
    for item in root.get("model_list").map(Node::items).unwrap_or_default() {
        sections.push((item, tables::MODEL));
        sections.extend(item.get("litellm_params").map(|params| (params, tables::PARAMS)));
    }
    for (section, rules) in sections {
        for (key, node) in section.entries() {
            let has_own_table =
                !node.entries().is_empty() && (rules.as_ptr() == tables::TOP.as_ptr() || key == "model_info");
            let is_list = key == "model_list" && !node.items().is_empty();
            if matches!(rules::find(rules, key), Some(rules::Verdict::Mapped(_))) && !has_own_table && !is_list {
                importing.ledger.rest(node, &wrong_form(node));
            }
        }
    }
    for item in
        root.get("model_list").map(Node::items).unwrap_or_default().iter().filter(|item| item.entries().is_empty())
    {
        importing.ledger.rest(item, &wrong_form(item));
    }
}

fn wrong_form(node: &Node) -> Outcome {
    let is_empty = match &node.value {
        Value::Nothing => true,
        Value::List(items) => items.is_empty(),
        Value::Map(entries) => entries.is_empty(),
        _ => false,
    };
    if is_empty {
        Outcome::Harmless { why: "there is nothing in it".into() }
    } else {
        Outcome::Unsupported {
            why: "not of the form that LiteLLM reads here".into(),
            hint: "correct it at the source".into(),
        }
    }
}
