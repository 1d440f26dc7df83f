//! Who calls. The key itself is looked at once and goes no further: what is kept is a one-way hash.

use std::fmt::Write;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use sha2::{Digest, Sha256};

/// The headers an application's key may come in.
const KEY_HEADERS: [&str; 2] = ["api-key", "x-api-key"];

/// The caller as records and assignment know it: half a SHA-256 of its key, in hex.
pub(crate) fn principal(headers: &HeaderMap) -> Option<String> {
    let key = headers
        .get(AUTHORIZATION)
        .or_else(|| KEY_HEADERS.iter().find_map(|name| headers.get(*name)))
        .map(http::HeaderValue::as_bytes)?;
    let key = key.strip_prefix(b"Bearer ").unwrap_or(key);
    let digest = Sha256::new().chain_update(b"crossfade principal\x1f").chain_update(key).finalize();
    let mut principal = String::with_capacity(32);
    for byte in &digest[..16] {
        write!(principal, "{byte:02x}").ok()?;
    }
    Some(principal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &'static str, value: &'static str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(name, http::HeaderValue::from_static(value));
        principal(&headers)
    }

    #[test]
    fn the_same_key_is_the_same_principal_in_every_header() {
        let principal = of("authorization", "Bearer sk-canary").unwrap();
        assert_eq!(Some(&principal), of("api-key", "sk-canary").as_ref());
        assert_eq!(principal.len(), 32);
        assert!(!principal.contains("canary"));
        assert_ne!(Some(principal), of("authorization", "Bearer sk-other"));
        assert_eq!(of("accept", "text/plain"), None);
    }
}
