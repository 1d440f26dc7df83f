//! A key and what it may do.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use store::KeyRow;

use crate::limits::Limits;
use crate::network::{Network, NotANetwork};
use crate::role::Role;
use crate::text::KeyId;

/// A use within this long of the last noted one is not noted: a busy key's holders must not share a cache line for it.
const NOTED_EVERY_US: u64 = 60_000_000;

/// What a key may do, as it is written down. What would restrict it is never left out, so that nothing that gets lost widens it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeySpec {
    /// The routes it may call.
    pub routes: Routes,
    /// Whose requests its requests are.
    pub tenant: Option<String>,
    /// What it may do on the admin listener; nothing without one.
    pub role: Option<Role>,
    /// The networks it may be used from; none is anywhere.
    pub networks: BTreeSet<String>,
    /// How much it may call.
    pub limits: Limits,
    /// Which part of the world its requests are from, whatever they say themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub geography: Option<String>,
    /// Whether it may say which arm of a rollout answers.
    #[serde(default, skip_serializing_if = "is_false")]
    pub force_arm: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// The routes a key may call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Routes {
    /// Those there are and will be.
    All,
    /// These.
    Only(BTreeSet<String>),
}

impl Default for Routes {
    /// None at all.
    fn default() -> Routes {
        Routes::Only(BTreeSet::new())
    }
}

/// What a key may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// The routes it may call.
    pub routes: Routes,
    /// Whose requests its requests are.
    pub tenant: Option<String>,
    /// What it may do on the admin listener.
    pub role: Option<Role>,
    /// Where it may be used from; none is anywhere.
    pub networks: Vec<Network>,
    /// When it ends, Unix microseconds.
    pub expires_at_us: Option<u64>,
    /// Which part of the world its requests are from.
    pub geography: Option<String>,
    /// Whether it may say which arm of a rollout answers.
    pub force_arm: bool,
}

impl Scope {
    /// The scope of a spec.
    ///
    /// # Errors
    /// When one of its networks is none.
    pub fn of(spec: &KeySpec, expires_at_us: Option<u64>) -> Result<Scope, NotANetwork> {
        Ok(Scope {
            routes: spec.routes.clone(),
            tenant: spec.tenant.clone(),
            role: spec.role,
            networks: spec.networks.iter().map(|network| network.parse()).collect::<Result<_, _>>()?,
            expires_at_us,
            geography: spec.geography.clone(),
            force_arm: spec.force_arm,
        })
    }

    /// Whether the route called `name` may be called.
    #[must_use]
    pub fn may_call(&self, name: &str) -> bool {
        match &self.routes {
            Routes::All => true,
            Routes::Only(names) => names.contains(name),
        }
    }

    /// What of `other` goes beyond this scope, in words; `None` when nothing does. Nobody grants more than he has.
    #[must_use]
    pub fn exceeded_by(&self, other: &Scope) -> Option<&'static str> {
        let routes = match (&self.routes, &other.routes) {
            (Routes::All, _) => true,
            (Routes::Only(_), Routes::All) => false,
            (Routes::Only(ours), Routes::Only(theirs)) => theirs.is_subset(ours),
        };
        let within = |network: &Network| self.networks.iter().any(|ours| ours.contains(network));
        let networks = self.networks.is_empty() || (!other.networks.is_empty() && other.networks.iter().all(within));
        let ends = self.expires_at_us.is_none_or(|ours| other.expires_at_us.is_some_and(|theirs| theirs <= ours));
        let checks = [
            (other.role <= self.role, "role"),
            (routes, "routes"),
            (self.tenant.is_none() || self.tenant == other.tenant, "tenant"),
            (networks, "networks"),
            (ends, "expiry"),
            (self.geography.is_none() || self.geography == other.geography, "geography"),
            // The role that steers rollouts steers single requests, too.
            (self.force_arm || !other.force_arm || self.role >= Some(Role::Operator), "force_arm"),
        ];
        checks.into_iter().find(|(holds, _)| !holds).map(|(_, what)| what)
    }
}

/// A key as requests are held against it.
#[derive(Debug)]
pub struct Key {
    /// Its public id.
    pub id: KeyId,
    /// What people call it.
    pub name: String,
    /// What it may do.
    pub scope: Scope,
    /// How much it may call.
    pub limits: Limits,
    /// Whether it was revoked.
    pub is_revoked: bool,
    used: Arc<LastUse>,
}

impl Key {
    /// The key of a row of the store; what was noted of its use is carried over from `before`.
    ///
    /// # Errors
    /// When the row does not say what the key may do.
    pub(crate) fn of(row: &KeyRow, before: Option<&Key>) -> Result<Key, Unreadable> {
        let spec: KeySpec = serde_json::from_str(&row.spec_json)?;
        let used = before.map_or_else(|| Arc::new(LastUse::of(row.last_used_us)), |before| Arc::clone(&before.used));
        Ok(Key {
            id: KeyId::stored(row.id.clone()),
            name: row.name.clone(),
            scope: Scope::of(&spec, row.expires_at_us)?,
            limits: spec.limits,
            is_revoked: row.revoked_at_us.is_some(),
            used,
        })
    }

