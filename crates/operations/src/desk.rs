//! What operations work with, who asks, and why an operation came to nothing.

use std::fmt;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gateway::control::{Control, ControlError};
use gateway::live::LiveTable;
use govern::{Keeper, Key, Role, Routes, Scope};
use serde::{Deserialize, Serialize};
use store::{Database, DatabaseError, Journal};

use crate::costing::Sheets;
use crate::judge::JudgeView;
use crate::reports::Shelf;
use crate::{panels, prompts, vectors};

/// Who asks; audit rows carry the name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// How the asker is called.
    pub name: String,
    /// What the asker may do; nobody grants more.
    pub scope: Scope,
}

impl Actor {
    /// Somebody whose word is taken for it: who holds the files of the store, or got in by a door that asks for no key.
    pub fn trusted(name: impl Into<String>, role: Role) -> Actor {
        let scope = Scope {
            routes: Routes::All,
            tenant: None,
            role: Some(role),
            networks: Vec::new(),
            expires_at_us: None,
            geography: None,
            force_arm: false,
        };
        Actor { name: name.into(), scope }
    }

    /// The holder of a key.
    #[must_use]
    pub fn of(key: &Key) -> Actor {
        Actor { name: format!("{} ({})", key.name, key.id), scope: key.scope.clone() }
    }

    /// Refuses whoever has less than `role`.
    ///
    /// # Errors
    /// When the actor has less.
    pub fn needs(&self, role: Role) -> Result<(), OperationError> {
        if self.scope.role >= Some(role) {
            return Ok(());
        }
        let has = self.scope.role.map_or("nothing", Role::as_str);
        Err(OperationError::Forbidden(format!("this needs the role {}; {} is {has}", role.as_str(), self.name)))
    }
}

/// Why an operation came to nothing. Nothing was changed unless the message says so.
#[derive(Debug, thiserror::Error)]
pub enum OperationError {
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// The request makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// The asker's role does not cover it.
    #[error("{0}")]
    Forbidden(String),
    /// The state does not allow it.
    #[error("{0}")]
    Refused(String),
    /// Nobody is there to do it now.
    #[error("{0}")]
    Unavailable(String),
    /// The store failed.
    #[error("could not {doing}: {source}")]
    Store {
        /// What was being done.
        doing: &'static str,
        /// What the store said.
        #[source]
        source: DatabaseError,
    },
}

impl From<ControlError> for OperationError {
    fn from(error: ControlError) -> Self {
        match error {
            ControlError::Unknown(name) => Self::NotFound(format!("there is no rollout `{name}` in the config")),
            ControlError::Refused(why) => Self::Refused(why),
            ControlError::Unavailable => Self::Unavailable(error.to_string()),
            ControlError::Store(source) => Self::Store { doing: "commit the change", source },
        }
    }
}

/// What a reload changed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Reloaded {
    /// Hash of the config now in force.
    pub config_hash: String,
    /// Whether it differs from the one before.
    pub changed: bool,
    /// Keys of the config whose new value waits for the next start.
    pub waits_for_start: Vec<String>,
}

/// Reads, validates and swaps the config; the text of every problem when it cannot.
pub type ReloadFn = Box<dyn Fn() -> Result<Reloaded, String> + Send + Sync>;

/// Why the target of this name takes no calls, from callers or, if so asked, copies; `None` while it takes some.
pub type TroubleFn = Box<dyn Fn(&str, bool) -> Option<providers::Trouble> + Send + Sync>;

/// The model that judges pairs of the rollout of this name, and how far it agrees with people by what the store says; `None` where none does.
pub type JudgeFn = Box<dyn Fn(&str) -> Option<JudgeView> + Send + Sync>;

/// The config in force as it is understood, without anything secret.
pub type ResolvedFn = Box<dyn Fn() -> Arc<serde_json::Value> + Send + Sync>;

/// Which gateway this is: whose store it writes and which config it reads.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The store, from the root of the file system, without links.
    pub store: String,
    /// The store's file by device and inode, so that it is known by another path too; `None` where there are none.
    #[serde(default)]
    pub store_file: Option<String>,
    /// The config that a reload reads, from the root of the file system.
    pub config: String,
    /// The version of the program.
    pub version: String,
    /// Hash of the config in force, where a gateway says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_hash: Option<String>,
}

/// What operations on a running gateway work with.
pub struct Desk {
    /// Which gateway this is.
    pub identity: Identity,
    /// The only writer of stages.
    pub control: Control,
    /// The live rollouts, for telemetry.
    pub live: Arc<LiveTable>,
    /// The journal, for telemetry.
    pub journal: Journal,
    /// Who may call.
    pub keys: Arc<Keeper>,
    /// Whether every caller is asked for a key.
    pub asks_for_keys: Box<dyn Fn() -> bool + Send + Sync>,
    /// The simulated providers and their knobs.
    pub providers: Arc<providers::Shared>,
    /// The request path's counters as Prometheus text.
    pub gateway_metrics: Box<dyn Fn() -> String + Send + Sync>,
    /// Why a target takes no calls, for callers or copies.
    pub trouble: TroubleFn,
    /// How far the models that judge pairs agree with people.
    pub judge: JudgeFn,
    /// Validates and swaps the config.
    pub reload: ReloadFn,
    /// The config in force as it is understood: what `crossfade check` prints.
    pub resolved: ResolvedFn,
    /// Reads prompts.
    pub read_prompt: prompts::ReadFn,
    /// Indexes of vectors and their moves.
    pub indexes: vectors::IndexesFn,
    /// How far copies of vectors are.
    pub vector_run: vectors::RunFn,
    /// Turns moves of indexes.
    pub turn: vectors::TurnFn,
    /// What rollouts of the config compare.
    pub sides: panels::SidesFn,
    /// Worksheets of costs.
    pub sheets: Sheets,
    /// Decision reports that were made.
    pub reports: Shelf,
    /// The webhooks of the config, by name.
    pub webhooks: Box<dyn Fn() -> Vec<String> + Send + Sync>,
    /// Whether the data listener takes traffic.
    pub ready: Arc<AtomicBool>,
    /// The connection for reading.
    pub database: Mutex<Database>,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}

/// The desk's connection for reading, while it is held.
pub struct Reader<'a>(MutexGuard<'a, Database>);

impl Deref for Reader<'_> {
    type Target = Database;

    fn deref(&self) -> &Database {
        &self.0
    }
}

impl Desk {
    /// The connection for reading; held by one operation at a time.
    #[must_use]
    pub fn reader(&self) -> Reader<'_> {
        Reader(self.database.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A connection of its own for what reads long: nobody waits behind it.
    ///
    /// # Errors
    /// When the store cannot be opened.
    pub fn own_reader(&self) -> Result<Database, OperationError> {
        let opened = Database::open_read_only(std::path::Path::new(&self.identity.store));
        opened.map_err(|source| OperationError::Store { doing: "open the store", source })
    }

    /// Whether the data listener takes traffic.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }
}

/// Reads the config again and swaps it in whole; on any problem the one in force stays.
///
/// # Errors
/// When the actor may not, or the config has problems: all of them, as text.
pub fn reload(desk: &Desk, actor: &Actor) -> Result<Reloaded, OperationError> {
    actor.needs(Role::Admin)?;
    (desk.reload)().map_err(OperationError::Invalid)
}
