//! Targets as they can be called, and what is known of them between two snapshots: breakers, pauses, places. Live traffic is
//! one lane, the shadow another: what one learns does not shut the other's door.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use http::HeaderValue;
use providers::balance;
use providers::breaker::State;
use providers::cool_down::Cause;
use providers::{Entry, Health, Permit, Places, Provider, ProviderConfig, ProviderError, Trouble, Whose};
use wire::failure::{Failure, FailureKind, Retry};

use crate::snapshot::{Snapshot, Target};

/// Most replicas a target may have: one bit each says which were tried.
pub const MAX_REPLICAS: usize = 32;

/// The two lanes. Outlive every snapshot.
#[derive(Debug)]
pub struct Lanes {
    pub(crate) live: TargetStates,
    pub(crate) shadow: TargetStates,
}

impl Default for Lanes {
    fn default() -> Self {
        Self { live: TargetStates::of("live"), shadow: TargetStates::of("shadow") }
    }
}

impl Lanes {
    /// Whether every replica of `target` is shut by its breaker: for callers or, with `shadowing`, for copies. While copies alone are
    /// made, nobody probes for callers: their breaker counts only as long as it refuses calls, which callers of other routes keep it doing.
    #[must_use]
    pub fn is_down(&self, target: &Target, shadowing: bool) -> bool {
        if shadowing {
            self.shadow.is_down(target) || self.live.is_refused(target, Instant::now())
        } else {
            self.live.is_down(target)
        }
    }

    /// Why every replica of `target` is shut, with the same meaning as [`Lanes::is_down`].
    #[must_use]
    pub fn trouble(&self, target: &Target, shadowing: bool) -> Option<Trouble> {
        let of_callers = || self.live.trouble(target);
        if !shadowing {
            return of_callers();
        }
        let is_refused = || self.live.is_refused(target, Instant::now());
        self.shadow.trouble(target).or_else(|| of_callers().filter(|_| is_refused()))
    }

    /// The first callers are about to be sent to `target`: where its copies are answered, a breaker for callers that is open from long ago
    /// is closed. What the copies proved says more than one probe would, whose wait would cost the others their calls.
    pub(crate) fn begin_serving(&self, target: &Target) {
        let now = Instant::now();
        for provider in target.providers() {
            let is_down = |states: &TargetStates| states.known(target, provider).is_some_and(|health| is_down(&health));
            if let Some(health) = self.live.known(target, provider).filter(|_| !is_down(&self.shadow)) {
                health.close_from_elsewhere(now);
            }
        }
    }

    /// The same as [`Lanes::statuses`] for copies.
    #[must_use]
    pub fn shadow_statuses(&self, snapshot: &Snapshot, now: Instant) -> Vec<TargetStatus> {
        snapshot.targets.values().map(|target| self.shadow.status(target, now)).collect()
    }

    /// What is known of every replica of every target of a config, for callers.
    #[must_use]
    pub fn statuses(&self, snapshot: &Snapshot, now: Instant) -> Vec<TargetStatus> {
        snapshot.targets.values().map(|target| self.live.status(target, now)).collect()
    }
}

/// A target as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetStatus {
    /// Its name.
    pub target: String,
    /// Calls that wait for a place.
    pub waiting: usize,
    /// Its replicas, the first one first.
    pub replicas: Vec<ReplicaStatus>,
}

/// A replica as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaStatus {
    /// Its provider's name.
    pub provider: String,
    /// Its breaker.
    pub breaker: State,
    /// How often its breaker opened.
    pub opened: u64,
    /// Why it is left alone, while it is.
    pub paused: Option<Cause>,
}

/// What is known of all targets in one lane.
#[derive(Debug, Default)]
pub(crate) struct TargetStates {
    lane: &'static str,
    replicas: Mutex<HashMap<ReplicaKey, Arc<Health>>>,
    places: Mutex<HashMap<String, Arc<Places>>>,
}

