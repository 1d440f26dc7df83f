//! `crossfade.yaml`: what a person wrote, and what the program runs on. `resolve` is a pure function of the text, the
//! environment and the price sheets the text names; it returns a config that cannot be wrong in itself, or every problem at once.

mod alerts;
mod allowances;
mod assumed;
mod cache;
mod calling;
mod cascade;
mod error;
mod judges;
mod leaving;
mod matrix;
mod passthrough;
mod policy;
mod prices;
mod process;
mod prompts;
mod providers;
mod reader;
mod report;
mod residency;
mod rollouts;
mod rules;
mod spaces;
mod suite;
mod targets;
mod tree;
mod value;
mod vectors;
mod worksheet;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use gateway::snapshot::Snapshot;
use rollout::Risk;
use wire::private::Private;

use reader::{Environment, Item, Problems};

pub(crate) use assumed::{Assumed, Worksheets};
pub(crate) use error::{ConfigError, nearest, places_of, render};
pub(crate) use leaving::exit_worksheet;
pub(crate) use matrix::{CellPlan, LoadFlags, Matrix, fill as fill_in, matrix};
pub(crate) use prompts::{Binding, Unbindable, bindable, bindings as prompt_bindings, prompt as read_prompt};
pub(crate) use report::{ReportSettings, put as put_demand};
pub(crate) use suite::{Suite, SuiteEncoder, SuiteEntailment, SuiteJudge, risks, suite};
pub(crate) use tree::{Key, Kind, Node, parse as parse_tree};
pub(crate) use value::{age as parse_age, duration as parse_duration, nanodollars, short as show_share, show_duration};
pub(crate) use vectors::Vectors;
pub(crate) use worksheet::worksheet;

/// A whole resolved config.
#[derive(Debug)]
pub(crate) struct Config {
    /// Hash of the text it was resolved from and of the price sheets the text names; audit rows name it. Environment variables are not part of it.
    pub hash: String,
    /// Where applications connect.
    pub listen: SocketAddr,
    /// Where operators connect.
    pub admin: Admin,
    /// The SQLite file.
    pub store: PathBuf,
    /// How exchanges are recorded.
    pub record: Record,
    /// Request threads; `None` is one per core.
    pub workers: Option<NonZeroUsize>,
    /// What copies may hold, and when none are made.
    pub shadow: gateway::shadow::ShadowLimits,
    /// Listening beyond loopback without asking for keys was said to be meant.
    pub allow_unauthenticated: bool,
    /// Providers, targets, routes, rollouts and limits, as the gateway runs on them.
    pub snapshot: Arc<Snapshot>,
    /// Who is told of what.
    pub alerts: Arc<::alerts::Settings>,
    /// The risk of each workload.
    pub risks: BTreeMap<String, Risk>,
    /// What the decision report demands.
    pub report: ReportSettings,
    /// What worksheets of costs begin with where nothing is on record.
    pub assumed: Assumed,
    /// Worksheets of costs, by the workload or route that each is of.
    pub worksheets: Worksheets,
    /// The indexes that applications ask by Pinecone's API.
    pub vectors: Option<Vectors>,
}

/// The admin listener.
#[derive(Debug, Clone)]
pub(crate) struct Admin {
    /// Where it listens.
    pub listen: SocketAddr,
    /// What opens everything; beyond loopback this or keys are needed.
    pub token: Option<Private<String>>,
}

/// How exchanges are recorded.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    /// Directory of the journal.
    pub dir: PathBuf,
    /// What an acknowledgement promises.
    pub mode: store::Mode,
    /// A segment this large is followed by a new one.
    pub segment_bytes: u64,
    /// Bound on bytes that the database does not have yet.
    pub max_spool_bytes: u64,
    /// How long what evidence counted is kept for a replay once its epoch has ended; `None` for ever.
    pub replay: Option<std::time::Duration>,
    /// What goes from the database, and when.
    pub retention: gateway::retention::Settings,
}

/// Reads a config.
///
/// # Errors
/// Every problem found, in the order of the file.
pub(crate) fn resolve(source_name: &str, text: &str, environment: Environment<'_>) -> Result<Config, Vec<ConfigError>> {
    with_root(source_name, text, environment, |root| read(root, text))
}

