//! The admin API as an OpenAPI 3.1 document, made from the table of routes, so that no route lacks in it. `docs/reference/admin-api.openapi.json` is
//! the same, kept by a test; `UPDATE_EXPECT=1 cargo test -p console openapi` writes it anew.
//!
//! What bodies and answers are stands in `openapi/shapes.txt`, a line for each: `Name: member type, member? type`. A type is `text`, `int`, `number`,
//! `bool`, `any`, the name of another line, `'one|of|these'` or `(first second)`; behind it `?` is "or null", `[]` a list and `{}` a map by names.
//! Behind a member's name `?` is "may be left out".

use std::sync::LazyLock;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::Full;
use serde_json::{Map, Value, json};

use crate::routes::{ROUTES, Route};

const SHAPES: &str = include_str!("openapi/shapes.txt");

/// The document as it is sent.
static TEXT: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(written()));

/// Names in paths that are whole numbers.
const NUMBERS: [&str; 5] = ["back", "sample", "from", "to", "limit"];

/// What lists of exchanges may be asked for: name, type, what it is.
const FILTERS: [(&str, &str, &str); 9] = [
    ("limit", "int", "At most so many."),
    ("route", "text", "Of this route."),
    ("rollout", "text", "Of this rollout."),
    ("epoch", "int", "Of this epoch."),
    ("arm", "'baseline|candidate'", "Of this arm."),
    ("outcome", "text", "With this outcome."),
    ("since_us", "int", "Received at this moment or later, Unix microseconds."),
    ("until_us", "int", "Received before this moment, Unix microseconds."),
    ("before", "text", "Older than the exchange of this id: the next page."),
];

/// Why a call comes to nothing: status, name, what it means.
const PROBLEMS: [(u16, &str, &str); 10] = [
    (400, "MakesNoSense", "The request makes no sense."),
    (401, "NoKey", "No key was brought, or a wrong one."),
    (403, "NotCovered", "The key's role does not cover it."),
    (404, "NotThere", "There is no such thing."),
    (408, "TooSlow", "The body came too slowly."),
    (409, "NotNow", "The state does not allow it."),
    (413, "TooLarge", "The body is larger than 1 MiB."),
    (415, "NotJson", "The body is not said to be JSON."),
    (500, "StoreFailed", "The store failed; the log says more."),
    (503, "NobodyThere", "Nobody is there to do it now."),
];
/// Those of reading.
const READING: [u16; 7] = [400, 401, 403, 404, 409, 500, 503];

/// The document.
pub(crate) fn answer() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(TEXT.clone()));
    *response.status_mut() = StatusCode::OK;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn written() -> String {
    // A document of texts and numbers always serialises.
    serde_json::to_string_pretty(&document()).map(|text| text + "\n").unwrap_or_default()
}

fn document() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for route in ROUTES {
        let path = paths.entry(route.path).or_insert_with(|| json!({ "parameters": in_path(route.path) }));
        path[route.method.to_ascii_lowercase()] = operation(route);
    }
    let shapes = SHAPES.lines().filter_map(|line| line.split_once(": "));
    let schemas: Map<String, Value> = shapes.map(|(name, shape)| (name.to_owned(), whole(shape))).collect();
    let problem = |(_, name, words): &(u16, &str, &str)| {
        let body = json!({ "application/json": { "schema": reference("Problem") } });
        ((*name).to_owned(), json!({ "description": words, "content": body }))
    };
    let header = |name: &str| json!({ "type": "apiKey", "in": "header", "name": name });
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Crossfade admin API",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "What the command line and the console do, over HTTP.",
            "description": "Every operation names the least role that may call it as `x-crossfade-role`. On loopback, without `admin.token` and where callers need no key, no key is asked for.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "http://127.0.0.1:4001", "description": "`admin.listen` by default" }],
        "security": [{ "bearer": [] }, { "api-key": [] }, { "x-api-key": [] }, {}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": PROBLEMS.iter().map(problem).collect::<Map<String, Value>>(),
            "securitySchemes": { "bearer": { "type": "http", "scheme": "bearer" }, "api-key": header("api-key"), "x-api-key": header("x-api-key") },
        },
    })
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// The names that stand in a path.
fn in_path(path: &str) -> Vec<Value> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let parameter = |name: &str| {
        let kind = if NUMBERS.contains(&name) { "int" } else { "text" };
        json!({ "name": name, "in": "path", "required": true, "schema": schema(kind) })
    };
    names.map(parameter).collect()
}

fn operation(route: &Route) -> Value {
    let words: Vec<&str> = route
        .path
        .split('/')
        .map(|part| part.trim_matches(['{', '}']))
        .filter(|part| !part.is_empty() && *part != "api")
        .collect();
    let id = format!("{}_{}", route.method.to_ascii_lowercase(), words.join("_")).replace(['.', '-'], "_");
    let is_reading = route.method == "GET";
    let mut responses = Map::new();
    responses.insert("200".to_owned(), json!({ "description": "Done.", "content": content(route.gives) }));
    if route.path == "/ready" {
        responses
            .insert("503".to_owned(), json!({ "description": "It takes no traffic.", "content": content("text") }));
    }
    for (status, name, _) in PROBLEMS.iter().filter(|(status, ..)| !is_reading || READING.contains(status)) {
        responses
            .entry(status.to_string())
            .or_insert_with(|| json!({ "$ref": format!("#/components/responses/{name}") }));
    }
    let mut operation = json!({
        "operationId": id,
        "tags": [words.first()],
        "summary": route.says,
        "x-crossfade-role": route.role.as_str(),
        "responses": responses,
    });
    if !route.takes.is_empty() {
        operation["requestBody"] = json!({ "content": content(route.takes) });
    }
    if ["/api/exchanges", "/api/exchanges/pairs"].contains(&route.path) {
        let parameter = |(name, kind, words): &(&str, &str, &str)| json!({ "name": name, "in": "query", "description": words, "schema": schema(kind) });
        operation["parameters"] = FILTERS.iter().map(parameter).collect();
    }
    operation
}

