//! A fleet to which things happen: replicas start cold, fail, are started by the hour or by the load; requests are asked again, give up waiting and
//! go to the vendor. Every one of these is an event at its moment; between events replicas work by themselves.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};

use stats::random::Random;

use super::replica::{Replica, Waiting};
use super::{Arrival, End, Machine, Router, Served};

/// How many replicas there are to be.
#[derive(Debug, Clone, PartialEq)]
pub enum Size {
    /// So many.
    Constant(usize),
    /// So many from each of these moments on, in seconds. They are started in time to be usable then.
    Scheduled(Vec<(f64, usize)>),
    /// As many as the load asks for.
    Automatic(Autoscaler),
}

/// How the load decides. Replicas are started at once and stopped when fewer were enough for a while.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Autoscaler {
    /// Never fewer.
    pub least: usize,
    /// Never more.
    pub most: usize,
    /// Requests at work or in line that a replica is to have.
    pub outstanding: f64,
    /// Seconds from one look to the next.
    pub every_s: f64,
    /// Seconds for which fewer must have been enough.
    pub down_after_s: f64,
}

/// When what was asked is asked again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Retries {
    /// The share of answers that are not taken: the request comes again, as a new one.
    pub wrong: f64,
    /// How often a request is tried again, for whatever reason.
    pub most: u32,
    /// Seconds until then.
    pub after_s: f64,
}

/// The vendor, for whom the fleet leaves waiting or loses.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Vendor {
    /// Seconds in line after which a request goes there.
    pub patience_s: f64,
    /// Seconds it takes to the first token.
    pub first_s: f64,
    /// Seconds it takes to the end.
    pub done_s: f64,
}

/// A fleet and what happens to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Fleet {
    /// Who gets a request.
    pub router: Router,
    /// How many replicas.
    pub size: Size,
    /// Seconds from the start of a replica until it is usable.
    pub cold_start_s: f64,
    /// Mean seconds until a replica fails, at random. What it worked on is lost, and another is started in its place.
    pub fails_every_s: Option<f64>,
    /// What is asked again.
    pub retries: Option<Retries>,
    /// Who stands in.
    pub vendor: Option<Vendor>,
    /// Decides what happens at random.
    pub seed: u64,
}

impl Fleet {
    /// So many replicas to which nothing happens.
    #[must_use]
    pub fn constant(replicas: usize, router: Router) -> Fleet {
        Fleet {
            router,
            size: Size::Constant(replicas.max(1)),
            cold_start_s: 0.0,
            fails_every_s: None,
            retries: None,
            vendor: None,
            seed: 1,
        }
    }

    fn is_quiet(&self) -> bool {
        let is_constant = matches!(self.size, Size::Constant(_));
        is_constant && self.fails_every_s.is_none() && self.retries.is_none() && self.vendor.is_none()
    }
}

/// What became of requests, and what the fleet was.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Played {
    /// Every request, retries as requests of their own where an answer was not taken.
    pub served: Vec<Served>,
    /// Seconds of replicas that are paid for, from the first arrival to the last.
    pub replica_s: f64,
    /// Most replicas at once.
    pub most: usize,
    /// Replicas that were started while requests came.
    pub cold_starts: u64,
    /// Replicas that failed.
    pub failures: u64,
    /// Requests that were tried again.
    pub retries: u64,
}

impl Played {
    /// Requests that ended so.
    #[must_use]
    pub fn ended(&self, end: End) -> usize {
        self.served.iter().filter(|served| served.end == end).count()
    }
}

/// Plays requests through a fleet. Arrivals are in order of time.
#[must_use]
pub fn play(arrivals: &[Arrival], machine: &Machine, fleet: &Fleet) -> Played {
    let speeds: Vec<f64> = (0..=machine.most_active + 1).map(|n| machine.curve.at(n as f64)).collect();
    let (Some(first), Some(last)) = (arrivals.first(), arrivals.last()) else { return Played::default() };
    let mut house = House::new(machine, &speeds, fleet, (first.at_s, last.at_s));
    house.run(arrivals);
    house.played
}

