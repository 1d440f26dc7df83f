//! `[models]` and `[embedding_models]`: each becomes a route to its providers in their order.

use std::collections::BTreeMap;

use super::super::Importing;
use super::super::decimal::is_price;
use super::super::draft::{Price, Target, slug};
use super::super::ledger::Outcome;
use super::super::rules;
use super::super::tree::Node;
use super::super::variables::looks_secret;
use super::provider::{self, Context, Limits};
use super::{functions, tables};

/// A model: how each of its providers is called, in order, without any parameters.
#[derive(Debug)]
pub(super) struct Model<'n> {
    /// Its name.
    pub name: &'n str,
    /// Ready for a target, and what that target is to be called.
    pub calls: Vec<Call>,
}

/// How one provider is called.
#[derive(Debug, Clone)]
pub(super) struct Call {
    /// The provider, with the limits that its model adds.
    pub provider: super::super::draft::Provider,
    /// What it is to be called.
    pub name: String,
    /// The model as the provider calls it.
    pub model: super::super::variables::Text,
    /// Top-level fields the provider's `extra_body` sets, as they are written.
    pub set: Vec<(String, String)>,
    /// Top-level fields it removes.
    pub remove: Vec<String>,
    /// What it costs.
    pub price: Option<Price>,
}

/// Reads both sections.
pub(super) fn read<'n>(root: &'n Node, context: &Context, importing: &mut Importing<'_>) -> Vec<Model<'n>> {
    let mut models = Vec::new();
    for (section, route) in [("models", "model_name"), ("embedding_models", "embedding_model_name")] {
        for (name, node) in root.get(section).map(Node::entries).unwrap_or_default() {
            if looks_secret(name) {
                let outcome = Outcome::Unsupported {
                    why: "the name looks like a secret, and names are shown".into(),
                    hint: "give it another name".into(),
                };
                importing.ledger.rest(node, &outcome);
                continue;
            }
            let model = model(name, node, context, importing);
            add(&model, node, &format!("tensorzero::{route}::{name}"), importing);
            models.push(model);
        }
    }
    models
}

fn model<'n>(name: &'n str, node: &'n Node, context: &Context, importing: &mut Importing<'_>) -> Model<'n> {
    rules::settle(node, tables::MODEL, &mut importing.ledger);
    let shared = provider::limits(node, importing);
    let mut calls = Vec::new();
    let providers = node.get("providers").map(Node::entries).unwrap_or_default();
    for item in node.get("routing").map(Node::items).unwrap_or_default() {
        let called = item.text().and_then(|wanted| providers.iter().find(|(name, _)| name == wanted));
        match called {
            Some((_, provider)) => match call(provider, shared, context, importing) {
                Ok(call) => {
                    importing.ledger.mapped(item, "the order of the route's targets");
                    calls.push(call);
                }
                Err((at, why, hint)) => {
                    importing.ledger.rest(at, &Outcome::Unsupported { why, hint });
                    lose(item, at, importing);
                    lose(provider, at, importing);
                }
            },
            None => {
                importing.ledger.unsupported(item, "no provider of the model is called so", "correct it at the source")
            }
        }
    }
    for (_, provider) in providers {
        let outcome = Outcome::Harmless { why: "the model's `routing` does not name it".into() };
        importing.ledger.rest(provider, &outcome);
    }
    Model { name, calls }
}

fn call<'n>(
    node: &'n Node,
    shared: Limits,
    context: &Context,
    importing: &mut Importing<'_>,
) -> Result<Call, provider::Refused<'n>> {
    let answers = provider::read(node, context, importing)?;
    let mut provider = answers.provider;
    let own = Limits::of(&provider.timeouts);
    provider.timeouts = provider::timeouts(own.and(shared), context);
    let (set, remove) = functions::extra_body(node, importing);
    let price = price(node, importing);
    Ok(Call { provider, name: answers.name, model: answers.model, set, remove, price })
}

/// The meter that a pointer into an answer's usage is about.
fn meter(pointer: &str) -> Option<&'static str> {
    match pointer {
        "/usage/prompt_tokens" | "/usage/input_tokens" => Some("input"),
        "/usage/completion_tokens" | "/usage/output_tokens" => Some("output"),
        _ => None,
    }
}

/// `cost`, when it is one per token of what goes in and out.
fn price(node: &Node, importing: &mut Importing<'_>) -> Option<Price> {
    let cost = node.get("cost")?;
    let mut rates: BTreeMap<&'static str, String> = BTreeMap::new();
    for item in cost.items() {
        let pointer = ["pointer", "pointer_nonstreaming"].iter().find_map(|key| item.get(key)?.text());
        let rate = item.get("cost_per_million").and_then(Node::word);
        // A discount on what is within the input is no price of its own.
        let rate = rate.filter(|rate| is_price(rate));
        match (pointer.and_then(meter), rate) {
            (Some(meter), Some(rate)) if !rates.contains_key(meter) => {
                rates.insert(meter, rate.to_owned());
                importing.ledger.mapped(item, format!("targets.*.price.rates.{meter}"));
            }
            _ => {
                let (why, hint) = (
                    "only prices of tokens that go in and out are taken over",
                    "write it into the target's `price`, see prices.md",
                );
                importing.ledger.rest(item, &Outcome::Unsupported { why: why.into(), hint: hint.into() });
            }
        }
    }
    (!rates.is_empty()).then(|| Price { rates, source: importing.file.clone(), checked: importing.today.clone() })
}

fn lose(node: &Node, at: &Node, importing: &mut Importing<'_>) {
    let outcome = Outcome::Unsupported {
        why: "part of a provider that is not carried over".to_owned(),
        hint: format!("see line {}", at.place.line),
    };
    importing.ledger.rest(node, &outcome);
}

/// The target of a call, called something like `wanted`.
pub(super) fn target(
    wanted: &str,
    call: &Call,
    change: impl FnOnce(&mut Target),
    importing: &mut Importing<'_>,
) -> String {
    let provider = importing.draft.provider(&call.name, call.provider.clone());
    let mut target = Target::new(provider, call.model.clone());
    target.set.extend(call.set.iter().cloned());
    target.remove.clone_from(&call.remove);
    target.price.clone_from(&call.price);
    change(&mut target);
    importing.draft.target(&slug(wanted), target)
}

fn add(model: &Model<'_>, node: &Node, route: &str, importing: &mut Importing<'_>) {
    let targets: Vec<String> = model.calls.iter().map(|call| target(model.name, call, |_| (), importing)).collect();
    if let Some((first, rest)) = targets.split_first()
        && let Some(route) = importing.draft.route(route, first.clone(), rest.to_vec())
    {
        route.comment(format!("line {}", node.place.line));
    }
}
