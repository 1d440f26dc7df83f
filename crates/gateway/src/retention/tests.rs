use rollout::{Policy, Risk, State};
use rusqlite::{Connection, params};
use store::{Beside, RolloutRow, TransitionRow};
use tempfile::TempDir;

use super::*;

const DAY: u64 = 86_400_000_000;

struct House {
    path: std::path::PathBuf,
    database: Database,
    _directory: TempDir,
}

/// One exchange a day, from the first day on, each with a body of this many bytes.
fn house(n_days: u64, bytes: u32) -> House {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("c.db");
    let database = Database::open(&path).unwrap();
    let mut connection = Connection::open(&path).unwrap();
    let transaction = connection.transaction().unwrap();
    for day in 1..=n_days {
        let id = ExchangeId::new(day * 86_400_000, [7; 10]).to_bytes();
        let rollout = (day % 5 == 0).then_some("r");
        let exchange = "INSERT INTO exchanges (id, rollout, epoch, outcome) VALUES (?1, ?2, 1, 'complete')";
        transaction.execute(exchange, params![id, rollout]).unwrap();
        transaction.execute("INSERT INTO bodies VALUES (?1, 0, 1, zeroblob(?2))", params![id, bytes]).unwrap();
    }
    transaction.commit().unwrap();
    House { path, database, _directory: directory }
}

impl House {
    /// The days whose exchanges, and whose bodies, are there.
    fn days(&self) -> (Vec<u64>, Vec<u64>) {
        let connection = Connection::open(&self.path).unwrap();
        let days = |sql: &str| {
            let mut select = connection.prepare(sql).unwrap();
            let rows = select.query_map([], |row| row.get(0).map(ExchangeId::from_bytes)).unwrap();
            rows.map(|id| id.unwrap().unix_ms() / 86_400_000).collect()
        };
        (days("SELECT id FROM exchanges ORDER BY id"), days("SELECT exchange_id FROM bodies ORDER BY 1"))
    }

    fn sweep(&self, sweeper: &mut Sweeper, day: u64, kept: &[KeptFor]) -> u64 {
        let mut pruner = Pruner::open(&self.path).unwrap();
        sweeper.sweep(&mut pruner, (day * DAY, Instant::now()), kept, &mut |_, _| true).unwrap()
    }

    fn add_rollout(&self, name: &str, status: RolloutStatus) {
        let policy = Policy::template(Risk::Medium);
        let mut state = State::draft(name, "salt", "ana", ("a", "b"), &policy);
        state.status = status;
        let stored = StoredState {
            route: "gpt".into(),
            fingerprint: "1".into(),
            simulated: false,
            facts: Default::default(),
            taken_back: None,
            released: false,
            state,
        };
        self.add_row(name, &serde_json::to_string(&stored).unwrap());
    }

    fn add_row(&self, name: &str, state_json: &str) {
        let row =
            RolloutRow { name: name.into(), generation: 0, state_json: state_json.into(), policy_json: "{}".into() };
        let transition = TransitionRow {
            rollout: name.into(),
            generation: 0,
            at_us: 1,
            from: "shadow".into(),
            to: "shadow".into(),
            from_share: 0.0,
            to_share: 0.0,
            epoch: 1,
            actor: "ana".into(),
            event: "start".into(),
            reason: String::new(),
            evidence_json: "{}".into(),
            policy_hash: String::new(),
        };
        self.database.commit_transition(0, &row, &transition, &Beside::default()).unwrap();
    }
}

fn days(n: u64) -> Option<Duration> {
    Some(Duration::from_secs(n * 86_400))
}

fn held() -> [KeptFor; 1] {
    [KeptFor { rollout: "r".into(), since_us: 0 }]
}

#[test]
fn rollouts_under_way_hold_all_of_theirs_and_completed_ones_the_last_while() {
    let house = house(0, 0);
    for (name, status) in [
        ("active", RolloutStatus::Active),
        ("aborted", RolloutStatus::Aborted),
        ("completed", RolloutStatus::Completed),
        ("draft", RolloutStatus::Draft),
        ("gone", RolloutStatus::Completed),
        ("held", RolloutStatus::Held),
        ("paused", RolloutStatus::Paused),
        ("thrown", RolloutStatus::RolledBack),
        ("waiting", RolloutStatus::AwaitingApproval),
    ] {
        house.add_rollout(name, status);
    }
    house.add_row("unreadable", "{}");
    let window = |name: &str| if name == "gone" { None } else { days(90) };
    let kept = kept(&house.database, window, 100 * DAY).unwrap();
    let found: Vec<(&str, u64)> = kept.iter().map(|kept| (kept.rollout.as_str(), kept.since_us / DAY)).collect();
    let expected = [("active", 0), ("completed", 10), ("held", 0), ("paused", 0), ("unreadable", 0), ("waiting", 0)];
    assert_eq!(found, expected);
}