/// What a replica is just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Started and not usable yet.
    Starting,
    Up,
    /// Takes nothing on and ends what it has.
    Draining,
    Gone,
}

/// What happens at a moment.
#[derive(Debug, Clone, Copy)]
enum What {
    Ready(usize, u64),
    Fails(usize, u64),
    Look,
    Want(usize),
    Again(Waiting),
    Patience(usize),
}

/// An event to come.
#[derive(Debug, Clone, Copy)]
struct Timer {
    at_s: f64,
    /// Decides between two of one moment: the earlier set is the earlier.
    turn: u64,
    what: What,
}

impl PartialEq for Timer {
    fn eq(&self, other: &Timer) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Timer {}

impl PartialOrd for Timer {
    fn partial_cmp(&self, other: &Timer) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timer {
    /// The earliest is the greatest: the top of the heap.
    fn cmp(&self, other: &Timer) -> Ordering {
        other.at_s.total_cmp(&self.at_s).then(other.turn.cmp(&self.turn))
    }
}

/// A place for a replica.
struct Place<'a> {
    replica: Replica<'a>,
    state: State,
    /// Counts what was in this place: events of what is gone mean nothing.
    generation: u64,
    paid_since_s: f64,
}

/// A fleet while it is played.
struct House<'a> {
    machine: &'a Machine,
    speeds: &'a [f64],
    fleet: &'a Fleet,
    from_s: f64,
    to_s: f64,
    now_s: f64,
    places: Vec<Place<'a>>,
    /// When each replica changes by itself.
    next_s: Vec<f64>,
    /// Who comes while nobody is up.
    outside: VecDeque<Waiting>,
    timers: BinaryHeap<Timer>,
    n_timers: u64,
    random: Random,
    turn: usize,
    /// How many of `served` were looked at for retries.
    seen: usize,
    /// Requests that will come again.
    coming: usize,
    /// Since when the autoscaler wants fewer.
    fewer_since_s: Option<f64>,
    played: Played,
}

