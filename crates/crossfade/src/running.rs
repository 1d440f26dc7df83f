//! A whole gateway in this process: the store, the data path, the controller and the admin listener, wired.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use arc_swap::ArcSwap;
use console::Admin;
use eval::prompt::Prompt;
use gateway::beside::Beside;
use gateway::control::{Controller, ControllerParts};
use gateway::ledger::JournalLedger;
use gateway::live::{LiveRollout, LiveTable};
use gateway::recall::Recall;
use gateway::retention::{self, Retention};
use gateway::serve::{Deps, Serving, Size};
use gateway::shadow::TRUST_AGE;
use gateway::snapshot::Snapshot;
use gateway::targets::Lanes;
use govern::{Keeper, Key, KeyTable, Role};
use operations::judge::JudgeView;
use operations::vectors::{IndexesFn, TurnFn};
use operations::{Desk, Door, JudgeFn, Reloaded};
use store::{Database, Journal, Lease, Refusing, Shipper, ShipperConfig};
use wire::record::Lane;

use crate::config::{self, Config, Worksheets};
use crate::facade;
use crate::identity;
use crate::load;
use crate::out::Stop;
use crate::rooms;
use crate::telling;
use crate::verbs::vectors::{page, runs};
use crate::verbs::{Place, check};

/// How often the controller looks.
const TICK: Duration = Duration::from_millis(100);
/// A store that refuses for this long counts as control plane lost.
const STORE_PATIENCE: Duration = Duration::from_secs(60);
/// How long a start waits for what a dead process left in the journal. What takes longer goes on beside the traffic, which
/// is the baseline's until it is done.
const CATCH_UP: Duration = Duration::from_millis(300);

/// What a rehearsal does otherwise than production.
pub(crate) struct Manner {
    /// A store that refuses for this long counts as control plane lost.
    pub store_patience: Duration,
    /// Makes the store refuse.
    pub refusing: Option<Refusing>,
}

impl Manner {
    fn open(&self, config: &Config) -> Result<Database, Stop> {
        let opened = match &self.refusing {
            Some(refusing) => Database::open_refusing(&config.store, refusing),
            None => Database::open(&config.store),
        };
        opened.map_err(Stop::failed)
    }
}

/// A second engine on the store of a running gateway, without its lease: what a gateway elsewhere is that believes to lead.
pub(crate) struct Usurper {
    /// What it makes of the rollouts.
    pub live: Arc<LiveTable>,
    controller: Controller,
}

impl Usurper {
    /// Who gives it orders.
    pub(crate) fn control(&self) -> gateway::control::Control {
        self.controller.control()
    }

    /// Stops it.
    pub(crate) fn stop(self) {
        self.controller.stop();
    }
}

/// A running gateway.
pub(crate) struct Running {
    /// Everything operations work with.
    pub desk: Arc<Desk>,
    /// The data listener.
    pub serving: Arc<Serving>,
    /// Reads the config again and swaps it in.
    pub reloader: Arc<Reloader>,
    controller: Controller,
    admin: Admin,
    facade: Option<Beside>,
    keys: Arc<Keeper>,
    alerts: Arc<alerts::Alerts>,
    pruning: Arc<Retention>,
    shipper: Arc<Shipper>,
    journal: Journal,
    lease: Lease,
}

impl Running {
    /// Starts everything; when this returns, the data listener takes traffic. `path` is where a reload reads the config.
    pub(crate) fn start(config: &Config, path: PathBuf) -> Result<Running, Stop> {
        Running::start_in(config, path, &Manner { store_patience: STORE_PATIENCE, refusing: None })
    }

