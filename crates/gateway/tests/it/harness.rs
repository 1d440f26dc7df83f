//! A gateway with everything real but its upstreams.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use gateway::control::RolloutSettings;
use gateway::ledger::JournalLedger;
use gateway::live::{Identity, LiveRollout, LiveTable, View};
use gateway::recall::Recall;
use gateway::serve::{Deps, Serving, Size, StartError, prepare, start};
use gateway::shadow::ShadowSettings;
use gateway::snapshot::{Auth, Calling, Drain, Keeping, Limits, Parameters, Route, Snapshot, Target, Validation};
use govern::{Accounts, Keeper};
use providers::{BaseUrl, Dialect, ProviderConfig, RetryRules};
use rollout::{Carry, Evidence, Policy, Risk, Timestamp, Unit};
use scripted::Upstream;
use store::{Config, Database, ExchangeDetail, ExchangeFilter, Journal, Shipper, ShipperConfig};
use wire::private::Private;

use crate::client::PATIENCE;

/// A secret that must turn up nowhere.
pub const PROVIDER_KEY: &str = "sk-canary-provider-3f9a";

pub struct Setup {
    pub targets: Vec<Target>,
    pub fallback: Vec<String>,
    pub emergency_fallback: bool,
    pub auth: Auth,
    pub panic: bool,
    pub retries: RetryRules,
    pub tenants: BTreeMap<String, govern::limits::Limits>,
    pub internal_tenants: std::collections::BTreeSet<String>,
    /// Of the route `gpt-4o`.
    pub residency: govern::Residency,
    /// Of the route `gpt-4o`.
    pub route_limits: govern::limits::Limits,
    pub validation: Validation,
    /// Of the route `gpt-4o`.
    pub cohorts: Vec<gateway::snapshot::Cohort>,
    pub limits: Limits,
    pub keeping: Keeping,
    pub drain: Drain,
    pub live: Vec<Arc<LiveRollout>>,
    /// What the config says of the shadow of every rollout in `live`.
    pub shadow: ShadowSettings,
    pub retry_on_rollback: bool,
    pub journal: Config,
    pub size: Size,
    pub providers: providers::Shared,
}

impl Setup {
    /// One route, `gpt-4o`, to the first of these upstreams; the targets are called `a`, `b`, `c`.
    pub fn to(upstreams: &[&Upstream]) -> Self {
        let urls: Vec<String> = upstreams.iter().map(|upstream| upstream.url()).collect();
        Self::to_urls(&urls.iter().map(String::as_str).collect::<Vec<_>>())
    }

    pub fn to_urls(urls: &[&str]) -> Self {
        let targets = urls.iter().zip(["a", "b", "c"]).map(|(url, name)| target(name, url)).collect();
        Self {
            targets,
            fallback: Vec::new(),
            emergency_fallback: false,
            auth: Auth::default(),
            panic: false,
            retries: RetryRules::default(),
            tenants: BTreeMap::new(),
            internal_tenants: Default::default(),
            residency: govern::Residency::Anywhere,
            route_limits: govern::limits::Limits::default(),
            validation: Validation::default(),
            cohorts: Vec::new(),
            limits: Limits { write_timeout: Duration::from_millis(500), ..Limits::default() },
            keeping: Keeping::default(),
            drain: Drain { pre_stop: Duration::ZERO, deadline: Duration::from_secs(5) },
            live: Vec::new(),
            shadow: ShadowSettings::default(),
            retry_on_rollback: false,
            journal: Config::default(),
            size: Size { n_workers: 2, ..Size::default() },
            providers: providers::Shared::new(),
        }
    }

    #[must_use]
    pub fn falling_back_to(mut self, names: &[&str]) -> Self {
        self.fallback = names.iter().map(|name| (*name).to_owned()).collect();
        self
    }

    /// How often a target is called for one request before another is, with waits too short to matter.
    #[must_use]
    pub fn calling_up_to(mut self, max_attempts: u32) -> Self {
        let base = Some(Duration::from_millis(1));
        self.retries = RetryRules { max_attempts: Some(max_attempts), base, ..RetryRules::default() };
        self
    }

    /// Changes how the target of this name is called.
    #[must_use]
    pub fn calling(mut self, name: &str, change: impl Fn(&mut Calling)) -> Self {
        let targets = self.targets.iter_mut().filter(|target| target.name == name);
        targets.for_each(|target| change(&mut target.calling));
        self
    }

    /// Calls of a candidate that is thrown back are given up.
    #[must_use]
    pub fn retrying_on_rollback(mut self) -> Self {
        self.retry_on_rollback = true;
        self
    }

    #[must_use]
    pub fn with(mut self, rollout: &Arc<LiveRollout>) -> Self {
        self.live.push(Arc::clone(rollout));
        self
    }

