//! What goes, what stays, and that nothing goes by half.

use rusqlite::Connection;
use tempfile::TempDir;

use super::*;

const DAY: u64 = 86_400_000_000;

/// A store with one exchange a day, the first on day 1: a request, an answer, an attempt, feedback and a check.
struct House {
    database: Database,
    path: std::path::PathBuf,
    _directory: TempDir,
}

fn id(day: u64) -> ExchangeId {
    ExchangeId::new(day * 86_400_000, [7; 10])
}

fn house(n_days: u64) -> House {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("c.db");
    let database = Database::open(&path).unwrap();
    let mut writing = Connection::open(&path).unwrap();
    let connection = writing.transaction().unwrap();
    for day in 1..=n_days {
        let id = id(day).to_bytes();
        connection
            .execute(
                "INSERT INTO exchanges (id, received_at_us, outcome) VALUES (?1, ?2, 'complete')",
                params![id, signed(day * DAY)],
            )
            .unwrap();
        for kind in [0, 1] {
            connection.execute("INSERT INTO bodies VALUES (?1, ?2, 10, zeroblob(1000))", params![id, kind]).unwrap();
        }
        connection
            .execute(
                "INSERT INTO attempts (exchange_id, shadow, idx, role, simulated, truncated, answer_bytes) VALUES (?1, 0, 0, 'live', 0, 0, 0)",
                [id],
            )
            .unwrap();
        connection.execute("INSERT INTO feedback VALUES (?1, 'score', 'app', 1, 0.5, NULL, NULL, 0)", [id]).unwrap();
    }
    connection.commit().unwrap();
    House { database, path, _directory: directory }
}

impl House {
    fn run(&self, sql: &str) {
        Connection::open(&self.path).unwrap().execute_batch(sql).unwrap();
    }

    fn of_rollout(&self, day: u64, rollout: &str) {
        self.run(&format!(
            "DELETE FROM exchanges WHERE id = x'{id}'; INSERT INTO exchanges (id, rollout, epoch, outcome) VALUES (x'{id}', '{rollout}', 2, 'complete')",
            id = hex(day)
        ));
    }

    fn count(&self, table: &str) -> u64 {
        let connection = Connection::open(&self.path).unwrap();
        connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0).map(unsigned)).unwrap()
    }

    /// All turns of a part, the sum of them, and how many they were. What was foreseen is what went.
    #[track_caller]
    fn prune(&self, part: Part, before_day: u64, kept: &[KeptFor]) -> (Pruned, u32) {
        let foreseen = self.database.prunable(part, before_day * DAY, kept).unwrap();
        let mut pruner = Pruner::open(&self.path).unwrap();
        let (mut sum, mut after, mut n) = (Pruned::default(), None, 0);
        loop {
            let turn = pruner.turn(part, (after, before_day * DAY), kept).unwrap();
            sum.add(&turn.gone);
            n += 1;
            after = turn.after;
            if after.is_none() {
                assert_eq!(sum, foreseen);
                return (sum, n);
            }
        }
    }
}

fn hex(day: u64) -> String {
    format!("{:032x}", id(day).as_u128())
}

fn kept(rollout: &str, since_day: u64) -> KeptFor {
    KeptFor { rollout: rollout.to_owned(), since_us: since_day * DAY }
}

#[test]
fn bodies_go_first_and_their_exchanges_stay() {
    let house = house(10);
    let (gone, _) = house.prune(Part::Bodies, 4, &[]);
    assert_eq!(gone, Pruned { bodies: 6, body_bytes: 6000, ..Pruned::default() });
    assert_eq!((house.count("bodies"), house.count("exchanges"), house.count("attempts")), (14, 10, 10));
    assert_eq!(house.prune(Part::Bodies, 4, &[]).0, Pruned::default());
    assert_eq!(house.database.oldest().unwrap(), (Some(DAY), Some(4 * DAY)));
}

#[test]
fn an_exchange_goes_with_everything_that_belongs_to_it() {
    let house = house(10);
    let (gone, _) = house.prune(Part::Exchanges, 4, &[]);
    assert_eq!(gone, Pruned { exchanges: 3, bodies: 6, body_bytes: 6000, ..Pruned::default() });
    for (table, left) in [("bodies", 14), ("exchanges", 7), ("attempts", 7), ("feedback", 7)] {
        assert_eq!(house.count(table), left, "{table}");
    }
}

