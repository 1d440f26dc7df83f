//! One core's share of the traffic: a thread with its own runtime, connection pools, counters and random numbers. What a
//! worker owns is shared with no other thread, so a request takes no lock but the journal's queue.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use providers::Identity;
use tokio::sync::{mpsc, watch};
use tokio_util::task::TaskTracker;
use tracing::{debug, error};
use wire::ids::ExchangeId;

use crate::accept::Seat;
use crate::cache::Caches;
use crate::counters::{Counters, add};
use crate::drain::{LocalPhase, Phase};
use crate::feedback::Signals;
use crate::memory::Bodies;
use crate::outward::Outward;
use crate::pipeline;
use crate::serve::Deps;
use crate::shadow::ShadowDoor;
use crate::snapshot::{Route, Snapshot, wildcard};
use crate::socket::{Activity, Socket};
use crate::targets::{Destination, Destinations, TargetStates};

/// Bytes a connection may buffer in each direction.
const CONNECTION_BUFFER: usize = 128 << 10;

/// What a worker is given when it starts.
pub(crate) struct Post {
    pub(crate) deps: Deps,
    pub(crate) shadow: ShadowDoor,
    /// Its number among the workers.
    pub(crate) seat: usize,
    pub(crate) bodies: Arc<Bodies>,
    pub(crate) caches: Arc<Caches>,
    pub(crate) signals: Arc<Signals>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) connections: mpsc::Receiver<std::net::TcpStream>,
    pub(crate) n_connections: Arc<std::sync::atomic::AtomicUsize>,
    pub(crate) phase: watch::Receiver<Phase>,
}

/// A worker as its requests see it.
pub(crate) struct Worker {
    pub(crate) deps: Deps,
    pub(crate) shadow: ShadowDoor,
    /// What all workers hold together.
    pub(crate) bodies: Arc<Bodies>,
    /// Answers that are given again, by all workers.
    pub(crate) caches: Arc<Caches>,
    /// Signals that may not be in the database yet, of all workers.
    pub(crate) signals: Arc<Signals>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) client: Outward,
    /// Holds answers against schemas.
    pub(crate) validator: RefCell<schema::Validator>,
    pub(crate) phase: LocalPhase,
    /// Owns what outlives its request: the end of an upstream's body after the caller has its answer.
    pub(crate) tasks: TaskTracker,
    /// The exchange that a panic ended, for the answer to it.
    pub(crate) panicked: Cell<Option<ExchangeId>>,
    prepared: RefCell<Rc<Prepared>>,
    random: [Cell<u64>; 2],
}

/// A snapshot with its providers looked up.
pub(crate) struct Prepared {
    pub(crate) snapshot: Arc<Snapshot>,
    /// Routes whose name is a pattern, the one that says most first.
    patterns: Vec<Arc<Route>>,
    destinations: Destinations,
    /// Whether any target has more than one: only then is it worth knowing what a caller comes back with.
    pub(crate) has_replicas: bool,
}

impl Prepared {
    pub(crate) fn new(snapshot: Arc<Snapshot>, providers: &providers::Shared, states: &TargetStates) -> Self {
        let mut destinations = HashMap::with_capacity(snapshot.targets.len());
        for (name, target) in &snapshot.targets {
            match Destination::new(target, providers, states) {
                Ok(destination) => drop(destinations.insert(name.clone(), Rc::new(destination))),
                Err(error) => error!(target = %name, %error, "provider cannot be set up"),
            }
        }
        let has_replicas = destinations.values().any(|destination| destination.replicas.len() > 1);
        let mut patterns: Vec<_> = snapshot.routes.values().filter(|route| route.name.contains('*')).cloned().collect();
        patterns.sort_by_key(|route| std::cmp::Reverse(route.name.len()));
        Self { snapshot, patterns, destinations, has_replicas }
    }

    /// The route for requests to `model`.
    pub(crate) fn route(&self, model: &str) -> Option<&Arc<Route>> {
        let fits = |route: &&Arc<Route>| wildcard(&route.name, model).is_some();
        self.snapshot.routes.get(model).or_else(|| self.patterns.iter().find(fits))
    }

    /// The providers in use, by identity: connections to others can be closed.
    pub(crate) fn identities(&self) -> Vec<Identity> {
        let replicas = self.destinations.values().flat_map(|destination| &destination.replicas);
        replicas.map(|replica| replica.provider.identity()).collect()
    }

    pub(crate) fn destination(&self, target: &str) -> Option<&Rc<Destination>> {
        self.destinations.get(target)
    }
}