    /// Changes the time limits of every provider.
    #[must_use]
    pub fn timeouts(mut self, change: impl Fn(&mut providers::Timeouts)) -> Self {
        for target in &mut self.targets {
            let mut provider = (*target.provider).clone();
            change(&mut provider.timeouts);
            target.provider = Arc::new(provider);
        }
        self
    }

    #[must_use]
    pub fn limits(mut self, change: impl Fn(&mut Limits)) -> Self {
        change(&mut self.limits);
        self
    }

    /// Every caller is asked for a key.
    #[must_use]
    pub fn keys_required(mut self) -> Self {
        self.auth.required = true;
        self
    }

    /// How much all callers together may call `gpt-4o`.
    #[must_use]
    pub fn route_limits(mut self, limits: govern::limits::Limits) -> Self {
        self.route_limits = limits;
        self
    }

    pub fn start(self) -> Gateway {
        Gateway::start(self)
    }
}

pub fn target(name: &str, url: &str) -> Target {
    let mut provider = ProviderConfig::new(format!("provider-{name}"), Dialect::Openai, BaseUrl::parse(url).unwrap());
    provider.api_key = Some(Private::new(PROVIDER_KEY.to_owned()));
    Target {
        name: name.to_owned(),
        provider: Arc::new(provider),
        model: format!("model-{name}"),
        parameters: Parameters::default(),
        prompt: None,
        translation: Default::default(),
        tokenizer: None,
        space: None,
        claude: Default::default(),
        fingerprint: name.to_owned(),
        calling: Calling::default(),
    }
}

/// The rollout as the config has it.
fn settings(live: &LiveRollout, shadow: &ShadowSettings, retry_on_rollback: bool) -> (String, Arc<RolloutSettings>) {
    let Identity { name, route, baseline, candidate, fingerprint, .. } = live.identity.clone();
    let (policy, shadow) = (Policy::template(Risk::Medium), shadow.clone());
    let (probe_every, outcomes, facts) = (None, Default::default(), Default::default());
    let settings = RolloutSettings {
        name,
        route,
        baseline,
        candidate,
        fingerprint,
        policy,
        probe_every,
        outcomes,
        shadow,
        facts,
        revalidate: None,
        retry_on_rollback,
    };
    (settings.name.clone(), Arc::new(settings))
}

/// A rollout on the route `gpt-4o` from `a` to `b`.
pub fn rollout(share: f64, shadow_sample: f64) -> Arc<LiveRollout> {
    rollout_to("b", share, shadow_sample)
}

/// The same under another policy.
pub fn rollout_under(policy: &Policy, share: f64, shadow_sample: f64) -> Arc<LiveRollout> {
    rollout_of("b", policy, share, shadow_sample)
}

/// A rollout on the route `gpt-4o` from `a` to another target, called after it.
pub fn rollout_to(candidate: &str, share: f64, shadow_sample: f64) -> Arc<LiveRollout> {
    rollout_of(candidate, &Policy::template(Risk::Medium), share, shadow_sample)
}

fn rollout_of(candidate: &str, policy: &Policy, share: f64, shadow_sample: f64) -> Arc<LiveRollout> {
    let identity = Identity {
        name: format!("to-{candidate}"),
        route: "gpt-4o".to_owned(),
        baseline: "a".to_owned(),
        candidate: candidate.to_owned(),
        unit: Unit::Request,
        salt: "rollout-1".to_owned(),
        fingerprint: String::new(),
    };
    let view = View { epoch: 1, generation: 1, share, holdback: 0.0, shadow_sample, watching: true, completed: false };
    let step = usize::from(share > 0.0);
    let evidence = Evidence::new(policy, 1, step, &Carry::none(), Timestamp(0));
    let (wake, _) = std::sync::mpsc::sync_channel(1);
    Arc::new(LiveRollout::new(identity, view, evidence, wake))
}

pub struct Gateway {
    pub addr: SocketAddr,
    pub serving: Arc<Serving>,
    pub journal: Journal,
    pub database: Database,
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    shipper: Mutex<Shipper>,
    pub keeper: Keeper,
    pub accounts: Arc<Accounts>,
    deps: Deps,
    size: Size,
    /// Last, so that it is removed when nobody writes in it any more.
    pub dir: tempfile::TempDir,
}

