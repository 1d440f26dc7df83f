//! Rows 34 to 36, 38 and 40: what happens to the process itself: its end, its config, its clock, its own faults.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gateway::prices::{PricedBy, TargetPrices};
use gateway::snapshot::{Drain, Snapshot};
use providers::{Lookup, Shared};
use scripted::{Hang, Script, Upstream, chat_completion, chat_stream};

use crate::client::{Connection, PATIENCE, post};
use crate::clock;
use crate::harness::{Gateway, PLAIN, STREAMED, Setup};
use crate::trial::Trial;
use crate::upstreams::healthy;
use crate::ways::change_provider;

/// A request, and what it is about: the upstream does as its last word says.
fn saying(streamed: bool, word: &str) -> String {
    (if streamed { STREAMED } else { PLAIN }).replace("\"hi\"", &format!("\"{word}\""))
}

pub fn drained(trial: &mut Trial) {
    let pace = trial.dice.ms(1..=20);
    let upstream = Upstream::with(move |request| {
        let text = request.text();
        let events = chat_stream(&["x"; 10], false);
        match (text.contains("\"ends\""), text.contains("\"stream\":true")) {
            (true, true) => Script::stream(events).pace(pace),
            (true, false) => Script::json(chat_completion("x")).delay(pace * 10),
            (false, true) if text.contains("\"begins\"") => {
                Script::stream(events[..2].to_vec()).hang(Hang::AfterPieces)
            }
            (false, _) => Script::silent(),
        }
    });
    let mut setup = Setup::to(&[&upstream]);
    let deadline = Duration::from_millis(600);
    setup.drain = Drain { pre_stop: trial.dice.ms(0..=30), deadline };
    let stage = trial.stage(setup, &[&upstream]);
    let n = trial.dice.within(2..=8);
    let mut under_way = Vec::new();
    for _ in 0..n {
        let (streamed, word) = (trial.dice.coin(), *trial.dice.of(&["ends", "begins", "hangs"]));
        under_way.push((stage.begin(&saying(streamed, word)), streamed, word));
    }
    assert_eq!(upstream.wait_for(n, PATIENCE).len(), n);
    let serving = Arc::clone(&stage.gateway.serving);
    let drain = std::thread::spawn(move || serving.drain());
    let mut n_cut = 0;
    for (mut connection, streamed, word) in under_way {
        let answer = connection.answer().expect("an answer, also at the end");
        stage.note(Some(&answer), streamed);
        let is_served = answer.status == 200 && answer.whole;
        assert_eq!(is_served, word == "ends", "{word}: {}", answer.text());
        n_cut += usize::from(!is_served);
    }
    assert_eq!(drain.join().unwrap().cut, n_cut);
    assert!(std::net::TcpStream::connect(stage.gateway.addr).is_err(), "the door is closed");
    trial.end(stage);
}

pub fn bad_reload(trial: &mut Trial) {
    let upstream = healthy();
    let endless = Upstream::start(vec![Script::stream(chat_stream(&["x"; 30], false)).pace(trial.dice.ms(2..=10))]);
    let stage = trial.stage(Setup::to(&[&upstream, &endless]), &[&upstream, &endless]);
    let mut under_way = stage.begin(&STREAMED.replace("gpt-4o", "to-b-directly"));
    assert_eq!(endless.wait_for(1, PATIENCE).len(), 1);
    let mut in_force = "model-a".to_owned();
    for nth in 0..trial.dice.within(2..=6) {
        let mut snapshot = Snapshot::clone(&stage.gateway.snapshot.load());
        let name = format!("model-of-reload-{nth}");
        let is_good = trial.dice.coin();
        for target in snapshot.targets.values_mut() {
            let target = Arc::make_mut(target);
            target.model.clone_from(&name);
            if !is_good && target.name == "b" {
                // Only the last of it is bad: nothing of the rest may be taken.
                change_provider(target, |provider| {
                    provider.ca_file = Some(PathBuf::from("/nowhere/ca.pem"));
                    provider.base_url = providers::BaseUrl::parse("https://provider.test").unwrap();
                });
            }
        }
        assert_eq!(stage.gateway.reload(snapshot).is_ok(), is_good);
        if is_good {
            in_force = name;
        }
        for _ in 0..trial.dice.within(1..=3) {
            assert_eq!(stage.ask(PLAIN).status, 200);
            assert!(upstream.requests().pop().unwrap().text().contains(&format!("\"{in_force}\"")));
        }
    }
    let answer = under_way.answer();
    stage.note(answer.as_ref(), true);
    assert!(answer.is_some_and(|answer| answer.whole), "what is under way goes on");
    drop(under_way);
    let exchanges = trial.end(stage);
    let streamed = exchanges.iter().find(|one| one.exchange.streamed == Some(true)).unwrap();
    assert_eq!(streamed.attempts[0].model.as_deref(), Some("model-b"), "with the config that it began with");
}

/// The config of one generation: its model, and a price that only this model has.
fn generation(gateway: &Gateway, n: u64) -> Snapshot {
    let sheet = format!(
        r#"{{ "source": "a test", "checked": "2026-11-25", "models": [
            {{ "vendor": "acme", "id": "model-{n}", "prices": [{{ "rates": {{ "input": {n}, "output": {n} }} }}] }} ] }}"#
    );
    let sheet = cost::sheet::Sheet::parse(&sheet).unwrap();
    let all = Arc::new(cost::Prices::new(&[("test", &sheet)]).unwrap());
    let of = [("a".to_owned(), PricedBy::Vendor("acme".to_owned()))].into();
    let mut snapshot = Snapshot::clone(&gateway.snapshot.load());
    Arc::make_mut(snapshot.targets.get_mut("a").unwrap()).model = format!("model-{n}");
    Snapshot { prices: TargetPrices { all, of }, ..snapshot }
}

