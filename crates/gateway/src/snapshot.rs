//! What a request runs on: the whole resolved config as one immutable value. A reload builds a new one and swaps it in;
//! a request holds the one it started with. Shares, breakers and pools are not here: they outlive a reload.

mod caching;
mod cascade;
pub mod cohorts;
mod rules;
mod validation;
mod wildcard;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use providers::{ProviderConfig, Queue, RetryRules};
use wire::record::Endpoint;
use wire::translate;
use wire::translate::messages::outbound::Claude;

use crate::control::RolloutSettings;
use crate::live::Identity;
use crate::prices::TargetPrices;

pub use caching::{CacheScope, Cacheable, Caching};
pub use cascade::{Cascade, CascadeStreams};
pub use cohorts::Cohort;
pub use rules::{RouteRule, RuleTo};
pub use validation::{OnInvalid, StreamValidation, Validation};
pub use wildcard::wildcard;

/// One whole resolved config.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Hash of the config this was resolved from; audit rows name it.
    pub hash: String,
    /// Targets by name.
    pub targets: BTreeMap<String, Arc<Target>>,
    /// Routes by the name an application sends as `model`, or by a pattern of such names with one `*`.
    pub routes: BTreeMap<String, Arc<Route>>,
    /// What a provider keeps and no model is named for, by endpoint: the route to that provider.
    pub passthrough: BTreeMap<Endpoint, Arc<Route>>,
    /// Rollouts by name, as the config describes them; where they stand is the controller's.
    pub rollouts: BTreeMap<String, Arc<RolloutSettings>>,
    /// Who is asked for a key.
    pub auth: Auth,
    /// What calls cost.
    pub prices: TargetPrices,
    /// How much tenants may call, by name.
    pub tenants: BTreeMap<String, govern::limits::Limits>,
    /// Whether responses are kept for callers to go on from.
    pub keeping: Keeping,
    /// Tenants whose requests may not leave the house.
    pub internal_tenants: BTreeSet<String>,
    /// Size and time limits of the data listener.
    pub limits: Limits,
    /// How a shutdown proceeds.
    pub drain: Drain,
    /// What feedback means.
    pub feedback: FeedbackRules,
}

/// Which feedback says that an answer was bad.
#[derive(Debug, Clone, PartialEq)]
pub struct FeedbackRules {
    /// A score below this is bad, any other good; 0 to 1.
    pub bad_below: f64,
    /// Labels that say it. Any other says nothing.
    pub bad_labels: BTreeSet<String>,
}

impl Default for FeedbackRules {
    fn default() -> Self {
        Self { bad_below: 0.5, bad_labels: BTreeSet::new() }
    }
}

impl Snapshot {
    /// Whether a live rollout is still about the targets of this config. Between a reload and the controller's next look
    /// it may not be: then nobody is assigned.
    #[must_use]
    pub fn covers(&self, rollout: &Identity) -> bool {
        self.rollouts.get(&rollout.name).is_none_or(|settings| settings.fingerprint == rollout.fingerprint)
    }

    /// Whether token ids that callers of `route` send mean to `target` what they mean to the route's own.
    #[must_use]
    pub fn reads_tokens_of(&self, route: &Route, target: &Target) -> bool {
        let own = self.target(&route.target).map(|own| own.tokenizer());
        route.foreign_tokens || own.is_none_or(|own| own == target.tokenizer())
    }

    /// Whether vectors of `target` can be compared with those of the route's own. Where neither says its space, nobody knows better.
    #[must_use]
    pub fn shares_space_of(&self, route: &Route, target: &Target) -> bool {
        let own = self.target(&route.target);
        own.is_none_or(|own| match (&own.space, &target.space) {
            (Some(own), Some(other)) => wire::space::agree(own, other),
            (own, other) => own == other,
        })
    }

    /// The target called `name`.
    #[must_use]
    pub fn target(&self, name: &str) -> Option<&Arc<Target>> {
        self.targets.get(name)
    }
}