impl Gateway {
    fn start(setup: Setup) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open(dir.path().join("journal"), setup.journal).unwrap();
        let database = Database::open(dir.path().join("crossfade.db")).unwrap();
        let config = ShipperConfig { every: Duration::from_millis(5), ..ShipperConfig::default() };
        let shipper = Shipper::start(&journal, &database, config).unwrap();
        let route = Route {
            fallback: setup.fallback,
            emergency_fallback: setup.emergency_fallback,
            panic: setup.panic,
            retries: setup.retries,
            validation: setup.validation,
            limits: setup.route_limits,
            residency: setup.residency,
            cohorts: setup.cohorts,
            ..Route::to("gpt-4o", "a")
        };
        // One more route to each target alone, and called once: `to-a-directly` and so on.
        let once = RetryRules { max_attempts: Some(1), ..RetryRules::default() };
        let direct = setup.targets.iter().map(|target| Route {
            name: format!("to-{}-directly", target.name),
            target: target.name.clone(),
            retries: once,
            ..Route::default()
        });
        let routes: Vec<Route> = direct.chain([route]).collect();
        let snapshot = Snapshot {
            hash: String::new(),
            targets: setup.targets.into_iter().map(|target| (target.name.clone(), Arc::new(target))).collect(),
            routes: routes.into_iter().map(|route| (route.name.clone(), Arc::new(route))).collect(),
            passthrough: BTreeMap::new(),
            prices: gateway::prices::TargetPrices::default(),
            rollouts: setup.live.iter().map(|live| settings(live, &setup.shadow, setup.retry_on_rollback)).collect(),
            auth: setup.auth,
            tenants: setup.tenants,
            keeping: setup.keeping,
            feedback: Default::default(),
            internal_tenants: setup.internal_tenants,
            limits: setup.limits,
            drain: setup.drain,
        };
        let keeper = Keeper::start(Database::open(dir.path().join("crossfade.db")).unwrap()).unwrap();
        let accounts = keeper.accounts();
        let deps = Deps {
            keys: keeper.table(),
            accounts: Arc::clone(&accounts),
            snapshot: Arc::new(ArcSwap::from_pointee(snapshot)),
            live: Arc::new(LiveTable::of(setup.live)),
            journal: journal.clone(),
            recall: Arc::new(Recall::new(Some(dir.path().join("crossfade.db")))),
            providers: Arc::new(
                setup.providers.watched(Arc::new(JournalLedger::new(journal.clone())), wire::record::Lane::Live),
            ),
            lanes: Arc::default(),
            store: Some(dir.path().join("crossfade.db")),
        };
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let serving = start(listener, &deps, &setup.size).unwrap();
        let (addr, serving, shipper) = (serving.addr(), Arc::new(serving), Mutex::new(shipper));
        let (snapshot, size) = (Arc::clone(&deps.snapshot), setup.size);
        Self { addr, serving, journal, database, snapshot, shipper, keeper, accounts, deps, size, dir }
    }

    /// The same on another port, remembering nothing but what is on record.
    pub fn with_an_empty_memory(mut self) -> Self {
        self.deps.recall = Arc::new(Recall::new(Some(self.dir.path().join("crossfade.db"))));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        self.serving = Arc::new(start(listener, &self.deps, &self.size).unwrap());
        self.addr = self.serving.addr();
        self
    }

    /// Takes a config as a reload does: whole, or not at all.
    pub fn reload(&self, snapshot: Snapshot) -> Result<(), StartError> {
        prepare(&snapshot, &self.deps.providers)?;
        self.snapshot.store(Arc::new(snapshot));
        Ok(())
    }

    /// Calls under way to every provider of the config.
    pub fn calls_in_flight(&self) -> usize {
        let snapshot = self.snapshot.load();
        let providers = snapshot.targets.values().flat_map(|target| target.providers());
        providers.map(|config| self.deps.providers.provider(Arc::clone(config)).unwrap().in_flight()).sum()
    }

    /// Every exchange on record that ended, once there are `n`.
    pub fn exchanges(&self, n: usize) -> Vec<ExchangeDetail> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            assert!(self.shipper.lock().unwrap().flush(PATIENCE), "the shipper is stuck");
            let rows =
                self.database.list(&ExchangeFilter { limit: Some(10_000), ..ExchangeFilter::default() }).unwrap();
            let ended: Vec<_> = rows.iter().filter(|row| row.finished_at_us.is_some()).collect();
            if ended.len() >= n || Instant::now() > deadline {
                assert_eq!(ended.len(), n, "{rows:?}");
                return ended.iter().map(|row| self.database.show(row.id).unwrap().unwrap()).collect();
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Every connection on the ledger so far.
    pub fn connections(&self) -> Vec<wire::record::ConnectionRecord> {
        assert!(self.shipper.lock().unwrap().flush(PATIENCE), "the shipper is stuck");
        self.database.connections(0, u64::MAX, 10_000).unwrap()
    }

    /// The one exchange on record.
    pub fn exchange(&self) -> ExchangeDetail {
        self.exchanges(1).remove(0)
    }
}

/// Waits for a state, not for an edge.
pub fn until(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        // Two cores, many threads: whoever waits must not keep the others from working.
        std::thread::sleep(Duration::from_millis(1));
    }
}

pub const PLAIN: &str =
    r#"{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}],"unknown_field":{"a":[1, 2]}}"#;
pub const STREAMED: &str = r#"{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
