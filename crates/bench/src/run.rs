//! A run: its levels one after the other, or the search for the most load, and what they come to.

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::clock::place;
use crate::compare::deltas;
use crate::definition;
use crate::engine::turns::Turns;
use crate::engine::{Engine, Live, Pace, Phase, Seen, Target};
use crate::measure::{Measured, REMEDY, level};
use crate::plan::Plan;
use crate::result::{BenchResult, Found, Level, Load, TokenCheck, short};
use crate::sample::{Outcome, Sample};
use crate::search::{Bracket, Probe, Probed, Range, Tried, search};
use crate::slo::{Attained, Slo, Verdict};
use crate::tokens::settle;

/// How long a level of one request is.
const SHORTEST: Duration = Duration::from_millis(1);

/// A request alone that takes more than this of the one before takes as long as they do here.
const NO_BETTER: f64 = 0.9;

/// A server that answers nothing good is asked again after this.
const PAUSE: Duration = Duration::from_millis(100);

/// How far a run is.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// What is sent now.
    pub load: Load,
    /// How long the level takes.
    pub of: Duration,
    /// Where it is.
    pub live: Live,
}

/// Takes every request of a level that counts, in the order in which they were due; given the targets' names.
pub type Take<'t> = &'t dyn Fn(Load, &[&str], &[Sample]);

/// Takes what there is so far, after each level that is over while others are to come.
pub type SoFar<'t> = &'t dyn Fn(&BenchResult);

/// Who is told of a run while it goes on.
pub struct Told<'t> {
    /// How far it is.
    pub show: &'t dyn Fn(Progress),
    /// Each request.
    pub take: Take<'t>,
    /// What there is so far.
    pub so_far: SoFar<'t>,
    /// Which probe of a search begins, why, and what came of it.
    pub search: &'t dyn Fn(&str),
}

/// Runs a plan into `result`, whose head is written. Levels that are in it are those of the same plan that were measured before: they stand.
pub fn run(engine: &Engine, plan: &Plan, result: &mut BenchResult, show: &dyn Fn(Progress)) {
    run_with(engine, plan, result, &Told { show, take: &|_, _, _| {}, so_far: &|_| {}, search: &|_| {} });
}

/// The same, and tells more of it.
pub fn run_with(engine: &Engine, plan: &Plan, result: &mut BenchResult, told: &Told<'_>) {
    result.slo = plan.slo;
    let network: Vec<Option<f64>> = engine.targets.iter().map(crate::engine::Target::round_trip_ms).collect();
    let runner = Runner { engine, plan, network, told, n_sent: Cell::new(result.n_sent) };
    match plan.search {
        Some(range) => runner.search(range, result),
        None => runner.sweep(result),
    }
    verdict(result);
}

/// An invalid level makes an invalid run; so does one in which nothing was measured. In a search, a level that is invalid is a bound and no more.
fn verdict(result: &mut BenchResult) {
    let invalid =
        |level: &Level| level.invalid.as_ref().map(|why| format!("{} at {}: {why}", level.target, level.load_words()));
    let why: Vec<String> = result.levels.iter().filter_map(invalid).collect();
    if result.found.is_empty() {
        why.into_iter().for_each(|why| result.invalidate(why));
    } else if result.found.iter().all(|found| found.tried.iter().all(|tried| tried.is_invalid)) {
        let words = format!("the client lagged at every load that was tried: begin at a lower `--start`, {REMEDY}");
        result.invalidate(words);
    } else {
        result.why.extend(why);
    }
    if result.levels.iter().all(|level| level.n_good == 0) {
        result.invalidate("no request had a whole answer".to_owned());
    }
    for level in &result.levels {
        let n_chunks = level.tokens_from.get("chunks").copied().unwrap_or_default();
        if n_chunks > 0 {
            let why = format!(
                "{} at {}: the server did not count the tokens of {n_chunks} answers; chunks were counted instead, and no tokenizer is at hand",
                level.target,
                level.load_words()
            );
            result.why.push(why);
        }
        let n_unseen = level.goodput.map_or(0, |goodput| goodput.attained.n_unseen);
        if n_unseen > 0 {
            let why = format!(
                "{} at {}: {n_unseen} answers of several tokens came in one chunk each, of which nobody can see the pace: they are not taken for having kept to `tpot` or `gap`",
                level.target,
                level.load_words()
            );
            result.why.push(why);
        }
        for check in level.token_checks.iter().filter(|check| check.is_off()) {
            result.why.push(format!("{} at {}: {}", level.target, level.load_words(), check.words()));
        }
    }
}

