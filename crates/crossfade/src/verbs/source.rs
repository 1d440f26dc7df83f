//! Where a verb that reads or changes gets its facts: the running gateway if there is one, else its store.

use std::cell::Cell;
use std::net::SocketAddr;
use std::path::PathBuf;

use http::StatusCode;
use operations::OperationError;
use serde::Serialize;
use serde_json::Value;
use store::Database;
use wire::private::Private;

use super::Place;
use crate::admin::{Admin, AdminError};
use crate::load;
use crate::out::{Exit, Stop};

/// The gateway and the store of one config.
#[derive(Debug)]
pub(crate) struct Source {
    /// The running gateway, if it runs.
    pub admin: Admin,
    store: PathBuf,
    config: PathBuf,
    /// Nobody answered: what was read is what the store says.
    alone: Cell<bool>,
    /// The gateway is the one in the config, and no token speaks for whoever asks.
    is_owner: bool,
}

impl Source {
    /// Reads the config as far as is needed to find both.
    pub(crate) fn open(place: &Place) -> Result<Source, Stop> {
        let places = load::places(&place.config)?;
        let address = match &place.admin {
            Some(address) => address.parse::<SocketAddr>().map_err(|_| {
                Stop::usage(format!("`--admin {address}` is no address")).hint("write it like 127.0.0.1:4001")
            })?,
            None => places.admin.listen,
        };
        let token = std::env::var("CROSSFADE_ADMIN_TOKEN").ok().map(Private::new).or(places.admin.token);
        let is_owner = place.admin.is_none() && token.is_none();
        Ok(Source {
            admin: Admin::new(address, token),
            store: places.store,
            config: place.config.clone(),
            alone: Cell::new(false),
            is_owner,
        })
    }

    /// Reads `path` from the gateway, or does `from_store` when none runs. Whoever may read the store's file needs no token for that.
    pub(crate) fn read<T: Serialize>(
        &self,
        path: &str,
        from_store: impl FnOnce(&Database) -> Result<T, OperationError>,
    ) -> Result<Value, Stop> {
        match self.admin.get(path) {
            Ok(value) => {
                self.alone.set(false);
                return Ok(value);
            }
            Err(AdminError::NobodyThere) => self.alone.set(true),
            Err(AdminError::Refused { status: StatusCode::UNAUTHORIZED, .. }) if self.is_owner && self.may_read() => {}
            Err(error) => return Err(self.stop(error)),
        }
        let rows = from_store(&self.database()?).map_err(operation)?;
        serde_json::to_value(rows).map_err(Stop::failed)
    }

    /// Whether no gateway answered when it was last asked.
    pub(crate) fn is_alone(&self) -> bool {
        self.alone.get()
    }

    fn may_read(&self) -> bool {
        std::fs::File::open(&self.store).is_ok()
    }

    /// Asks the gateway for a change; `None` when none runs.
    pub(crate) fn change(&self, path: &str, body: &Value) -> Result<Option<Value>, Stop> {
        match self.admin.post(path, body) {
            Ok(value) => Ok(Some(value)),
            Err(AdminError::NobodyThere) => Ok(None),
            Err(error) => Err(self.stop(error)),
        }
    }

    /// The store, for reading.
    pub(crate) fn database(&self) -> Result<Database, Stop> {
        if !self.store.exists() {
            let stop = Stop::failed(anyhow::anyhow!("there is no store {} yet", self.store.display()));
            return Err(stop.hint("no gateway runs on this config; start one with `crossfade serve`"));
        }
        Database::open_read_only(&self.store).map_err(Stop::failed)
    }

    /// Whether the config has a rollout of this name; not when it cannot be read.
    pub(crate) fn has_rollout(&self, name: &str) -> bool {
        load::config(&self.config).is_ok_and(|config| config.snapshot.rollouts.contains_key(name))
    }

    /// The file of the store.
    pub(crate) fn store(&self) -> &std::path::Path {
        &self.store
    }

    /// Nobody runs the gateway, and the verb needs one.
    pub(crate) fn nobody(&self) -> Stop {
        let stop = Stop::failed(anyhow::anyhow!("no gateway answers at http://{}", self.admin.address()));
        stop.hint("start it with `crossfade serve`, or name its admin listener with `--admin ADDRESS`")
    }

    fn stop(&self, error: AdminError) -> Stop {
        match error {
            AdminError::NobodyThere => self.nobody(),
            AdminError::Refused { status, message } => {
                let stop = Stop::failed(anyhow::anyhow!("{message}"));
                match status.as_u16() {
                    401 => stop.hint(
                        "set CROSSFADE_ADMIN_TOKEN to a key with a role, or to the config's `admin.token`; without either, stop the \
                         gateway and make one: `crossfade keys create NAME --role admin`",
                    ),
                    403 => stop.hint("set CROSSFADE_ADMIN_TOKEN to a key that may do this"),
                    400 | 404 => stop.exit(Exit::Usage),
                    _ => stop,
                }
            }
            AdminError::Broken(error) => Stop::failed(error.context(format!("asked http://{}", self.admin.address()))),
        }
    }
}

/// Why an operation came to nothing, as a verb says it.
pub(crate) fn operation(error: OperationError) -> Stop {
    let usage = matches!(error, OperationError::NotFound(_) | OperationError::Invalid(_));
    let stop = Stop::failed(error);
    if usage { stop.exit(Exit::Usage) } else { stop }
}

/// `text` as part of a URL's path or query.
pub(crate) fn percent(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