    /// The same in another manner: a drill does not wait for a minute, and its store may be made to refuse.
    pub(crate) fn start_in(config: &Config, path: PathBuf, manner: &Manner) -> Result<Running, Stop> {
        let (lease, data) = (take_store(config)?, bind(config.listen, "listen")?);
        let admin_listener = bind(config.admin.listen, "admin.listen")?;
        let (journal, shipper) = open_record(config, manner)?;
        let snapshot = Arc::new(ArcSwap::new(Arc::clone(&config.snapshot)));
        let (live, lanes) = (Arc::new(LiveTable::default()), Arc::<Lanes>::default());
        let controller = control(config, manner, (&snapshot, &live, &lanes), (&journal, &shipper))?;
        let ledger = Arc::new(JournalLedger::new(journal.clone()));
        let providers = Arc::new(providers::Shared::new().watched(Arc::clone(&ledger) as _, Lane::Live));
        let keys = keep_keys(config, manner)?;
        let deps = Deps {
            keys: keys.table(),
            accounts: keys.accounts(),
            snapshot: Arc::clone(&snapshot),
            live: Arc::clone(&live),
            journal: journal.clone(),
            recall: Arc::new(Recall::new(Some(config.store.clone()))),
            lanes: Arc::clone(&lanes),
            providers: Arc::clone(&providers),
            store: Some(config.store.clone()),
        };
        let serving = Arc::new(gateway::serve::start(data, &deps, &size(config)).map_err(Stop::failed)?);
        let facade = facade::start(config, &path, &keys.table(), &snapshot, &(Arc::clone(&ledger) as _))?;
        let reloader = Arc::new(Reloader {
            path,
            data: facade.iter().map(Beside::addr).chain([serving.addr()]).collect(),
            fixed: fixed(config),
            snapshot,
            keys: keys.table(),
            providers: Arc::clone(&providers),
            live: Arc::clone(&live),
            said: Said::of(config),
        });
        let (alerts, pruning) = beside(config, manner, (&live, &journal, &reloader), &ledger)?;
        let desk = Arc::new(Desk {
            identity: identity::of(&config.store, &reloader.path),
            control: controller.control(),
            live,
            journal: journal.clone(),
            keys: Arc::clone(&keys),
            asks_for_keys: asks_of(Arc::clone(&reloader)),
            providers,
            gateway_metrics: metrics_of(&serving, ledger, &alerts, &pruning),
            trouble: trouble_of(Arc::clone(&serving)),
            judge: judges_of(Arc::clone(&reloader), config.store.clone()),
            reload: reload_of(Arc::clone(&reloader)),
            resolved: resolved_of(Arc::clone(&reloader)),
            read_prompt: Box::new(read_kept),
            indexes: indexes_of(config, &reloader.path),
            vector_run: Box::new(runs::standing_of),
            turn: turn_of(&reloader.path),
            sides: rooms::sides(Arc::clone(&reloader)),
            sheets: rooms::sheets(Arc::clone(&reloader), config.store.clone()),
            reports: rooms::reports(Arc::clone(&reloader)),
            webhooks: webhooks_of(Arc::clone(&reloader)),
            ready: Arc::new(AtomicBool::new(true)),
            database: Mutex::new(Database::open_read_only(&config.store).map_err(Stop::failed)?),
        });
        let admin = console::start(admin_listener, door(config), Arc::clone(&desk)).map_err(Stop::failed)?;
        Ok(Running {
            desk,
            serving,
            reloader,
            controller,
            admin,
            facade,
            keys,
            alerts,
            pruning,
            shipper,
            journal,
            lease,
        })
    }

    /// Where applications connect.
    pub(crate) fn data_address(&self) -> SocketAddr {
        self.serving.addr()
    }

    /// Where operators connect.
    pub(crate) fn admin_address(&self) -> SocketAddr {
        self.admin.addr()
    }

    /// Where applications ask for vectors, if they can.
    pub(crate) fn vectors_address(&self) -> Option<SocketAddr> {
        self.facade.as_ref().map(Beside::addr)
    }

    /// The policy of a rollout of the config.
    pub(crate) fn policy(&self, rollout: &str) -> Option<rollout::Policy> {
        self.reloader.snapshot.load().rollouts.get(rollout).map(|settings| settings.policy.clone())
    }

