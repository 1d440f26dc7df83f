//! LiteLLM's `config.yaml`, as version 1.110 reads it.

mod deployments;
mod groups;
mod provider;
mod routes;
mod settings;
pub(super) mod tables;

use super::Importing;
use super::ledger::Outcome;
use super::rules;
use super::tree::Node;

/// Reads the whole file.
pub(super) fn read(root: &Node, importing: &mut Importing<'_>) {
    root.each_leaf(&mut |_, node| {
        if let Some(name) = node.text().and_then(variable) {
            importing.variables.reserve(name);
        }
    });
    rules::settle(root, tables::TOP, &mut importing.ledger);
    let settings = settings::read(root, importing);
    let mut deployments = deployments::read(root, &settings, importing);
    groups::place(&mut deployments.kept, importing);
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

/// What stands under keys that are read, and is not of the form that is read there.
fn wrong_forms(root: &Node, importing: &mut Importing<'_>) {
    let ledger = &mut importing.ledger;
    for item in root.get("model_list").map(Node::items).unwrap_or_default() {
        let info = item.get("model_info").filter(|info| !info.entries().is_empty()).map(|_| "model_info");
        rules::leftovers(item, tables::MODEL, &["litellm_params", info.unwrap_or("litellm_params")], ledger);
        if let Some(params) = item.get("litellm_params") {
            rules::leftovers(params, tables::PARAMS, &[], ledger);
        }
        if item.entries().is_empty() {
            ledger.rest(item, &rules::wrong_form(item));
        }
    }
    let sections = [
        ("litellm_settings", tables::LITELLM),
        ("router_settings", tables::ROUTER),
        ("general_settings", tables::GENERAL),
    ];
    for (name, rules) in sections {
        if let Some(section) = root.get(name) {
            rules::leftovers(section, rules, &[], ledger);
        }
    }
    for (key, node) in root.entries() {
        let is_read = if key == "model_list" { !node.items().is_empty() } else { !node.entries().is_empty() };
        if matches!(rules::find(tables::TOP, key), Some(rules::Verdict::Mapped(_))) && !is_read {
            ledger.rest(node, &rules::wrong_form(node));
        }
    }
}
