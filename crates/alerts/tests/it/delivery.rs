use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use alerts::event::Topic;
use alerts::probe::{Made, Plan};
use alerts::sign::Secret;
use alerts::watch::{Reading, RolloutReading};
use alerts::{Alerts, Event, Facts, Kind, Parts, Settings, Webhook, WebhookUrl};
use arc_swap::ArcSwap;
use bytes::Bytes;
use providers::{BaseUrl, Class, Dialect, ProviderConfig, Shared};
use scripted::{Script, Upstream};
use serde_json::{Value, json};
use store::{AlertDetail, Beside, Database, RolloutRow, TransitionRow};
use wire::record::Endpoint;

const PATIENCE: Duration = Duration::from_secs(20);
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// What a gateway would say.
#[derive(Clone, Default)]
struct Said {
    reading: Arc<Mutex<Reading>>,
    probes: Vec<Plan>,
    made: Arc<Mutex<Vec<Made>>>,
    internal: bool,
    n_reads: Arc<AtomicUsize>,
}

impl Facts for Said {
    fn reading(&self) -> Reading {
        let reading = self.reading.lock().unwrap().clone();
        self.n_reads.fetch_add(1, Ordering::AcqRel);
        reading
    }

    fn probes(&self) -> Vec<Plan> {
        self.probes.clone()
    }

    fn probed(&self, _: &Plan, made: &Made) {
        self.made.lock().unwrap().push(made.clone());
    }

    fn findings(&self, _: &Database, _: u64) -> Vec<Event> {
        Vec::new()
    }

    fn is_internal(&self, _: &str) -> bool {
        self.internal
    }
}

/// A store in a directory of its own, and webhooks.
struct Bench {
    dir: tempfile::TempDir,
    settings: Arc<ArcSwap<Settings>>,
    said: Said,
}

impl Bench {
    fn new(webhooks: Vec<Webhook>) -> Self {
        let settings = Settings { webhooks, ..Settings::default() };
        let settings = Arc::new(ArcSwap::from_pointee(settings));
        Self { dir: tempfile::tempdir().unwrap(), settings, said: Said::default() }
    }

    fn database(&self) -> Database {
        Database::open(self.dir.path().join("crossfade.db")).unwrap()
    }

    fn start(&self) -> Alerts {
        let parts = Parts {
            database: self.database(),
            providers: Shared::new(),
            settings: Arc::clone(&self.settings),
            facts: Box::new(self.said.clone()),
            tick: Duration::from_millis(5),
        };
        Alerts::start(parts).unwrap()
    }