    /// What the request path acts on of a rollout, while it is live.
    pub(crate) fn live(&self, rollout: &str) -> Option<Arc<LiveRollout>> {
        self.desk.live.all().into_iter().find(|live| live.identity.name == rollout)
    }

    /// Starts a second engine on `store`, whoever holds the lease. For drills.
    pub(crate) fn usurp(&self, store: &std::path::Path, store_patience: Duration) -> Result<Usurper, Stop> {
        let live = Arc::new(LiveTable::default());
        let controller = Controller::start(ControllerParts {
            database: Database::open(store).map_err(Stop::failed)?,
            snapshot: Arc::clone(&self.reloader.snapshot),
            live: Arc::clone(&live),
            journal: self.journal.clone(),
            lanes: Arc::default(),
            record_ready: Box::new(|| true),
            tick: TICK,
            store_patience,
        });
        Ok(Usurper { live, controller: controller.map_err(Stop::failed)? })
    }

    /// Waits until everything recorded so far is in the database.
    pub(crate) fn ship(&self, at_most: Duration) -> bool {
        self.shipper.flush(at_most)
    }

    /// Ends in order: readiness off, requests under way finish, evidence is saved, the journal is written and shipped.
    pub(crate) fn drain(self) {
        self.desk.ready.store(false, Ordering::Release);
        self.serving.drain();
        if let Some(facade) = self.facade {
            facade.stop();
        }
        self.controller.stop();
        self.alerts.stop();
        self.pruning.stop();
        self.admin.stop();
        self.keys.stop();
        self.journal.shutdown();
        self.shipper.stop();
        drop(self.lease);
    }
}

/// The store is this process's from here on.
fn take_store(config: &Config) -> Result<Lease, Stop> {
    // The directories first: the lock file lies in one of them.
    prepare_directory(config.store.parent())?;
    if store::private::is_readable_by_others(&config.store) {
        let path = config.store.display();
        tracing::warn!(%path, "others may read the store, which holds prompts and answers; chmod 600 it");
    }
    Lease::acquire(&config.store).map_err(|error| {
        let hint = "one process at a time runs on a store; stop the other, or give this one another `store`";
        Stop::failed(error).hint(hint)
    })
}

/// The keys in memory, with a warning where nobody is asked for one.
fn keep_keys(config: &Config, manner: &Manner) -> Result<Arc<Keeper>, Stop> {
    let keys = Arc::new(Keeper::start(manner.open(config)?).map_err(Stop::failed)?);
    warn_without_keys(config, &keys);
    Ok(keys)
}

/// What runs beside the requests: who tells people, and who takes away what is old.
fn beside(
    config: &Config,
    manner: &Manner,
    (live, journal, reloader): (&Arc<LiveTable>, &Journal, &Reloader),
    ledger: &Arc<JournalLedger>,
) -> Result<(Arc<alerts::Alerts>, Arc<Retention>), Stop> {
    let alerts = tell(manner.open(config)?, (live, journal, reloader), ledger)?;
    Ok((Arc::new(alerts), Arc::new(keep(manner.open(config)?, config, reloader)?)))
}

/// The thread that tells, with a lane of its own on the ledger of connections.
fn tell(
    database: Database,
    (live, journal, reloader): (&Arc<LiveTable>, &Journal, &Reloader),
    ledger: &Arc<JournalLedger>,
) -> Result<alerts::Alerts, Stop> {
    let looking = telling::Looking {
        live: Arc::clone(live),
        journal: journal.clone(),
        snapshot: Arc::clone(&reloader.snapshot),
        looked_us: 0.into(),
    };
    let lane = reloader.providers.lane().watched(Arc::clone(ledger) as _, Lane::Alerts);
    let alerts = telling::start(looking, database, lane, Arc::clone(&reloader.said.alerts));
    Ok(alerts.context("could not start the alerts' thread")?)
}

