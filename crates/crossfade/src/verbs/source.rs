//! Where a verb that reads or changes gets its facts: the running gateway if there is one, else its store.

use std::cell::{Cell, OnceCell};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;

use http::StatusCode;
use operations::judge::JudgeView;
use operations::{Identity, OperationError};
use serde::Serialize;
use serde_json::Value;
use store::Database;
use wire::private::Private;

use super::Place;
use crate::admin::{Admin, AdminError};
use crate::config::nearest;
use crate::identity;
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
    /// The gateway was named on the command line: whosever it is, it is meant.
    is_named: bool,
    /// The gateway that answered, once it is known to be the one of the config.
    known: OnceCell<Option<Identity>>,
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
        let token = token()?.or(places.admin.token);
        let is_owner = place.admin.is_none() && token.is_none();
        Ok(Source {
            admin: Admin::new(address, token),
            store: places.store,
            config: place.config.clone(),
            alone: Cell::new(false),
            is_owner,
            is_named: place.admin.is_some(),
            known: OnceCell::new(),
        })
    }

    /// The gateway that answers at the address; an error when it is another config's. `None` when it was named, or is of a version that
    /// does not say who it is.
    fn meant(&self) -> Result<Option<&Identity>, AdminError> {
        if self.is_named {
            return Ok(None);
        }
        if let Some(known) = self.known.get() {
            return Ok(known.as_ref());
        }
        let found = match self.admin.get("/api/identity") {
            Ok(value) => serde_json::from_value::<Identity>(value).ok(),
            Err(AdminError::Refused { status: StatusCode::NOT_FOUND, .. }) => None,
            Err(error) => return Err(error),
        };
        let ours = identity::of(&self.store, &self.config);
        match found {
            Some(theirs) if !identity::is_same_store(&theirs, &ours) => {
                Err(AdminError::Another(Box::new(theirs), Box::new(ours)))
            }
            found => Ok(self.known.get_or_init(|| found).as_ref()),
        }
    }

    /// The config of the gateway that answered, when it is not the one of this verb.
    pub(crate) fn other_config(&self) -> Option<&str> {
        let theirs = &self.known.get()?.as_ref()?.config;
        (*theirs != identity::of(&self.store, &self.config).config).then_some(theirs.as_str())
    }

    /// Whether the gateway of this config runs and serves another version of it; not where nobody answers or nobody may ask.
    pub(crate) fn serves_another(&self, hash: &str) -> bool {
        let theirs = self.meant().ok().flatten().and_then(|theirs| theirs.config_hash.as_deref());
        theirs.is_some_and(|theirs| theirs != hash)
    }

    /// Reads `path` from the gateway, or does `from_store` when none runs. Whoever may read the store's file needs no token for that.
    pub(crate) fn read<T: Serialize>(
        &self,
        path: &str,
        from_store: impl FnOnce(&Database) -> Result<T, OperationError>,
    ) -> Result<Value, Stop> {
        match self.meant().and_then(|_| self.admin.get(path)) {
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
        match self.meant().and_then(|_| self.admin.post(path, body)) {
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

    /// The model that judges pairs of this rollout by the config, and how far it agrees with people by the store.
    pub(crate) fn judge(&self, rollout: &str) -> Option<JudgeView> {
        let config = load::config(&self.config).ok()?;
        let model = config.snapshot.rollouts.get(rollout)?.shadow.judged.as_ref()?.model.as_ref()?;
        Some(JudgeView::of(model, &self.database().ok()?))
    }

    /// What routes are called in the config; `None` when it cannot be read, or another gateway than its own was asked.
    pub(crate) fn routes(&self) -> Option<Vec<String>> {
        let has_answered = !self.is_alone();
        if has_answered && (self.is_named && !self.is_of_config() || self.other_config().is_some()) {
            return None;
        }
        let snapshot = load::names(&self.config)?.snapshot;
        let kept = snapshot.passthrough.values().map(|route| route.name.clone());
        Some(snapshot.routes.keys().cloned().chain(kept).collect())
    }

    /// Whether the gateway that was named on the command line says that it is the one of the config.
    fn is_of_config(&self) -> bool {
        let theirs =
            self.admin.get("/api/identity").ok().and_then(|said| serde_json::from_value::<Identity>(said).ok());
        theirs.is_some_and(|theirs| theirs.config == identity::of(&self.store, &self.config).config)
    }

    /// A refusal of a name that no rollout has, with the nearest and all there are, of the config and the store. One of the config has
    /// not been started, which is another matter.
    pub(crate) fn with_rollouts(&self, stop: Stop, name: &str) -> Stop {
        if stop.exit != Exit::Usage || stop.hint.is_some() {
            return stop;
        }
        if self.has_rollout(name) {
            return stop.hint(format!(
                "`crossfade rollout start {name}` starts it; `crossfade rollout status` lists what has been started"
            ));
        }
        let mut known = BTreeSet::new();
        if let Ok(config) = load::config(&self.config) {
            known.extend(config.snapshot.rollouts.keys().cloned());
        }
        let started = self.read("/api/rollouts", operations::rollouts::list).ok();
        let names = started.as_ref().and_then(Value::as_array).into_iter().flatten();
        known.extend(names.filter_map(|line| line["name"].as_str()).map(str::to_owned));
        let stop = if known.contains(name) { stop } else { Stop::usage(format!("there is no rollout `{name}`")) };
        stop.hint(names_like(name, known.iter().map(String::as_str)))
    }

    /// The file of the store.
    pub(crate) fn store(&self) -> &std::path::Path {
        &self.store
    }

    /// That no gateway answers, and where it was looked for. A config that leaves its port to the system names no place.
    pub(crate) fn no_answer(&self) -> String {
        match self.admin.address() {
            address if address.to_string().ends_with(":0") => "no gateway runs on this config".to_owned(),
            address => format!("no gateway answers at http://{address}"),
        }
    }

    /// Nobody runs the gateway, and the verb needs one.
    pub(crate) fn nobody(&self) -> Stop {
        let stop = Stop::failed(anyhow::anyhow!("{}", self.no_answer()));
        if self.admin.address().port() == 0 {
            return stop.hint(format!(
                "start it with `crossfade serve`; the `admin.listen` of {} has port 0, which is another at every start: give it one, or name the \
                 listener that `serve` logs with `--admin ADDRESS`",
                self.config.display()
            ));
        }
        stop.hint("start it with `crossfade serve`, or name its admin listener with `--admin ADDRESS`")
    }

    fn stop(&self, error: AdminError) -> Stop {
        match error {
            AdminError::NobodyThere => self.nobody(),
            AdminError::Another(theirs, ours) => Stop::usage(format!(
                "the gateway at http://{} serves the store {} of {}; this config has the store {}",
                self.admin.address(),
                theirs.store,
                theirs.config,
                ours.store
            ))
            .hint(format!(
                "`--config {}` asks for that gateway; give this config an `admin.listen` of its own and start it, or name the gateway \
                 that is meant with `--admin ADDRESS`",
                theirs.config
            )),
            AdminError::Refused { status, message } => {
                let stop = Stop::failed(anyhow::anyhow!("{message}"));
                match status.as_u16() {
                    401 => stop.hint(
                        "set CROSSFADE_ADMIN_TOKEN to a key with a role or to the config's `admin.token`, or unset it where it is an old \
                         one; with no key at all, `crossfade keys create NAME --role admin` makes one while the gateway is stopped",
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

/// What opens the admin listener, from the environment. One that is set and empty is a mistake, most often a secret that was not there.
fn token() -> Result<Option<Private<String>>, Stop> {
    match std::env::var("CROSSFADE_ADMIN_TOKEN") {
        Ok(token) if token.trim().is_empty() => {
            let stop = Stop::usage("CROSSFADE_ADMIN_TOKEN is set and empty");
            Err(stop.hint("set it to a key with a role or to the config's `admin.token`; unset it to ask without one"))
        }
        Ok(token) => Ok(Some(Private::new(token))),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => Err(Stop::usage("CROSSFADE_ADMIN_TOKEN is no text")),
    }
}

/// Why an operation came to nothing, as a verb says it.
pub(crate) fn operation(error: OperationError) -> Stop {
    let usage = matches!(error, OperationError::NotFound(_) | OperationError::Invalid(_));
    let stop = Stop::failed(error);
    if usage { stop.exit(Exit::Usage) } else { stop }
}

/// The hint for a name that nothing has: the nearest, and all there are.
pub(crate) fn names_like<'a>(given: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    let all: Vec<&str> = known.clone().into_iter().collect();
    match nearest(given, known) {
        _ if all.is_empty() => "there is none yet; `rollouts` of the config defines them".to_owned(),
        Some(word) => format!("did you mean `{word}`? there are: {}", all.join(", ")),
        None => format!("there are: {}", all.join(", ")),
    }
}

/// `text` as part of a URL's path or query.
pub(crate) fn percent(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
