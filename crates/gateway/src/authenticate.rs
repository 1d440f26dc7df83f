//! Who calls. The key itself is looked at once, before anything else of the request, and goes no further: what is kept is the
//! key's id, or a one-way hash where nobody is asked for a key.

use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use govern::{Denied, Key, KeyTable, Presented, Routes, presented};
use http::HeaderMap;
use sha2::{Digest, Sha256};
use wire::failure::{Failure, FailureKind};
use wire::openai::Refusal;

use crate::live;

/// Whoever a request is from. There is no default: every one was made from a request's headers by [`principal`].
#[derive(Debug, Clone)]
pub(crate) enum Principal {
    /// No key came, and none is asked for.
    Nobody,
    /// A key came that nobody checked: half a SHA-256 of it, in hex.
    Unverified(String),
    /// The holder of one of our keys.
    Key(Arc<Key>),
}

impl Principal {
    /// The caller as records and assignment know it.
    pub(crate) fn id(&self) -> Option<&str> {
        match self {
            Self::Nobody => None,
            Self::Unverified(hash) => Some(hash),
            Self::Key(key) => Some(key.id.as_str()),
        }
    }

    /// The key, when it is one of ours.
    pub(crate) fn key(&self) -> Option<&Arc<Key>> {
        match self {
            Self::Key(key) => Some(key),
            Self::Nobody | Self::Unverified(_) => None,
        }
    }

    /// Whose request it is, when the key says so: then no header says otherwise.
    pub(crate) fn tenant(&self) -> Option<&str> {
        match self {
            Self::Key(key) => key.scope.tenant.as_deref(),
            Self::Nobody | Self::Unverified(_) => None,
        }
    }

    /// Which part of the world its requests are from, when the key says so.
    pub(crate) fn geography(&self) -> Option<&str> {
        self.key().and_then(|key| key.scope.geography.as_deref())
    }

    /// Whether it may say which arm of a rollout answers.
    pub(crate) fn may_force_arm(&self) -> bool {
        self.key().is_some_and(|key| key.scope.force_arm)
    }

    /// Whether the route called `name` may be called.
    pub(crate) fn may_call(&self, name: &str) -> bool {
        match self {
            Self::Key(key) => key.scope.may_call(name),
            Self::Nobody | Self::Unverified(_) => true,
        }
    }

    /// Whether the provider's own things behind the route called `name` may be reached: files, batches. They are one account's,
    /// so that whoever reaches them sees everybody's. A tenant's key does so only where it names the route.
    pub(crate) fn may_reach_account(&self, name: &str) -> bool {
        let names_all = matches!(self, Self::Key(key) if key.scope.routes == Routes::All);
        self.may_call(name) && !(names_all && self.tenant().is_some())
    }
}

/// The caller of a request with these headers. One of our keys is held against the table of this moment, also where none is
/// required: a key that was revoked opens nothing anywhere.
pub(crate) fn principal(
    headers: &HeaderMap,
    from: Option<IpAddr>,
    keys: &ArcSwap<KeyTable>,
    required: bool,
) -> Result<Principal, Refusal> {
    let text = match presented(headers) {
        Presented::Nothing if required => return Err(Refusal::key_missing()),
        Presented::Nothing => return Ok(Principal::Nobody),
        Presented::Several(_) if required => {
            return Err(Refusal::key_refused("Several different API keys were provided. Send one."));
        }
        // Where no key is required, a guess opens nothing more than no key would.
        Presented::One(text) | Presented::Several(text) => text,
    };
    match keys.load().authenticate(text, live::now().0, from) {
        Ok(key) => Ok(Principal::Key(key)),
        Err(Denied::Unknown) if !required => Ok(Principal::Unverified(hash(text))),
        Err(denied) => Err(refusal(denied)),
    }
}

/// Whether the caller may still be served. Asked again before every attempt.
pub(crate) fn still_good(principal: &Principal, keys: &ArcSwap<KeyTable>) -> Result<(), Failure> {
    let Principal::Key(key) = principal else { return Ok(()) };
    let good = keys.load().still_good(key, live::now().0);
    good.map_err(|denied| Failure::new(FailureKind::Unauthenticated, denied.to_string()))
}

fn refusal(denied: Denied) -> Refusal {
    match denied {
        Denied::Unknown => Refusal::key_refused("Incorrect API key provided."),
        Denied::Revoked => Refusal::key_refused("This API key was revoked."),
        Denied::Expired => Refusal::key_refused("This API key has expired."),
        Denied::Network => Refusal::address_refused(),
    }
}

fn hash(key: &[u8]) -> String {
    let digest = Sha256::new().chain_update(b"crossfade principal\x1f").chain_update(key).finalize();
    let half = digest.iter().take(16).fold(0, |half, byte| half << 8 | u128::from(*byte));
    format!("{half:032x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(headers: &[(&'static str, &'static str)], required: bool) -> Result<Option<String>, u16> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, http::HeaderValue::from_static(value));
        }
        let principal = principal(&map, None, &ArcSwap::default(), required);
        principal.map(|principal| principal.id().map(str::to_owned)).map_err(|refusal| refusal.status)
    }

    #[test]
    fn the_same_key_is_the_same_principal_in_every_header() {
        let principal = check(&[("authorization", "Bearer sk-canary")], false).unwrap().unwrap();
        assert_eq!(check(&[("api-key", "sk-canary")], false), Ok(Some(principal.clone())));
        assert_eq!(check(&[("x-api-key", "sk-canary")], false), Ok(Some(principal.clone())));
        assert_eq!(principal.len(), 32);
        assert!(!principal.contains("canary"));
        assert_ne!(check(&[("authorization", "Bearer sk-other")], false), Ok(Some(principal)));
        assert_eq!(check(&[("accept", "text/plain")], false), Ok(None));
    }

    #[test]
    fn where_a_key_is_required_no_key_two_keys_and_unknown_keys_are_refused() {
        assert_eq!(check(&[], true), Err(401));
        assert_eq!(check(&[("authorization", "Bearer sk-canary")], true), Err(401));
        assert_eq!(check(&[("authorization", "Bearer a"), ("api-key", "b")], true), Err(401));
        assert!(check(&[("authorization", "Bearer a"), ("api-key", "b")], false).unwrap().is_some());
    }
}
