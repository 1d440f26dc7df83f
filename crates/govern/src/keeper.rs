//! Keeps the table in memory what the store says: at once after a change made through it, and within half a second after a
//! change made by anybody else. Writes down when keys were used last. While the store cannot be read, the table stays as it is:
//! known keys go on opening, and nothing that was closed opens.

use std::io;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use store::{Database, DatabaseError};

use crate::accounts::Accounts;
use crate::table::KeyTable;

/// How often the store is asked whether keys changed. A revocation written by another process is heeded this much later,
/// and well within a second.
pub(crate) const POLL: Duration = Duration::from_millis(250);
/// How often the last use of keys is written down.
const SAVE_USE: Duration = Duration::from_secs(10);

/// How often what was spent is written down: what a process that dies has spent since then is forgotten.
const SAVE_SPEND: Duration = Duration::from_secs(1);

/// Why keys cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum KeeperError {
    /// The store cannot be read.
    #[error("the keys cannot be read")]
    Store(#[from] DatabaseError),
    /// The thread cannot be started.
    #[error("thread `keys` cannot be started")]
    Thread(#[source] io::Error),
}

/// The keys of a running process.
#[derive(Debug)]
pub struct Keeper {
    shared: Arc<Shared>,
    /// Dropped to end the thread.
    stop: Mutex<Option<SyncSender<()>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    database: Database,
    table: Arc<ArcSwap<KeyTable>>,
    accounts: Arc<Accounts>,
    /// One refresh at a time, so that an older reading never replaces a newer one.
    refreshing: Mutex<()>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("version", &self.table.load().version()).finish_non_exhaustive()
    }
}

impl Keeper {
    /// Reads the keys and keeps them from here on.
    ///
    /// # Errors
    /// When they cannot be read, or the thread cannot be started.
    pub fn start(database: Database) -> Result<Keeper, KeeperError> {
        let shared = Arc::new(Shared {
            database,
            table: Arc::default(),
            accounts: Arc::default(),
            refreshing: Mutex::default(),
        });
        shared.refresh()?;
        shared.accounts.note_kept(&shared.database.spend()?);
        let (stop, stopped) = sync_channel::<()>(1);
        let kept = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("keys".into())
            .spawn(move || {
                let (mut use_saved, mut spend_saved) = (Instant::now(), Instant::now());
                let mut failing = false;
                while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(POLL) {
                    failing = kept.look(failing);
                    if spend_saved.elapsed() >= SAVE_SPEND {
                        kept.save_spend();
                        spend_saved = Instant::now();
                    }
                    if use_saved.elapsed() >= SAVE_USE {
                        kept.save_use();
                        use_saved = Instant::now();
                    }
                }
                kept.save_spend();
                kept.save_use();
            })
            .map_err(KeeperError::Thread)?;
        Ok(Keeper { shared, stop: Mutex::new(Some(stop)), thread: Mutex::new(Some(thread)) })
    }

    /// The table of the moment. Whoever keeps what `load` gave has the table of an earlier moment.
    #[must_use]
    pub fn table(&self) -> Arc<ArcSwap<KeyTable>> {
        Arc::clone(&self.shared.table)
    }

    /// What callers have used of their limits. What of it was spent outlives the process.
    #[must_use]
    pub fn accounts(&self) -> Arc<Accounts> {
        Arc::clone(&self.shared.accounts)
    }

