//! What is let in, what is given back, and what is left.

use proptest::prelude::*;

use super::*;

const DAY_US: u64 = 86_400_000_000;

fn at(seconds: u64) -> Moment {
    Moment { ns: seconds * 1_000_000_000, unix_us: seconds * 1_000_000 }
}

fn limits(requests: u64, tokens: u64, concurrency: u32) -> Limits {
    Limits {
        requests_per_minute: requests.try_into().ok(),
        tokens_per_minute: tokens.try_into().ok(),
        concurrency: concurrency.try_into().ok(),
        budget: None,
    }
}

fn budget(nanos: u64, per: Period) -> Limits {
    Limits { budget: Some(Budget { nanos, per }), ..Limits::default() }
}

fn ask(tokens: u64, nanos: u64) -> Ask {
    Ask { tokens, nanos }
}

fn refused(account: &mut Account, limits: &Limits, ask: Ask, now: Moment) -> (LimitKind, Option<Duration>, bool) {
    let before = *account;
    let exceeded = account.admit(limits, ask, now).unwrap_err();
    assert_eq!(account.in_flight, before.in_flight, "a refusal takes nothing");
    assert_eq!(account.spend, before.spend);
    (exceeded.kind, exceeded.wait, exceeded.never)
}

#[test]
fn each_limit_refuses_by_its_name_and_says_how_long_to_wait() {
    let second = Some(Duration::from_secs(1));
    let mut account = Account::default();
    let rules = limits(60, 600, 61);
    for _ in 0..60 {
        account.admit(&rules, ask(10, 0), at(0)).unwrap();
    }
    assert_eq!(refused(&mut account, &rules, ask(1, 0), at(0)), (LimitKind::Requests, second, false));
    assert_eq!(
        refused(&mut account, &rules, ask(11, 0), at(1)),
        (LimitKind::Tokens, Some(Duration::from_millis(100)), false)
    );
    assert_eq!(refused(&mut account, &rules, ask(601, 0), at(1)), (LimitKind::Tokens, None, true));
    account.admit(&rules, ask(10, 0), at(1)).unwrap();
    assert_eq!(refused(&mut account, &rules, ask(1, 0), at(9)), (LimitKind::Concurrency, None, false));
}

#[test]
fn without_limits_everything_is_let_in() {
    let mut account = Account::default();
    let taken = account.admit(&Limits::default(), ask(u64::MAX, u64::MAX), at(0)).unwrap();
    assert_eq!(account.in_flight(), 1);
    account.settle(&Limits::default(), taken, ask(5, 5), at(1));
    assert_eq!(account, Account::default());
}

#[test]
fn a_request_gives_back_what_it_did_not_use_but_stays_a_request() {
    let mut account = Account::default();
    let rules = limits(10, 1_000, 1);
    let taken = account.admit(&rules, ask(900, 0), at(0)).unwrap();
    assert_eq!(account.standing(&rules, at(0)).tokens, Some((1_000, 100, Duration::from_secs(54))));
    account.settle(&rules, taken, ask(100, 0), at(0));
    let standing = account.standing(&rules, at(0));
    assert_eq!(standing.tokens, Some((1_000, 900, Duration::from_secs(6))));
    assert_eq!(standing.requests, Some((10, 9, Duration::from_secs(6))));
    assert_eq!(account.in_flight(), 0);
}

#[test]
fn an_admission_that_is_undone_leaves_no_trace() {
    let mut account = Account::default();
    let rules = Limits { budget: Some(Budget { nanos: 50, per: Period::Day }), ..limits(10, 1_000, 1) };
    let taken = account.admit(&rules, ask(900, 50), at(0)).unwrap();
    account.undo(&rules, taken, at(0));
    let standing = account.standing(&rules, at(0));
    assert_eq!((standing.requests.unwrap().1, standing.tokens.unwrap().1, account.in_flight()), (10, 1_000, 0));
    account.admit(&rules, ask(1_000, 50), at(0)).unwrap();
}

#[test]
fn a_budget_reserves_the_worst_and_charges_what_it_came_to() {
    let mut account = Account::default();
    let rules = budget(100, Period::Day);
    let first = account.admit(&rules, ask(0, 60), at(0)).unwrap();
    assert_eq!(refused(&mut account, &rules, ask(0, 41), at(0)), (LimitKind::Budget, None, false));
    let second = account.admit(&rules, ask(0, 40), at(0)).unwrap();
    account.settle(&rules, first, ask(0, 10), at(1));
    account.settle(&rules, second, ask(0, 40), at(1));
    assert_eq!(account.kept().spent(Period::Day, 0), 50);
    assert_eq!(refused(&mut account, &rules, ask(0, 101), at(2)), (LimitKind::Budget, None, true));
    let third = account.admit(&rules, ask(0, 50), at(2)).unwrap();
    account.settle(&rules, third, ask(0, 70), at(2));
    assert_eq!(account.kept().spent(Period::Day, 0), 120, "what it came to is charged, also beyond the budget");
    assert_eq!(refused(&mut account, &rules, ask(0, 0), at(2)), (LimitKind::Budget, None, false));
}

#[test]
fn the_next_period_has_all_of_the_budget() {
    let moment = |unix_us| Moment { ns: 0, unix_us };
    // 2024-01-31 23:59:59.999999 and a microsecond later.
    let (january, february) = (19_753 * DAY_US + DAY_US - 1, 19_754 * DAY_US);
    for (per, over) in [(Period::Day, true), (Period::Month, true), (Period::Total, false)] {
        let mut account = Account::default();
        let rules = budget(100, per);
        let taken = account.admit(&rules, ask(0, 100), moment(january)).unwrap();
        account.settle(&rules, taken, ask(0, 100), moment(january));
        assert!(account.admit(&rules, ask(0, 1), moment(january)).is_err());
        assert_eq!(account.admit(&rules, ask(0, 1), moment(february)).is_ok(), over, "{per}");
        assert_eq!(account.admit(&rules, ask(0, 1), moment(january)).is_ok(), over, "a clock that goes back");
    }
    assert_eq!(civil(19_754), (2024, 2, 1));
    assert_eq!(civil(19_782), (2024, 2, 29));
}

