//! The accounts of a process: by whose they are, so that they outlive a reload. Each has a lock of its own that is held for some
//! arithmetic and never across a wait.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use store::SpendRow;

use crate::limits::{Account, Kept, Moment};

/// Whose account it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject<'a> {
    /// The key with this id.
    Key(&'a str),
    /// The tenant of this name.
    Tenant(&'a str),
    /// The route of this name.
    Route(&'a str),
}

/// One account, shared by whoever has requests under way on it.
#[derive(Debug, Clone, Default)]
pub struct Shared(Arc<Mutex<Account>>);

impl Subject<'_> {
    /// The subject in one word, as the store has it.
    #[must_use]
    pub fn word(&self) -> String {
        match self {
            Subject::Key(id) => format!("key:{id}"),
            Subject::Tenant(name) => format!("tenant:{name}"),
            Subject::Route(name) => format!("route:{name}"),
        }
    }
}

impl Shared {
    /// The account, for as long as some arithmetic takes.
    pub fn lock(&self) -> MutexGuard<'_, Account> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Every account there was a request on.
#[derive(Debug)]
pub struct Accounts {
    began: Instant,
    shelves: [Mutex<HashMap<String, Shared>>; 3],
    /// What the store has of each subject's account.
    kept: Mutex<HashMap<String, Kept>>,
}

impl Default for Accounts {
    fn default() -> Accounts {
        Accounts { began: Instant::now(), shelves: Default::default(), kept: Mutex::default() }
    }
}

impl Accounts {
    /// The account of `subject`; a new one when there was none.
    pub fn of(&self, subject: Subject<'_>) -> Shared {
        let (shelf, name) = match subject {
            Subject::Key(id) => (&self.shelves[0], id),
            Subject::Tenant(name) => (&self.shelves[1], name),
            Subject::Route(name) => (&self.shelves[2], name),
        };
        let mut shelf = shelf.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = shelf.get(name) {
            return account.clone();
        }
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(&subject.word()).copied();
        let account = Shared(Arc::new(Mutex::new(kept.map(Account::of).unwrap_or_default())));
        shelf.entry(name.to_owned()).or_insert(account).clone()
    }

    /// Notes what the store has. Accounts that are there already stay as they are.
    pub(crate) fn note_kept(&self, rows: &[SpendRow]) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(rows.iter().map(|row| (row.subject.clone(), Kept { period: row.period, nanos: row.nanos })));
    }

    /// What was spent and the store does not have yet.
    pub(crate) fn unsaved(&self) -> Vec<SpendRow> {
        let mut rows = Vec::new();
        let subjects: [fn(&str) -> Subject<'_>; 3] =
            [|id| Subject::Key(id), |name| Subject::Tenant(name), |name| Subject::Route(name)];
        for (shelf, subject) in self.shelves.iter().zip(subjects) {
            for (name, account) in shelf.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                let Kept { period, nanos } = account.lock().kept();
                rows.push(SpendRow { subject: subject(name).word(), period, nanos });
            }
        }
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = |row: &SpendRow| {
            kept.get(&row.subject).copied().unwrap_or_default() == Kept { period: row.period, nanos: row.nanos }
        };
        rows.retain(|row| !is_known(row));
        rows
    }

    /// The moment `at`, which the wall clock calls `unix_us`.
    #[must_use]
    pub fn moment(&self, at: Instant, unix_us: u64) -> Moment {
        let since = at.saturating_duration_since(self.began).as_nanos();
        Moment { ns: u64::try_from(since).unwrap_or(u64::MAX), unix_us }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{Ask, Budget, Limits, Period};

    #[test]
    fn what_was_spent_is_kept_once_and_taken_up_after_a_restart() {
        let budget = Some(Budget { nanos: 100, per: Period::Total });
        let limits = Limits { budget, ..Limits::default() };
        let spend = |accounts: &Accounts, nanos| {
            let account = accounts.of(Subject::Tenant("acme"));
            let (mut account, now) = (account.lock(), accounts.moment(Instant::now(), 5));
            let taken = account.admit(&limits, Ask { tokens: 0, nanos }, now)?;
            account.settle(&limits, taken, Ask { tokens: 0, nanos }, now);
            Ok::<(), crate::limits::Exceeded>(())
        };
        let before = Accounts::default();
        assert!(before.unsaved().is_empty());
        spend(&before, 60).unwrap();
        let rows = before.unsaved();
        assert_eq!((rows.len(), rows[0].subject.as_str(), rows[0].nanos), (1, "tenant:acme", 60));
        before.note_kept(&rows);
        assert!(before.unsaved().is_empty());
        let after = Accounts::default();
        after.note_kept(&rows);
        assert!(spend(&after, 41).is_err());
        spend(&after, 40).unwrap();
        assert_eq!(after.unsaved()[0].nanos, 100);
    }

    #[test]
    fn an_account_is_its_subjects_and_keys_tenants_and_routes_of_one_name_have_their_own() {
        let accounts = Accounts::default();
        let now = accounts.moment(Instant::now(), 0);
        let taken = accounts.of(Subject::Key("a")).lock().admit(&Limits::default(), Ask::default(), now);
        assert!(taken.is_ok());
        let in_flight = |subject| accounts.of(subject).lock().in_flight();
        assert_eq!(in_flight(Subject::Key("a")), 1);
        for other in [Subject::Key("b"), Subject::Tenant("a"), Subject::Route("a")] {
            assert_eq!(in_flight(other), 0, "{other:?}");
        }
    }
}
