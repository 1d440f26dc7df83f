//! What can be called and by which name: prompts, targets, routes.

mod translation;

use std::collections::BTreeMap;
use std::sync::Arc;

use gateway::snapshot::{OnInvalid, Parameters, PromptVariant, Route, StreamValidation, Target, Validation};
use wire::translate;
use wire::translate::messages::outbound::Claude;

use super::calling;
use super::error::nearest;
use super::providers::Providers;
use super::reader::{Item, Section, Written};
use super::rollouts::Workloads;
use super::value;

/// What was found under one key: by name; `None` where the name exists but what it stands for is broken, so that nobody
/// who mentions it is told that it does not exist.
pub(crate) struct Named<T> {
    /// One of them, for messages.
    pub what: &'static str,
    /// By name.
    pub found: BTreeMap<String, Option<T>>,
}

impl<T> Named<T> {
    /// The value called `name`, if it is whole.
    pub(crate) fn get(&self, name: &str) -> Option<&T> {
        self.found.get(name)?.as_ref()
    }

    /// Reads a name and notes when it names nothing.
    pub(crate) fn reference(&self, item: &Item<'_>) -> Option<Written<String>> {
        let written = item.string()?;
        if !self.found.contains_key(&written.value) {
            let names = || self.found.keys().map(String::as_str);
            let hint = match nearest(&written.value, names()) {
                Some(name) => format!("did you mean `{name}`?"),
                None if self.found.is_empty() => format!("no {} is defined", self.what),
                None => format!("defined: {}", names().collect::<Vec<_>>().join(", ")),
            };
            item.note(format!("there is no {} `{}`", self.what, written.value), Some(hint));
            return None;
        }
        Some(written)
    }
}

/// Targets by name.
pub(crate) type Targets = Named<Arc<Target>>;

/// `targets`.
pub(crate) fn targets(root: &Section<'_>, providers: &Providers, prompts: &Named<PromptVariant>) -> Targets {
    let read = |(name, item): (Written<String>, Item<'_>)| {
        let target = item.section().and_then(|section| target(&name.value, section, providers, prompts));
        (name.value, target.map(Arc::new))
    };
    Named { what: "target", found: root.named("targets").into_iter().map(read).collect() }
}

fn target(name: &str, section: Section<'_>, providers: &Providers, prompts: &Named<PromptVariant>) -> Option<Target> {
    let provider = section.need("provider").and_then(|item| providers.reference(&item));
    let model = section.need("model").and_then(|item| one_star(&item, item.string()));
    // Read with the prices, and with the rollouts.
    section.get("price");
    section.get("labels");
    let prompt_name = section.get("prompt_variant").map(|item| prompts.reference(&item));
    let mut parameters = parameters(&section);
    let translation = translation::read(&section);
    let first = provider.as_ref().and_then(|name| providers.get(&name.value));
    let calling = calling::calling(&section, providers, first.map(|provider| &**provider));
    let claude = translation::claude(&section);
    let tokenizer = section.get("tokenizer").and_then(|item| item.string()).map(|name| name.value);
    let space = section.get("space").and_then(|item| super::spaces::read(&item));
    section.finish();
    let prompt = match prompt_name {
        Some(name) => Some(prompts.get(&name?.value)?.clone()),
        None => None,
    };
    if let Some(source) = prompt.as_ref().and_then(|prompt| prompt.source.as_ref()) {
        super::prompts::override_parameters(&mut parameters, source);
    }
    let provider = Arc::clone(providers.get(&provider?.value)?);
    let model = model?.value;
    let fingerprint = fingerprint((&provider, &model), &parameters, prompt.as_ref(), (&translation, &claude));
    Some(Target {
        name: name.to_owned(),
        provider,
        model,
        parameters,
        prompt,
        translation,
        tokenizer,
        space,
        claude,
        fingerprint,
        calling,
    })
}

/// `name`, unless it has more than one `*`.
fn one_star(item: &Item<'_>, name: Option<Written<String>>) -> Option<Written<String>> {
    if name.as_ref().is_some_and(|name| name.value.matches('*').count() > 1) {
        item.note("a name has at most one `*`", None);
        return None;
    }
    name
}

