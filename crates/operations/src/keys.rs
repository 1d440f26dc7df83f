//! Keys: made, rotated and revoked in the store, and heeded at once by the gateway that runs on it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use govern::limits::{Kept, Limits};
use govern::{
    Asker, Issued, Keeper, KeyError, KeySpec, KeyText, LimitsChange, NewKey, Role, Rotation, Routes, Subject,
};
use serde::{Deserialize, Serialize};
use store::{AuditRow, Database, KeyRow};
use wire::private::Private;

use crate::desk::{Actor, Desk, OperationError};

/// Where keys are: the store, and the gateway that holds them in memory, if one runs.
#[derive(Clone, Copy)]
pub struct Keys<'a> {
    database: &'a Database,
    running: Option<&'a Keeper>,
}

impl<'a> Keys<'a> {
    /// Those of a running gateway.
    #[must_use]
    pub fn of(desk: &'a Desk) -> Keys<'a> {
        Keys { database: desk.keys.database(), running: Some(&*desk.keys) }
    }

    /// Those of a store that no gateway runs on.
    #[must_use]
    pub fn stored(database: &'a Database) -> Keys<'a> {
        Keys { database, running: None }
    }

    /// Makes the running gateway heed what was changed, before whoever changed it is told.
    fn heed(self) -> Result<(), OperationError> {
        let reading =
            |source| OperationError::Store { doing: "read the keys after the change, which is saved", source };
        self.running.map_or(Ok(()), Keeper::refresh).map_err(reading)
    }
}

/// A key as it is asked for.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// What people will call it.
    pub name: String,
    /// The routes it may call; `*` alone is all. Absent: all for a key without a role and for an admin's, none for other roles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routes: Option<BTreeSet<String>>,
    /// Whose requests its requests are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// What it may do on the admin listener.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// Where it may be used from.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub networks: BTreeSet<String>,
    /// When it ends, Unix microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at_us: Option<u64>,
    /// How much it may call.
    #[serde(default)]
    pub limits: LimitsChange,
    /// Which part of the world its requests are from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub geography: Option<String>,
    /// Whether it may say which arm of a rollout answers.
    #[serde(default)]
    pub force_arm: bool,
    /// A key that its holder has already, from wherever; its text is taken as it is.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "exposed", deserialize_with = "hidden")]
    pub existing: Option<Private<String>>,
    /// Who asks, where the door does not know better.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Why, for the audit.
    #[serde(default)]
    pub reason: String,
}

/// On its way to the admin listener, which is where it has to go.
fn exposed<S: serde::Serializer>(text: &Option<Private<String>>, serializer: S) -> Result<S::Ok, S::Error> {
    text.as_ref().map(Private::expose).serialize(serializer)
}

fn hidden<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Private<String>>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(Private::new))
}

/// What a rotation is asked to be.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RotationRequest {
    /// How long the secret before stays good, in seconds; a day when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap_s: Option<u64>,
    /// When two are good already, the older of them ends now.
    #[serde(default)]
    pub end_previous: bool,
    /// Who asks, where the door does not know better.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Why, for the audit.
    #[serde(default)]
    pub reason: String,
}

/// Limits to change.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsRequest {
    /// Which, and to what.
    #[serde(default)]
    pub limits: LimitsChange,
    /// Who asks, where the door does not know better.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Why, for the audit.
    #[serde(default)]
    pub reason: String,
}

/// How long the secret before stays good when nobody says.
const OVERLAP_S: u64 = 86_400;

/// A key, without anything secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyView {
    /// Its public id.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// `live`, `expired`, `revoked`, or `broken` when the store's row cannot be read.
    pub state: String,
    /// The routes it may call; `*` is all.
    pub routes: BTreeSet<String>,
    /// Whose requests its requests are.
    pub tenant: Option<String>,
    /// What it may do on the admin listener.
    pub role: Option<Role>,
    /// Where it may be used from; none is anywhere.
    pub networks: BTreeSet<String>,
    /// How much it may call; what is `null` is as the config says, or without limit.
    pub limits: Limits,
    /// Which part of the world its requests are from.
    #[serde(default)]
    pub geography: Option<String>,
    /// Whether it may say which arm of a rollout answers.
    #[serde(default)]
    pub force_arm: bool,
    /// Nano-dollars spent of its own budget in the period that it is now, as the store has it: a second behind a running gateway.
    /// `None` without a budget, and where it was not looked up.
    pub spent_nanos: Option<u64>,
    /// When it was made, Unix microseconds.
    pub created_at_us: u64,
    /// Who made it.
    pub created_by: String,
    /// When it ends, Unix microseconds.
    pub expires_at_us: Option<u64>,
    /// When it was revoked, Unix microseconds.
    pub revoked_at_us: Option<u64>,
    /// When it was used last, Unix microseconds: to about a minute, and written down every ten seconds.
    pub last_used_us: Option<u64>,
    /// How many of its secrets are good.
    pub n_secrets: usize,
    /// When the older of two good secrets ends, Unix microseconds.
    pub previous_ends_at_us: Option<u64>,
}