/// Whether everything that earlier processes left is in the database.
fn is_shipped(shipper: &Arc<Shipper>) -> Box<dyn Fn() -> bool + Send> {
    let shipper = Arc::clone(shipper);
    Box::new(move || shipper.counts().inherited_shipped)
}

/// Whether callers need keys, by the config in force.
fn asks_of(reloader: Arc<Reloader>) -> Box<dyn Fn() -> bool + Send + Sync> {
    Box::new(move || reloader.snapshot.load().auth.required)
}

/// Why a target takes no calls.
fn trouble_of(serving: Arc<Serving>) -> operations::TroubleFn {
    Box::new(move |target, shadowing| serving.trouble(target, shadowing))
}

/// Reads the config again.
fn reload_of(reloader: Arc<Reloader>) -> operations::ReloadFn {
    Box::new(move || reloader.reload().map_err(with_hint))
}

/// The webhooks in force.
fn webhooks_of(reloader: Arc<Reloader>) -> Box<dyn Fn() -> Vec<String> + Send + Sync> {
    Box::new(move || reloader.webhooks())
}

/// The config in force as it is understood.
fn resolved_of(reloader: Arc<Reloader>) -> operations::ResolvedFn {
    Box::new(move || reloader.said.resolved.load_full())
}

/// The thread that writes stages.
fn control(
    config: &Config,
    manner: &Manner,
    (snapshot, live, lanes): (&Arc<ArcSwap<Snapshot>>, &Arc<LiveTable>, &Arc<Lanes>),
    (journal, shipper): (&Journal, &Arc<Shipper>),
) -> Result<Controller, Stop> {
    let parts = ControllerParts {
        database: manner.open(config)?,
        snapshot: Arc::clone(snapshot),
        live: Arc::clone(live),
        journal: journal.clone(),
        lanes: Arc::clone(lanes),
        record_ready: is_shipped(shipper),
        tick: TICK,
        store_patience: manner.store_patience,
    };
    Controller::start(parts).map_err(Stop::failed)
}

/// A version of a prompt, read again.
fn read_kept(name: &str, text: &str) -> Result<Prompt, String> {
    let read = config::read_prompt(&format!("{name}.yaml"), text).map_err(|errors| Stop::config(errors).full_text())?;
    Ok(Prompt { name: name.to_owned(), ..read })
}

/// The indexes that this process serves: what a reload does not change.
fn indexes_of(config: &Config, path: &Path) -> IndexesFn {
    let place = Place { config: path.to_owned(), admin: None };
    let indexes = config.vectors.as_ref().map(|served| served.indexes.clone()).unwrap_or_default();
    Box::new(move || page::views(&place, &indexes))
}

fn turn_of(path: &Path) -> TurnFn {
    let place = Place { config: path.to_owned(), admin: None };
    Box::new(move |turn| page::turn(&place, turn))
}

/// Who comes in at the admin listener.
fn door(config: &Config) -> Door {
    Door { token: config.admin.token.clone(), on_loopback: config.admin.listen.ip().is_loopback() }
}

/// The numbers of everything but the journal and the rollouts.
fn metrics_of(
    serving: &Arc<Serving>,
    ledger: Arc<JournalLedger>,
    alerts: &Arc<alerts::Alerts>,
    pruning: &Arc<Retention>,
) -> Box<dyn Fn() -> String + Send + Sync> {
    let (serving, alerts, pruning) = (Arc::clone(serving), Arc::clone(alerts), Arc::clone(pruning));
    Box::new(move || crate::metrics::metrics(&serving, &ledger, &alerts.status(), &pruning.status()))
}

/// The thread that takes away what is old.
fn keep(database: Database, config: &Config, reloader: &Reloader) -> Result<Retention, Stop> {
    let snapshot = Arc::clone(&reloader.snapshot);
    let window = move |name: &str| {
        let revalidated = snapshot.load().rollouts.get(name)?.revalidate;
        Some(revalidated.map_or(retention::COMPLETED, |(every, _)| every))
    };
    let started = Retention::start(database, config.record.retention, window);
    Ok(started.context("could not start the retention's thread")?)
}