/// A provider, a model, its parameters and prompt variant: the thing that can be swapped.
#[derive(Debug, Clone)]
pub struct Target {
    /// Name in the config.
    pub name: String,
    /// Who answers.
    pub provider: Arc<ProviderConfig>,
    /// The model name the provider knows. A `*` in it stands for what the `*` of the route's name stood for.
    pub model: String,
    /// What is changed in a request's parameters for this target.
    pub parameters: Parameters,
    /// The system prompt this target wants instead of the caller's.
    pub prompt: Option<PromptVariant>,
    /// What happens to what its dialects cannot say.
    pub translation: translate::Policy,
    /// The name of its tokenizer; the model's when there is none. Token ids mean the same to targets with the same.
    pub tokenizer: Option<String>,
    /// The name of the space that its vectors live in, where it makes any and somebody said it.
    pub space: Option<String>,
    /// What a target that speaks Anthropic's Messages takes, when a request is translated for it.
    pub claude: Claude,
    /// Hash of everything above: a change of it starts a rollout afresh.
    pub fingerprint: String,
    /// How it is called. Nothing here changes an answer, so a rollout's evidence outlives a change of it.
    pub calling: Calling,
}

/// How a target is called, beside what it answers.
#[derive(Debug, Default, Clone)]
pub struct Calling {
    /// Further instances that serve the same model as `provider`.
    pub replicas: Vec<Arc<ProviderConfig>>,
    /// When a call is made again. The provider's rules are in it already.
    pub retries: RetryRules,
    /// Calls that may be under way at once, over all replicas; `None` is as many as come.
    pub max_concurrency: Option<usize>,
    /// What may wait for one of them to end.
    pub queue: Queue,
    /// The longest that its breaker pauses between two probes, in place of 30 s. No key of the config: a rehearsal sets it.
    pub longest_pause: Option<Duration>,
}

impl Target {
    /// What tells whether two targets read the same tokens.
    fn tokenizer(&self) -> &str {
        self.tokenizer.as_deref().unwrap_or(&self.model)
    }

    /// The providers of all its replicas, the first one first.
    pub fn providers(&self) -> impl Iterator<Item = &Arc<ProviderConfig>> {
        std::iter::once(&self.provider).chain(&self.calling.replicas)
    }

    /// The model name to ask the provider for, when `requested` came in by the route called `route`.
    #[must_use]
    pub fn model_for<'a>(&'a self, route: &str, requested: &'a str) -> Cow<'a, str> {
        if !self.model.contains('*') {
            return Cow::Borrowed(&self.model);
        }
        match wildcard(route, requested) {
            Some(star) if self.model == "*" => Cow::Borrowed(star),
            Some(star) => Cow::Owned(self.model.replacen('*', star, 1)),
            // The config refuses such a target on a route without a `*`.
            None => Cow::Borrowed(requested),
        }
    }
}

/// Top-level request fields a target wants set, removed or renamed. Applied in the order rename, remove, default, set.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Parameters {
    /// Field and its JSON text, for requests that come without the field.
    pub default: Vec<(String, String)>,
    /// Field and its JSON text.
    pub set: Vec<(String, String)>,
    /// Fields dropped.
    pub remove: Vec<String>,
    /// Old name, new name.
    pub rename: Vec<(String, String)>,
}

impl Parameters {
    /// Whether nothing is changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.default.is_empty() && self.set.is_empty() && self.remove.is_empty() && self.rename.is_empty()
    }
}

/// A system prompt that replaces the caller's for one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptVariant {
    /// Name in the config.
    pub name: String,
    /// The text of the system message.
    pub system: String,
    /// The registered prompt it is of, where it is of one.
    pub source: Option<PromptSource>,
}

/// A registered prompt, as a target is bound to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptSource {
    /// The prompt's name.
    pub prompt: String,
    /// The variant; the form for all targets when there is none.
    pub variant: Option<String>,
    /// SHA-256 of what the prompt says.
    pub version: String,
    /// Request fields that the variant sets, with their JSON text; `null` takes one away.
    pub parameters: Vec<(String, String)>,
}