/// Notes a target whose model has a `*` where no route's name says what it stands for.
pub(crate) fn star_has_meaning(item: &Item<'_>, route: &str, target: &str, targets: &Targets) {
    let takes_its_model = targets.get(target).is_some_and(|target| target.model.contains('*'));
    if takes_its_model && !route.contains('*') {
        let message =
            format!("the `*` in the model of `{target}` means nothing on the route `{route}`, which has none");
        item.note(message, Some("name a target with a model of its own, or a route such as `openai/*`".into()));
    }
}

/// What answers would change with. A key or a timeout is no part of it.
fn fingerprint(
    (provider, model): (&providers::ProviderConfig, &str),
    parameters: &Parameters,
    prompt: Option<&PromptVariant>,
    (translation, claude): (&translate::Policy, &Claude),
) -> String {
    let Parameters { default, set, remove, rename } = parameters;
    let prompt = prompt.map_or_else(String::new, |prompt| prompt.system.clone());
    let mut parameters = format!("{set:?}{remove:?}{rename:?}");
    if !default.is_empty() {
        parameters += &format!("{default:?}");
    }
    let treated = format!("{:?}{:?}{translation:?}{claude:?}", provider.capabilities.treated(), provider.speaks);
    value::hash(&[&provider.name, provider.base_url.as_str(), model, &parameters, &prompt, &treated])[..16].to_owned()
}

/// `parameters: { rename: {a: b}, remove: [c], default: {d: 1}, set: {e: 2} }`.
fn parameters(section: &Section<'_>) -> Parameters {
    const PROTECTED: [&str; 3] = ["model", "messages", "stream"];
    let section = section.section("parameters");
    let protected = |name: &str, item: &Item<'_>| {
        if PROTECTED.contains(&name) {
            item.note(format!("`{name}` is Crossfade's own to set"), None);
        }
    };
    let mut parameters = Parameters::default();
    for (name, item) in section.named("rename") {
        protected(&name.value, &item);
        let Some(to) = item.string() else { continue };
        protected(&to.value, &item);
        parameters.rename.push((name.value, to.value));
    }
    for item in section.get("remove").and_then(|item| item.list("field names")).unwrap_or_default() {
        let Some(name) = item.string() else { continue };
        protected(&name.value, &item);
        parameters.remove.push(name.value);
    }
    for (key, fields) in [("default", &mut parameters.default), ("set", &mut parameters.set)] {
        for (name, item) in section.named(key) {
            protected(&name.value, &item);
            let Some(json) = item.json() else { continue };
            fields.push((name.value, json.to_string()));
        }
    }
    section.finish();
    parameters
}

/// A route and what of it later checks point at.
pub(crate) struct RouteRead {
    /// The route.
    pub route: Route,
    /// Each fallback where it was written.
    pub fallback: Vec<Written<String>>,
    /// Each target that a rule chooses, where it was written.
    pub chosen_targets: Vec<Written<String>>,
}

/// Routes by name.
pub(crate) type Routes = Named<RouteRead>;

/// `routes`.
pub(crate) fn routes(root: &Section<'_>, targets: &Targets, workloads: &Workloads) -> Routes {
    let read = |(name, item): (Written<String>, Item<'_>)| {
        let one_star = one_star(&item, Some(name.clone()));
        let route = item.section().and_then(|section| route(&name.value, section, targets, workloads));
        let route = route.filter(|_| one_star.is_some());
        (name.value, route)
    };
    Named { what: "route", found: root.named("routes").into_iter().map(read).collect() }
}

