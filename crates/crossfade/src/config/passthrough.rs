//! `passthrough`: who keeps files, batches and whatever else names no model.

use std::collections::BTreeMap;
use std::sync::Arc;

use gateway::snapshot::{Calling, Parameters, Route, Target};
use wire::record::{Endpoint, Service};

use super::providers::Providers;
use super::reader::Section;

/// What a provider keeps, and the way to it.
#[derive(Default)]
pub(crate) struct Passthrough {
    /// The route for each endpoint.
    pub routes: BTreeMap<Endpoint, Arc<Route>>,
    /// One target for each provider named: it has no model, and its own breaker.
    pub targets: Vec<Arc<Target>>,
}

/// `passthrough: { files: openai, batches: openai }`.
pub(crate) fn read(root: &Section<'_>, providers: &Providers) -> Passthrough {
    let section = root.section("passthrough");
    let mut found = Passthrough::default();
    for endpoint in Endpoint::ALL.iter().copied().filter(|endpoint| endpoint.service() == Service::Provider) {
        let Some(item) = section.get(endpoint.as_str()) else { continue };
        let Some(provider) = providers.reference(&item).and_then(|name| providers.get(&name.value)) else { continue };
        let target = format!("passthrough:{}", provider.name);
        if !found.targets.iter().any(|known| known.name == target) {
            found.targets.push(Arc::new(Target {
                name: target.clone(),
                provider: Arc::clone(provider),
                model: String::new(),
                parameters: Parameters::default(),
                prompt: None,
                translation: Default::default(),
                tokenizer: None,
                space: None,
                claude: Default::default(),
                fingerprint: provider.base_url.as_str().to_owned(),
                calling: Calling { retries: provider.retries, ..Calling::default() },
            }));
        }
        let route = Route { name: format!("passthrough:{}", endpoint.as_str()), target, ..Route::default() };
        found.routes.insert(endpoint, Arc::new(route));
    }
    section.finish();
    found
}
