//! The config being made: what the importers put together and `render` writes down.

use std::collections::BTreeMap;
use std::time::Duration;

use super::variables::Text;

/// A config so far.
#[derive(Debug, Default)]
pub(super) struct Draft {
    /// What stands at the head of the file.
    pub head: Vec<String>,
    /// `listen`.
    pub listen: Option<Text>,
    /// `auth.required`.
    pub auth: bool,
    /// `auth.key_limits.concurrency`.
    pub key_concurrency: Option<u64>,
    /// `passthrough`: what it is and who keeps it.
    pub passthrough: BTreeMap<&'static str, String>,
    /// `limits.max_body`, in bytes.
    pub max_body: Option<u64>,
    /// Providers in the order they were met.
    pub providers: Vec<Named<Provider>>,
    /// System prompts by name.
    pub prompts: Vec<Named<String>>,
    /// Targets in the order they were met.
    pub targets: Vec<Named<Target>>,
    /// Routes by the name applications send.
    pub routes: Vec<Named<Route>>,
    /// Rollouts that could be meant, to be uncommented.
    pub rollouts: Vec<Rollout>,
}

/// Something with a name, and why it is as it is.
#[derive(Debug)]
pub(super) struct Named<T> {
    /// Its key.
    pub name: String,
    /// What stands above it as comments.
    pub comments: Vec<String>,
    /// The thing.
    pub value: T,
}

impl<T> Named<T> {
    /// Says something about it, once.
    pub(super) fn comment(&mut self, words: impl Into<String>) {
        let words = words.into();
        if !self.comments.contains(&words) {
            self.comments.push(words);
        }
    }
}

/// A provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Provider {
    /// `dialect`.
    pub dialect: &'static str,
    /// `base_url`.
    pub base_url: Text,
    /// `api_version`, of Azure.
    pub api_version: Option<Text>,
    /// `kind`, when it is known what server it is.
    pub kind: Option<&'static str>,
    /// `api_key`.
    pub api_key: Option<Text>,
    /// `class`.
    pub class: &'static str,
    /// `timeouts`.
    pub timeouts: Timeouts,
}

/// The time limits the source sets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Timeouts {
    /// `timeouts.first_token`.
    pub first_token: Option<Duration>,
    /// `timeouts.inter_token`.
    pub inter_token: Option<Duration>,
    /// `timeouts.answer`.
    pub answer: Option<Duration>,
    /// `timeouts.total`.
    pub total: Option<Duration>,
}

/// A target.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Target {
    /// `provider`.
    pub provider: String,
    /// `model`.
    pub model: Text,
    /// `prompt_variant`.
    pub prompt: Option<String>,
    /// `parameters.remove`.
    pub remove: Vec<String>,
    /// `parameters.default`, values as they are written.
    pub default: BTreeMap<String, String>,
    /// `parameters.set`, values as they are written.
    pub set: BTreeMap<String, String>,
    /// `replicas`: other providers of the same model.
    pub replicas: Vec<String>,
    /// `retries.max_attempts`.
    pub max_attempts: Option<u64>,
    /// `max_concurrency` and `queue`.
    pub concurrency: Option<Concurrency>,
    /// `price`.
    pub price: Option<Price>,
}

/// How many calls to a target there are at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Concurrency {
    /// `max_concurrency`.
    pub max: u64,
    /// `queue.max`.
    pub queue: u64,
    /// `queue.timeout`.
    pub timeout: Duration,
}

/// A price row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Price {
    /// Dollars per million of each meter.
    pub rates: BTreeMap<&'static str, String>,
    /// `source`.
    pub source: String,
    /// `checked`, a day.
    pub checked: String,
}

impl Target {
    /// A target without parameters.
    pub(super) fn new(provider: String, model: Text) -> Target {
        Target {
            provider,
            model,
            prompt: None,
            remove: Vec::new(),
            default: BTreeMap::new(),
            set: BTreeMap::new(),
            replicas: Vec::new(),
            max_attempts: None,
            concurrency: None,
            price: None,
        }
    }
}

/// A route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Route {
    /// `target`.
    pub target: String,
    /// `fallback`.
    pub fallback: Vec<String>,
    /// `retries.max_attempts`.
    pub max_attempts: Option<u64>,
}

/// A rollout that could be meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rollout {
    /// Its name.
    pub name: String,
    /// What it is meant by.
    pub why: String,
    /// `route`.
    pub route: String,
    /// `baseline`.
    pub baseline: String,
    /// `candidate`.
    pub candidate: String,
}

impl Draft {
    /// The provider that is like this one; a new one, called something like `wanted`, when there is none yet.
    pub(super) fn provider(&mut self, wanted: &str, provider: Provider) -> String {
        find_or_add(&mut self.providers, wanted, provider)
    }

    /// The target that is like this one, or a new one called something like `wanted`.
    pub(super) fn target(&mut self, wanted: &str, target: Target) -> String {
        find_or_add(&mut self.targets, wanted, target)
    }

    /// The prompt of this text, or a new one called something like `wanted`.
    pub(super) fn prompt(&mut self, wanted: &str, text: String) -> String {
        find_or_add(&mut self.prompts, wanted, text)
    }

    /// Adds a route, unless there is one of that name. Gives it back when it was added.
    pub(super) fn route(&mut self, name: &str, target: String, fallback: Vec<String>) -> Option<&mut Named<Route>> {
        if self.routes.iter().any(|route| route.name == name) {
            return None;
        }
        let mut seen = vec![target.clone()];
        let fallback = fallback.into_iter().filter(|name| {
            let is_new = !seen.contains(name);
            seen.push(name.clone());
            is_new
        });
        let value = Route { target, fallback: fallback.collect(), max_attempts: None };
        self.routes.push(Named { name: name.to_owned(), comments: Vec::new(), value });
        self.routes.last_mut()
    }

    /// The provider called `name`.
    pub(super) fn provider_mut(&mut self, name: &str) -> Option<&mut Named<Provider>> {
        self.providers.iter_mut().find(|provider| provider.name == name)
    }

    /// The target called `name`.
    pub(super) fn target_mut(&mut self, name: &str) -> Option<&mut Named<Target>> {
        self.targets.iter_mut().find(|target| target.name == name)
    }
}

fn find_or_add<T: PartialEq>(all: &mut Vec<Named<T>>, wanted: &str, value: T) -> String {
    if let Some(same) = all.iter().find(|same| same.value == value) {
        return same.name.clone();
    }
    let numbered = (2..).map(|n| format!("{wanted}-{n}"));
    let mut names = std::iter::once(wanted.to_owned()).chain(numbered);
    let name = names.find(|name| all.iter().all(|taken| taken.name != *name)).unwrap_or_default();
    all.push(Named { name: name.clone(), comments: Vec::new(), value });
    name
}

/// `wanted` as the name of a provider or target: letters, digits, `.`, `_` and `-`.
pub(super) fn slug(wanted: &str) -> String {
    let wanted = wanted.replace('*', "any");
    let mapped: String =
        wanted.chars().map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' }).collect();
    let slug: Vec<&str> = mapped.split('-').filter(|part| !part.is_empty()).collect();
    let slug = slug.join("-");
    if slug.is_empty() { "unnamed".to_owned() } else { slug }
}
