//! `[functions.F.variants.V]`: one target per provider of its model.

use super::super::Files;
use super::super::Importing;
use super::super::draft::{Target, slug};
use super::super::ledger::Outcome;
use super::super::render;
use super::super::rules;
use super::super::tree::Node;
use super::super::variables::{looks_secret, shown};
use super::functions::{Shared, extra_body, is_plain, json};
use super::models::{self, Call, Model};
use super::provider::{self, Context, Limits};
use super::tables;

/// The targets of a variant, in the order they are tried.
pub(super) fn read(
    function: &str,
    variant: &str,
    node: &Node,
    shared: &Shared<'_>,
    (models, context, files): (&[Model<'_>], &Context, Files<'_>),
    importing: &mut Importing<'_>,
) -> Vec<String> {
    let calls = match calls(node, models, context, importing) {
        Ok(calls) => calls,
        Err((at, why, hint)) => {
            importing.ledger.rest(at, &Outcome::Unsupported { why, hint });
            let outcome = Outcome::Unsupported {
                why: "part of a variant that is not carried over".into(),
                hint: format!("see line {}", at.place.line),
            };
            importing.ledger.rest(node, &outcome);
            return Vec::new();
        }
    };
    rules::settle(node, tables::VARIANT, &mut importing.ledger);
    let limits = provider::limits(node, importing);
    let (set, remove) = extra_body(node, importing);
    let prompt = prompt(function, variant, node, files, importing);
    let mut default = shared.default.clone();
    for (key, field) in tables::PARAMETERS {
        if let Some(value) = node.get(key) {
            default.insert((*field).to_owned(), json(key, value, importing));
            importing.ledger.mapped(value, format!("targets.*.parameters.default.{field}"));
        }
    }
    if let Some(format) = response_format(function, node, shared, importing) {
        default.insert("response_format".to_owned(), format);
    }
    let max_attempts = retries(node, importing);
    let change = |target: &mut Target| {
        target.max_attempts = max_attempts;
        target.prompt.clone_from(&prompt);
        target.default.extend(default.clone());
        target.set.extend(set.iter().cloned());
        target.remove.extend(remove.iter().cloned());
    };
    let wanted = format!("{function}-{variant}");
    let mut targets = Vec::new();
    for call in &calls {
        let mut call = call.clone();
        call.provider.timeouts = provider::timeouts(Limits::of(&call.provider.timeouts).and(limits), context);
        targets.push(models::target(&wanted, &call, change, importing));
    }
    let named = targets.iter().map(|target| format!("targets.{target}")).collect::<Vec<_>>().join(", ");
    for key in ["type", "model"] {
        if let Some(node) = node.get(key) {
            importing.ledger.mapped(node, named.clone());
        }
    }
    if let Some(target) = targets.first().and_then(|target| importing.draft.target_mut(target)) {
        target.comment(format!("line {}: variant {variant}", node.place.line));
    }
    targets
}

fn retries(node: &Node, importing: &mut Importing<'_>) -> Option<u64> {
    let retries = node.get("retries")?;
    let count = retries.get("num_retries")?;
    let attempts = count.attempts();
    match attempts {
        Some(_) => importing.ledger.mapped_but(
            count,
            "targets.*.retries.max_attempts",
            "retries share the provider's `retry_budget`",
        ),
        None => {
            importing.ledger.unsupported(count, "not a number of retries", "write `targets.*.retries.max_attempts`")
        }
    }
    if let Some(delay) = retries.get("max_delay_s") {
        importing
            .ledger
            .harmless(delay, "Crossfade's waits are at most 4 s, and what a provider says in `retry-after` counts");
    }
    attempts
}

type Refused<'n> = (&'n Node, String, String);