    /// The one alert there is, once it is as `done` says.
    #[track_caller]
    fn alert(&self, done: impl Fn(&AlertDetail) -> bool) -> AlertDetail {
        let database = self.database();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let alerts = database.alerts(10).unwrap();
            if let [alert] = alerts.as_slice()
                && done(alert)
            {
                return alert.clone();
            }
            assert!(Instant::now() < deadline, "{alerts:#?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn webhook(name: &str, url: &str, on: &[Topic]) -> Webhook {
    let url = WebhookUrl::parse(&format!("{url}/hook?for=crossfade")).unwrap();
    let secret = Secret::parse(SECRET).unwrap();
    Webhook::new(name.into(), url, Class::External, secret, on.iter().copied().collect())
}

fn transition(event: &str, to: &str, to_share: f64) -> TransitionRow {
    TransitionRow {
        rollout: "to-b".into(),
        generation: 0,
        at_us: 1_709_210_096_000_000,
        from: "canary 5 %".into(),
        to: to.into(),
        from_share: 0.05,
        to_share,
        epoch: 3,
        actor: "guards".into(),
        event: event.into(),
        reason: "error rate of the candidate is higher".into(),
        evidence_json: "{}".into(),
        policy_hash: String::new(),
    }
}

fn commit(database: &Database, generation: u64, transition: &TransitionRow) {
    let row = RolloutRow { name: "to-b".into(), generation, state_json: "{}".into(), policy_json: "{}".into() };
    database.commit_transition(generation, &row, transition, &Beside::default()).unwrap();
}

fn state_is(state: &'static str) -> impl Fn(&AlertDetail) -> bool {
    move |alert| alert.deliveries.iter().all(|delivery| delivery.state == state)
}

#[test]
fn a_rollback_reaches_who_asked_for_breaches_signed_and_once() {
    let hook = Upstream::start(vec![Script::status(204)]);
    let other = Upstream::start(vec![Script::status(204)]);
    let webhooks = vec![
        webhook("pager", &hook.url(), &[Topic::Breaches, Topic::Transitions]),
        webhook("board", &other.url(), &[Topic::Probe]),
    ];
    let bench = Bench::new(webhooks);
    let alerts = bench.start();
    commit(&bench.database(), 0, &transition("rollback", "rolled_back", 0.0));
    let alert = bench.alert(state_is("delivered"));
    assert_eq!((alert.alert.kind.as_str(), alert.deliveries.len()), ("rollout.rolled_back", 1));
    let received = &hook.requests()[0];
    let header = |name: &str| received.header(name).unwrap_or_default().to_owned();
    assert_eq!((received.method.as_str(), received.path.as_str()), ("POST", "/hook?for=crossfade"));
    assert_eq!((header("webhook-id"), header("content-type")), (alert.alert.id.clone(), "application/json".to_owned()));
    let timestamp = header("webhook-timestamp").parse().unwrap();
    let signed = Secret::parse(SECRET).unwrap().sign(&alert.alert.id, timestamp, &received.body);
    assert_eq!(header("webhook-signature"), signed);
    let body: Value = serde_json::from_slice(&received.body).unwrap();
    assert_eq!(
        (&body["type"], &body["data"]["reason"]),
        (&json!("rollout.rolled_back"), &json!("error rate of the candidate is higher"))
    );
    drop(alerts);
    // Whoever starts next does not tell of it again.
    let alerts = bench.start();
    let event = Event {
        kind: Kind::Test,
        subject: "test".into(),
        occasion: 1,
        at_us: 1,
        words: "a test".into(),
        data: json!({}),
    };
    bench.database().add_alert(&event.row(), &["board".to_owned()], None, 1).unwrap();
    other.wait_for(1, PATIENCE);
    assert_eq!((hook.requests().len(), other.requests().len()), (1, 1));
    drop(alerts);
}

#[test]
fn what_was_not_taken_is_tried_again_after_a_restart_under_the_same_id() {
    let hook = Upstream::start(vec![Script::status(500), Script::status(200)]);
    let bench = Bench::new(vec![webhook("pager", &hook.url(), &[Topic::Approvals])]);
    let alerts = bench.start();
    commit(&bench.database(), 0, &transition("await_approval", "awaiting_approval", 0.05));
    let alert = bench.alert(|alert| alert.deliveries[0].attempts == 1);
    let delivery = &alert.deliveries[0];
    assert_eq!((delivery.state.as_str(), delivery.problem.as_deref()), ("waiting", Some("it answered 500")));
    let wait = delivery.next_at_us - delivery.since_us;
    assert!((2_500_000..20_000_000).contains(&wait), "{wait} us");
    assert_eq!(alerts.status().tries.get(&("pager".to_owned(), "failed")), Some(&1));
    drop(alerts);

    let alerts = bench.start();
    // Instead of waiting until it is due.
    assert_eq!(bench.database().resend_alert(&alert.alert.id, None, 1).unwrap(), 1);
    bench.alert(state_is("delivered"));
    let ids: Vec<_> =
        hook.requests().iter().map(|received| received.header("webhook-id").unwrap().to_owned()).collect();
    assert_eq!(ids, [alert.alert.id.clone(), alert.alert.id]);
    drop(alerts);
}

#[test]
fn a_webhook_that_hangs_delays_no_other_and_a_webhook_that_is_gone_is_given_up() {
    let hangs = Upstream::start(vec![Script::silent()]);
    let gone = Upstream::start(vec![Script::status(410)]);
    let good = Upstream::start(vec![Script::status(200)]);
    let on = &[Topic::Transitions];
    let webhooks = vec![
        webhook("hangs", &hangs.url(), on),
        webhook("gone", &gone.url(), on),
        webhook("good", &good.url(), on),
        webhook("dead", "http://127.0.0.1:1", on),
    ];
    let bench = Bench::new(webhooks);
    let alerts = bench.start();
    let database = bench.database();
    for generation in 0..3 {
        commit(&database, generation, &transition("promote", "canary 10 %", 0.1));
    }
    assert_eq!(good.wait_for(3, PATIENCE).len(), 3);
    assert_eq!(gone.wait_for(3, PATIENCE).len(), 3);
    let deadline = Instant::now() + PATIENCE;
    let state = |name: &str| database.webhook_states().unwrap().into_iter().find(|state| state.webhook == name);
    while state("gone").is_none_or(|state| state.given_up < 3) || state("good").is_none_or(|state| state.delivered < 3)
    {
        assert!(Instant::now() < deadline, "{:#?}", database.webhook_states());
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(hangs.requests().len(), 1, "one at a time");
    assert_eq!((state("hangs").unwrap().waiting, state("dead").unwrap().waiting), (3, 3));
    let began = Instant::now();
    drop(alerts);
    assert!(began.elapsed() < PATIENCE, "a stop does not wait for who hangs");
}

#[test]
fn who_is_outside_hears_of_an_internal_rollout_without_its_reasons() {
    let hook = Upstream::start(vec![Script::status(200)]);
    let mut bench = Bench::new(vec![webhook("pager", &hook.url(), &[Topic::Breaches])]);
    bench.said.internal = true;
    let alerts = bench.start();
    commit(&bench.database(), 0, &transition("rollback", "rolled_back", 0.0));
    let received = hook.wait_for(1, PATIENCE);
    let text = received[0].text();
    assert!(
        text.contains("rollout.rolled_back") && text.contains("\"withheld\"") && !text.contains("error rate"),
        "{text}"
    );
    drop(alerts);
}

#[test]
fn a_probe_that_fails_is_told_once_and_told_again_when_it_passes() {
    let vendor = Upstream::start(vec![
        Script::status(401),
        Script::status(401),
        Script::json("{}").header("x-ratelimit-limit-requests", "500"),
    ]);
    let hook = Upstream::start(vec![Script::status(200)]);
    let mut bench = Bench::new(vec![webhook("pager", &hook.url(), &[Topic::Probe])]);
    let provider = ProviderConfig::new("openai", Dialect::Openai, BaseUrl::parse(&vendor.url()).unwrap());
    bench.said.probes.push(Plan {
        rollout: "to-b".into(),
        target: "gpt".into(),
        provider: Arc::new(provider),
        endpoint: Endpoint::ChatCompletions,
        body: Bytes::from_static(b"{}"),
        special: None,
        every: Duration::from_millis(20),
    });
    let alerts = bench.start();
    let received = hook.wait_for(2, PATIENCE);
    let kinds: Vec<Value> = received
        .iter()
        .map(|received| serde_json::from_slice::<Value>(&received.body).unwrap()["type"].clone())
        .collect();
    assert_eq!(kinds, ["baseline.probe_failed", "baseline.probe_passed"]);
    assert!(received[0].text().contains("the credentials were refused with 401"), "{}", received[0].text());
    let finding = alerts.status().probes["to-b"].clone();
    assert_eq!((finding.ok, finding.requests_limit), (true, Some(500.0)));
    drop(alerts);
    let made = bench.said.made.lock().unwrap();
    assert!(made.len() >= 3 && made.iter().all(|made| made.failure.is_none() && made.started_us > 0));
    assert_eq!(made[2].body.as_ref(), b"{}", "what it cost is for others to find out");
    let rows = bench.database().probes("to-b", 10).unwrap();
    assert!(rows.len() >= 3 && rows.last().is_some_and(|row| !row.ok), "{rows:#?}");
}

#[test]
fn losses_of_the_journal_are_told() {
    let hook = Upstream::start(vec![Script::status(200)]);
    let bench = Bench::new(vec![webhook("pager", &hook.url(), &[Topic::Drops])]);
    *bench.said.reading.lock().unwrap() = Reading {
        journal_records: 1000,
        rollouts: vec![RolloutReading { name: "to-b".into(), epoch: 1, judged: 0, requests: 0 }],
        ..Reading::default()
    };
    let alerts = bench.start();
    let deadline = Instant::now() + PATIENCE;
    while bench.said.n_reads.load(Ordering::Acquire) == 0 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    *bench.said.reading.lock().unwrap() = Reading { journal_records: 2000, journal_lost: 500, ..Reading::default() };
    let received = hook.wait_for(1, PATIENCE);
    assert!(received[0].text().contains("the journal lost 500 of 1000 records"), "{}", received[0].text());
    drop(alerts);
}
