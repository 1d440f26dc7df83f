//! Whether a route answers from what it answered before.

use std::time::Duration;

/// The cache of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caching {
    /// How long an answer may be used again.
    pub ttl: Duration,
    /// Bytes of answers kept; the ones used least go first.
    pub max_bytes: usize,
    /// A longer answer is not kept.
    pub max_answer: usize,
    /// Who gets whose answers.
    pub scope: CacheScope,
    /// Which requests are answered from the cache.
    pub requests: Cacheable,
}

impl Default for Caching {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(600),
            max_bytes: 64 << 20,
            max_answer: 1 << 20,
            scope: CacheScope::Tenant,
            requests: Cacheable::Deterministic,
        }
    }
}

/// Who gets whose answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CacheScope {
    /// The keys of one tenant share; a key without a tenant shares with none.
    #[default]
    Tenant,
    /// No two keys share.
    Key,
    /// All callers of the route share.
    Route,
}

impl CacheScope {
    /// Every scope.
    pub const ALL: [CacheScope; 3] = [CacheScope::Tenant, CacheScope::Key, CacheScope::Route];

    /// The word in the config.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            CacheScope::Tenant => "tenant",
            CacheScope::Key => "key",
            CacheScope::Route => "route",
        }
    }
}

/// Which requests are answered from the cache.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Cacheable {
    /// Those that ask for the same answer every time: temperature 0, a seed, or embeddings.
    #[default]
    Deterministic,
    /// All.
    Any,
}

impl Cacheable {
    /// Every choice.
    pub const ALL: [Cacheable; 2] = [Cacheable::Deterministic, Cacheable::Any];

    /// The word in the config.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Cacheable::Deterministic => "deterministic",
            Cacheable::Any => "any",
        }
    }
}
