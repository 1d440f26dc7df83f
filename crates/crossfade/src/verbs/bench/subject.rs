//! Who is asked: targets of the config, or a URL.

use std::sync::Arc;

use bench::engine::Target;
use bench::result::TargetFacts;
use providers::{BaseUrl, Dialect, ProviderConfig, Shared};
use wire::private::Private;

use super::asker::{OfConfig, OfUrl};
use crate::load;
use crate::out::Stop;
use crate::verbs::Place;

/// What can be typed of them.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Who is asked")]
pub(super) struct Subjects {
    /// A target of the config; given once for each, the baseline first. Several are asked in turns in one run.
    #[arg(long = "target", value_name = "NAME")]
    pub(super) targets: Vec<String>,
    /// A server of the OpenAI dialect, such as http://gpu-1:8000/v1, without a config.
    #[arg(long, value_name = "URL", conflicts_with = "targets")]
    pub(super) url: Option<String>,
    /// The model to ask for at a URL.
    #[arg(long, value_name = "NAME", default_value = "default", requires = "url")]
    pub(super) model: String,
    /// Environment variable with the key for a URL.
    #[arg(long, value_name = "VARIABLE", requires = "url")]
    pub(super) key_from: Option<String>,
}

impl Subjects {
    /// The targets as the engine asks them, and what a result says of them.
    pub(super) fn resolve(&self, place: &Place, shared: &Shared) -> Result<Vec<(Target, TargetFacts)>, Stop> {
        if let Some(url) = &self.url {
            return Ok(vec![self.of_url(url, shared)?]);
        }
        if self.targets.is_empty() {
            let stop = Stop::usage("nobody is asked");
            return Err(stop.hint("name a target of the config with `--target`, or a server with `--url`"));
        }
        let config = load::config(&place.config)?;
        let known = || config.snapshot.targets.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let one = |name: &String| {
            let target = config.snapshot.targets.get(name).ok_or_else(|| {
                Stop::usage(format!("there is no target `{name}`")).hint(format!("defined: {}", known()))
            })?;
            let ask = Arc::new(OfConfig { snapshot: Arc::clone(&config.snapshot), target: Arc::clone(target) });
            let facts = TargetFacts {
                name: name.clone(),
                model: target.model.clone(),
                url: if target.provider.is_simulated() {
                    "simulated".to_owned()
                } else {
                    target.provider.base_url.to_string()
                },
                simulated: target.provider.is_simulated(),
                fingerprint: Some(target.fingerprint.clone()),
            };
            let target = Target::new((name, &target.model), &target.provider, (shared, ask)).map_err(Stop::failed)?;
            Ok((target, facts))
        };
        let found: Vec<_> = self.targets.iter().map(one).collect::<Result<_, Stop>>()?;
        let mut names: Vec<&String> = self.targets.iter().collect();
        names.sort();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Stop::usage("a target is named twice")
                .hint("for noise alone, define a second target of the same provider"));
        }
        Ok(found)
    }

    fn of_url(&self, url: &str, shared: &Shared) -> Result<(Target, TargetFacts), Stop> {
        let base_url = BaseUrl::parse(url).map_err(|error| Stop::usage(error.to_string()))?;
        let mut provider = ProviderConfig::new("server", Dialect::Openai, base_url);
        if let Some(variable) = &self.key_from {
            let key = std::env::var(variable).map_err(|_| Stop::usage(format!("{variable} is not set")))?;
            provider.api_key = Some(Private::new(key));
        }
        let name = provider.base_url.to_string();
        let facts =
            TargetFacts { name: name.clone(), model: self.model.clone(), url: name.clone(), ..TargetFacts::default() };
        let target = Target::new((&name, &self.model), &provider, (shared, Arc::new(OfUrl))).map_err(Stop::failed)?;
        Ok((target, facts))
    }
}

/// Whether the target is asked beside another one, which comes first.
pub(super) fn is_beside(name: &str, found: &[(Target, TargetFacts)]) -> Result<(), Stop> {
    if found.iter().skip(1).any(|(target, _)| target.name == name) {
        return Ok(());
    }
    let stop = Stop::usage(format!("`{name}` is not asked beside another target"));
    Err(stop.hint(format!(
        "name the server without the gateway first: `--target DIRECT --target {name} --through-gateway {name}`"
    )))
}