/// Deltas are of what was answered: whoever fails more is compared by fewer.
fn left_out(names: &[String], samples: &[Sample]) -> Vec<String> {
    let of = |(idx, name): (usize, &String)| {
        let of_target = || samples.iter().filter(|sample| sample.target == idx);
        let (n, n_late) = (of_target().count(), of_target().filter(|sample| sample.outcome.is_later()).count());
        let n_failed = of_target().filter(|sample| !sample.is_good()).count() - n_late;
        let late = (n_late > 0).then(|| format!("{n_late} had no answer in time and count as later than all"));
        let failed = (n_failed > 0).then(|| format!("{n_failed} failed and are left out"));
        let parts: Vec<String> = late.into_iter().chain(failed).collect();
        (!parts.is_empty()).then(|| format!("{name}: in the deltas, of {n} requests {}", parts.join("; ")))
    };
    names.iter().enumerate().filter_map(of).collect()
}

/// A search whose upper end shows neither ended there for want of requests, not of the server.
fn unshown(name: &str, bracket: &Bracket, is_whole: bool) -> Option<String> {
    let tried = bracket.tried.iter().rev().find(|tried| Some(tried.load) == bracket.failed)?;
    let Attained { n_met, n, .. } = tried.attained;
    let over = if is_whole { "at once" } else { "a second" };
    (tried.verdict == Verdict::Undecided && !tried.is_invalid).then(|| {
        format!(
            "{name}: at {} {over}, {n_met} of {n} requests kept to the objective, which shows neither that it is met nor that it is missed; a \
             longer `--duration` tells them apart",
            short(tried.load)
        )
    })
}

/// What a search looks for, with how many probes at most.
fn looks_for(range: &Range, slo: &Slo) -> String {
    let over = if range.is_whole { "at once" } else { "a second" };
    let most = range.most_probes;
    match range.enough {
        Some(enough) => format!(
            "the search ends where {} {over} are held ({}), at most {most} probes a target",
            short(enough),
            slo.words()
        ),
        None => format!(
            "the search looks for the most {over} that is held ({}), at most {most} probes a target and no load above {}{}",
            slo.words(),
            short(range.most),
            if range.is_whole { "" } else { "; `--until-peak` ends it where the peak with 20 % to spare is held" }
        ),
    }
}

struct Runner<'r> {
    engine: &'r Engine,
    plan: &'r Plan,
    network: Vec<Option<f64>>,
    told: &'r Told<'r>,
    /// Requests so far, so that none is sent twice.
    n_sent: Cell<u64>,
}