impl<'a> House<'a> {
    fn new(machine: &'a Machine, speeds: &'a [f64], fleet: &'a Fleet, (from_s, to_s): (f64, f64)) -> House<'a> {
        let mut house = House {
            machine,
            speeds,
            fleet,
            from_s,
            to_s,
            now_s: from_s,
            places: Vec::new(),
            next_s: Vec::new(),
            outside: VecDeque::new(),
            timers: BinaryHeap::new(),
            n_timers: 0,
            random: Random::new(fleet.seed),
            turn: 0,
            seen: 0,
            coming: 0,
            fewer_since_s: None,
            played: Played::default(),
        };
        let began_with = match &fleet.size {
            Size::Constant(n) => *n,
            Size::Scheduled(plan) => plan.iter().take_while(|(at_s, _)| *at_s <= from_s).last().map_or(0, |(_, n)| *n),
            Size::Automatic(scaler) => scaler.least,
        };
        (0..began_with).for_each(|_| house.open(State::Up));
        house.played.cold_starts = 0;
        house.plan();
        house
    }

    /// Sets the timers that are known from the beginning.
    fn plan(&mut self) {
        match &self.fleet.size {
            Size::Constant(_) => {}
            Size::Automatic(scaler) => self.set(self.from_s + scaler.every_s, What::Look),
            Size::Scheduled(plan) => {
                let mut before = self.places.len();
                let from_s = self.from_s;
                for (at_s, n) in plan.iter().filter(|(at_s, _)| *at_s > from_s) {
                    // Who is to be usable then is started before; who is no longer needed goes then.
                    let early_s = if *n > before { self.fleet.cold_start_s } else { 0.0 };
                    self.set((at_s - early_s).max(from_s), What::Want(*n));
                    before = *n;
                }
            }
        }
    }

    fn set(&mut self, at_s: f64, what: What) {
        self.n_timers += 1;
        self.timers.push(Timer { at_s, turn: self.n_timers, what });
    }

    fn run(&mut self, arrivals: &[Arrival]) {
        let is_quiet = self.fleet.is_quiet();
        let mut coming = arrivals.iter().peekable();
        loop {
            let arrival_s = coming.peek().map_or(f64::INFINITY, |arrival| arrival.at_s);
            let timer_s = self.timers.peek().map_or(f64::INFINITY, |timer| timer.at_s);
            let mut at_s = arrival_s.min(timer_s);
            if !is_quiet {
                at_s = self.next_s.iter().copied().fold(at_s, f64::min);
            }
            if !at_s.is_finite() || arrival_s.is_infinite() && !is_quiet && self.is_over() {
                break;
            }
            self.now_s = at_s;
            // One after the other needs nobody's load, and each replica catches up when it is its turn.
            if !is_quiet || self.fleet.router == Router::LeastOutstanding {
                self.advance(at_s);
            }
            if timer_s <= at_s {
                if let Some(timer) = self.timers.pop() {
                    self.happen(timer.what);
                }
            } else if arrival_s <= at_s
                && let Some(arrival) = coming.next()
            {
                self.offer(Waiting::new(*arrival, at_s, 0));
            }
        }
        for place in &mut self.places {
            place.replica.advance(f64::INFINITY, &mut self.played.served);
        }
        let lost: Vec<Waiting> = self.outside.drain(..).collect();
        lost.into_iter().for_each(|waiting| self.leave(&waiting));
        for idx in 0..self.places.len() {
            self.close(idx, self.to_s);
        }
    }

    /// Nothing is at work or to come again, and who waits outside waits for nobody.
    fn is_over(&self) -> bool {
        let is_working = self.coming > 0 || self.next_s.iter().any(|at_s| at_s.is_finite());
        !is_working && (self.outside.is_empty() || !self.will_open())
    }

    /// Whether anybody will take who waits outside.
    fn will_open(&self) -> bool {
        let opens = |timer: &Timer| matches!(timer.what, What::Want(n) if n > 0) || matches!(timer.what, What::Look);
        let is_there = |place: &Place<'_>| matches!(place.state, State::Up | State::Starting);
        self.fleet.vendor.is_some() || self.places.iter().any(is_there) || self.timers.iter().any(opens)
    }

    /// Whoever changes until then works until then.
    fn advance(&mut self, until_s: f64) {
        for (place, next_s) in self.places.iter_mut().zip(&mut self.next_s) {
            if *next_s <= until_s {
                place.replica.advance(until_s, &mut self.played.served);
                *next_s = place.replica.next_s();
            }
        }
        if self.fleet.retries.is_some() {
            self.ask_again();
        }
        for idx in 0..self.places.len() {
            if self.places[idx].state == State::Draining && self.places[idx].replica.outstanding() == 0 {
                self.close(idx, until_s);
            }
        }
    }

    /// Of the answers since the last look, those that are not taken come again.
    fn ask_again(&mut self) {
        let Some(retries) = self.fleet.retries else { return };
        while let Some(served) = self.played.served.get(self.seen).copied() {
            self.seen += 1;
            if served.end != End::Answered || served.tries >= retries.most || self.random.uniform() >= retries.wrong {
                continue;
            }
            let at_s = self.now_s + retries.after_s;
            let arrival = Arrival { at_s, ..served.arrival };
            self.again(Waiting::new(arrival, at_s, served.tries + 1), at_s);
        }
    }

    fn again(&mut self, waiting: Waiting, at_s: f64) {
        self.played.retries += 1;
        self.coming += 1;
        self.set(at_s, What::Again(waiting));
    }

    fn happen(&mut self, what: What) {
        match what {
            What::Ready(idx, generation) => self.ready(idx, generation),
            What::Fails(idx, generation) => self.fails(idx, generation),
            What::Look => self.look(),
            What::Want(n) => self.want(n),
            What::Again(waiting) => {
                self.coming -= 1;
                self.offer(waiting);
            }
            What::Patience(idx) => self.lose_patience(idx),
        }
    }

    fn offer(&mut self, waiting: Waiting) {
        let chosen = match self.fleet.router {
            Router::RoundRobin => self.next_in_turn(),
            Router::LeastOutstanding => {
                let up = self.places.iter().enumerate().filter(|(_, place)| place.state == State::Up);
                up.min_by_key(|(_, place)| place.replica.outstanding()).map(|(idx, _)| idx)
            }
        };
        let patience_s = self.fleet.vendor.map(|vendor| vendor.patience_s);
        match chosen {
            Some(idx) => {
                self.places[idx].replica.offer(waiting, self.now_s, &mut self.played.served);
                self.next_s[idx] = self.places[idx].replica.next_s();
                if let (Some(patience_s), true) = (patience_s, self.places[idx].replica.has_line()) {
                    self.set(self.now_s + patience_s, What::Patience(idx));
                }
            }
            None => {
                self.outside.push_back(Waiting { since_s: self.now_s, ..waiting });
                if let Some(patience_s) = patience_s {
                    self.set(self.now_s + patience_s, What::Patience(usize::MAX));
                }
            }
        }
    }

    fn next_in_turn(&mut self) -> Option<usize> {
        let n = self.places.len();
        let chosen = (0..n).map(|step| (self.turn + step) % n).find(|idx| self.places[*idx].state == State::Up)?;
        self.turn = chosen + 1;
        Some(chosen)
    }

    fn lose_patience(&mut self, idx: usize) {
        let Some(vendor) = self.fleet.vendor else { return };
        let gone = match self.places.get_mut(idx) {
            Some(place) => place.replica.give_up(self.now_s, vendor.patience_s),
            None => {
                let is_over = |waiting: &Waiting| waiting.since_s + vendor.patience_s <= self.now_s + 1e-9;
                let n = self.outside.iter().take_while(|waiting| is_over(waiting)).count();
                self.outside.drain(..n).collect()
            }
        };
        gone.iter().for_each(|waiting| self.leave(waiting));
    }

    /// A request leaves the fleet: to the vendor, where there is one.
    fn leave(&mut self, waiting: &Waiting) {
        let waited_s = self.now_s - waiting.arrival.at_s;
        let (first_s, done_s, end) = match self.fleet.vendor {
            Some(vendor) => (waited_s + vendor.first_s, waited_s + vendor.done_s, End::AtVendor),
            None => (f64::INFINITY, f64::INFINITY, End::Lost),
        };
        let (arrival, tries) = (waiting.arrival, waiting.tries);
        self.played.served.push(Served { arrival, began_s: waited_s, first_s, done_s, tries, end });
    }

    /// A replica begins, in the first place that is free.
    fn open(&mut self, state: State) {
        let place = Place { replica: self.fresh(), state, generation: 0, paid_since_s: self.now_s };
        let free = self.places.iter().position(|place| place.state == State::Gone);
        let idx = match free {
            Some(idx) => {
                let generation = self.places[idx].generation + 1;
                self.places[idx] = Place { generation, ..place };
                idx
            }
            None => {
                self.places.push(place);
                self.next_s.push(f64::INFINITY);
                self.places.len() - 1
            }
        };
        self.next_s[idx] = f64::INFINITY;
        self.played.cold_starts += 1;
        let n = self.places.iter().filter(|place| place.state != State::Gone).count();
        self.played.most = self.played.most.max(n);
        let generation = self.places[idx].generation;
        if state == State::Up {
            self.may_fail(idx);
        } else {
            self.set(self.now_s + self.fleet.cold_start_s, What::Ready(idx, generation));
        }
    }

    fn fresh(&self) -> Replica<'a> {
        Replica::new(self.machine, self.speeds)
    }