fn warn_without_keys(config: &Config, keys: &Keeper) {
    if config.snapshot.auth.required && keys.table().load().is_empty() {
        let how = if config.admin.token.is_some() { "with CROSSFADE_ADMIN_TOKEN set" } else { "while no gateway runs" };
        tracing::warn!(
            "every caller is asked for a key and there is none; `crossfade keys create NAME`, {how}, makes one"
        );
    }
}

fn prepare_directory(directory: Option<&std::path::Path>) -> Result<(), Stop> {
    let Some(directory) = directory.filter(|directory| !directory.as_os_str().is_empty()) else { return Ok(()) };
    let made = store::private::make_directory(directory);
    Ok(made.with_context(|| format!("could not make the directory {}", directory.display()))?)
}

pub(crate) fn bind(address: SocketAddr, key: &str) -> Result<TcpListener, Stop> {
    TcpListener::bind(address).map_err(|error| {
        let stop = Stop::failed(anyhow!("could not listen on {address}: {error}"));
        stop.hint(format!("another process may be there; write another `{key}` in the config"))
    })
}

/// The journal, and the database with everything a dead process left in the journal.
fn open_record(config: &Config, manner: &Manner) -> Result<(Journal, Arc<Shipper>), Stop> {
    let record = &config.record;
    let settings = store::Config {
        mode: record.mode,
        segment_bytes: record.segment_bytes,
        max_spool_bytes: record.max_spool_bytes,
        ..store::Config::default()
    };
    let (journal, recovered) = Journal::open(&record.dir, settings).map_err(Stop::failed)?;
    let store::Recovered { segments, bytes, records_in_last, unacknowledged_bytes, .. } = recovered;
    tracing::info!(segments, bytes, records_in_last, "journal open");
    if unacknowledged_bytes > 0 {
        tracing::info!(
            bytes = unacknowledged_bytes,
            "the newest segment of the journal was not closed: what stands behind its last whole record, room kept in advance or a write that nobody was told of, is cut off; nothing acknowledged is lost"
        );
    }
    let database = manner.open(config)?;
    let shipper = Shipper::start(&journal, &database, ShipperConfig::default()).context("could not start shipping")?;
    if !shipper.flush(CATCH_UP) {
        tracing::warn!(
            "the journal of the last run is not shipped yet; rollouts wait for it, everybody is on the baseline"
        );
    }
    Ok((journal, Arc::new(shipper)))
}

fn size(config: &Config) -> Size {
    let default = Size::default();
    Size { n_workers: config.workers.map_or(default.n_workers, usize::from), shadow: config.shadow.clone() }
}

/// Reads the config again: validate whole, prepare, swap. On any problem the one in force stays.
pub(crate) struct Reloader {
    path: PathBuf,
    /// Where applications connect until the next start.
    data: Vec<SocketAddr>,
    fixed: Fixed,
    snapshot: Arc<ArcSwap<Snapshot>>,
    keys: Arc<ArcSwap<KeyTable>>,
    providers: Arc<providers::Shared>,
    live: Arc<LiveTable>,
    said: Said,
}

/// What the config in force says beside what the request path runs on.
struct Said {
    /// Whether the admin listener takes a token, by the config of the start.
    has_token: bool,
    /// Who is told of what.
    alerts: Arc<ArcSwap<alerts::Settings>>,
    /// Worksheets of costs, by what each is of.
    worksheets: ArcSwap<Worksheets>,
    /// What `crossfade check` says of it.
    resolved: ArcSwap<serde_json::Value>,
}

impl Said {
    fn of(config: &Config) -> Said {
        Said {
            has_token: config.admin.token.is_some(),
            alerts: Arc::new(ArcSwap::new(Arc::clone(&config.alerts))),
            worksheets: ArcSwap::from_pointee(config.worksheets.clone()),
            resolved: ArcSwap::from_pointee(check::facts(config)),
        }
    }

