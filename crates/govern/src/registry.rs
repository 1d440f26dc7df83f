//! Keys made, rotated and revoked: each change is one transaction with its audit row. Nobody grants more than he has.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{AuditRow, Database, DatabaseError, KeyChangeError, KeyRow, SecretRow};

use crate::key::{KeySpec, Scope};
use crate::limits::{Budget, Limits};
use crate::text::{KeyId, KeyText};

/// Longest name of a key or a tenant, in characters.
const LONGEST_NAME: usize = 64;

/// Who asks for a change.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    /// The name for the audit.
    pub name: &'a str,
    /// What the asker may do.
    pub scope: &'a Scope,
}

/// A key to be made.
#[derive(Debug, Clone, Default)]
pub struct NewKey {
    /// What people will call it.
    pub name: String,
    /// What it may do.
    pub spec: KeySpec,
    /// When it ends, Unix microseconds; `None` is never.
    pub expires_at_us: Option<u64>,
    /// The text its holder has already; `None` makes one.
    pub existing: Option<KeyText>,
    /// Why, for the audit.
    pub reason: String,
}

/// How a new secret takes over from the one before.
#[derive(Debug, Clone, Default)]
pub struct Rotation {
    /// How long the secret before stays good.
    pub overlap: Duration,
    /// When two are good already, the older of them ends now; otherwise that is refused.
    pub end_previous: bool,
    /// Why, for the audit.
    pub reason: String,
}

/// Limits to change; what is `None` stays, and 0 is without limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsChange {
    /// Requests per minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u64>,
    /// Tokens per minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<u64>,
    /// Requests under way at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// Money; of 0 nano-dollars is without limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
}

impl LimitsChange {
    /// The limits after the change.
    #[must_use]
    pub fn apply(&self, limits: Limits) -> Limits {
        let number = |change: Option<u64>, before| change.map_or(before, NonZeroU64::new);
        Limits {
            requests_per_minute: number(self.requests_per_minute, limits.requests_per_minute),
            tokens_per_minute: number(self.tokens_per_minute, limits.tokens_per_minute),
            concurrency: self.concurrency.map_or(limits.concurrency, NonZeroU32::new),
            budget: self.budget.map_or(limits.budget, |budget| Some(budget).filter(|budget| budget.nanos > 0)),
        }
    }
}

/// A key with a secret that was just made.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The key as it is kept.
    pub row: KeyRow,
    /// Its text, to be shown once; `None` when its holder has it already.
    pub text: Option<KeyText>,
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// What was asked for makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// There is no such key.
    #[error("there is no key `{0}`")]
    NotFound(String),
    /// The asker has less than that.
    #[error("a key may not be given more than {asker} has: its {what} would go beyond")]
    Beyond {
        /// Who asked.
        asker: String,
        /// What of it.
        what: &'static str,
    },
    /// The key's state does not allow it.
    #[error("{0}")]
    Refused(String),
    /// The system has no random numbers.
    #[error("the system has no random numbers: {0}")]
    Random(getrandom::Error),
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

/// Makes a key.
///
/// # Errors
/// When it makes no sense, goes beyond what the asker has, or cannot be saved.
pub fn create(database: &Database, asker: Asker<'_>, new: NewKey, now_us: u64) -> Result<Issued, KeyError> {
    let scope = checked(&new, now_us)?;
    covers(asker, &scope)?;
    let id = KeyId::random().map_err(KeyError::Random)?;
    let made = match &new.existing {
        Some(_) => None,
        None => Some(KeyText::random(&id).map_err(KeyError::Random)?),
    };
    let Some(digest) = made.as_ref().or(new.existing.as_ref()).map(KeyText::digest) else {
        return Err(KeyError::Invalid("a key needs a text".into()));
    };
    let detail =
        json!({ "name": new.name, "spec": new.spec, "expires_at_us": new.expires_at_us, "existing": made.is_none() });
    let row = KeyRow {
        id: id.to_string(),
        name: new.name,
        spec_json: json!(new.spec).to_string(),
        created_at_us: now_us,
        created_by: asker.name.to_owned(),
        expires_at_us: new.expires_at_us,
        revoked_at_us: None,
        last_used_us: None,
        secrets: vec![SecretRow { digest: digest.bytes(), created_at_us: now_us, ends_at_us: None }],
    };
    let audit = audit(asker, "key.create", &row.id, &new.reason, &detail, now_us);
    let change = |before: Option<KeyRow>| match before {
        None => Ok((row, audit)),
        Some(_) => Err(KeyError::Refused("that id is taken; try again".into())),
    };
    let row = database.change_key(id.as_str(), change).map_err(|error| unsaved("make the key", error))?;
    Ok(Issued { row, text: made })
}

