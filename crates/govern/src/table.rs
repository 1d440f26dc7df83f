//! Every key in memory, as one immutable value. A change of any key is a new table.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use store::KeyRow;

use crate::key::Key;
use crate::text::Digest;

/// Why a key opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// There is no such key.
    #[error("the key is unknown")]
    Unknown,
    /// It was revoked.
    #[error("the key was revoked")]
    Revoked,
    /// Its time is over, or that of this secret of it.
    #[error("the key has expired")]
    Expired,
    /// It may not be used from there.
    #[error("the key may not be used from this address")]
    Network,
}

/// Keys by the digest of their secrets and by their ids.
#[derive(Debug, Default)]
pub struct KeyTable {
    version: u64,
    secrets: HashMap<u64, Vec<Secret>>,
    keys: HashMap<String, Arc<Key>>,
}

#[derive(Debug)]
struct Secret {
    digest: Digest,
    ends_at_us: Option<u64>,
    key: Arc<Key>,
}

impl KeyTable {
    /// The table of these rows; what was noted of keys' use is carried over from the table `before`. A key whose row cannot
    /// be understood is in the log and opens nothing.
    #[must_use]
    pub fn of(version: u64, rows: &[KeyRow], before: &KeyTable) -> KeyTable {
        let mut table = KeyTable { version, ..KeyTable::default() };
        for row in rows {
            match Key::of(row, before.keys.get(&row.id).map(|key| &**key)) {
                Ok(key) => table.add(row, Arc::new(key)),
                Err(error) => tracing::error!(key = %row.id, %error, "a key cannot be read and opens nothing"),
            }
        }
        table
    }

    fn add(&mut self, row: &KeyRow, key: Arc<Key>) {
        for secret in &row.secrets {
            let digest = Digest::stored(secret.digest);
            let secret = Secret { digest, ends_at_us: secret.ends_at_us, key: Arc::clone(&key) };
            self.secrets.entry(digest.bucket()).or_default().push(secret);
        }
        self.keys.insert(row.id.clone(), key);
    }

    /// Grows with every change of a key.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Whether there is any key, revoked ones included.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Every key.
    pub fn keys(&self) -> impl Iterator<Item = &Arc<Key>> {
        self.keys.values()
    }

    /// The key whose text this is, if it opens anything now and from there. Looked for by all of its text.
    ///
    /// # Errors
    /// When it opens nothing.
    pub fn authenticate(&self, text: &[u8], now_us: u64, from: Option<IpAddr>) -> Result<Arc<Key>, Denied> {
        if self.secrets.is_empty() {
            return Err(Denied::Unknown);
        }
        let digest = Digest::of(text);
        let bucket = self.secrets.get(&digest.bucket()).map(Vec::as_slice).unwrap_or_default();
        let secret = bucket.iter().find(|secret| secret.digest.is(&digest)).ok_or(Denied::Unknown)?;
        let key = &secret.key;
        in_time(key, now_us)?;
        if secret.ends_at_us.is_some_and(|end| now_us >= end) {
            return Err(Denied::Expired);
        }
        let networks = &key.scope.networks;
        if !networks.is_empty() && !from.is_some_and(|from| networks.iter().any(|network| network.has(from))) {
            return Err(Denied::Network);
        }
        key.note_use(now_us);
        Ok(Arc::clone(key))
    }

    /// Whether a key that opened something earlier still does. The secret it came with is not looked at again: one that
    /// ends in the middle of a request was good when the request came.
    ///
    /// # Errors
    /// When it opens nothing any more.
    pub fn still_good(&self, key: &Key, now_us: u64) -> Result<(), Denied> {
        in_time(self.keys.get(key.id.as_str()).ok_or(Denied::Unknown)?, now_us)
    }
}

fn in_time(key: &Key, now_us: u64) -> Result<(), Denied> {
    if key.is_revoked {
        Err(Denied::Revoked)
    } else if key.scope.expires_at_us.is_some_and(|end| now_us >= end) {
        Err(Denied::Expired)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