    fn swap(&self, config: &Config) {
        self.alerts.store(Arc::clone(&config.alerts));
        self.worksheets.store(Arc::new(config.worksheets.clone()));
        self.resolved.store(Arc::new(check::facts(config)));
    }
}

impl Reloader {
    /// Where a reload reads the config.
    pub(crate) fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// The worksheets in force.
    pub(crate) fn worksheets(&self) -> Arc<Worksheets> {
        self.said.worksheets.load_full()
    }

    /// What the request path runs on.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// The webhooks in force, by name.
    fn webhooks(&self) -> Vec<String> {
        self.said.alerts.load().webhooks.iter().map(|webhook| webhook.name.clone()).collect()
    }

    /// Reloads and says what came of it, in the log too.
    pub(crate) fn reload(&self) -> Result<Reloaded, Stop> {
        let reloaded = load::config(&self.path).and_then(|config| self.swap(&config));
        match &reloaded {
            Ok(Reloaded { config_hash, changed, waits_for_start }) => {
                tracing::info!(config = %config_hash, changed, ?waits_for_start, "config reloaded");
            }
            Err(stop) => {
                tracing::error!(problems = %stop.full_text(), "config not reloaded; the old one stays in force")
            }
        }
        reloaded
    }

    /// What a completed rollout proved is the candidate as it is in force, under whatever name the new config keeps it.
    fn unproven(&self, after: &Snapshot) -> Option<Stop> {
        let before = self.snapshot.load();
        let fingerprint =
            |snapshot: &Snapshot, name: &str| snapshot.target(name).map(|target| target.fingerprint.clone());
        let live = self.live.all().into_iter().filter(|live| live.is_taken_over(after));
        let changed = |live: &Arc<LiveRollout>| {
            let candidate = &live.identity.candidate;
            fingerprint(&before, candidate) != fingerprint(after, candidate)
        };
        let live = live.into_iter().find(changed)?;
        let (rollout, candidate) = (&live.identity.name, &live.identity.candidate);
        let stop = Stop::usage(anyhow!(
            "rollout `{rollout}` is completed with another target `{candidate}` than this config has under that name"
        ));
        Some(stop.hint("take the rollout out with the target as it was proved; change the target in a later reload"))
    }

    fn swap(&self, config: &Config) -> Result<Reloaded, Stop> {
        if let Some(live) = self.live.lost_by(&config.snapshot).first() {
            return Err(lost(live));
        }
        if let Some(stop) = self.unproven(&config.snapshot) {
            return Err(stop);
        }
        self.data.iter().try_for_each(|address| stays_guarded(*address, config))?;
        if config.snapshot.auth.required && !self.snapshot.load().auth.required && !self.said.has_token {
            stays_steerable(&self.keys.load(), gateway::live::now().0)?;
        }
        gateway::serve::prepare(&config.snapshot, &self.providers).map_err(Stop::failed)?;
        let before = self.snapshot.swap(Arc::clone(&config.snapshot));
        self.said.swap(config);
        let keep: Vec<_> = config
            .snapshot
            .targets
            .values()
            .flat_map(|target| target.providers())
            .map(|provider| provider.identity())
            .collect();
        self.providers.retain(&keep);
        let differs = self.fixed.iter().zip(fixed(config)).filter(|(started, now)| **started != *now);
        let waits_for_start = differs.map(|(_, (key, _))| key.to_owned()).collect();
        Ok(Reloaded { config_hash: config.hash.clone(), changed: before.hash != config.hash, waits_for_start })
    }
}

/// A running gateway keeps its rollouts. One that is completed has nothing to be aborted: that would take its traffic back.
fn lost(live: &LiveRollout) -> Stop {
    let gateway::live::Identity { name: rollout, route, candidate, .. } = &live.identity;
    let stop = Stop::usage(anyhow!("rollout `{rollout}` is live, and this config has it no more or on another route"));
    if live.is_completed() {
        return stop.hint(format!(
            "it is completed: with `{candidate}` as the target of route `{route}` it may go; everybody is served by that already"
        ));
    }
    stop.hint(format!("`crossfade rollout abort {rollout}` first, or leave it in the config as it is"))
}

