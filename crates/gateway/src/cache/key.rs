//! What an answer depends on, as one number: whoever shares answers, the route, its targets as they are configured, and the request.
//!
//! The body is taken as it came but for white space and the order of its top-level fields; deeper down the order of keys is part of what
//! a model reads (the schema of a tool, say). Fields that name the caller to the provider are left out.

use std::ops::Range;

use sha2::{Digest, Sha256};
use wire::record::Endpoint;
use wire::request::RequestView;
use wire::scan::Kind;

use crate::adapt;
use crate::authenticate::Principal;
use crate::parse::Parsed;
use crate::record::Exchange;
use crate::snapshot::{CacheScope, Cacheable};

/// Fields that change nothing of an answer.
const LEFT_OUT: [&[u8]; 4] = [b"user", b"metadata", b"safety_identifier", b"prompt_cache_key"];

/// Whether the answer to such a request may be given again: a text or vectors, one choice, nothing kept or run at the provider, and with
/// [`Cacheable::Deterministic`] a request for the same answer every time.
pub(super) fn is_cacheable(request: &Parsed, requests: Cacheable) -> bool {
    let endpoint = request.endpoint;
    let is_kind = matches!(
        endpoint,
        Endpoint::ChatCompletions | Endpoint::Completions | Endpoint::Messages | Endpoint::Embeddings
    );
    is_kind
        && request.view.store != Some(true)
        && (endpoint == Endpoint::Embeddings || request.n_choices() == 1)
        && !adapt::has_server_side_tools(request)
        && (requests == Cacheable::Any || is_deterministic(request))
}

fn is_deterministic(request: &Parsed) -> bool {
    let field = |name: &'static str| request.view.named(&request.body, name).last().map(|(_, field)| field);
    let number = |name| {
        let text = std::str::from_utf8(request.body.get(field(name)?.value.clone())?).ok()?;
        text.parse::<f64>().ok()
    };
    let has_seed = field("seed").is_some_and(|seed| seed.kind == Kind::Number);
    request.endpoint == Endpoint::Embeddings || has_seed || number("temperature") == Some(0.0)
}

/// The key of an exchange; `None` when its targets are not there.
pub(super) fn key(exchange: &Exchange, scope: CacheScope) -> Option<[u8; 32]> {
    let mut hash = Parts(Sha256::new());
    who(&exchange.principal, scope, &mut hash);
    let route = &exchange.route;
    hash.add(route.name.as_bytes());
    if let Some(cascade) = &route.cascade {
        hash.add(format!("{cascade:?}").as_bytes());
    }
    for name in route.cascade.iter().flat_map(|cascade| &cascade.steps).chain([&route.target]) {
        hash.add(exchange.prepared.destination(name)?.target.fingerprint.as_bytes());
    }
    let request = &exchange.request;
    hash.add(request.endpoint.as_str().as_bytes());
    for (name, value) in request.beside.said_to_the_model() {
        hash.add(name.as_str().as_bytes());
        hash.add(value.as_bytes());
    }
    body(&request.view, &request.body, &mut hash);
    Some(hash.0.finalize().into())
}

fn who(principal: &Principal, scope: CacheScope, hash: &mut Parts) {
    let (kind, name) = match (scope, principal.tenant(), principal.id()) {
        (CacheScope::Route, _, _) => ("route", ""),
        (CacheScope::Tenant, Some(tenant), _) => ("tenant", tenant),
        (_, _, Some(id)) => ("key", id),
        (_, _, None) => ("nobody", ""),
    };
    hash.add(kind.as_bytes());
    hash.add(name.as_bytes());
}