fn content(shape: &str) -> Value {
    if shape == "text" {
        json!({ "text/plain": { "schema": schema(shape) } })
    } else {
        json!({ "application/json": { "schema": schema(shape) } })
    }
}

/// A line of the shapes: an object of members, or one type.
fn whole(shape: &str) -> Value {
    if !shape.contains(' ') || shape.starts_with(['\'', '(']) {
        return schema(shape);
    }
    let mut members = Map::new();
    let mut required = Vec::new();
    for member in shape.split(", ") {
        let (name, kind) = member.split_once(' ').unwrap_or((member, "any"));
        let name = match name.strip_suffix('?') {
            Some(name) => name,
            None => {
                required.push(name);
                name
            }
        };
        members.insert(name.to_owned(), schema(kind));
    }
    let mut object = json!({ "type": "object", "properties": members });
    if !required.is_empty() {
        object["required"] = json!(required);
    }
    object
}

/// One type.
fn schema(kind: &str) -> Value {
    if let Some(inner) = kind.strip_suffix("[]") {
        return json!({ "type": "array", "items": schema(inner) });
    }
    if let Some(inner) = kind.strip_suffix("{}") {
        return json!({ "type": "object", "additionalProperties": schema(inner) });
    }
    if let Some(inner) = kind.strip_suffix('?') {
        let mut schema = schema(inner);
        return match schema.get("type").cloned() {
            Some(Value::String(word)) if schema.get("enum").is_none() => {
                schema["type"] = json!([word, "null"]);
                schema
            }
            _ => json!({ "anyOf": [schema, { "type": "null" }] }),
        };
    }
    if let Some(words) = kind.strip_prefix('\'') {
        return json!({ "type": "string", "enum": words.trim_end_matches('\'').split('|').collect::<Vec<_>>() });
    }
    if let Some(parts) = kind.strip_prefix('(') {
        let parts: Vec<Value> = parts.trim_end_matches(')').split(' ').map(schema).collect();
        return json!({ "type": "array", "minItems": parts.len(), "maxItems": parts.len(), "prefixItems": parts });
    }
    match kind {
        "text" => json!({ "type": "string" }),
        "int" => json!({ "type": "integer", "minimum": 0 }),
        "number" => json!({ "type": "number" }),
        "bool" => json!({ "type": "boolean" }),
        "any" => json!({}),
        name => reference(name),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_document_that_is_kept_is_the_one_that_is_served() {
        expect_test::expect_file!["../../../docs/reference/admin-api.openapi.json"].assert_eq(&written());
    }

    #[test]
    fn every_route_is_told_and_every_shape_is_there_once_and_used() {
        let names: Vec<&str> = SHAPES.lines().filter_map(|line| line.split_once(": ")).map(|(name, _)| name).collect();
        let unique: BTreeSet<&str> = names.iter().copied().collect();
        assert_eq!((names.len(), SHAPES.lines().count()), (unique.len(), unique.len()));
        let text = written();
        for part in text.split("#/components/schemas/").skip(1) {
            let name = part.split('"').next().unwrap();
            assert!(unique.contains(name), "there is no shape {name}");
        }
        for name in unique {
            assert!(text.contains(&format!("schemas/{name}\"")), "nothing is a {name}");
        }
        let document = document();
        for Route { method, path, says, gives, takes, .. } in ROUTES {
            assert!(says.ends_with('.') && !gives.is_empty(), "{method} {path}");
            assert!(*method != "GET" || takes.is_empty(), "{method} {path}");
            assert!(document["paths"][path][method.to_ascii_lowercase()].is_object(), "{method} {path}");
        }
        let operations =
            document["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap().values());
        let ids: Vec<&str> = operations.filter_map(|operation| operation["operationId"].as_str()).collect();
        assert_eq!((ids.len(), ids.iter().collect::<BTreeSet<_>>().len()), (ROUTES.len(), ROUTES.len()));
    }

    #[test]
    fn a_shape_is_a_schema() {
        let check = |shape: &str, schema: Value| assert_eq!(whole(shape), schema, "{shape}");
        check("int?", json!({ "type": ["integer", "null"], "minimum": 0 }));
        check("'a|b'", json!({ "type": "string", "enum": ["a", "b"] }));
        check(
            "(text int)[]",
            json!({ "type": "array", "items": { "type": "array", "minItems": 2, "maxItems": 2, "prefixItems": [{ "type": "string" }, { "type": "integer", "minimum": 0 }] } }),
        );
        check(
            "a? Other?",
            json!({ "type": "object", "properties": { "a": { "anyOf": [{ "$ref": "#/components/schemas/Other" }, { "type": "null" }] } } }),
        );
        check(
            "a number{}, b any",
            json!({ "type": "object", "properties": { "a": { "type": "object", "additionalProperties": { "type": "number" } }, "b": {} }, "required": ["a", "b"] }),
        );
    }
}