fn calls<'n>(
    node: &'n Node,
    models: &[Model<'_>],
    context: &Context,
    importing: &mut Importing<'_>,
) -> Result<Vec<Call>, Refused<'n>> {
    let kind = node.get("type").ok_or_else(|| (node, "there is no `type`".to_owned(), "complete it".to_owned()))?;
    if kind.text() != Some("chat_completion") {
        let why = "a variant that asks several times, or looks up examples first, is a program and not a target";
        return Err((kind, why.to_owned(), "do it in the application, or name one of its candidates".to_owned()));
    }
    let model = node.get("model").ok_or_else(|| (kind, "there is no `model`".to_owned(), "complete it".to_owned()))?;
    let written = model.text().unwrap_or_default();
    if let Some(known) = models.iter().find(|model| model.name == written) {
        if known.calls.is_empty() {
            let why = format!("no provider of the model `{}` is carried over", shown(written));
            return Err((model, why, "see the model's own lines".to_owned()));
        }
        return Ok(known.calls.clone());
    }
    let answers = written.split_once("::").filter(|_| !looks_secret(written));
    let answers = answers.and_then(|(kind, model)| provider::shorthand(kind, model, context, importing));
    let answers = answers.ok_or_else(|| {
        let why = format!("`{}` names no model and no provider that the importer knows", shown(written));
        (model, why, "write its provider, target and route by hand".to_owned())
    })?;
    Ok(vec![Call {
        provider: answers.provider,
        name: answers.name,
        model: answers.model,
        set: Vec::new(),
        remove: Vec::new(),
        price: None,
    }])
}

/// A system template that says the same every time is a prompt variant; any other is filled in by TensorZero.
fn prompt(
    function: &str,
    variant: &str,
    node: &Node,
    files: Files<'_>,
    importing: &mut Importing<'_>,
) -> Option<String> {
    let path = |template: &'_ Node| template.get("path").unwrap_or(template).text().map(str::to_owned);
    let system = node.get("system_template").or_else(|| node.at(&["templates", "system"]));
    let mut found = None;
    if let Some(template) = system {
        match path(template).as_deref().and_then(files) {
            Some(text) if is_plain(&text) && !looks_secret(&text) => {
                let name = importing.draft.prompt(&slug(&format!("{function}-{variant}")), text);
                let note = "it takes the place of the caller's system message";
                importing.ledger.mapped_but(template, format!("prompts.{name}"), note);
                found = Some(name);
            }
            Some(_) => importing.ledger.unsupported(
                template,
                "the template has places that TensorZero fills in with what the caller sends; Crossfade fills in nothing",
                "write the whole message in the application, or the part that is always the same into `prompts`",
            ),
            None => importing.ledger.unsupported(template, "the file of the template cannot be read", "write its text into `prompts`"),
        }
    }
    let outcome = Outcome::Unsupported {
        why: "messages of users and assistants are the caller's; Crossfade has templates for neither".into(),
        hint: "write the whole message in the application".into(),
    };
    for key in ["user_template", "assistant_template", "templates", "input_wrappers"] {
        if let Some(node) = node.get(key) {
            importing.ledger.rest(node, &outcome);
        }
    }
    found
}

fn response_format(function: &str, node: &Node, shared: &Shared<'_>, importing: &mut Importing<'_>) -> Option<String> {
    let mode = node.get("json_mode")?;
    if !shared.is_json {
        importing.ledger.harmless(mode, "the function does not answer in JSON");
        return None;
    }
    match (mode.text(), &shared.schema) {
        (Some("off"), _) => {
            importing.ledger.harmless(mode, "the provider is asked for nothing");
            None
        }
        (Some("strict"), Some((schema, text))) => {
            let schema_json: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
            let named = serde_json::json!({ "name": slug(function), "schema": schema_json, "strict": true });
            importing.ledger.mapped(mode, "targets.*.parameters.default.response_format");
            let outcome = Outcome::Mapped { to: "targets.*.parameters.default.response_format".into(), note: None };
            importing.ledger.rest(schema, &outcome);
            Some(render::json(&serde_json::json!({ "type": "json_schema", "json_schema": named })))
        }
        (Some("on"), _) => {
            importing.ledger.mapped(mode, "targets.*.parameters.default.response_format");
            Some(render::json(&serde_json::json!({ "type": "json_object" })))
        }
        _ => {
            importing.ledger.unsupported(
                mode,
                "Crossfade makes no tool of a schema",
                "use `strict` where the provider can",
            );
            None
        }
    }
}