/// A replica by what it is: a changed target starts with a closed breaker. A target has breakers of its own because baseline
/// and candidate may be two models of one provider, and the failures of one must not close the other's door.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct ReplicaKey {
    target: String,
    fingerprint: String,
    provider: String,
    base_url: String,
}

impl ReplicaKey {
    fn new(target: &Target, provider: &ProviderConfig) -> Self {
        Self {
            target: target.name.clone(),
            fingerprint: target.fingerprint.clone(),
            provider: provider.name.clone(),
            base_url: provider.base_url.as_str().to_owned(),
        }
    }
}

impl TargetStates {
    fn of(lane: &'static str) -> Self {
        Self { lane, ..Self::default() }
    }

    pub(crate) fn health(&self, target: &Target, provider: &ProviderConfig) -> Arc<Health> {
        let mut replicas = lock(&self.replicas);
        let health = replicas.entry(ReplicaKey::new(target, provider));
        let longest_pause = target.calling.longest_pause;
        let (target, provider) = (target.name.clone(), provider.name.clone());
        let whose = Whose { target, provider, lane: self.lane };
        let new = || {
            Arc::new(match longest_pause {
                Some(most) => Health::impatient(Instant::now(), whose, most),
                None => Health::new(Instant::now(), whose),
            })
        };
        Arc::clone(health.or_insert_with(new))
    }

    fn places(&self, target: &Target) -> Option<Arc<Places>> {
        let limit = target.calling.max_concurrency?;
        let mut places = lock(&self.places);
        let places = places.entry(target.name.clone()).or_insert_with(|| Arc::new(Places::new(limit)));
        places.resize(limit);
        Some(Arc::clone(places))
    }

    /// Forgets what is in this config no more, but for what is still in use: another worker may not have seen the config yet,
    /// and a call under way reports to the breaker it began with.
    pub(crate) fn retain(&self, snapshot: &Snapshot) {
        let is_in = |key: &ReplicaKey| {
            let target = snapshot.target(&key.target).filter(|target| target.fingerprint == key.fingerprint);
            let is_replica = |provider: &Arc<ProviderConfig>| {
                provider.name == key.provider && provider.base_url.as_str() == key.base_url
            };
            target.is_some_and(|target| target.providers().any(is_replica))
        };
        lock(&self.replicas).retain(|key, health| is_in(key) || Arc::strong_count(health) > 1);
        let has_limit =
            |name: &String| snapshot.target(name).is_some_and(|target| target.calling.max_concurrency.is_some());
        lock(&self.places).retain(|name, places| has_limit(name) || Arc::strong_count(places) > 1);
    }

    /// What is known of a replica, if anything is.
    fn known(&self, target: &Target, provider: &ProviderConfig) -> Option<Arc<Health>> {
        lock(&self.replicas).get(&ReplicaKey::new(target, provider)).cloned()
    }

    fn all(&self, target: &Target, is_so: impl Fn(&Health) -> bool) -> bool {
        target.providers().all(|provider| self.known(target, provider).is_some_and(|health| is_so(&health)))
    }

    fn is_down(&self, target: &Target) -> bool {
        self.all(target, is_down)
    }

    /// Whether the breaker of every replica would refuse a call now.
    fn is_refused(&self, target: &Target, now: Instant) -> bool {
        self.all(target, |health| health.is_refused(now))
    }

    fn trouble(&self, target: &Target) -> Option<Trouble> {
        if !self.is_down(target) {
            return None;
        }
        let replicas = lock(&self.replicas);
        let troubles = target.providers().filter_map(|provider| {
            replicas.get(&ReplicaKey::new(target, provider)).and_then(|health| health.trouble())
        });
        troubles.max_by_key(|trouble| trouble.since)
    }

    fn status(&self, target: &Target, now: Instant) -> TargetStatus {
        let replicas = lock(&self.replicas);
        let status = |provider: &Arc<ProviderConfig>| {
            let health = replicas.get(&ReplicaKey::new(target, provider));
            ReplicaStatus {
                provider: provider.name.clone(),
                breaker: health.map_or(State::Closed, |health| health.state()),
                opened: health.map_or(0, |health| health.opened()),
                paused: health.and_then(|health| health.cooling(now)).map(|cooling| cooling.cause),
            }
        };
        let waiting = lock(&self.places).get(&target.name).map_or(0, |places| places.n_waiting());
        TargetStatus { target: target.name.clone(), waiting, replicas: target.providers().map(status).collect() }
    }
}