impl Runner<'_> {
    fn sweep(&self, result: &mut BenchResult) {
        let mut compared = Vec::new();
        let n_done = result.levels.len() / self.engine.targets.len().max(1);
        for (place, load) in self.plan.loads.iter().enumerate().skip(n_done) {
            let (seen, levels) = self.level(*load, self.turns(), None);
            if let Some(why) = &seen.refused {
                result.why.push(format!("requests could not be made: {why}"));
            }
            result.levels.extend(levels);
            result.n_sent = self.n_sent.get();
            // Blocks of different levels are different blocks.
            let first: usize = compared.iter().map(|sample: &Sample| sample.block + 1).max().unwrap_or(0);
            compared.extend(seen.samples.iter().map(|sample| Sample { block: sample.block + first, ..*sample }));
            if seen.is_stopped {
                result.partial = true;
                break;
            }
            if place + 1 < self.plan.loads.len() {
                (self.told.so_far)(result);
            }
        }
        let names: Vec<String> = self.engine.targets.iter().map(|target| target.name.clone()).collect();
        if names.len() > 1 {
            result.deltas = deltas(&names, &compared, self.plan.seed);
            if n_done > 0 {
                result.why.push(format!(
                    "the deltas are of the levels after the first {n_done}, whose single requests were not kept"
                ));
            }
            result.why.extend(left_out(&names, &compared));
        }
    }

    /// Each target's own search, one after the other.
    fn search(&self, range: Range, result: &mut BenchResult) {
        let Some(slo) = self.plan.slo else { return };
        // What a search that was cut off measured is taken for its probes again: the same come in the same order.
        let before = std::mem::take(&mut result.levels);
        result.found.clear();
        (self.told.search)(&looks_for(&range, &slo));
        for (target, name) in self.engine.targets.iter().map(|target| target.name.clone()).enumerate() {
            let n_before = result.levels.len();
            let mut tries = Tries {
                runner: self,
                target,
                is_whole: range.is_whole,
                slo,
                so_far: result.clone(),
                most_probes: range.most_probes,
                measured: before.iter().filter(|level| level.target == name).cloned().collect(),
            };
            let bracket = match search(range, &slo, &mut tries) {
                Ok(bracket) => bracket,
                Err(never) => match never {},
            };
            let mut levels = tries.so_far.levels.split_off(n_before);
            let is_stopped = bracket.is_stopped;
            result.why.extend(unshown(&name, &bracket, range.is_whole));
            let is_at = |level: &Level, load: f64| level.invalid.is_none() && (level.load.number() - load).abs() < 1e-9;
            let at = |level: &&Level| bracket.sustained.is_some_and(|load| is_at(level, load));
            let out_tok_s = levels.iter().find(at).and_then(|level| level.out_tok_s);
            let over = if range.is_whole { "concurrency" } else { "rate" };
            result.found.push(Found::of((&name, over), bracket, self.plan.peak, out_tok_s));
            result.levels.append(&mut levels);
            if is_stopped {
                result.partial = true;
                break;
            }
        }
    }

    /// Turns of one target are all the time.
    fn turns(&self) -> Turns {
        if self.engine.targets.len() > 1 { self.plan.turns } else { Turns::Each }
    }

    /// One level of load: what was seen, and what it comes to for each target.
    fn level(&self, load: Load, turns: Turns, give_up: Option<Slo>) -> (Seen, Vec<Level>) {
        self.level_of(self.engine, load, (turns, give_up))
    }

    fn level_of(&self, engine: &Engine, load: Load, (turns, give_up): (Turns, Option<Slo>)) -> (Seen, Vec<Level>) {
        let phase = self.phase(load, turns, give_up);
        let of = phase.end;
        let mut seen = engine.run(&phase, &|live| (self.told.show)(Progress { load, of, live }));
        let names: Vec<&str> = engine.targets.iter().map(|target| target.name.as_str()).collect();
        (self.told.take)(load, &names, &seen.samples);
        let n_sent = match &phase.pace {
            Pace::Open(slots) => slots.len() as u64,
            // Those of the warm-up are numbers as well.
            Pace::Closed(_) => seen.next_idx.saturating_sub(phase.first_idx),
        };
        self.n_sent.set(self.n_sent.get() + n_sent);
        // What was stopped is shorter than was planned.
        let end = if seen.is_stopped || seen.gave_up || seen.is_full { phase.end.min(seen.ended) } else { phase.end };
        let window = (phase.warm_up.min(end), end);
        let checks = count_tokens(&engine.targets, &mut seen);
        let n_targets = engine.targets.len();
        let levels = engine.targets.iter().enumerate().map(|(idx, target)| {
            let measured = Measured {
                target: &target.name,
                load,
                window,
                active_s: turns.active_s(window, idx, n_targets),
                samples: seen.samples.iter().filter(|sample| sample.target == idx).collect(),
                earlier: seen.earlier.iter().filter(|sample| sample.target == idx).collect(),
                gaps: &seen.gaps[idx],
                beats: &seen.beats,
                network_ms: self.network.get(idx).copied().flatten(),
            };
            level(&measured, self.plan.slo.as_ref())
        });
        let mut levels: Vec<Level> = levels.collect();
        levels.iter_mut().zip(checks).for_each(|(level, checks)| level.token_checks = checks);
        (seen, levels)
    }

    fn phase(&self, load: Load, turns: Turns, give_up: Option<Slo>) -> Phase {
        let plan = self.plan;
        let (pace, end) = plan.schedule(load, give_up);
        Phase {
            pace,
            turns,
            warm_up: plan.warm_up,
            end,
            drain: plan.drain,
            timeout: plan.timeout,
            give_up,
            most: plan.most_requests,
            first_idx: self.n_sent.get(),
        }
    }
}

