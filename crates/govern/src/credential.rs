//! The key in a request's headers. Every door of Crossfade reads it here, so that no header is a way around a check.

use http::HeaderMap;

/// The headers a key may come in: OpenAI's, Azure's, Anthropic's.
const HEADERS: [&str; 3] = ["authorization", "api-key", "x-api-key"];

const SCHEME: &[u8] = b"bearer ";

/// The request carries several keys that are not the same: whose word counts would be a guess.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the request carries several different keys")]
pub struct Ambiguous;

/// The one key a request carries, without `Bearer`; `None` when it carries none. An empty one is one: it opens nothing.
///
/// # Errors
/// When it carries several that differ.
pub fn presented(headers: &HeaderMap) -> Result<Option<&[u8]>, Ambiguous> {
    let mut found: Option<&[u8]> = None;
    for name in HEADERS {
        for value in headers.get_all(name) {
            let key = without_scheme(value.as_bytes());
            if found.is_some_and(|found| found != key) {
                return Err(Ambiguous);
            }
            found = Some(key);
        }
    }
    Ok(found)
}

/// Schemes are the same in any case (RFC 9110 §11.1).
fn without_scheme(value: &[u8]) -> &[u8] {
    match value.get(..SCHEME.len()) {
        Some(scheme) if scheme.eq_ignore_ascii_case(SCHEME) => value[SCHEME.len()..].trim_ascii(),
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn check(headers: &[(&'static str, &'static str)]) -> Result<Option<String>, Ambiguous> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        presented(&map).map(|key| key.map(|key| String::from_utf8_lossy(key).into_owned()))
    }

    #[test]
    fn every_header_and_every_spelling_carries_the_same_key() {
        let key = Ok(Some("cf-a".to_owned()));
        for headers in [
            &[("authorization", "Bearer cf-a")][..],
            &[("authorization", "bearer  cf-a")],
            &[("authorization", "BEARER cf-a")],
            &[("authorization", "cf-a")],
            &[("api-key", "cf-a")],
            &[("x-api-key", "cf-a")],
            &[("x-api-key", "Bearer cf-a")],
            &[("authorization", "Bearer cf-a"), ("api-key", "cf-a"), ("x-api-key", "cf-a")],
        ] {
            assert_eq!(check(headers), key, "{headers:?}");
        }
        assert_eq!(check(&[]), Ok(None));
        assert_eq!(check(&[("authorization", "Bearer ")]), Ok(Some(String::new())));
        assert_eq!(check(&[("authorization", "Basic cf-a")]), Ok(Some("Basic cf-a".to_owned())));
    }

    #[test]
    fn two_keys_in_one_request_are_no_key() {
        for headers in [
            &[("authorization", "Bearer cf-a"), ("x-api-key", "cf-b")][..],
            &[("authorization", "Bearer cf-a"), ("authorization", "Bearer cf-b")],
            &[("api-key", "cf-a"), ("x-api-key", "")],
        ] {
            assert_eq!(check(headers), Err(Ambiguous), "{headers:?}");
        }
    }
}