/// What went wrong and the next step, for whoever asked from afar.
pub(crate) fn with_hint(stop: Stop) -> String {
    match &stop.hint {
        Some(hint) => format!("{}\nhint: {hint}", stop.full_text()),
        None => stop.full_text(),
    }
}

/// The file may name another address now; callers still come in by the one of the start.
fn stays_guarded(data: SocketAddr, config: &Config) -> Result<(), Stop> {
    if data.ip().is_loopback() || config.snapshot.auth.required || config.allow_unauthenticated {
        return Ok(());
    }
    let stop = Stop::usage(anyhow!("this gateway listens on {data}, and this config would ask nobody for a key"));
    Err(stop.hint("leave `auth: { required: true }` in it until a start with a `listen` on loopback"))
}

/// Where keys are asked for, nobody without one may steer: somebody must have one before.
fn stays_steerable(keys: &KeyTable, now_us: u64) -> Result<(), Stop> {
    let is_admin = |key: &Arc<Key>| key.scope.role == Some(Role::Admin) && keys.still_good(key, now_us).is_ok();
    if keys.keys().any(is_admin) {
        return Ok(());
    }
    let stop = Stop::usage(anyhow!(
        "this config asks for keys, and no key has the role admin: nobody could reload, approve or abort any more"
    ));
    Err(stop.hint("`crossfade keys create NAME --role admin` first, or start with an `admin.token`"))
}

/// Keys of the config with their values as text to compare.
type Fixed = [(&'static str, String); 7];

/// How far the judges of live pairs agree with people. It is kept as long as the shadow keeps it: looking it up reads whole runs.
fn judges_of(reloader: Arc<Reloader>, store: PathBuf) -> JudgeFn {
    let found: Mutex<BTreeMap<String, (Instant, JudgeView)>> = Mutex::default();
    Box::new(move |rollout| {
        let snapshot = reloader.snapshot.load_full();
        let model = snapshot.rollouts.get(rollout)?.shadow.judged.as_ref()?.model.as_ref()?;
        let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
        let is_same = |view: &JudgeView| {
            view.definition == model.judge.definition() && view.untested == model.judge.decides_untested()
        };
        let kept = found.get(rollout).filter(|(at, view)| at.elapsed() < TRUST_AGE && is_same(view));
        if let Some((_, view)) = kept {
            return Some(view.clone());
        }
        let view = JudgeView::of(model, &Database::open_read_only(&store).ok()?);
        found.insert(rollout.to_owned(), (Instant::now(), view.clone()));
        Some(view)
    })
}

/// What a reload does not change.
fn fixed(config: &Config) -> Fixed {
    let config::Config { listen, admin, store, record, workers, shadow, vectors, .. } = config;
    [
        ("listen", listen.to_string()),
        ("admin", format!("{admin:?}")),
        ("store", format!("{store:?}")),
        ("record", format!("{record:?}")),
        ("workers", format!("{workers:?}")),
        ("shadow", format!("{shadow:?}")),
        ("vectors", format!("{vectors:?}")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reload_does_not_open_a_listener_that_other_machines_reach() {
        let config = |text: &str| config::resolve("crossfade.yaml", text, &|_| None).unwrap();
        let reached: SocketAddr = "192.0.2.1:4000".parse().unwrap();
        let local: SocketAddr = "127.0.0.1:4000".parse().unwrap();
        let open = config("listen: 127.0.0.1:4000\n");
        assert!(stays_guarded(reached, &open).is_err());
        assert!(stays_guarded(local, &open).is_ok());
        assert!(stays_guarded(reached, &config("auth: { required: true }\n")).is_ok());
        assert!(stays_guarded(reached, &config("allow_unauthenticated: true\n")).is_ok());
    }
}