    /// Notes that it was used.
    pub(crate) fn note_use(&self, now_us: u64) {
        if now_us >= self.used.at_us.load(Ordering::Relaxed).saturating_add(NOTED_EVERY_US) {
            self.used.at_us.store(now_us, Ordering::Relaxed);
        }
    }

    /// When it was used last, if that is not in the store yet.
    pub(crate) fn unsaved_use(&self) -> Option<u64> {
        let at_us = self.used.at_us.load(Ordering::Relaxed);
        (at_us > self.used.saved_us.load(Ordering::Relaxed)).then_some(at_us)
    }

    /// Notes that the store knows of the use at `at_us`.
    pub(crate) fn saved_use(&self, at_us: u64) {
        self.used.saved_us.store(at_us, Ordering::Relaxed);
    }
}

/// When a key was used last, and what of that the store knows. Unix microseconds; relaxed, because nobody decides by it.
#[derive(Debug)]
struct LastUse {
    at_us: AtomicU64,
    saved_us: AtomicU64,
}

impl LastUse {
    fn of(saved_us: Option<u64>) -> LastUse {
        let saved_us = saved_us.unwrap_or(0);
        LastUse { at_us: AtomicU64::new(saved_us), saved_us: AtomicU64::new(saved_us) }
    }
}

/// What the store says of a key cannot be understood.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("its spec is not JSON of a spec")]
    Spec(#[from] serde_json::Error),
    #[error("one of its networks is none")]
    Network(#[from] NotANetwork),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(role: Option<Role>, routes: &[&str], tenant: Option<&str>, networks: &[&str]) -> KeySpec {
        let names = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let routes = if routes == ["*"] { Routes::All } else { Routes::Only(names(routes)) };
        KeySpec { routes, tenant: tenant.map(str::to_owned), role, networks: names(networks), ..KeySpec::default() }
    }

    #[test]
    fn nobody_grants_more_than_he_has() {
        let scope = |spec: &KeySpec, end| Scope::of(spec, end).unwrap();
        let all = scope(&spec(Some(Role::Admin), &["*"], None, &[]), None);
        let acme = scope(&spec(Some(Role::Admin), &["a", "b"], Some("acme"), &["10.0.0.0/8"]), Some(100));
        assert_eq!(all.exceeded_by(&all), None);
        assert_eq!(all.exceeded_by(&acme), None);
        assert_eq!(acme.exceeded_by(&acme), None);
        let less = spec(Some(Role::Viewer), &["a"], Some("acme"), &["10.1.0.0/16"]);
        assert_eq!(acme.exceeded_by(&scope(&less, Some(99))), None);
        for (more, what) in [
            (spec(None, &["*"], Some("acme"), &["10.1.0.0/16"]), "routes"),
            (spec(None, &["a", "c"], Some("acme"), &["10.1.0.0/16"]), "routes"),
            (spec(None, &["a"], Some("other"), &["10.1.0.0/16"]), "tenant"),
            (spec(None, &["a"], None, &["10.1.0.0/16"]), "tenant"),
            (spec(None, &["a"], Some("acme"), &["11.0.0.0/16"]), "networks"),
            (spec(None, &["a"], Some("acme"), &[]), "networks"),
        ] {
            assert_eq!(acme.exceeded_by(&scope(&more, Some(99))), Some(what), "{more:?}");
        }
        assert_eq!(acme.exceeded_by(&scope(&less, None)), Some("expiry"));
        assert_eq!(acme.exceeded_by(&scope(&less, Some(101))), Some("expiry"));
        let operator = scope(&spec(Some(Role::Operator), &[], None, &[]), None);
        let approver = scope(&spec(Some(Role::Approver), &[], None, &[]), None);
        assert_eq!(operator.exceeded_by(&approver), Some("role"));
        assert_eq!(scope(&KeySpec::default(), None).exceeded_by(&operator), Some("role"));
    }

    #[test]
    fn a_spec_that_lost_or_gained_something_is_not_understood_by_half() {
        let whole = serde_json::to_value(spec(None, &["a"], None, &[])).unwrap();
        assert!(serde_json::from_value::<KeySpec>(whole.clone()).is_ok());
        let mut without_routes = whole.clone();
        without_routes.as_object_mut().unwrap().remove("routes");
        let mut with_more = whole;
        with_more["only_on_sundays"] = true.into();
        for broken in [without_routes, with_more] {
            assert!(serde_json::from_value::<KeySpec>(broken).is_err());
        }
        assert_eq!(KeySpec::default().routes, Routes::Only(BTreeSet::new()));
    }
}