pub fn one_config(trial: &mut Trial) {
    // Slow enough that configs change between a request and the price of its answer.
    let delay = trial.dice.ms(0..=8);
    let upstream = Upstream::with(move |_| Script::json(chat_completion("here")).delay(delay));
    let stage = trial.stage(Setup::to(&[&upstream]), &[&upstream]);
    stage.gateway.reload(generation(&stage.gateway, 1)).unwrap();
    let (addr, is_over) = (stage.gateway.addr, AtomicBool::new(false));
    let n_each = trial.dice.within(5..=12);
    std::thread::scope(|scope| {
        let asking: Vec<_> =
            (0..3).map(|_| scope.spawn(move || (0..n_each).map(|_| post(addr, PLAIN)).collect::<Vec<_>>())).collect();
        scope.spawn(|| {
            let mut n = 1;
            while !is_over.load(Ordering::Acquire) {
                n += 1;
                stage.gateway.reload(generation(&stage.gateway, n)).unwrap();
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let answers: Vec<_> = asking.into_iter().flat_map(|one| one.join().unwrap()).collect();
        is_over.store(true, Ordering::Release);
        answers.iter().for_each(|answer| stage.note(Some(answer), false));
    });
    for one in trial.end(stage) {
        let n: u64 = one.attempts[0].model.as_deref().unwrap().strip_prefix("model-").unwrap().parse().unwrap();
        // 12 tokens at n dollars a million.
        let cost = one.exchange.cost.as_ref().and_then(|cost| cost.nanos);
        assert_eq!(cost, Some(12 * n * 1_000), "the price of the config whose model was asked: {one:?}");
    }
}

pub fn clock(trial: &mut Trial) {
    let events = chat_stream(&["one", "two"], false);
    let stalling = Script::stream(events[..2].to_vec()).hang(Hang::AfterPieces);
    let pace = trial.dice.ms(1..=8);
    let upstream = Upstream::with(move |request| match request.text().contains("\"stalls\"") {
        true => stalling.clone(),
        false if request.text().contains("\"stream\":true") => Script::stream(events.clone()).pace(pace),
        false => Script::json(chat_completion("here")).delay(pace * 4),
    });
    let limit = trial.dice.ms(60..=120);
    let setup = Setup::to(&[&upstream]).timeouts(|timeouts| timeouts.inter_token = limit);
    let stage = trial.stage(setup, &[&upstream]);
    let n = trial.dice.within(3..=8);
    for _ in 0..n {
        let (streamed, stalls) = *trial.dice.of(&[(false, false), (true, false), (true, true)]);
        let mut connection = stage.begin(&saying(streamed, if stalls { "stalls" } else { "hi" }));
        std::thread::sleep(trial.dice.ms(0..=10));
        clock::set(match trial.dice.below(3) {
            0 => clock::Wall::Frozen,
            1 => clock::Wall::Off(trial.dice.within(1..=3_600) as i64),
            _ => clock::Wall::Off(-(trial.dice.within(1..=3_600) as i64)),
        });
        let answer = connection.answer();
        stage.note(answer.as_ref(), streamed);
        let is_served = answer.is_some_and(|answer| answer.status == 200 && answer.whole);
        assert_eq!(is_served, !stalls, "a limit of time is one of real time");
    }
    let exchanges = trial.end(stage);
    clock::set(clock::Wall::Off(0));
    assert_eq!(exchanges.len(), n, "whatever time it is, all is on record");
    for one in exchanges {
        let (received, finished) = (one.exchange.received_at_us.unwrap(), one.exchange.finished_at_us.unwrap());
        let took = one.exchange.duration_us.unwrap();
        assert!(finished >= received && finished - received < 60_000_000, "no exchange takes an hour: {one:?}");
        assert!(took < 60_000_000, "{took}");
    }
}

pub fn own_fault(trial: &mut Trial) {
    let (good, panics) = (healthy(), Arc::new(AtomicBool::new(true)));
    let slow = Upstream::start(vec![Script::stream(chat_stream(&["x"; 20], false)).pace(trial.dice.ms(1..=8))]);
    let (at, now) = (good.addr(), Arc::clone(&panics));
    let lookup = Lookup(Arc::new(move |_| {
        assert!(!now.load(Ordering::Acquire), "a fault of ours, on purpose");
        io::Result::Ok(vec![at])
    }));
    let mut setup = Setup::to_urls(&["http://provider.test", &slow.url()]);
    setup.providers = Shared::looking_up(lookup);
    let stage = trial.stage(setup, &[]);
    let mut under_way = stage.begin(&STREAMED.replace("gpt-4o", "to-b-directly"));
    assert_eq!(slow.wait_for(1, PATIENCE).len(), 1);
    let mut connection = Connection::open(stage.gateway.addr);
    for _ in 0..trial.dice.within(1..=4) {
        let body = if trial.dice.coin() { STREAMED } else { PLAIN };
        let answer = stage.ask_on(&mut connection, body);
        assert_eq!((answer.status, answer.error()["type"].as_str()), (500, Some("server_error")));
    }
    panics.store(false, Ordering::Release);
    assert_eq!(stage.ask_on(&mut connection, PLAIN).status, 200, "on the same connection");
    let answer = under_way.answer();
    stage.note(answer.as_ref(), true);
    assert!(answer.is_some_and(|answer| answer.whole), "others are served meanwhile");
    drop((connection, under_way));
    trial.end(stage);
}
