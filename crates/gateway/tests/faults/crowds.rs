//! Rows 20 to 25, 27 and 29: what many requests make of a provider that refuses, dies or is full.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use providers::Queue;
use scripted::{Cut, Received, Script, Upstream, chat_completion, chat_stream};

use crate::client::{Answer, PATIENCE, post};
use crate::harness::{PLAIN, STREAMED, Setup};
use crate::trial::{Stage, Trial};

fn ok() -> Script {
    Script::json(chat_completion("here"))
}

fn broken() -> Script {
    Script::error(500, "server_error", "boom")
}

fn busy() -> Script {
    Script::error(429, "rate_limit_error", "rate_limit_exceeded")
}

/// A wait as a provider may write it, and how long it is heeded in seconds, if at all.
fn a_wait(trial: &mut Trial) -> (&'static str, String, Option<u64>) {
    let seconds = trial.dice.within(2..=3_000) as u64;
    let date = |at: SystemTime| httpdate::fmt_http_date(at);
    let then = Duration::from_secs(seconds);
    let heeded = Some(seconds.min(120));
    match trial.dice.below(9) {
        0 => ("retry-after", seconds.to_string(), heeded),
        1 => ("retry-after", format!("{seconds}.0"), heeded),
        2 => ("retry-after-ms", (seconds * 1000).to_string(), heeded),
        3 => ("retry-after", date(SystemTime::now() + then + Duration::from_secs(1)), heeded),
        4 => ("retry-after", date(SystemTime::now() - then), None),
        5 => ("retry-after", date(SystemTime::now() + Duration::from_secs(315_360_000)), Some(120)),
        6 => ("retry-after", format!("-{seconds}"), None),
        7 => ("retry-after", (*trial.dice.of(&["NaN", "inf", "soon", "", "1e400", "0x10"])).to_owned(), None),
        _ => ("retry-after", "315360000".to_owned(), Some(120)),
    }
}

pub fn retry_after(trial: &mut Trial) {
    if trial.dice.below(4) == 0 {
        return used_up(trial);
    }
    let (header, value, heeded) = a_wait(trial);
    let upstream = Upstream::start(vec![busy().header(header, &value), ok()]);
    let stage = trial.stage(Setup::to(&[&upstream]), &[&upstream]);
    let first = stage.ask(PLAIN);
    assert_eq!((first.status, first.header(header)), (429, Some(value.as_str())), "the provider's words");
    let second = stage.ask(PLAIN);
    match heeded {
        None => assert_eq!(second.status, 200, "{header}: {value} is no wait"),
        Some(heeded) => {
            assert_eq!((second.status, upstream.requests().len()), (429, 1), "{header}: {value}");
            let left: u64 = second.header("retry-after").unwrap().parse().unwrap();
            assert!(left <= heeded + 1 && left + 30 >= heeded, "{header}: {value}, and {left} s are left");
        }
    }
    trial.end(stage);
}

fn used_up(trial: &mut Trial) {
    let upstream = Upstream::start(vec![Script::error(429, "insufficient_quota", "insufficient_quota")]);
    let stage = trial.stage(Setup::to(&[&upstream]), &[&upstream]);
    for _ in 0..trial.dice.within(2..=4) {
        assert_eq!(stage.ask(PLAIN).header("x-should-retry"), Some("false"), "nothing changes until somebody pays");
    }
    assert_eq!(upstream.requests().len(), 1, "and nobody asks again");
    trial.end(stage);
}

pub fn storm_of_429s(trial: &mut Trial) {
    let n = trial.dice.within(5..=25);
    let streamed = trial.dice.coin();
    let well = if streamed { Script::stream(chat_stream(&["here"], false)) } else { ok() };
    let upstream = Upstream::start((0..n).map(|_| busy()).chain([well]).collect());
    let stage = trial.stage(Setup::to(&[&upstream]), &[&upstream]);
    let body = if streamed { STREAMED } else { PLAIN };
    (0..n).for_each(|_| assert_eq!(stage.ask(body).status, 429));
    assert_eq!(stage.ask(body).status, 200, "the first that is answered is served");
    assert_eq!(stage.gateway.serving.target_statuses()[0].replicas[0].opened, 0, "a limit breaks nothing");
    trial.end(stage);
}