/// A panic elsewhere leaves a map behind that is whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_down(health: &Health) -> bool {
    matches!(health.state(), State::Open | State::Probing)
}

/// A target with everything needed to call it.
#[derive(Debug)]
pub(crate) struct Destination {
    pub(crate) target: Arc<Target>,
    /// The provider of the first replica.
    pub(crate) provider: Arc<Provider>,
    pub(crate) replicas: Box<[Replica]>,
    /// What tells replicas apart when a key chooses its own.
    ids: Box<[u64]>,
    /// When the calls under way are bounded.
    pub(crate) places: Option<Arc<Places>>,
    /// The target's name as answers show it.
    pub(crate) label: HeaderValue,
}

/// One instance of a target.
#[derive(Debug)]
pub(crate) struct Replica {
    pub(crate) provider: Arc<Provider>,
    pub(crate) health: Arc<Health>,
}

/// Who may be picked among the replicas of a target.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Pick {
    /// One bit for each replica that is not to be called again.
    pub(crate) tried: u32,
    /// What comes back to the same replica.
    pub(crate) key: Option<u64>,
    pub(crate) random: u64,
    /// Nobody else can take the call: a replica on its ramp takes more than its share.
    pub(crate) last_resort: bool,
    /// No breaker is asked.
    pub(crate) panic: bool,
}

/// The replica that gets a call. `permit` is `None` in a panic.
#[derive(Debug)]
pub(crate) struct Picked {
    pub(crate) idx: usize,
    pub(crate) permit: Option<Permit>,
}

impl Destination {
    pub(crate) fn new(
        target: &Arc<Target>,
        providers: &providers::Shared,
        states: &TargetStates,
    ) -> Result<Self, ProviderError> {
        let replicas = target.providers().take(MAX_REPLICAS).map(|config| {
            let provider = providers.provider(Arc::clone(config))?;
            Ok(Replica { provider, health: states.health(target, config) })
        });
        let replicas = replicas.collect::<Result<Box<[Replica]>, ProviderError>>()?;
        let name = |config: &Arc<ProviderConfig>| {
            xxhash_rust::xxh3::xxh3_64(format!("{}\n{}", config.name, config.base_url).as_bytes())
        };
        Ok(Self {
            provider: providers.provider(Arc::clone(&target.provider))?,
            replicas,
            ids: target.providers().take(MAX_REPLICAS).map(name).collect(),
            places: states.places(target),
            label: HeaderValue::from_str(&target.name).unwrap_or(HeaderValue::from_static("unnamed")),
            target: Arc::clone(target),
        })
    }

    /// Whether no replica would take a call now.
    pub(crate) fn is_shut(&self, now: Instant) -> bool {
        self.replicas.iter().all(|replica| replica.health.is_shut(now))
    }

    /// Whether the breakers of all replicas are open: what the target's own breaker would be.
    pub(crate) fn is_down(&self) -> bool {
        self.replicas.iter().all(|replica| is_down(&replica.health))
    }