    fn ready(&mut self, idx: usize, generation: u64) {
        if self.places[idx].generation != generation || self.places[idx].state != State::Starting {
            return;
        }
        self.places[idx].state = State::Up;
        self.may_fail(idx);
        let outside: Vec<Waiting> = self.outside.drain(..).collect();
        outside.into_iter().for_each(|waiting| self.offer(waiting));
    }

    fn may_fail(&mut self, idx: usize) {
        if let Some(mean_s) = self.fleet.fails_every_s {
            let after_s = -mean_s * self.random.uniform().ln();
            self.set(self.now_s + after_s, What::Fails(idx, self.places[idx].generation));
        }
    }

    fn fails(&mut self, idx: usize, generation: u64) {
        let place = &mut self.places[idx];
        if place.generation != generation || !matches!(place.state, State::Up | State::Draining) {
            return;
        }
        self.played.failures += 1;
        place.replica.advance(self.now_s, &mut self.played.served);
        let lost = place.replica.fail();
        place.generation += 1;
        self.next_s[idx] = f64::INFINITY;
        if place.state == State::Draining {
            self.close(idx, self.now_s);
        } else {
            // Another in its place, which is paid for like this one.
            let generation = place.generation;
            place.state = State::Starting;
            place.replica = Replica::new(self.machine, self.speeds);
            self.played.cold_starts += 1;
            self.set(self.now_s + self.fleet.cold_start_s, What::Ready(idx, generation));
        }
        for waiting in lost {
            match self.fleet.retries {
                Some(retries) if waiting.tries < retries.most => {
                    let at_s = self.now_s + retries.after_s;
                    self.again(Waiting::new(waiting.arrival, at_s, waiting.tries + 1), at_s);
                }
                _ => self.leave(&waiting),
            }
        }
    }