/// Gives a key a new secret. The one before stays good for the overlap. `word` is an id or a name.
///
/// # Errors
/// When there is no such key, it is not good any more, the asker has less than it, or it cannot be saved.
pub fn rotate(
    database: &Database,
    asker: Asker<'_>,
    word: &str,
    rotation: &Rotation,
    now_us: u64,
) -> Result<Issued, KeyError> {
    let id = find(database, word)?;
    let text = KeyText::random(&KeyId::stored(id.clone())).map_err(KeyError::Random)?;
    let overlap_us = u64::try_from(rotation.overlap.as_micros()).unwrap_or(u64::MAX);
    let ends_at_us = now_us.saturating_add(overlap_us);
    let change = |before: Option<KeyRow>| {
        let mut row = before.ok_or_else(|| KeyError::NotFound(word.to_owned()))?;
        // The new secret is worth as much as the key: whoever has less must not see it.
        covers(asker, &stored_scope(&row)?)?;
        if row.revoked_at_us.is_some() || row.expires_at_us.is_some_and(|end| now_us >= end) {
            return Err(KeyError::Refused(format!("key `{}` is revoked or expired; make a new one", row.name)));
        }
        for secret in row.secrets.iter_mut().filter(|secret| secret.ends_at_us.is_none_or(|end| end > now_us)) {
            match secret.ends_at_us {
                None => secret.ends_at_us = Some(ends_at_us),
                Some(_) if rotation.end_previous => secret.ends_at_us = Some(now_us),
                Some(_) => {
                    let words = format!("two secrets of key `{}` are good already; the older must end first", row.name);
                    return Err(KeyError::Refused(words));
                }
            }
        }
        row.secrets.push(SecretRow { digest: text.digest().bytes(), created_at_us: now_us, ends_at_us: None });
        let detail = json!({ "name": row.name, "previous_ends_at_us": ends_at_us });
        let audit = audit(asker, "key.rotate", &row.id, &rotation.reason, &detail, now_us);
        Ok((row, audit))
    };
    let row = database.change_key(&id, change).map_err(|error| unsaved("rotate the key", error))?;
    Ok(Issued { row, text: Some(text) })
}

/// Ends a key for good. `word` is an id or a name.
///
/// # Errors
/// When there is no such key, it is revoked already, it is above the asker's role or another tenant's, or it cannot be saved.
pub fn revoke(
    database: &Database,
    asker: Asker<'_>,
    word: &str,
    reason: &str,
    now_us: u64,
) -> Result<KeyRow, KeyError> {
    let id = find(database, word)?;
    let change = |before: Option<KeyRow>| {
        let mut row = before.ok_or_else(|| KeyError::NotFound(word.to_owned()))?;
        // A key that cannot be read opens nothing; anybody who may revoke may bury it.
        if let Ok(scope) = stored_scope(&row) {
            reaches(asker, &scope)?;
        }
        if row.revoked_at_us.is_some() {
            return Err(KeyError::Refused(format!("key `{}` is revoked already", row.name)));
        }
        row.revoked_at_us = Some(now_us);
        let audit = audit(asker, "key.revoke", &row.id, reason, &json!({ "name": row.name }), now_us);
        Ok((row, audit))
    };
    database.change_key(&id, change).map_err(|error| unsaved("revoke the key", error))
}