/// The probes of a search of one target.
struct Tries<'r> {
    runner: &'r Runner<'r>,
    target: usize,
    is_whole: bool,
    slo: Slo,
    /// What there is so far, that of the targets before included.
    so_far: BenchResult,
    most_probes: usize,
    /// What of this target was measured before the search was cut off, and is not measured again.
    measured: VecDeque<Level>,
}

impl Probe for Tries<'_> {
    type Error = Infallible;

    fn probe(&mut self, load: f64) -> Result<Probed, Infallible> {
        let engine = Engine {
            targets: vec![self.runner.engine.targets[self.target].clone()],
            maker: self.runner.engine.maker.clone(),
            n_workers: self.runner.engine.n_workers,
            stop: std::sync::Arc::clone(&self.runner.engine.stop),
        };
        let load = self.load(load);
        if let Some(level) = self.measured.pop_front() {
            if is_same(level.load, load) {
                let attained = level.goodput.map_or(Attained::default(), |goodput| goodput.attained);
                let probed = Probed {
                    attained,
                    is_invalid: level.invalid.is_some() && !level.gave_up,
                    is_stopped: false,
                    // After one without an answer the search is over.
                    is_dead: level.n_good == 0 && self.measured.is_empty(),
                };
                self.so_far.levels.push(level);
                return Ok(probed);
            }
            self.measured.clear();
        }
        let (seen, mut levels) = self.runner.level_of(&engine, load, (Turns::Each, Some(self.slo)));
        let is_invalid = levels.iter().any(|level| level.invalid.is_some()) && !seen.gave_up;
        levels.iter_mut().for_each(|level| level.gave_up = seen.gave_up);
        self.so_far.n_sent = self.runner.n_sent.get();
        // What was stopped is no probe.
        if seen.is_stopped {
            self.so_far.levels.extend(levels);
            return Ok(Probed { is_stopped: true, ..Probed::default() });
        }
        self.so_far.levels.extend(levels);
        (self.runner.told.so_far)(&self.so_far);
        if seen.samples.iter().any(|sample| sample.outcome == Outcome::Unfinished) {
            self.settle(&engine);
        }
        let attained = Attained::of(&self.slo, seen.samples.iter());
        let is_dead = !seen.samples.iter().chain(&seen.earlier).any(Sample::is_good);
        Ok(Probed { attained, is_invalid, is_stopped: false, is_dead })
    }

    fn begins(&mut self, number: usize, load: f64, why: &str) {
        let (runner, load) = (self.runner, self.load(load));
        let name = &runner.engine.targets[self.target].name;
        let time = if self.measured.front().is_some_and(|level| is_same(level.load, load)) {
            "measured already".to_owned()
        } else {
            // As long as it takes to have requests enough, which can be more than `--duration`.
            let (_, end) = runner.plan.schedule(load, Some(self.slo));
            format!("for about {:.0} s", end.as_secs_f64())
        };
        (runner.told.search)(&format!(
            "{name}, probe {number} of at most {}: {}, {why}; {time}",
            self.most_probes,
            load.words()
        ));
    }

    fn ended(&mut self, number: usize, tried: &Tried) {
        let name = &self.runner.engine.targets[self.target].name;
        let errors = self.so_far.levels.last().map(|level| &level.errors);
        (self.runner.told.search)(&format!("{name}, probe {number}: {}", came(tried, &self.slo, errors)));
    }
}

/// Whether a load that was read is the one that is to be tried.
fn is_same(read: Load, load: Load) -> bool {
    (read.number() / load.number() - 1.0).abs() < 1e-9
}

/// What came of a probe, in words.
fn came(tried: &Tried, slo: &Slo, errors: Option<&BTreeMap<String, u64>>) -> String {
    let word = match tried.verdict {
        _ if tried.is_invalid => return "no evidence: this process lagged".to_owned(),
        Verdict::Pass => "held",
        Verdict::Fail => "not held",
        Verdict::Undecided => "undecided",
    };
    let Attained { n_met, n, .. } = tried.attained;
    let interval = tried.interval.map_or_else(String::new, |(low, high)| {
        format!(
            " ({:.1} to {:.1} %, where {} % are asked for)",
            100.0 * low,
            100.0 * high,
            (slo.share * 1e4).round() / 1e2
        )
    });
    let errors: Vec<String> = errors.into_iter().flatten().map(|(word, n)| format!("{word} {n}")).collect();
    let errors = if errors.is_empty() { String::new() } else { format!("; errors: {}", errors.join(", ")) };
    format!("{word}: {n_met} of {n} kept to it{interval}{errors}")
}