/// What `read` makes of the root, or every problem it noted.
fn with_root<T>(
    source_name: &str,
    text: &str,
    environment: Environment<'_>,
    read: impl FnOnce(reader::Section<'_>) -> T,
) -> Result<T, Vec<ConfigError>> {
    let problems = Problems::new(source_name, text, environment);
    let tree = match tree::parse(text) {
        Ok(tree) => tree,
        Err(error) => {
            problems.note(error.place, "", format!("not YAML: {}", error.message), syntax_hint(text, error.place.line));
            return Err(problems.into_errors());
        }
    };
    let value = Item::root(&tree, &problems).section().map(read);
    match value {
        Some(value) if problems.is_empty() => Ok(value),
        _ => Err(problems.into_errors()),
    }
}

/// Where the running gateway and its store are: all that a verb needs that only talks to them.
#[derive(Debug)]
pub(crate) struct Places {
    /// The admin listener.
    pub admin: Admin,
    /// The SQLite file.
    pub store: PathBuf,
}

/// Reads `admin` and `store` and looks at nothing else: whoever aborts a rollout needs neither the providers' keys at hand
/// nor a config without mistakes elsewhere.
///
/// # Errors
/// When the text is not YAML, or these two keys are wrong.
pub(crate) fn places(source_name: &str, text: &str, environment: Environment<'_>) -> Result<Places, Vec<ConfigError>> {
    with_root(source_name, text, environment, |root| Places {
        admin: process::admin(&root, process::auth(&root).required, None),
        store: process::store(&root),
    })
}

fn read(root: reader::Section<'_>, text: &str) -> Config {
    let allow_unauthenticated = root.get("allow_unauthenticated").and_then(|item| item.boolean()).unwrap_or(false);
    let auth = process::auth(&root);
    let listen = process::listen(&root, auth.required || allow_unauthenticated);
    let admin = process::admin(&root, auth.required, Some(listen));
    let store = process::store(&root);
    let vectors = vectors::read(&root, auth.required || allow_unauthenticated, [listen, admin.listen], &store);
    let record = process::record(&root);
    let workers = process::workers(&root);
    let limits = process::limits(&root);
    let keeping = process::keeping(&root, &record);
    let drain = process::drain(&root);
    let shadow = process::shadow(&root);
    let feedback = process::feedback(&root);
    let told = Arc::new(alerts::read(&root));
    let providers = providers::read(&root);
    let prompts = prompts::bound(&root);
    let targets = targets::targets(&root, &providers, &prompts);
    let workloads = rollouts::workloads(&root);
    let mut routes = targets::routes(&root, &targets, &workloads);
    rules::attach(&root, &targets, &workloads, &mut routes);
    let tenants = allowances::tenants(&root);
    let is_internal = |(name, (_, residency)): (&String, &(_, govern::Residency))| {
        (*residency == govern::Residency::Internal).then(|| name.clone())
    };
    let internal_tenants = tenants.iter().filter_map(is_internal).collect();
    let tenants = tenants.into_iter().map(|(name, (limits, _))| (name, limits)).collect();
    let passthrough = passthrough::read(&root, &providers);
    let (rollouts, cohorts) = rollouts::rollouts(&root, &targets, &routes, &workloads);
    rollouts::attach(&mut routes, cohorts);
    let risks = workloads.found.iter().filter_map(|(name, of)| Some((name.clone(), of.as_ref()?.risk))).collect();
    let reported = report::read(&root, &routes);
    let (assumed, worksheets) = assumed::read(&root, &routes, &workloads);
    let (prices, sheets) = prices::read(&root, &targets);
    allowances::unpriced_budgets(&root, &routes, &prices);
    let asked = prompts::texts(&prompts);
    let texts = std::iter::once(text).chain(sheets.iter().chain(&asked).map(String::as_str));
    let hash = value::hash(&texts.collect::<Vec<_>>());
    root.finish();
    let kept = passthrough.targets.into_iter().map(|target| (target.name.clone(), target));
    let targets = targets.found.into_iter().filter_map(|(name, target)| Some((name, target?))).chain(kept).collect();
    let passthrough = passthrough.routes;
    let routes = routes.found.into_iter().filter_map(|(name, route)| Some((name, Arc::new(route?.route)))).collect();
    let snapshot = Arc::new(Snapshot {
        hash: hash.clone(),
        targets,
        routes,
        passthrough,
        rollouts,
        auth,
        tenants,
        internal_tenants,
        prices,
        keeping,
        limits,
        drain,
        feedback,
    });
    Config {
        hash,
        listen,
        admin,
        store,
        record,
        workers,
        shadow,
        allow_unauthenticated,
        snapshot,
        alerts: told,
        risks,
        report: reported,
        assumed,
        worksheets,
        vectors,
    }
}

fn syntax_hint(text: &str, line: usize) -> Option<String> {
    let has_tab = text.lines().take(line).any(|line| line.trim_start_matches(' ').starts_with('\t'));
    has_tab.then(|| "indent with spaces; YAML refuses tabs".into())
}
