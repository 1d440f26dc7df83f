//! TensorZero's `tensorzero.toml`, as the last version of its gateway reads it.
//!
//! Routes are called as applications on its OpenAI-compatible endpoint call models and functions, so that these change
//! nothing but the base URL. Its own `/inference` API is not served.

mod functions;
mod models;
mod provider;
pub(super) mod tables;
mod variants;

use super::Files;
use super::Importing;
use super::ledger::Outcome;
use super::rules;
use super::tree::Node;

/// Reads the whole file.
pub(super) fn read(root: &Node, files: Files<'_>, importing: &mut Importing<'_>) {
    root.each_leaf(&mut |_, node| {
        if let Some(name) = node.text().and_then(variable) {
            importing.variables.reserve(name);
        }
    });
    importing.draft.head.push(
        "Applications keep their `tensorzero::…` model names and use the base URL that ends in /openai/v1.".to_owned(),
    );
    rules::settle(root, tables::TOP, &mut importing.ledger);
    let gateway = gateway(root, importing);
    let defaults = provider::defaults(root, importing);
    let context = provider::Context { gateway, defaults };
    let models = models::read(root, &context, importing);
    functions::read(root, &models, &context, files, importing);
    wrong_forms(root, importing);
}

/// The variable that a text of TensorZero's names.
fn variable(text: &str) -> Option<&str> {
    text.trim().strip_prefix("env::").map(str::trim).filter(|name| super::variables::is_name(name))
}

/// What of `[gateway]` the providers need: the longest that any call may take.
fn gateway(root: &Node, importing: &mut Importing<'_>) -> Option<std::time::Duration> {
    let section = root.get("gateway")?;
    rules::settle(section, tables::GATEWAY, &mut importing.ledger);
    let is_asked = section.at(&["auth", "enabled"]);
    if let Some(node) = is_asked {
        if node.boolean() == Some(true) {
            importing.draft.auth = true;
            let note = "make keys with `crossfade keys create`; those in TensorZero's database are not taken over";
            importing.ledger.mapped_but(node, "auth.required", note);
        } else {
            importing.ledger.harmless(node, "it is off");
        }
    }
    if let Some(node) = section.get("auth").and_then(|auth| auth.get("cache")) {
        importing.ledger.rest(node, &Outcome::Harmless { why: "keys are held in memory anyway".into() });
    }
    if let Some(node) = section.get("bind_address") {
        bind_address(node, importing);
    }
    let node = section.get("global_outbound_http_timeout_ms")?;
    let timeout = node.milliseconds();
    match timeout {
        Some(_) => importing.ledger.mapped(node, "providers.*.timeouts.total"),
        None => {
            importing.ledger.unsupported(node, "not a number of milliseconds", "write `providers.*.timeouts.total`")
        }
    }
    timeout
}

fn bind_address(node: &Node, importing: &mut Importing<'_>) {
    let text = node.text().unwrap_or_default().trim();
    let Ok(address) = text.parse::<std::net::SocketAddr>() else {
        return importing.ledger.unsupported(node, "not an address of this machine", "write `listen`");
    };
    if address.ip().is_loopback() || importing.draft.auth {
        importing.draft.listen = Some(super::variables::Text::literal(text));
        importing.ledger.mapped(node, "listen");
    } else {
        let port = address.port();
        importing.draft.listen = Some(super::variables::Text::literal(format!("127.0.0.1:{port}")));
        let note = "on loopback only: Crossfade listens beyond it with `auth: { required: true }`, or when told that nobody is to be asked";
        importing.ledger.mapped_but(node, "listen", note);
    }
}

/// What stands under keys that are read, and is not of the form that is read there.
fn wrong_forms(root: &Node, importing: &mut Importing<'_>) {
    let ledger = &mut importing.ledger;
    let unless_empty =
        |map: &Node, key: &'static str| map.get(key).filter(|node| !node.entries().is_empty()).map(|_| key);
    let below = |key: &str| root.get(key).map(Node::entries).unwrap_or_default().iter().map(|(_, node)| node);
    if let Some(gateway) = root.get("gateway") {
        rules::leftovers(gateway, tables::GATEWAY, &[], ledger);
    }
    for model in below("models").chain(below("embedding_models")) {
        let but = unless_empty(model, "providers");
        rules::leftovers(model, tables::MODEL, but.as_slice(), ledger);
        for (_, provider) in model.get("providers").map(Node::entries).unwrap_or_default() {
            rules::leftovers(provider, tables::PROVIDER, &[], ledger);
        }
    }
    for function in below("functions") {
        let but = unless_empty(function, "variants");
        rules::leftovers(function, tables::FUNCTION, but.as_slice(), ledger);
        for (_, variant) in function.get("variants").map(Node::entries).unwrap_or_default() {
            rules::leftovers(variant, tables::VARIANT, &[], ledger);
        }
    }
    let is_read = |key: &str| matches!(rules::find(tables::TOP, key), Some(rules::Verdict::Mapped(_)));
    for (key, node) in root.entries().iter().filter(|(key, _)| is_read(key)) {
        for part in
            node.entries().iter().map(|(_, part)| part).filter(|part| part.entries().is_empty() && key != "gateway")
        {
            ledger.rest(part, &rules::wrong_form(part));
        }
        if node.entries().is_empty() {
            ledger.rest(node, &rules::wrong_form(node));
        }
    }
}