#[test]
fn what_a_rollout_rests_on_stays_and_of_another_only_the_last_while() {
    let house = house(10);
    house.of_rollout(1, "running");
    house.of_rollout(2, "completed");
    house.of_rollout(3, "completed");
    house.of_rollout(4, "aborted");
    house.run(&format!(
        "INSERT INTO pairs VALUES (x'{}', 'running', 1, 1, 1.0, 's', NULL, 0, 0, 0, 0, '[]', NULL)",
        hex(5)
    ));
    house.run(&format!(
        "INSERT INTO deferred VALUES ('running', x'{}', 1, 1, 1.0, 's', NULL, 0, 1, 0, 0, NULL)",
        hex(6)
    ));
    house.run(&format!(
        "INSERT INTO attempts (exchange_id, shadow, idx, role, rollout, simulated, truncated, answer_bytes)
         VALUES (x'{}', 1, 9, 'shadow', 'running', 0, 0, 0)",
        hex(7)
    ));
    let kept = [kept("running", 0), kept("completed", 3)];
    let (gone, _) = house.prune(Part::Exchanges, 9, &kept);
    // Days 2 and 4 and 8 go; 1, 3, 5, 6 and 7 are held.
    assert_eq!((gone.exchanges, gone.kept), (3, 5));
    assert_eq!(house.prune(Part::Exchanges, 9, &[]).0.exchanges, 5, "nothing holds them any more");
}

#[test]
fn what_waits_for_a_person_or_its_answer_stays() {
    let house = house(5);
    let check = |day: u64| {
        format!(
            "INSERT INTO checks VALUES (x'{}', 0, 0, 1, 'r', 'c', 'answer', 'escalate', NULL, NULL, 1, NULL, 0, NULL, NULL, 0, 0);",
            hex(day)
        )
    };
    house.run(&(check(1) + &check(2)));
    house.run(&format!("INSERT INTO reviews VALUES (x'{}', 1, 'ana', 'approve', 'fine')", hex(2)));
    house.run(&format!(
        "INSERT INTO pending (id, received_at_us, endpoint, route, streamed, client_retry) VALUES (x'{}', 1, 'e', 'r', 0, 0)",
        hex(3)
    ));
    let (gone, _) = house.prune(Part::Bodies, 6, &[]);
    assert_eq!((gone.bodies, gone.kept), (6, 2));
    let (gone, _) = house.prune(Part::Exchanges, 6, &[]);
    assert_eq!((gone.exchanges, gone.kept), (3, 2));
    assert_eq!(house.count("reviews"), 1, "what was decided is never taken away");
}

#[test]
fn a_turn_is_short_however_much_there_is() {
    let house = house(700);
    let (gone, n_turns) = house.prune(Part::Bodies, 701, &[]);
    assert_eq!(gone.bodies, 1400);
    assert!(n_turns >= 6, "{n_turns} turns");
    let (gone, n_turns) = house.prune(Part::Exchanges, 701, &[]);
    assert_eq!((gone.exchanges, n_turns), (700, 3));
}

#[test]
fn large_bodies_go_a_few_at_a_time() {
    let house = house(6);
    house.run("UPDATE bodies SET data = zeroblob(3000000)");
    let (gone, n_turns) = house.prune(Part::Bodies, 7, &[]);
    assert_eq!((gone.bodies, n_turns), (12, 6), "6 MB are more than a turn takes, so it takes one exchange");
    assert!(
        Pruner::open(&house.path).unwrap().size().unwrap().free > 30_000_000,
        "their room is there to be used again"
    );
}

#[test]
fn what_ended_epochs_counted_goes_and_the_evidence_itself_stays() {
    let house = house(1);
    for (rollout, epoch, at) in [("r", 1, 1), ("r", 2, 1), ("running", 1, 1), ("running", 2, 1)] {
        house.run(&format!(
            "INSERT INTO evidence (rollout, epoch, updated_at_us, json) VALUES ('{rollout}', {epoch}, {at}, '{{}}')"
        ));
        let unit = |n| format!("INSERT INTO seen_units VALUES ('{rollout}', {epoch}, {n}, 1);");
        house.run(&format!("BEGIN; {} COMMIT", (0..300).map(unit).collect::<String>()));
        house.run(&format!("INSERT INTO inputs VALUES ('{rollout}', {epoch}, 0, 1, 1, '{{}}', 1, x'00')"));
    }
    let (gone, n_turns) = house.prune(Part::Counted, 2, &[kept("running", 0)]);
    assert_eq!((gone.counted, n_turns), (300, 2));
    assert_eq!((house.count("seen_units"), house.count("inputs"), house.count("evidence")), (900, 4, 4));
}

#[test]
fn compacting_gives_room_back() {
    let house = house(50);
    house.run("UPDATE bodies SET data = zeroblob(100000)");
    house.prune(Part::Bodies, 51, &[]);
    let pruner = Pruner::open(&house.path).unwrap();
    pruner.compact().unwrap();
    assert_eq!(pruner.size().unwrap().free, 0);
    assert!(std::fs::metadata(&house.path).unwrap().len() < 2_000_000);
}

#[test]
fn what_was_deleted_is_not_in_the_file_any_more() {
    let house = house(3);
    house.run("UPDATE bodies SET data = CAST('canary-4b1d' || hex(zeroblob(5000)) AS BLOB)");
    house.prune(Part::Bodies, 4, &[]);
    Connection::open(&house.path).unwrap().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let file = std::fs::read(&house.path).unwrap();
    assert!(!file.windows(11).any(|window| window == b"canary-4b1d"));
}