fn body(view: &RequestView, body: &[u8], hash: &mut Parts) {
    // The model may have been named by the path.
    hash.add(view.model.as_bytes());
    let name = |key: &Range<usize>| &body[key.start + 1..key.end - 1];
    let fields = view.fields.iter().filter(|field| !LEFT_OUT.contains(&name(&field.key)));
    let mut fields: Vec<_> = fields.collect();
    // Stable: of two fields with the same name the order counts.
    fields.sort_by(|a, b| name(&a.key).cmp(name(&b.key)));
    for field in fields {
        hash.add(name(&field.key));
        let value = &body[field.value.clone()];
        let n = without_white_space(value, |_| ());
        hash.0.update((n as u64).to_le_bytes());
        without_white_space(value, |run| hash.0.update(run));
    }
}

/// Calls `visit` with `json` but for the white space between its tokens, and returns how many bytes that was.
fn without_white_space(json: &[u8], mut visit: impl FnMut(&[u8])) -> usize {
    let (mut n, mut from, mut at) = (0, 0, 0);
    let mut flush = |run: &[u8]| {
        n += run.len();
        visit(run);
    };
    while at < json.len() {
        match json[at] {
            b'"' => {
                at += 1;
                while at < json.len() && json[at] != b'"' {
                    at += if json[at] == b'\\' { 2 } else { 1 };
                }
                at += 1;
            }
            b' ' | b'\t' | b'\n' | b'\r' => {
                flush(&json[from..at]);
                at += 1;
                from = at;
            }
            _ => at += 1,
        }
    }
    flush(&json[from.min(json.len())..]);
    n
}

/// A hash of parts, none of which runs into the next.
struct Parts(Sha256);

impl Parts {
    fn add(&mut self, part: &[u8]) {
        self.0.update((part.len() as u64).to_le_bytes());
        self.0.update(part);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wire::request::parse;

    use super::*;

    fn hash(text: &str) -> [u8; 32] {
        let view = parse(Endpoint::ChatCompletions, text.as_bytes()).unwrap();
        let mut hash = Parts(Sha256::new());
        body(&view, text.as_bytes(), &mut hash);
        hash.0.finalize().into()
    }

    #[track_caller]
    fn check(a: &str, b: &str, same: bool) {
        assert_eq!(hash(a) == hash(b), same, "{a}\n{b}");
    }

    const ONE: &str = r#"{"model":"m","messages":[{"role":"user","content":"a b"}],"temperature":0}"#;

    #[test]
    fn white_space_the_order_of_fields_and_who_asks_make_no_other_request() {
        check(
            ONE,
            "{ \"temperature\" : 0,\n\"model\":\"m\",\"messages\": [ {\"role\":\"user\",\"content\":\"a b\"} ] }",
            true,
        );
        check(ONE, &ONE.replace("\"temperature\"", "\"user\":\"me\",\"metadata\":{\"x\":\"1\"},\"temperature\""), true);
    }

    #[test]
    fn everything_else_does() {
        for (from, to) in [
            ("a b", "a  b"),
            ("\"m\"", "\"n\""),
            (":0", ":0.0"),
            ("\"role\":\"user\",\"content\":\"a b\"", "\"content\":\"a b\",\"role\":\"user\""),
            ("}]", "}],\"stream\":true"),
            ("}]", "}],\"unknown\":1"),
        ] {
            check(ONE, &ONE.replace(from, to), false);
        }
        check(r#"{"model":"m","messages":[],"a":"x","b":""}"#, r#"{"model":"m","messages":[],"a":"","b":"x"}"#, false);
    }

    proptest! {
        #[test]
        fn only_white_space_between_tokens_goes(text in "[a \\\\\"{:,\\n]{0,40}") {
            let json = serde_json::json!({ "k": [&text, 1, { "x": &text }] });
            let (compact, pretty) = (json.to_string(), serde_json::to_string_pretty(&json).unwrap());
            let mut out = Vec::new();
            let n = without_white_space(pretty.as_bytes(), |run| out.extend_from_slice(run));
            prop_assert_eq!(n, out.len());
            prop_assert_eq!(String::from_utf8(out).unwrap(), compact);
        }
    }
}