impl Worker {
    fn new(post: &Post) -> Self {
        let prepared = Prepared::new(post.deps.snapshot.load_full(), &post.deps.providers, &post.deps.lanes.live);
        let mut seed = [0; 16];
        if let Err(error) = getrandom::fill(&mut seed) {
            // Ids stay unique: the clock and the address of this worker's counters differ.
            error!(%error, "no random numbers from the system");
            let fallback = crate::live::now().0 ^ (Arc::as_ptr(&post.counters) as u64);
            seed[..8].copy_from_slice(&fallback.to_le_bytes());
        }
        let (low, high) = seed.split_at(8);
        let word = |bytes: &[u8]| Cell::new(u64::from_le_bytes(bytes.try_into().unwrap_or_default()));
        Self {
            client: Outward::new(),
            validator: RefCell::default(),
            deps: post.deps.clone(),
            shadow: post.shadow.clone(),
            bodies: Arc::clone(&post.bodies),
            caches: Arc::clone(&post.caches),
            signals: Arc::clone(&post.signals),
            counters: Arc::clone(&post.counters),
            phase: LocalPhase::new(),
            tasks: TaskTracker::new(),
            panicked: Cell::new(None),
            prepared: RefCell::new(Rc::new(prepared)),
            random: [word(low), word(high)],
        }
    }

    /// The config as it stands, with its providers.
    pub(crate) fn prepared(&self) -> Rc<Prepared> {
        let current = self.deps.snapshot.load();
        if !Arc::ptr_eq(&self.prepared.borrow().snapshot, &current) {
            let prepared = Prepared::new(Arc::clone(&current), &self.deps.providers, &self.deps.lanes.live);
            self.client.retain(&prepared.identities());
            drop(self.prepared.replace(Rc::new(prepared)));
            self.deps.lanes.live.retain(&current);
            self.caches.retain(&current);
        }
        Rc::clone(&self.prepared.borrow())
    }

    /// A new exchange id.
    pub(crate) fn exchange_id(&self, now_us: u64) -> ExchangeId {
        let mut random = [0; 10];
        random[..8].copy_from_slice(&self.next_random(0).to_le_bytes());
        random[8..].copy_from_slice(&self.next_random(1).to_le_bytes()[..2]);
        ExchangeId::new(now_us / 1000, random)
    }

    /// A random number in 0..1.
    pub(crate) fn random_fraction(&self) -> f64 {
        // 53 bits: what a double holds exactly.
        (self.next_random(1) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A random number.
    pub(crate) fn random(&self) -> u64 {
        self.next_random(1)
    }

    /// SplitMix64 (Steele, Lea & Flood 2014): every seed gives all 2^64 numbers once. For ids and sampling, not secrets.
    fn next_random(&self, stream: usize) -> u64 {
        let state = &self.random[stream];
        state.set(state.get().wrapping_add(0x9e37_79b9_7f4a_7c15));
        let mut z = state.get();
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// Serves connections until the phase says stop.
pub(crate) async fn run(mut post: Post) {
    let worker = Rc::new(Worker::new(&post));
    worker.tasks.spawn_local(worker.shadow.clone().watch(post.seat, Rc::clone(&worker)));
    loop {
        tokio::select! {
            biased;
            changed = post.phase.changed() => {
                let phase = *post.phase.borrow_and_update();
                worker.phase.advance(phase);
                if changed.is_err() || phase == Phase::Stopped {
                    return;
                }
            }
            Some(stream) = post.connections.recv() => {
                let seat = Seat::taken(&post.n_connections);
                add(&worker.counters.connections_accepted, 1);
                worker.tasks.spawn_local(connection(Rc::clone(&worker), stream, seat));
            }
        }
    }
}

/// One connection, from its first request to its last.
async fn connection(worker: Rc<Worker>, stream: std::net::TcpStream, seat: Seat) {
    let stream = match tokio::net::TcpStream::from_std(stream) {
        Ok(stream) => stream,
        Err(error) => return error!(%error, "connection cannot be registered"),
    };
    let from = stream.peer_addr().ok().map(|peer| peer.ip());
    let activity = Activity::new(&worker.prepared().snapshot.limits);
    let io = TokioIo::new(Socket::new(stream, Rc::clone(&activity)));
    let service = service_fn(|request| {
        let worker = Rc::clone(&worker);
        let busy = activity.begin_request();
        // On the heap only as long as it runs: hyper keeps the room for it as long as the connection is open.
        Box::pin(async move { Ok::<_, Infallible>(pipeline::serve(worker, busy, from, request).await) })
    });
    let connection =
        http1::Builder::new().header_read_timeout(None).max_buf_size(CONNECTION_BUFFER).serve_connection(io, service);
    let mut connection = pin!(connection);
    let place = worker.phase.enter();
    let mut closing = false;
    let served = poll_fn(|cx| {
        worker.phase.remember(place, cx.waker());
        if !closing && worker.phase.get() >= Phase::Closing {
            closing = true;
            connection.as_mut().graceful_shutdown();
        }
        match connection.as_mut().poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(served) => Poll::Ready(served),
        }
    })
    .await;
    worker.phase.leave(place);
    drop(seat);
    if let Err(error) = served {
        debug!(%error, "connection ended");
    }
}