    /// Picks a replica: by key and load, the next one when its breaker or pause refuses. The failure is that of the replica
    /// which may be called soonest.
    pub(crate) fn pick(&self, pick: Pick, now: Instant) -> Result<Picked, Failure> {
        let mut closed = pick.tried;
        let mut spare: Option<Picked> = None;
        let mut refused: Option<Failure> = None;
        let load =
            |closed: u32| move |idx: usize| (closed & bit(idx) == 0).then(|| self.replicas[idx].provider.in_flight());
        while let Some(idx) = balance::choose(&self.ids, load(closed), pick.key, pick.random) {
            closed |= bit(idx);
            let health = &self.replicas[idx].health;
            if pick.panic {
                match health.cooling(now) {
                    None => return Ok(Picked { idx, permit: None }),
                    Some(cooling) => refused = Some(sooner(refused, cooling.failure())),
                }
                continue;
            }
            match health.enter(now) {
                Entry::Yes(permit) => return Ok(Picked { idx, permit: Some(permit) }),
                Entry::Spare(permit) => {
                    spare.get_or_insert(Picked { idx, permit: Some(permit) });
                }
                Entry::No(failure) => refused = Some(sooner(refused, failure)),
            }
        }
        match (spare, refused) {
            (Some(spare), _) if pick.last_resort => Ok(spare),
            (Some(_), _) => Err(Failure::new(FailureKind::Recovering, "beyond the share of a target on its ramp")),
            (None, Some(failure)) => Err(failure),
            (None, None) => Err(Failure::new(FailureKind::BreakerOpen, "every replica was tried")),
        }
    }
}

/// The refusal that ends first.
fn sooner(refused: Option<Failure>, next: Failure) -> Failure {
    let wait = |failure: &Failure| if let Retry::After(wait) = failure.retry { Some(wait) } else { None };
    match refused {
        Some(refused) if wait(&refused) <= wait(&next) => refused,
        _ => next,
    }
}

pub(crate) fn bit(idx: usize) -> u32 {
    1 << (idx % MAX_REPLICAS)
}