/// A key with the text that is shown this once.
#[derive(Debug, Serialize)]
pub struct IssuedView {
    /// The text; absent when its holder has it already.
    #[serde(serialize_with = "exposed")]
    pub key: Option<Private<String>>,
    /// The rest.
    #[serde(flatten)]
    pub view: KeyView,
}

/// Every key, by name.
///
/// # Errors
/// When the store cannot be read.
pub fn list(database: &Database) -> Result<Vec<KeyView>, OperationError> {
    let (_, rows) = database.keys().map_err(|source| OperationError::Store { doing: "list keys", source })?;
    with_spend(database, rows.iter().map(view).collect())
}

/// One key, by id or name.
///
/// # Errors
/// When there is none, or the store cannot be read.
pub fn show(database: &Database, word: &str) -> Result<KeyView, OperationError> {
    let view = find(database, word).map(|row| view(&row))?;
    with_spend(database, vec![view])?.pop().ok_or_else(|| OperationError::NotFound(format!("there is no key `{word}`")))
}

fn with_spend(database: &Database, mut views: Vec<KeyView>) -> Result<Vec<KeyView>, OperationError> {
    let reading = |source| OperationError::Store { doing: "read what keys have spent", source };
    let rows = if views.iter().any(|view| view.limits.budget.is_some()) {
        database.spend().map_err(reading)?
    } else {
        Vec::new()
    };
    let spend: BTreeMap<&str, Kept> =
        rows.iter().map(|row| (row.subject.as_str(), Kept { period: row.period, nanos: row.nanos })).collect();
    for view in &mut views {
        let kept = spend.get(Subject::Key(&view.id).word().as_str()).copied().unwrap_or_default();
        view.spent_nanos = view.limits.budget.map(|budget| kept.spent(budget.per, now_us()));
    }
    Ok(views)
}

/// What was done to a key, oldest first; to every key when none is named.
///
/// # Errors
/// When there is none, or the store cannot be read.
pub fn history(database: &Database, word: Option<&str>) -> Result<Vec<AuditRow>, OperationError> {
    let subject = word.map(|word| find(database, word).map(|row| format!("key:{}", row.id))).transpose()?;
    let rows = database.audit(subject.as_deref());
    let mut rows = rows.map_err(|source| OperationError::Store { doing: "read the audit", source })?;
    rows.retain(|row| row.subject.starts_with("key:"));
    Ok(rows)
}

/// Makes a key. Its text is in the answer and nowhere else.
///
/// # Errors
/// When the actor may not, has less than the key would, the request makes no sense, or the store refuses.
pub fn create(keys: Keys<'_>, actor: &Actor, request: Request) -> Result<IssuedView, OperationError> {
    actor.needs(Role::Admin)?;
    let existing = match request.existing {
        Some(text) => Some(KeyText::existing(text).ok_or_else(|| {
            OperationError::Invalid(
                "an existing key has 20 to 512 characters and none that a header cannot carry".into(),
            )
        })?),
        None => None,
    };
    let new = NewKey {
        name: request.name,
        spec: KeySpec {
            routes: routes(request.routes, request.role)?,
            tenant: request.tenant,
            role: request.role,
            networks: request.networks,
            limits: request.limits.apply(Limits::default()),
            geography: request.geography,
            force_arm: request.force_arm,
        },
        expires_at_us: request.expires_at_us,
        existing,
        reason: request.reason,
    };
    let issued = govern::create(keys.database, asker(actor), new, now_us())?;
    keys.heed()?;
    Ok(issued.into())
}

/// Gives a key another secret. Its text is in the answer and nowhere else.
///
/// # Errors
/// When the actor may not or has less than the key, there is no such key, its state does not allow it, or the store refuses.
pub fn rotate(
    keys: Keys<'_>,
    actor: &Actor,
    word: &str,
    request: RotationRequest,
) -> Result<IssuedView, OperationError> {
    actor.needs(Role::Admin)?;
    let rotation = Rotation {
        overlap: Duration::from_secs(request.overlap_s.unwrap_or(OVERLAP_S)),
        end_previous: request.end_previous,
        reason: request.reason,
    };
    let issued = govern::rotate(keys.database, asker(actor), word, &rotation, now_us())?;
    keys.heed()?;
    Ok(issued.into())
}