    fn close(&mut self, idx: usize, at_s: f64) {
        let place = &mut self.places[idx];
        if place.state != State::Gone {
            place.state = State::Gone;
            place.generation += 1;
            let paid_s = at_s.min(self.to_s) - place.paid_since_s.max(self.from_s);
            self.played.replica_s += paid_s.max(0.0);
        }
    }

    /// The autoscaler looks.
    fn look(&mut self) {
        let Size::Automatic(scaler) = self.fleet.size else { return };
        let outstanding: usize = self.places.iter().map(|place| place.replica.outstanding()).sum();
        let load = (outstanding + self.outside.len()) as f64;
        let (mut wanted, there) = (scaler.least, self.n_there());
        while wanted < scaler.most && wanted as f64 * scaler.outstanding < load {
            wanted += 1;
        }
        if wanted < there {
            let since_s = *self.fewer_since_s.get_or_insert(self.now_s);
            if self.now_s - since_s >= scaler.down_after_s {
                self.want(wanted);
                self.fewer_since_s = None;
            }
        } else {
            self.fewer_since_s = None;
            self.want(wanted);
        }
        self.set(self.now_s + scaler.every_s, What::Look);
    }

    /// Replicas that are up or will be.
    fn n_there(&self) -> usize {
        self.places.iter().filter(|place| matches!(place.state, State::Up | State::Starting)).count()
    }

    /// There are to be so many.
    fn want(&mut self, n: usize) {
        while self.n_there() < n {
            // Who is about to go is warm.
            match self.places.iter_mut().find(|place| place.state == State::Draining) {
                Some(place) => place.state = State::Up,
                None => self.open(State::Starting),
            }
        }
        while self.n_there() > n {
            let key = |place: &Place<'_>| (place.state == State::Up, place.replica.outstanding());
            let there = self.places.iter().enumerate();
            let there = there.filter(|(_, place)| matches!(place.state, State::Up | State::Starting));
            let Some(idx) = there.min_by_key(|(_, place)| key(place)).map(|(idx, _)| idx) else { return };
            self.places[idx].state = State::Draining;
            if self.places[idx].replica.outstanding() == 0 {
                self.close(idx, self.now_s);
            }
        }
    }
}