#[test]
fn what_was_kept_is_taken_up_in_its_own_period_only() {
    let rules = budget(100, Period::Day);
    let spent = |per, unix_us| {
        let mut account = Account::default();
        let now = Moment { ns: 0, unix_us };
        let taken = account.admit(&budget(100, per), ask(0, 70), now).unwrap();
        account.settle(&budget(100, per), taken, ask(0, 70), now);
        account.kept()
    };
    for (kept, left) in [
        (spent(Period::Day, 5), 30),
        (spent(Period::Day, DAY_US - 1), 30),
        (spent(Period::Month, 5), 100),
        (spent(Period::Total, 5), 100),
        (Kept::default(), 100),
    ] {
        let mut account = Account::of(kept);
        assert!(account.admit(&rules, ask(0, left), at(0)).is_ok(), "{kept:?}");
        assert!(account.admit(&rules, ask(0, 1), at(0)).is_err(), "{kept:?}");
    }
    let mut account = Account::of(spent(Period::Day, 5));
    assert!(
        account.admit(&rules, ask(0, 100), Moment { ns: 0, unix_us: DAY_US }).is_ok(),
        "the next day has all of it"
    );
}

#[test]
fn limits_may_change_while_requests_are_under_way() {
    let mut account = Account::default();
    let before = Limits { budget: Some(Budget { nanos: 100, per: Period::Day }), ..limits(10, 100, 5) };
    let taken = account.admit(&before, ask(50, 10), at(0)).unwrap();
    account.settle(&Limits::default(), taken, ask(50, 10), at(0));
    assert_eq!(account.in_flight(), 0);
    let taken = account.admit(&Limits::default(), ask(50, 10), at(0)).unwrap();
    account.settle(&before, taken, ask(50, 10), at(0));
    assert_eq!(account.in_flight(), 0);
    assert_eq!(account.spend.held, 0);
}

#[test]
fn the_tighter_of_two_accounts_is_shown() {
    let standing = |room| Standing { requests: Some((10, room, Duration::ZERO)), tokens: None };
    assert_eq!(standing(3).tighter(standing(2)), standing(2));
    assert_eq!(standing(2).tighter(Standing::default()), standing(2));
    assert_eq!(Standing::default().tighter(standing(2)), standing(2));
}

#[derive(Debug, Clone)]
enum Step {
    Admit { tokens: u64, nanos: u64 },
    Settle { idx: usize, tokens: u64, nanos: u64 },
    Undo { idx: usize },
    Wait { ns: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..400_u64, 0..400_u64).prop_map(|(tokens, nanos)| Step::Admit { tokens, nanos }),
        3 => (any::<usize>(), 0..500_u64, 0..500_u64).prop_map(|(idx, tokens, nanos)| Step::Settle { idx, tokens, nanos }),
        1 => any::<usize>().prop_map(|idx| Step::Undo { idx }),
        2 => (0..40_000_000_000_u64).prop_map(|ns| Step::Wait { ns }),
    ];
    prop::collection::vec(step, 1..120)
}

proptest! {
    #[test]
    fn whatever_happens_nothing_stays_taken_and_no_limit_is_overrun(steps in steps()) {
        let rules = Limits { budget: Some(Budget { nanos: 2_000, per: Period::Total }), ..limits(30, 1_000, 4) };
        let mut account = Account::default();
        let (mut now, mut open, mut spent) = (at(0), Vec::new(), 0_u64);
        for step in steps {
            match step {
                Step::Admit { tokens, nanos } => {
                    let was_open = open.len();
                    if let Ok(taken) = account.admit(&rules, ask(tokens, nanos), now) {
                        prop_assert!(was_open < 4);
                        open.push((taken, nanos));
                        let held: u64 = open.iter().map(|(_, nanos)| nanos).sum();
                        prop_assert!(spent + held <= 2_000, "worst cases and spend stay within the budget");
                    }
                }
                Step::Settle { idx, tokens, nanos } if !open.is_empty() => {
                    let (taken, reserved) = open.swap_remove(idx % open.len());
                    // The worst case is one: nothing costs more.
                    let nanos = nanos.min(reserved);
                    spent += nanos;
                    account.settle(&rules, taken, ask(tokens, nanos), now);
                }
                Step::Undo { idx } if !open.is_empty() => {
                    let (taken, _) = open.swap_remove(idx % open.len());
                    account.undo(&rules, taken, now);
                }
                Step::Wait { ns } => now = Moment { ns: now.ns + ns, unix_us: now.unix_us + ns / 1_000 },
                _ => {}
            }
            prop_assert_eq!(account.in_flight() as usize, open.len());
            prop_assert_eq!(account.kept().spent(Period::Total, now.unix_us), spent);
        }
        for (taken, _) in open.drain(..) {
            account.settle(&rules, taken, Used::default(), now);
        }
        now.ns += 600_000_000_000;
        let standing = account.standing(&rules, now);
        prop_assert_eq!((account.in_flight(), account.spend.held), (0, 0));
        prop_assert_eq!((standing.requests.map(|r| r.1), standing.tokens.map(|t| t.1)), (Some(30), Some(1_000)));
    }
}