/// Changes how much a key may call. `word` is an id or a name.
///
/// # Errors
/// When there is no such key, it is revoked, it is above the asker's role or another tenant's, or it cannot be saved.
pub fn limit(
    database: &Database,
    asker: Asker<'_>,
    word: &str,
    (change, reason): (LimitsChange, &str),
    now_us: u64,
) -> Result<KeyRow, KeyError> {
    let id = find(database, word)?;
    let update = |before: Option<KeyRow>| {
        let mut row = before.ok_or_else(|| KeyError::NotFound(word.to_owned()))?;
        reaches(asker, &stored_scope(&row)?)?;
        if row.revoked_at_us.is_some() {
            return Err(KeyError::Refused(format!("key `{}` is revoked", row.name)));
        }
        let mut spec = stored_spec(&row)?;
        spec.limits = change.apply(spec.limits);
        row.spec_json = json!(spec).to_string();
        let detail = json!({ "name": row.name, "limits": spec.limits });
        let audit = audit(asker, "key.limit", &row.id, reason, &detail, now_us);
        Ok((row, audit))
    };
    database.change_key(&id, update).map_err(|error| unsaved("change the limits of the key", error))
}

/// Whether the asker may take something from a key of this scope. Where, when and for which routes the asker's own key is good
/// is nothing that a leaked key should outlive.
fn reaches(asker: Asker<'_>, scope: &Scope) -> Result<(), KeyError> {
    let reach =
        Scope { routes: scope.routes.clone(), networks: Vec::new(), expires_at_us: None, ..asker.scope.clone() };
    covers(Asker { scope: &reach, ..asker }, scope)
}

fn find(database: &Database, word: &str) -> Result<String, KeyError> {
    let found = database.find_key(word).map_err(|source| KeyError::Store { doing: "find the key", source })?;
    found.map(|row| row.id).ok_or_else(|| KeyError::NotFound(word.to_owned()))
}

fn stored_spec(row: &KeyRow) -> Result<KeySpec, KeyError> {
    serde_json::from_str(&row.spec_json).map_err(|error| broken(row, &error.to_string()))
}

fn stored_scope(row: &KeyRow) -> Result<Scope, KeyError> {
    Scope::of(&stored_spec(row)?, row.expires_at_us).map_err(|error| broken(row, &error.to_string()))
}

fn broken(row: &KeyRow, what: &str) -> KeyError {
    KeyError::Refused(format!("what the store holds of key `{}` is broken: {what}", row.name))
}

fn covers(asker: Asker<'_>, scope: &Scope) -> Result<(), KeyError> {
    match asker.scope.exceeded_by(scope) {
        None => Ok(()),
        Some(what) => Err(KeyError::Beyond { asker: asker.name.to_owned(), what }),
    }
}

/// What a new key may do, if it makes sense.
fn checked(new: &NewKey, now_us: u64) -> Result<Scope, KeyError> {
    let invalid = |words: String| Err(KeyError::Invalid(words));
    if !is_name(&new.name) {
        return invalid(format!(
            "a key's name has 1 to {LONGEST_NAME} letters, digits, `.`, `_`, `-` or `@`; this is `{}`",
            new.name.escape_debug()
        ));
    }
    if let Some(tenant) = new.spec.tenant.as_ref().filter(|tenant| !is_name(tenant)) {
        return invalid(format!(
            "a tenant's name has 1 to {LONGEST_NAME} letters, digits, `.`, `_`, `-` or `@`; this is `{}`",
            tenant.escape_debug()
        ));
    }
    if new.expires_at_us.is_some_and(|end| end <= now_us) {
        return invalid("the key would have expired already".into());
    }
    Scope::of(&new.spec, new.expires_at_us).map_err(|error| KeyError::Invalid(error.to_string()))
}

fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '@');
    (1..=LONGEST_NAME).contains(&text.len()) && text.chars().all(plain)
}

fn audit(asker: Asker<'_>, action: &str, id: &str, reason: &str, detail: &serde_json::Value, now_us: u64) -> AuditRow {
    AuditRow {
        at_us: now_us,
        actor: asker.name.to_owned(),
        action: action.to_owned(),
        subject: format!("key:{id}"),
        reason: reason.to_owned(),
        detail_json: detail.to_string(),
    }
}

fn unsaved(doing: &'static str, error: KeyChangeError<KeyError>) -> KeyError {
    match error {
        KeyChangeError::Refused(error) => error,
        KeyChangeError::NameTaken => KeyError::Refused("another key that is not revoked has this name".into()),
        KeyChangeError::SecretTaken => KeyError::Refused("another key has this text already".into()),
        KeyChangeError::Database(source) => KeyError::Store { doing, source },
    }
}

#[cfg(test)]
mod tests;