/// `validation: { on_invalid: repair, streams: hold }` of a route.
fn validation(section: &Section<'_>) -> Validation {
    let section = section.section("validation");
    let default = Validation::default();
    let on_invalid = section.get("on_invalid");
    let streams = section
        .get("streams")
        .and_then(|item| item.word(&StreamValidation::ALL.map(|streams| (streams.as_str(), streams))));
    let validation = Validation {
        on_invalid: on_invalid
            .as_ref()
            .and_then(|item| item.word(&OnInvalid::ALL.map(|policy| (policy.as_str(), policy))))
            .unwrap_or(default.on_invalid),
        streams: streams.unwrap_or(default.streams),
    };
    if let Some(item) = section.get("streams").filter(|_| validation.streams == StreamValidation::Hold)
        && validation.on_invalid == OnInvalid::Count
    {
        let hint = "write `on_invalid: repair`, `retry` or `fail_over` beside it";
        item.note("streams would be held back, and nothing done about what is found", Some(hint.into()));
    }
    section.finish();
    validation
}

fn route(name: &str, section: Section<'_>, targets: &Targets, workloads: &Workloads) -> Option<RouteRead> {
    // Read with the rollouts.
    section.get("requires");
    let target = section.need("target").and_then(|item| {
        let target = targets.reference(&item)?;
        star_has_meaning(&item, name, &target.value, targets);
        Some(target)
    });
    let written = section.get("fallback").and_then(|item| item.list("targets")).unwrap_or_default();
    let fallback: Vec<_> = written.iter().filter_map(|item| Some((item, targets.reference(item)?))).collect();
    let emergency_fallback = section.get("emergency_fallback").and_then(|item| item.boolean()).unwrap_or(false);
    let panic = section.get("panic").and_then(|item| item.boolean()).unwrap_or(false);
    let retries = calling::retries(&section);
    let validation = validation(&section);
    let token_arrays = [("refuse", false), ("pass", true)];
    let foreign_tokens = section.get("token_arrays").and_then(|item| item.word(&token_arrays)).unwrap_or(false);
    let workload = section.get("workload").and_then(|item| workloads.reference(&item)).map(|name| name.value);
    let of_workload = workload.as_ref().and_then(|name| workloads.get(name)).map(|workload| workload.residency);
    let residency = super::residency::read(&section).and(of_workload.unwrap_or_default());
    let limits = super::allowances::limits(&section, "limits");
    let own = target.as_ref().map(|target| target.value.as_str());
    let cascade = super::cascade::read(&section, (name, own), targets);
    let cache = super::cache::read(&section, targets);
    let (policy, moderators) = super::policy::read(&section, targets);
    // Read when all routes are there.
    section.get("rules");
    let own = target.as_ref().map_or("", |target| target.value.as_str());
    for (item, fallback) in &fallback {
        star_has_meaning(item, name, &fallback.value, targets);
        if fallback.value == own {
            item.note(format!("`{own}` is the route's own target"), Some("name another, or remove it".into()));
        }
    }
    let fallback: Vec<_> = fallback.into_iter().map(|(_, fallback)| fallback).collect();
    let names = fallback.iter().map(|fallback| fallback.value.clone()).collect();
    let rules = Vec::new();
    let (name, target_name) = (name.to_owned(), own.to_owned());
    let route = Route {
        name,
        target: target_name,
        fallback: names,
        emergency_fallback,
        panic,
        retries,
        validation,
        foreign_tokens,
        workload,
        residency,
        policy,
        limits,
        rules,
        cohorts: Vec::new(),
        cascade,
        cache,
    };
    for written in target.iter().chain(&fallback).chain(&moderators) {
        if let Some((message, hint)) = super::residency::leaves(&route, &written.value, targets) {
            section.note_at(written, message, Some(hint));
        }
    }
    for written in &fallback {
        if let Some((message, hint)) = super::spaces::mixes(&route, &written.value, targets) {
            section.note_at(written, message, Some(hint));
        }
    }
    for name in route.cascade.iter().flat_map(|cascade| &cascade.steps) {
        if let (Some((message, hint)), Some(item)) =
            (super::residency::leaves(&route, name, targets), section.get("cascade"))
        {
            item.note(message, Some(hint));
        }
    }
    section.finish();
    target?;
    Some(RouteRead { route, fallback, chosen_targets: Vec::new() })
}
