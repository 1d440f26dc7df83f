//! Who comes in by the admin listener, and as whom.

use std::net::IpAddr;

use govern::{Denied, Presented, Role, presented};
use http::HeaderMap;
use wire::private::Private;

use crate::desk::{Actor, Desk};

/// How the admin listener lets people in.
#[derive(Debug, Clone, Default)]
pub struct Door {
    /// The config's own token; it opens everything.
    pub token: Option<Private<String>>,
    /// Whether only this machine can reach it.
    pub on_loopback: bool,
}

/// Why somebody stays outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAdmitted {
    /// Nothing was brought.
    #[error("the admin API wants `Authorization: Bearer KEY`, a key with a role or the config's `admin.token`")]
    NothingBrought,
    /// What was brought opens nothing.
    #[error("the admin API does not accept this: {0}")]
    Refused(#[from] Denied),
    /// Several keys were brought.
    #[error("the request carries several different keys; send one")]
    Several,
    /// The key is for calling models.
    #[error("this key has no role on the admin API")]
    WithoutRole,
}

/// Somebody who came in.
#[derive(Debug, Clone)]
pub struct Admitted {
    actor: Actor,
    /// Whether the name may be another than this one: nobody knows better.
    takes_any_name: bool,
}

impl Admitted {
    /// What whoever came in may do.
    #[must_use]
    pub fn role(&self) -> Option<Role> {
        self.actor.scope.role
    }

    /// Whether nobody knows who it is: the name of the actor may be any other.
    #[must_use]
    pub fn is_nameless(&self) -> bool {
        self.takes_any_name
    }

    /// The actor: under the name of the key, else under the name that was `given`.
    #[must_use]
    pub fn actor(&self, given: Option<String>) -> Actor {
        match given {
            Some(name) if self.takes_any_name => Actor { name, ..self.actor.clone() },
            _ => self.actor.clone(),
        }
    }
}

impl Door {
    /// Whether whoever brings nothing comes in, as admin: only on loopback, without a token, and where callers are not asked
    /// for keys either.
    #[must_use]
    pub fn is_open(&self, desk: &Desk) -> bool {
        self.on_loopback && self.token.is_none() && !(desk.asks_for_keys)()
    }

    /// Who a request with these headers is from. A key is held against the table of this moment.
    ///
    /// # Errors
    /// When whoever it is stays outside.
    pub fn admit(&self, desk: &Desk, headers: &HeaderMap, from: Option<IpAddr>) -> Result<Admitted, NotAdmitted> {
        match presented(headers) {
            Presented::Nothing if self.is_open(desk) => Ok(everything()),
            Presented::Nothing => Err(NotAdmitted::NothingBrought),
            Presented::Several(_) => Err(NotAdmitted::Several),
            Presented::One(text) => self.admit_key(desk, text, from),
        }
    }

    /// Who the holder of this key or token is, by the table of this moment.
    ///
    /// # Errors
    /// When whoever it is stays outside.
    pub fn admit_key(&self, desk: &Desk, text: &[u8], from: Option<IpAddr>) -> Result<Admitted, NotAdmitted> {
        if self.token.as_ref().is_some_and(|token| same(text, token.expose().as_bytes())) {
            return Ok(everything());
        }
        let key = desk.keys.table().load().authenticate(text, gateway::live::now().0, from)?;
        if key.scope.role.is_none() {
            return Err(NotAdmitted::WithoutRole);
        }
        Ok(Admitted { actor: Actor::of(&key), takes_any_name: false })
    }
}

/// Whoever comes in without a name of its own.
fn everything() -> Admitted {
    Admitted { actor: Actor::trusted("admin-api", Role::Admin), takes_any_name: true }
}

/// Equal, in a time that does not tell where they differ. An empty token is none.
fn same(given: &[u8], token: &[u8]) -> bool {
    let difference = given.iter().zip(token).fold(0, |difference, (a, b)| difference | (a ^ b));
    !token.is_empty() && given.len() == token.len() && std::hint::black_box(difference) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_is_the_token() {
        assert!(same(b"token", b"token"));
        for given in [b"".as_slice(), b"toke", b"tokens", b"tokem"] {
            assert!(!same(given, b"token"), "{given:?}");
        }
        assert!(!same(b"", b""));
    }
}
