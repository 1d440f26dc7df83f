//! Random numbers, traffic and small policies for the tests.

use std::time::Duration;

use rollout::{
    Arm, Breach, Carry, Event, Evidence, Metric, MetricSet, Outcome, PairOutcome, Policy, Risk, State, Timestamp, Unit,
    apply,
};

/// xoshiro256++, seeded by splitmix64: fast, and the same on every machine.
pub struct Random([u64; 4]);

impl Random {
    pub fn new(seed: u64) -> Self {
        let mut state = seed;
        Self([(); 4].map(|()| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = state;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ (mixed >> 31)
        }))
    }

    pub fn next(&mut self) -> u64 {
        let [a, b, c, d] = &mut self.0;
        let result = a.wrapping_add(*d).rotate_left(23).wrapping_add(*a);
        let shifted = *b << 17;
        *c ^= *a;
        *d ^= *b;
        *b ^= *c;
        *a ^= *d;
        *c ^= shifted;
        *d = d.rotate_left(45);
        result
    }

    /// Uniform in [0, 1).
    pub fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub fn chance(&mut self, probability: f64) -> bool {
        self.fraction() < probability
    }

    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }

    /// One of these.
    pub fn one_of<T: Copy>(&mut self, values: &[T]) -> T {
        values[usize::try_from(self.below(values.len() as u64)).unwrap()]
    }

    /// Standard normal, by Box and Muller.
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.fraction()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.fraction()).cos()
    }
}

pub fn is_slow() -> bool {
    std::env::var_os("CROSSFADE_SLOW_TESTS").is_some()
}

/// A size for CI, or the full one.
pub fn size(quick: usize, full: usize) -> usize {
    if is_slow() { full } else { quick }
}

pub const ERROR: MetricSet = MetricSet::of(&[Metric::Error]);

pub fn set_if(bad: bool) -> MetricSet {
    if bad { ERROR } else { MetricSet::EMPTY }
}

/// The medium template's numbers without its waiting and its drill, every request its own unit.
pub fn medium() -> Policy {
    let mut policy = Policy::template(Risk::Medium);
    policy.unit = Unit::Request;
    policy.warm_up = Duration::ZERO;
    policy.filed.clear();
    for step in &mut policy.steps {
        step.min_duration = Duration::ZERO;
    }
    policy
}

pub fn at_share(policy: &Policy, share: f64) -> Evidence {
    let step_idx = policy.steps.iter().position(|step| step.share == share).unwrap();
    Evidence::new(policy, 1, step_idx, &Carry::none(), Timestamp(0))
}

pub fn outcome(unit: u64, arm: Arm, observed: MetricSet, bad: MetricSet) -> Outcome {
    let at = Timestamp(1);
    Outcome { unit, arm, admitted_at: at, at, observed, bad, time_to_first_token_us: None, duration_us: None }
}

pub fn pair(unit: u64, observed: MetricSet, baseline_bad: MetricSet, candidate_bad: MetricSet) -> PairOutcome {
    let at = Timestamp(1);
    PairOutcome {
        unit,
        admitted_at: at,
        at,
        observed,
        baseline_bad,
        candidate_bad,
        time_to_first_token_us: None,
        duration_us: None,
    }
}

/// One request with an error at its arm's rate, on a random arm.
pub fn request(random: &mut Random, evidence: &mut Evidence, baseline: f64, candidate: f64) -> (Arm, Option<Breach>) {
    let arm = if random.chance(evidence.share()) { Arm::Candidate } else { Arm::Baseline };
    let rate = if arm == Arm::Candidate { candidate } else { baseline };
    let bad = set_if(random.chance(rate));
    (arm, evidence.observe(&outcome(random.next(), arm, ERROR, bad)))
}

pub fn draft(policy: &Policy) -> State {
    State::draft("support-to-qwen", "rollout-1", "ada", ("gpt", "qwen"), policy)
}

pub fn started(policy: &Policy) -> State {
    let (state, _) =
        apply(policy, &draft(policy), &Event::Start { actor: "ada".to_owned() }, None, Timestamp(1)).unwrap();
    state
}

/// The value below which `part` of the values lie.
pub fn quantile(values: &mut [u64], part: f64) -> u64 {
    values.sort_unstable();
    values[whole((values.len() - 1) as f64 * part)]
}

/// A number that is not negative, rounded.
pub fn whole(value: f64) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and not negative")]
    let whole = value.round() as usize;
    whole
}

/// The state after an event that must be possible.
pub fn after(policy: &Policy, state: &State, event: &Event, evidence: &Evidence, now: Timestamp) -> State {
    apply(policy, state, event, Some(evidence), now).unwrap().0
}

/// Prints one row of the table in docs/statistics.md, which `scripts/statistics` collects: goal, what was simulated, what came
/// out, what was asked for, how many runs, and the test that ran.
pub fn figure(goal: &str, what: &str, found: &str, target: &str, n_runs: usize) {
    let thread = std::thread::current();
    println!(
        "\nfigure\t{goal}\t{what}\t{found}\t{target}\t{}\t{}",
        grouped(n_runs as u64),
        thread.name().unwrap_or("")
    );
}

/// Prints one point of a plot.
pub fn point(plot: &str, series: &str, x: f64, y: f64) {
    println!("\npoint\t{plot}\t{series}\t{x}\t{y}");
}

/// A number with its thousands apart.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (idx, digit) in digits.chars().enumerate() {
        if idx > 0 && (digits.len() - idx).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// A fraction as a percentage.
pub fn percent(part: usize, whole: usize) -> f64 {
    100.0 * part as f64 / whole as f64
}

/// Units that send very different numbers of requests and fail at very different rates, each staying on its arm.
pub struct Users {
    pub position: Vec<f64>,
    pub propensity: Vec<f64>,
    cumulative: Vec<f64>,
}

impl Users {
    /// Request counts lognormal with sigma 2; error rates lognormal with mean 1 % and three times that as deviation.
    pub fn new(random: &mut Random, n_users: usize) -> Self {
        let sigma = 10_f64.ln().sqrt();
        let mut total = 0.0;
        let cumulative = (0..n_users).map(|_| {
            total += (2.0 * random.normal()).exp();
            total
        });
        let cumulative: Vec<f64> = cumulative.collect();
        let propensity = (0..n_users).map(|_| (0.01 * (sigma * random.normal() - 0.5 * sigma * sigma).exp()).min(1.0));
        let propensity = propensity.collect();
        Self { position: (0..n_users).map(|_| random.fraction()).collect(), propensity, cumulative }
    }

    pub fn pick(&self, random: &mut Random) -> usize {
        let target = random.fraction() * self.cumulative.last().copied().unwrap();
        self.cumulative.partition_point(|sum| *sum <= target).min(self.cumulative.len() - 1)
    }
}