impl Tries<'_> {
    fn load(&self, load: f64) -> Load {
        if self.is_whole { Load::Concurrency { n: place(load).max(1) } } else { Load::Rate { per_s: load } }
    }

    /// Waits until a server that goes on with what nobody waits for any more is done with it, so that the next probe does not pay for this one: until a
    /// request alone keeps to the objective, or takes no less time than the one before.
    fn settle(&self, engine: &Engine) {
        let (runner, began) = (self.runner, Instant::now());
        let mut before: Option<Duration> = None;
        while began.elapsed() < runner.plan.drain && !engine.stop.load(Ordering::Relaxed) {
            let phase = Phase {
                pace: Pace::Open(vec![(Duration::ZERO, None)]),
                turns: Turns::Each,
                warm_up: Duration::ZERO,
                end: SHORTEST,
                drain: runner.plan.drain,
                timeout: runner.plan.timeout,
                give_up: None,
                most: None,
                first_idx: runner.n_sent.get(),
            };
            runner.n_sent.set(runner.n_sent.get() + 1);
            let seen = engine.run(&phase, &|_| {});
            let Some(alone) = seen.samples.first() else { return };
            let took = alone.e2e_intended().filter(|_| alone.is_good());
            let is_no_better =
                took.zip(before).is_some_and(|(took, before)| took.as_secs_f64() > before.as_secs_f64() * NO_BETTER);
            if self.slo.is_met(alone) || is_no_better {
                return;
            }
            before = took;
            if took.is_none() {
                std::thread::sleep(PAUSE);
            }
        }
    }
}

/// A level in one line: what people read while a run goes on.
#[must_use]
pub fn line(level: &Level) -> String {
    let of = |id: &str, quantile: &str| {
        level
            .latency
            .get(id)
            .and_then(|found| found.value(quantile))
            .map_or("-".to_owned(), |ms| format!("{} ms", short(ms)))
    };
    format!(
        "{} at {}: ttft.intended p50 {} p95 {}, e2e.intended p95 {}, {} tokens/s, {} of {} good",
        level.target,
        level.load_words(),
        of(definition::TTFT_INTENDED, "p50"),
        of(definition::TTFT_INTENDED, "p95"),
        of(definition::E2E_INTENDED, "p95"),
        level.out_tok_s.map_or("-".to_owned(), short),
        level.n_good,
        level.n_requests
    )
}

/// Counts tokens of answers where somebody can; of each target, what its two sources come to.
fn count_tokens(targets: &[Target], seen: &mut Seen) -> Vec<Vec<TokenCheck>> {
    let texts = std::mem::take(&mut seen.texts);
    let of = |(idx, target): (usize, &Target)| {
        let of_target = |sample: &&mut Sample| sample.target == idx && sample.is_good();
        let mut samples: Vec<&mut Sample> =
            seen.samples.iter_mut().chain(&mut seen.earlier).filter(of_target).collect();
        settle(&target.counters, &mut samples, &texts)
    };
    targets.iter().enumerate().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_of_a_probe_is_said_with_its_numbers_and_errors() {
        let slo = Slo { ttft_ms: None, e2e_ms: Some(100.0), tpot_ms: None, gap_max_ms: None, share: 0.95 };
        let tried = |n_met: u64, is_invalid: bool| {
            let attained = Attained { n_met, n: 198, n_unseen: 0 };
            let verdict = slo.judge(&attained);
            Tried { load: 4.0, attained, interval: attained.interval(), verdict, is_invalid }
        };
        let errors = BTreeMap::from([("http 503".to_owned(), 8)]);
        assert_eq!(
            came(&tried(190, false), &slo, Some(&errors)),
            "undecided: 190 of 198 kept to it (92.2 to 97.9 %, where 95 % are asked for); errors: http 503 8"
        );
        assert!(came(&tried(198, false), &slo, None).starts_with("held: 198 of 198"));
        assert!(came(&tried(9, false), &slo, None).starts_with("not held: 9 of 198"));
        assert_eq!(came(&tried(198, true), &slo, None), "no evidence: this process lagged");
        let at = |per_s: f64| Load::Rate { per_s };
        assert!(is_same(at(4.0 + 1e-12), at(4.0)) && !is_same(at(4.01), at(4.0)));
    }
}