    /// The store the keys are in, for changing them. Follow a change with [`Keeper::refresh`].
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.shared.database
    }

    /// Makes the table what the store says now. When this returns, the next request is held against it.
    ///
    /// # Errors
    /// When the store cannot be read; then the table stays as it is, and is tried again within half a second.
    pub fn refresh(&self) -> Result<(), DatabaseError> {
        self.shared.refresh()
    }

    /// Writes down what is not yet and ends the thread.
    pub fn stop(&self) {
        drop(self.stop.lock().unwrap_or_else(PoisonError::into_inner).take());
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("thread `keys` panicked");
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn refresh(&self) -> Result<(), DatabaseError> {
        let _one = self.refreshing.lock().unwrap_or_else(PoisonError::into_inner);
        let (version, rows) = self.database.keys()?;
        let before = self.table.load();
        self.table.store(Arc::new(KeyTable::of(version, &rows, &before)));
        Ok(())
    }

    /// Refreshes when the store has another version. Whether it failed is in the log once, not four times a second.
    fn look(&self, was_failing: bool) -> bool {
        let looked = match self.database.keys_version() {
            Ok(version) if version == self.table.load().version() => Ok(()),
            Ok(_) => self.refresh(),
            Err(error) => Err(error),
        };
        match looked {
            Ok(()) => {
                if was_failing {
                    tracing::info!("keys can be read again");
                }
                false
            }
            Err(error) => {
                if !was_failing {
                    tracing::error!(%error, "keys cannot be read: changes of them are not heeded until they can");
                }
                true
            }
        }
    }

    fn save_spend(&self) {
        let rows = self.accounts.unsaved();
        if rows.is_empty() {
            return;
        }
        match self.database.save_spend(&rows) {
            Ok(()) => self.accounts.note_kept(&rows),
            Err(error) => tracing::warn!(%error, "what was spent is not written down; tried again in a second"),
        }
    }

    fn save_use(&self) {
        let table = self.table.load();
        let used: Vec<_> = table.keys().filter_map(|key| Some((key, key.unsaved_use()?))).collect();
        if used.is_empty() {
            return;
        }
        let rows: Vec<_> = used.iter().map(|(key, at_us)| (key.id.to_string(), *at_us)).collect();
        match self.database.touch_keys(&rows) {
            Ok(()) => used.iter().for_each(|(key, at_us)| key.saved_use(*at_us)),
            Err(error) => tracing::warn!(%error, "when keys were used last is not written down"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{KeySpec, Scope};
    use crate::registry::{Asker, NewKey, create, revoke};
    use crate::role::Role;
    use crate::table::Denied;

    /// Five times the second that is promised.
    const PATIENCE: Duration = Duration::from_secs(5);

    #[test]
    fn a_change_made_elsewhere_is_heeded_soon_and_a_use_is_written_down() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.db");
        let keeper = Keeper::start(Database::open(&path).unwrap()).unwrap();
        let scope = Scope { role: Some(Role::Admin), ..Scope::of(&KeySpec::default(), None).unwrap() };
        let asker = Asker { name: "ana", scope: &scope };
        let elsewhere = Database::open(&path).unwrap();
        let issued = create(&elsewhere, asker, NewKey { name: "app".into(), ..NewKey::default() }, 1).unwrap();
        let text = issued.text.unwrap();
        let table = keeper.table();
        let opens = |now_us| table.load().authenticate(text.expose().as_bytes(), now_us, None).map(drop);
        let until = |wanted: Result<(), Denied>| {
            let deadline = Instant::now() + PATIENCE;
            while opens(90_000_000) != wanted {
                assert!(Instant::now() < deadline, "never {wanted:?}");
                std::thread::sleep(Duration::from_millis(5));
            }
        };
        until(Ok(()));
        revoke(&elsewhere, asker, "app", "", 2).unwrap();
        until(Err(Denied::Revoked));
        keeper.stop();
        let row = elsewhere.find_key(&issued.row.id).unwrap().unwrap();
        assert_eq!(row.last_used_us, Some(90_000_000));
    }

    #[test]
    fn a_change_made_here_is_heeded_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let keeper = Keeper::start(Database::open(dir.path().join("c.db")).unwrap()).unwrap();
        let scope = Scope { role: Some(Role::Admin), ..Scope::of(&KeySpec::default(), None).unwrap() };
        let asker = Asker { name: "ana", scope: &scope };
        let text = create(keeper.database(), asker, NewKey { name: "app".into(), ..NewKey::default() }, 1)
            .unwrap()
            .text
            .unwrap();
        keeper.refresh().unwrap();
        let opens = || keeper.table().load().authenticate(text.expose().as_bytes(), 3, None).map(drop);
        assert_eq!(opens(), Ok(()));
        revoke(keeper.database(), asker, "app", "", 2).unwrap();
        keeper.refresh().unwrap();
        assert_eq!(opens(), Err(Denied::Revoked));
    }
}