/// The name an application calls and the policy behind it.
#[derive(Debug, Default, Clone)]
pub struct Route {
    /// What applications send as `model`; one `*` in it stands for any text.
    pub name: String,
    /// The target that serves when no rollout does.
    pub target: String,
    /// Targets tried in order when the first fails before any content.
    pub fallback: Vec<String>,
    /// Whether the candidate of a rollout may serve when the baseline fails.
    pub emergency_fallback: bool,
    /// Whether targets are called although their breakers are open, when those of all of them are.
    pub panic: bool,
    /// When a call is made again; goes before what the target says.
    pub retries: RetryRules,
    /// What is done about answers that have not the form they were asked for.
    pub validation: Validation,
    /// Whether token ids go to targets whose tokenizer is another than that of the route's own.
    pub foreign_tokens: bool,
    /// The class of requests, if named.
    pub workload: Option<String>,
    /// How far its requests may go: the stricter of what the route says and what its workload says.
    pub residency: govern::Residency,
    /// What is looked for in its requests and answers.
    pub policy: Option<Arc<govern::policy::Policy>>,
    /// How much all callers together may call.
    pub limits: govern::limits::Limits,
    /// Where requests go by what they ask for; the first that holds is followed.
    pub rules: Vec<RouteRule>,
    /// Slices of its traffic that rollouts treat apart; a request belongs to the first that holds.
    pub cohorts: Vec<Cohort>,
    /// Small models that are asked first.
    pub cascade: Option<Arc<Cascade>>,
    /// Answers that are given again.
    pub cache: Option<Caching>,
}

impl Route {
    /// A route that does nothing but call one target.
    #[must_use]
    pub fn to(name: impl Into<String>, target: impl Into<String>) -> Route {
        Route { name: name.into(), target: target.into(), ..Route::default() }
    }
}

/// Who is asked for a key. The keys themselves are not config: see [`govern::KeyTable`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Auth {
    /// Every request must carry a key that is known. Without it a key that is not known is a name like any other.
    pub required: bool,
    /// How much a key may call where it does not say so itself.
    pub key_limits: govern::limits::Limits,
}

/// Whether responses are kept for callers to go on from (`previous_response_id`, `GET /v1/responses/{id}`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keeping {
    /// Whether they are: in memory, and beyond it from the record.
    pub keep: bool,
    /// Bytes of conversations in memory at once.
    pub memory: usize,
    /// How long what a rollout's evidence counted is kept for a replay once its epoch has ended; `None` for ever.
    pub replay: Option<Duration>,
}

impl Default for Keeping {
    fn default() -> Self {
        Self { keep: true, memory: 64 << 20, replay: Some(Duration::from_secs(90 * 24 * 3600)) }
    }
}

/// Size and time limits of the data listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Largest request body in bytes; larger is 413.
    pub max_body: usize,
    /// Bytes of bodies held at once by the whole process: requests, and answers that are held back as a whole. What does not
    /// fit is 503. Never less than one `max_body`.
    pub max_bodies: usize,
    /// Connections accepted at once; more wait in the kernel's backlog.
    pub max_connections: usize,
    /// From the first byte of a request to the end of its headers.
    pub header_timeout: Duration,
    /// From the end of the headers to the end of the body.
    pub body_timeout: Duration,
    /// Longest time a caller may leave its answer unread.
    pub write_timeout: Duration,
    /// Bytes of a stream held back before its first content.
    pub hold_bytes: usize,
    /// Largest answer kept for the record, in bytes; the rest is counted and cut.
    pub max_recorded_answer: usize,
    /// Tokens an answer is taken to have at most, where limits must know and the request does not say.
    pub assumed_answer_tokens: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_body: 32 << 20,
            max_bodies: 1 << 30,
            max_connections: 16_384,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(60),
            hold_bytes: 16 << 10,
            max_recorded_answer: 8 << 20,
            assumed_answer_tokens: 1024,
        }
    }
}

/// How a shutdown proceeds: readiness off, `pre_stop` of further accepting, then at most `deadline` for what is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drain {
    /// Accept on for this long after readiness went off.
    pub pre_stop: Duration,
    /// Then wait this long for requests under way; what is left gets an error event.
    pub deadline: Duration,
}

impl Default for Drain {
    fn default() -> Self {
        Self { pre_stop: Duration::ZERO, deadline: Duration::from_secs(30) }
    }
}
