//! The key in a request's headers. Every door of Crossfade reads it here, so that no header is a way around a check.

use http::HeaderMap;

/// The headers a key may come in: OpenAI's, Azure's, Anthropic's.
const HEADERS: [&str; 3] = ["authorization", "api-key", "x-api-key"];

const SCHEME: &[u8] = b"bearer ";

/// What a request carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presented<'a> {
    /// No key.
    Nothing,
    /// One key, without `Bearer`; in several headers perhaps. An empty one is one: it opens nothing.
    One(&'a [u8]),
    /// Keys that differ, of which this is the first: whose word counts would be a guess.
    Several(&'a [u8]),
}

/// The key in these headers.
#[must_use]
pub fn presented(headers: &HeaderMap) -> Presented<'_> {
    let values = HEADERS.iter().flat_map(|name| headers.get_all(*name));
    let mut keys = values.map(|value| without_scheme(value.as_bytes()));
    match keys.next() {
        None => Presented::Nothing,
        Some(first) if keys.all(|key| key == first) => Presented::One(first),
        Some(first) => Presented::Several(first),
    }
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

    #[track_caller]
    fn check(headers: &[(&'static str, &'static str)], expected: Presented<'_>) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        assert_eq!(presented(&map), expected, "{headers:?}");
    }

    #[test]
    fn every_header_and_every_spelling_carries_the_same_key() {
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
            check(headers, Presented::One(b"cf-a"));
        }
        check(&[], Presented::Nothing);
        check(&[("authorization", "Bearer ")], Presented::One(b""));
        check(&[("authorization", "Basic cf-a")], Presented::One(b"Basic cf-a"));
    }

    #[test]
    fn two_keys_in_one_request_are_no_key() {
        for headers in [
            &[("authorization", "Bearer cf-a"), ("x-api-key", "cf-b")][..],
            &[("authorization", "Bearer cf-a"), ("authorization", "Bearer cf-b")],
            &[("api-key", "cf-a"), ("x-api-key", "")],
        ] {
            check(headers, Presented::Several(b"cf-a"));
        }
    }
}