pub fn amplification(trial: &mut Trial) {
    let (n, nth, well_each) = (trial.dice.within(30..=50), AtomicUsize::new(0), trial.dice.within(3..=9));
    let upstream =
        Upstream::with(
            move |_| {
                if nth.fetch_add(1, Ordering::Relaxed) % well_each == well_each - 1 { ok() } else { broken() }
            },
        );
    let setup = Setup::to(&[&upstream]).calling_up_to(u32::try_from(trial.dice.within(1..=4)).unwrap());
    let stage = trial.stage(setup, &[&upstream]);
    let listens = trial.dice.coin();
    for _ in 0..n {
        // As the official SDKs do: twice more, unless they are told not to. Some do not listen.
        for again in ["0", "1", "2"] {
            let answer = stage.ask_with(&[("x-stainless-retry-count", again)], PLAIN);
            if answer.status == 200 || (listens && answer.header("x-should-retry") == Some("false")) {
                break;
            }
        }
    }
    let n_calls = upstream.requests().len();
    assert!(n_calls * 5 <= n * 6, "{n_calls} calls for {n} requests");
    trial.end(stage);
}

pub fn ambiguous(trial: &mut Trial) {
    let (replay, streamed) = (trial.dice.coin(), trial.dice.coin());
    let events = chat_stream(&["one", "two", "three"], false);
    let cut = *trial.dice.of(&[Cut::Fin, Cut::Rst]);
    let after_content = streamed && trial.dice.coin();
    let first = if after_content {
        let whole = events.concat();
        let (seen, finish) = (events[..2].concat().len(), events[..4].concat().len());
        Script::stream(events[..2].to_vec())
            .piece(&whole.as_bytes()[seen..])
            .cut_after(trial.dice.within(seen..=finish), cut)
    } else {
        match trial.dice.below(2) {
            0 => Script::hang_up(cut),
            _ => Script::silent(),
        }
    };
    let second = if streamed { Script::stream(events) } else { ok() };
    let upstream = Upstream::start(vec![first, second]);
    let limit = trial.dice.ms(50..=150);
    let mut setup = Setup::to(&[&upstream]).calling_up_to(3).timeouts(|timeouts| {
        (timeouts.first_token, timeouts.total) = (limit, limit);
    });
    setup.retries.replay_ambiguous = Some(replay);
    let answer = trial.one(setup, &[&upstream], streamed);
    let n_calls = upstream.requests().len();
    // What may have been carried out is carried out again only where the policy says so, and never once anything was shown.
    assert_eq!(
        (answer.status == 200 && answer.whole, n_calls),
        (replay && !after_content, if replay && !after_content { 2 } else { 1 })
    );
}

/// The most calls that were under way at once.
fn most_at_once(received: &[Received]) -> usize {
    let open =
        |at: Instant| received.iter().filter(|one| one.at <= at && one.answered.is_none_or(|end| end > at)).count();
    received.iter().map(|one| open(one.at)).max().unwrap_or(0)
}

/// So many requests at once, and their answers.
fn at_once(stage: &Stage<'_>, body: &str, n: usize) -> Vec<Answer> {
    let addr = stage.gateway.addr;
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let asking: Vec<_> = (0..n).map(|_| scope.spawn(move || post(addr, body))).collect();
        asking.into_iter().map(|one| one.join().unwrap()).collect()
    });
    answers.iter().for_each(|answer| stage.note(Some(answer), body.contains("\"stream\":true")));
    answers
}