/// Targets of one snapshot, looked up.
pub(crate) type Destinations = HashMap<String, Rc<Destination>>;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::num::NonZeroUsize;

    use super::*;
    use crate::snapshot::{Auth, Calling, Drain, Limits, Parameters};

    fn target(fingerprint: &str, urls: &[&str]) -> Arc<Target> {
        let provider = |url: &str| {
            let url = providers::BaseUrl::parse(url).unwrap();
            Arc::new(ProviderConfig::new(url.to_string(), providers::Dialect::Openai, url))
        };
        Arc::new(Target {
            name: "a".to_owned(),
            provider: provider(urls[0]),
            model: "model".to_owned(),
            parameters: Parameters::default(),
            prompt: None,
            translation: Default::default(),
            tokenizer: None,
            space: None,
            claude: Default::default(),
            fingerprint: fingerprint.to_owned(),
            calling: Calling { replicas: urls[1..].iter().map(|url| provider(url)).collect(), ..Calling::default() },
        })
    }

    fn snapshot(target: &Arc<Target>) -> Snapshot {
        Snapshot {
            hash: String::new(),
            targets: BTreeMap::from([("a".to_owned(), Arc::clone(target))]),
            routes: BTreeMap::new(),
            passthrough: BTreeMap::new(),
            prices: crate::prices::TargetPrices::default(),
            rollouts: BTreeMap::new(),
            auth: Auth::default(),
            tenants: BTreeMap::new(),
            keeping: Default::default(),
            feedback: Default::default(),
            internal_tenants: Default::default(),
            limits: Limits::default(),
            drain: Drain::default(),
        }
    }

    struct Bench {
        states: TargetStates,
        destination: Destination,
        now: Instant,
    }

    impl Bench {
        fn of(urls: &[&str]) -> Self {
            let states = TargetStates::default();
            let destination = Destination::new(&target("1", urls), &providers::Shared::new(), &states).unwrap();
            Self { states, destination, now: Instant::now() }
        }

        fn pick(&self, pick: Pick) -> Result<usize, FailureKind> {
            self.destination.pick(pick, self.now).map(|picked| picked.idx).map_err(|failure| failure.kind)
        }

        fn fail(&self, idx: usize, failure: &Failure, times: usize) {
            for _ in 0..times {
                let health = &self.destination.replicas[idx].health;
                let Entry::Yes(permit) = health.enter(self.now) else { panic!("shut") };
                health.record(Some(permit), Some(failure), self.now, 0.5);
            }
        }
    }

    const URLS: [&str; 3] = ["http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3"];

    #[test]
    fn breakers_of_targets_that_are_gone_are_forgotten_once_nobody_uses_them() {
        let (states, providers) = (TargetStates::default(), providers::Shared::new());
        let n = || lock(&states.replicas).len();
        let (old, new) = (target("1", &URLS), target("2", &URLS[..1]));
        let first = Destination::new(&old, &providers, &states).unwrap();
        let second = Destination::new(&new, &providers, &states).unwrap();
        states.retain(&snapshot(&new));
        assert_eq!(n(), 4, "another worker still has the first config");
        drop(first);
        states.retain(&snapshot(&new));
        assert_eq!(n(), 1);
        let again = Destination::new(&new, &providers, &states).unwrap();
        assert!(Arc::ptr_eq(&second.replicas[0].health, &again.replicas[0].health));
    }

    #[test]
    fn a_replica_that_is_shut_gives_way_and_the_target_is_down_when_all_are() {
        let bench = Bench::of(&URLS);
        let down = Failure::new(FailureKind::Connect, "");
        bench.fail(0, &down, 5);
        bench.fail(2, &down, 5);
        for random in 0..50 {
            assert_eq!(bench.pick(Pick { random, key: Some(random), ..Pick::default() }), Ok(1));
        }
        assert!(!bench.destination.is_down() && !bench.destination.is_shut(bench.now));
        bench.fail(1, &down, 5);
        assert_eq!(bench.pick(Pick::default()), Err(FailureKind::BreakerOpen));
        assert!(bench.destination.is_down() && bench.destination.is_shut(bench.now));
        assert!(bench.states.is_down(&bench.destination.target));
        assert!(bench.pick(Pick { panic: true, ..Pick::default() }).is_ok(), "a panic asks no breaker");
    }

    #[test]
    fn a_pause_refuses_even_in_a_panic_and_names_the_shortest_wait() {
        let bench = Bench::of(&URLS[..2]);
        let busy = |seconds| {
            let wait = Retry::After(std::time::Duration::from_secs(seconds));
            Failure::new(FailureKind::RateLimited, "").with_status(429).with_retry(wait)
        };
        bench.fail(0, &busy(9), 1);
        bench.fail(1, &busy(3), 1);
        for panic in [false, true] {
            let refused = bench.destination.pick(Pick { panic, ..Pick::default() }, bench.now).unwrap_err();
            let Retry::After(wait) = refused.retry else { panic!("{refused:?}") };
            assert_eq!(
                (refused.kind, wait.as_secs()),
                (FailureKind::RateLimited, 3 - u64::from(wait.subsec_nanos() > 0))
            );
        }
        assert!(!bench.destination.is_down(), "paused is not broken");
    }

    #[test]
    fn a_replica_on_its_ramp_takes_more_only_as_the_last_resort() {
        let mut bench = Bench::of(&URLS[..1]);
        bench.fail(0, &Failure::new(FailureKind::Connect, ""), 5);
        bench.now += std::time::Duration::from_secs(2);
        let Ok(probe) = bench.destination.pick(Pick::default(), bench.now) else { panic!("no probe") };
        bench.destination.replicas[0].health.record(probe.permit, None, bench.now, 0.5);
        assert_eq!(bench.pick(Pick::default()), Err(FailureKind::Recovering));
        assert_eq!(bench.pick(Pick { last_resort: true, ..Pick::default() }), Ok(0));
    }

    #[test]
    fn places_follow_the_config_and_are_shared() {
        let states = TargetStates::default();
        let limited = |limit| {
            let mut target = Arc::try_unwrap(target("1", &URLS[..1])).unwrap();
            target.calling.max_concurrency = NonZeroUsize::new(limit).map(usize::from);
            Destination::new(&Arc::new(target), &providers::Shared::new(), &states).unwrap().places
        };
        let two = limited(2).unwrap();
        let taken = [two.try_take().unwrap(), two.try_take().unwrap()];
        let three = limited(3).unwrap();
        assert!(Arc::ptr_eq(&two, &three));
        assert!(three.try_take().is_some());
        drop(taken);
        assert!(limited(0).is_none());
    }
}