/// Ends a key for good. When this returns, a running gateway refuses it.
///
/// # Errors
/// When the actor may not, there is no such key, it is revoked already, or the store refuses.
pub fn revoke(keys: Keys<'_>, actor: &Actor, word: &str, reason: &str) -> Result<KeyView, OperationError> {
    actor.needs(Role::Admin)?;
    let row = govern::revoke(keys.database, asker(actor), word, reason, now_us())?;
    keys.heed()?;
    Ok(view(&row))
}

/// Changes how much a key may call. When this returns, a running gateway heeds it.
///
/// # Errors
/// When the actor may not, there is no such key, it is revoked, or the store refuses.
pub fn limit(keys: Keys<'_>, actor: &Actor, word: &str, request: &LimitsRequest) -> Result<KeyView, OperationError> {
    actor.needs(Role::Admin)?;
    let row = govern::limit(keys.database, asker(actor), word, (request.limits, &request.reason), now_us())?;
    keys.heed()?;
    Ok(view(&row))
}

fn routes(named: Option<BTreeSet<String>>, role: Option<Role>) -> Result<Routes, OperationError> {
    match named {
        Some(names) if names.contains("*") && names.len() > 1 => {
            Err(OperationError::Invalid("`*` is every route: name it alone, or name some".into()))
        }
        Some(names) if names.contains("*") => Ok(Routes::All),
        Some(names) => Ok(Routes::Only(names)),
        None if role.is_none_or(|role| role == Role::Admin) => Ok(Routes::All),
        None => Ok(Routes::default()),
    }
}

fn find(database: &Database, word: &str) -> Result<KeyRow, OperationError> {
    let found = database.find_key(word).map_err(|source| OperationError::Store { doing: "read the key", source })?;
    found.ok_or_else(|| OperationError::NotFound(format!("there is no key `{word}`")))
}

fn view(row: &KeyRow) -> KeyView {
    let now_us = now_us();
    let spec: Option<KeySpec> = serde_json::from_str(&row.spec_json).ok();
    let is_over = |end: &Option<u64>| end.is_some_and(|end| now_us >= end);
    let state = if row.revoked_at_us.is_some() {
        "revoked"
    } else if spec.is_none() {
        "broken"
    } else if is_over(&row.expires_at_us) {
        "expired"
    } else {
        "live"
    };
    let spec = spec.unwrap_or_default();
    let good = || row.secrets.iter().filter(|secret| !is_over(&secret.ends_at_us));
    KeyView {
        id: row.id.clone(),
        name: row.name.clone(),
        state: state.to_owned(),
        routes: match spec.routes {
            Routes::All => ["*".to_owned()].into(),
            Routes::Only(names) => names,
        },
        tenant: spec.tenant,
        role: spec.role,
        networks: spec.networks,
        limits: spec.limits,
        geography: spec.geography,
        force_arm: spec.force_arm,
        spent_nanos: None,
        created_at_us: row.created_at_us,
        created_by: row.created_by.clone(),
        expires_at_us: row.expires_at_us,
        revoked_at_us: row.revoked_at_us,
        last_used_us: row.last_used_us,
        n_secrets: if state == "live" { good().count() } else { 0 },
        previous_ends_at_us: good().filter_map(|secret| secret.ends_at_us).max(),
    }
}

impl From<Issued> for IssuedView {
    fn from(issued: Issued) -> IssuedView {
        IssuedView { key: issued.text.map(|text| Private::new(text.expose().to_owned())), view: view(&issued.row) }
    }
}

impl From<KeyError> for OperationError {
    fn from(error: KeyError) -> OperationError {
        let words = error.to_string();
        match error {
            KeyError::Invalid(_) => OperationError::Invalid(words),
            KeyError::NotFound(_) => OperationError::NotFound(words),
            KeyError::Beyond { .. } => OperationError::Forbidden(words),
            KeyError::Refused(_) => OperationError::Refused(words),
            KeyError::Random(_) => OperationError::Unavailable(words),
            KeyError::Store { doing, source } => OperationError::Store { doing, source },
        }
    }
}

fn asker(actor: &Actor) -> Asker<'_> {
    Asker { name: &actor.name, scope: &actor.scope }
}

fn now_us() -> u64 {
    gateway::live::now().0
}