#[test]
fn bodies_go_by_their_age_and_exchanges_by_theirs() {
    let house = house(20, 100);
    let mut sweeper = Sweeper::new(Settings { bodies: days(5), rows: days(15), max_size: None });
    assert_eq!(house.sweep(&mut sweeper, 21, &[]), 0);
    let (exchanges, bodies) = house.days();
    assert_eq!(exchanges, (6..=20).collect::<Vec<_>>());
    assert_eq!(bodies, (16..=20).collect::<Vec<_>>());
    // A day later one of each is old enough.
    house.sweep(&mut sweeper, 22, &[]);
    let (exchanges, bodies) = house.days();
    assert_eq!((exchanges.first(), bodies.first()), (Some(&7), Some(&17)));
}

#[test]
fn what_a_rollout_held_goes_once_nothing_holds_it() {
    let house = house(20, 100);
    let mut sweeper = Sweeper::new(Settings { bodies: days(2), rows: days(2), max_size: None });
    house.sweep(&mut sweeper, 21, &held());
    assert_eq!(house.days().0, [5, 10, 15, 19, 20]);
    house.sweep(&mut sweeper, 21, &[]);
    assert_eq!(house.days().0, [19, 20]);
}

#[test]
fn nothing_goes_where_nothing_is_said() {
    let house = house(20, 100);
    assert_eq!(house.sweep(&mut Sweeper::new(Settings::default()), 100, &[]), 0);
    assert_eq!(house.days().0.len(), 20);
}

#[test]
fn too_much_takes_the_oldest_bodies_until_there_is_room() {
    let house = house(40, 1_000_000);
    let mut sweeper = Sweeper::new(Settings { max_size: Some(30_000_000), ..Settings::default() });
    assert_eq!(house.sweep(&mut sweeper, 41, &held()), 0);
    let (exchanges, bodies) = house.days();
    assert_eq!(exchanges.len(), 40, "exchanges stay while bodies are enough");
    assert!(Pruner::open(&house.path).unwrap().size().unwrap().used <= 30_000_000);
    let free: Vec<u64> = bodies.iter().copied().filter(|day| day % 5 != 0).collect();
    assert!(
        free.windows(2).all(|two| two[0] < two[1]) && free.last() == Some(&39),
        "the youngest are left: {bodies:?}"
    );
    for held in [5, 10] {
        assert!(bodies.contains(&held), "held: {bodies:?}");
    }
}

#[test]
fn too_much_of_what_is_held_is_a_number_and_stays() {
    let house = house(40, 100_000);
    let mut sweeper = Sweeper::new(Settings { max_size: Some(500_000), ..Settings::default() });
    assert!(house.sweep(&mut sweeper, 41, &held()) > 200_000);
    assert_eq!(house.days().0, [5, 10, 15, 20, 25, 30, 35, 40]);
    // While nothing changes it is not looked at again and again.
    assert!(sweeper.stuck_until.is_some());
    assert!(house.sweep(&mut sweeper, 41, &held()) > 200_000);
    assert_eq!(house.sweep(&mut sweeper, 41, &[]), 0, "a rollout that ended lets go at once");
}

#[test]
fn it_stops_after_its_turn_and_goes_on_where_it_was() {
    let house = house(600, 10);
    let mut sweeper = Sweeper::new(Settings { rows: days(1), ..Settings::default() });
    let mut pruner = Pruner::open(&house.path).unwrap();
    let mut n = 0;
    sweeper
        .sweep(&mut pruner, (700 * DAY, Instant::now()), &[], &mut |_, _| {
            n += 1;
            false
        })
        .unwrap();
    assert_eq!((n, house.days().0.len()), (1, 344));
    house.sweep(&mut sweeper, 700, &[]);
    assert_eq!(house.days().0, Vec::<u64>::new());
}

#[test]
fn the_thread_says_how_large_the_store_is_and_ends_when_told() {
    let house = house(30, 1000);
    let settings = Settings { bodies: days(1), ..Settings::default() };
    let retention = Retention::start(Database::open(&house.path).unwrap(), settings, |_| None).unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    while retention.status().gone.bodies < 30 || retention.status().size.used == 0 {
        assert!(Instant::now() < until, "{:?}", retention.status());
        std::thread::yield_now();
    }
    retention.stop();
    let status = retention.status();
    assert_eq!((status.gone.bodies, status.failures, status.over), (30, 0, 0));
}
