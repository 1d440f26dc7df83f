//! The accounts of a process: by whose they are, so that they outlive a reload. Each has a lock of its own that is held for some
//! arithmetic and never across a wait.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::limits::{Account, Moment};

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
}

impl Default for Accounts {
    fn default() -> Accounts {
        Accounts { began: Instant::now(), shelves: Default::default() }
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
        shelf.entry(name.to_owned()).or_default().clone()
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
    use crate::limits::{Ask, Limits};

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
