//! `cache` of a route: answers that are given again.

use gateway::snapshot::{CacheScope, Cacheable, Caching};

use super::reader::Section;
use super::targets::Targets;

/// Who is said to have answered when the cache did.
const CACHE: &str = "cache";

/// Reads the cache of a route.
pub(crate) fn read(section: &Section<'_>, targets: &Targets) -> Option<Caching> {
    let item = section.get("cache")?;
    let section = item.section()?;
    let default = Caching::default();
    let ttl = section.need("ttl").and_then(|item| {
        let ttl = item.duration()?;
        if ttl.is_zero() {
            item.note("an answer that is kept for no time is never given again", Some("leave `cache` out".into()));
        }
        Some(ttl)
    });
    let max_answer = section.get("max_answer");
    let caching = Caching {
        ttl: ttl.unwrap_or(default.ttl),
        max_bytes: section.get("max_bytes").and_then(|item| item.size()).unwrap_or(default.max_bytes),
        max_answer: max_answer.as_ref().and_then(|item| item.size()).unwrap_or(default.max_answer),
        scope: section
            .get("scope")
            .and_then(|item| item.word(&CacheScope::ALL.map(|scope| (scope.as_str(), scope))))
            .unwrap_or(default.scope),
        requests: section
            .get("requests")
            .and_then(|item| item.word(&Cacheable::ALL.map(|requests| (requests.as_str(), requests))))
            .unwrap_or(default.requests),
    };
    section.finish();
    if caching.max_answer > caching.max_bytes {
        let message = "an answer of `max_answer` bytes has no room in `max_bytes`";
        max_answer.as_ref().unwrap_or(&item).note(message, Some("make `max_bytes` the larger one".into()));
    }
    if targets.found.contains_key(CACHE) {
        let hint = "give the target another name: `cache` is who answered, on record, when nobody was called";
        item.note("there is a target `cache`", Some(hint.into()));
    }
    Some(caching)
}