pub fn the_primary_dies(trial: &mut Trial) {
    let probing = Arc::new(AtomicBool::new(false));
    let now = Arc::clone(&probing);
    let primary = Upstream::with(move |_| if now.load(Ordering::Acquire) { Script::silent() } else { broken() });
    let (delay, places) = (trial.dice.ms(20..=60), trial.dice.within(1..=3));
    let fallback = Upstream::with(move |_| ok().delay(delay));
    let setup = Setup::to(&[&primary, &fallback])
        .falling_back_to(&["b"])
        .timeouts(|timeouts| timeouts.total = Duration::from_millis(400))
        .calling("b", |calling| calling.max_concurrency = Some(places));
    let stage = trial.stage(setup, &[&primary, &fallback]);
    let n = trial.dice.within(6..=10);
    let answers = at_once(&stage, PLAIN, n);
    assert!(answers.iter().any(|answer| answer.status == 200), "as many as the fallback takes are served");
    (0..5).for_each(|_| drop(stage.ask(PLAIN)));
    let n_before = primary.requests().len();
    probing.store(true, Ordering::Release);
    // Sooner or later one is let through to see whether it lives. As long as that one waits, nobody else is.
    std::thread::scope(|scope| {
        let (addr, primary) = (stage.gateway.addr, &primary);
        let prober = scope.spawn(move || {
            let deadline = Instant::now() + PATIENCE;
            let mut answers = Vec::new();
            while primary.requests().len() == n_before && Instant::now() < deadline {
                answers.push(post(addr, PLAIN));
            }
            answers
        });
        assert_eq!(primary.wait_for(n_before + 1, PATIENCE).len(), n_before + 1, "a probe");
        at_once(&stage, PLAIN, places.max(2) - 1);
        assert_eq!(primary.requests().len(), n_before + 1, "one probe");
        prober.join().unwrap().iter().for_each(|answer| stage.note(Some(answer), false));
    });
    assert!(most_at_once(&fallback.requests()) <= places, "no more than the fallback takes");
    trial.end(stage);
}

pub fn all_ejected(trial: &mut Trial) {
    let well = Arc::new(AtomicBool::new(false));
    let ill = |well: &Arc<AtomicBool>| {
        let well = Arc::clone(well);
        Upstream::with(move |_| if well.load(Ordering::Acquire) { ok() } else { Script::status(500) })
    };
    let (a, b) = (ill(&well), ill(&well));
    let mut setup = Setup::to(&[&a, &b]).falling_back_to(&["b"]);
    setup.panic = trial.dice.coin();
    let panics = setup.panic;
    let stage = trial.stage(setup, &[&a, &b]);
    for route in ["to-a-directly", "to-b-directly"] {
        (0..5).for_each(|_| drop(stage.ask(&PLAIN.replace("gpt-4o", route))));
    }
    well.store(panics, Ordering::Release);
    let began = Instant::now();
    let answer = stage.ask(PLAIN);
    let (status, code) = if panics { (200, None) } else { (503, Some("breaker_open")) };
    assert_eq!(answer.status, status);
    if code.is_some() {
        assert_eq!(answer.error()["code"].as_str(), code);
        assert!(answer.header("retry-after").is_some() && began.elapsed() < Duration::from_secs(5));
    }
    assert_eq!(stage.gateway.serving.totals().panics, u64::from(panics));
    trial.end(stage);
}

pub fn full(trial: &mut Trial) {
    let (delay, places, n) = (trial.dice.ms(20..=80), trial.dice.within(1..=3), trial.dice.within(5..=9));
    let upstream = Upstream::with(move |_| ok().delay(delay));
    let (waiting, timeout) = (trial.dice.below(5), *trial.dice.of(&[Duration::from_millis(10), PATIENCE]));
    let has_queue = trial.dice.coin();
    let mut setup = Setup::to(&[&upstream]).calling_up_to(1);
    if has_queue {
        setup = setup.calling("a", |calling| {
            (calling.max_concurrency, calling.queue) = (Some(places), Queue { max: waiting, timeout });
        });
    } else {
        let mut provider = (*setup.targets[0].provider).clone();
        provider.max_connections = places;
        setup.targets[0].provider = Arc::new(provider);
    }
    let stage = trial.stage(setup, &[&upstream]);
    let answers = at_once(&stage, PLAIN, n);
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        assert_eq!((answer.header("retry-after"), answer.header("x-crossfade-origin")), (Some("1"), Some("crossfade")));
    }
    let n_served = answers.iter().filter(|answer| answer.status == 200).count();
    assert!(
        n_served >= 1 && (!has_queue || timeout < PATIENCE || n_served >= n.min(places + waiting)),
        "{n_served} of {n}"
    );
    assert!(most_at_once(&upstream.requests()) <= places);
    assert_eq!(stage.ask(PLAIN).status, 200, "there is room again");
    trial.end(stage);
}
