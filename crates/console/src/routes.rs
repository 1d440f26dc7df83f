//! The routes of the admin API as a table: method, path, the least role, the operation, and what the document of the API says of it. What is not
//! in it does not exist, and nothing in it is reached without its role.

mod table;

use bytes::Bytes;
use http::{Method, Response, Uri};
use http_body_util::Full;
use operations::keys::Keys;
use operations::{Actor, Admitted, Desk, ExchangeFilter, OperationError, Role};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::answers::{self, Answer, json};
pub use table::ROUTES;

/// One route.
pub struct Route {
    /// The method.
    pub method: &'static str,
    /// The path; `{…}` stands for one name.
    pub path: &'static str,
    /// The least role that may call it.
    pub role: Role,
    /// What it does, in a sentence.
    pub says: &'static str,
    /// The shape of the body that it takes, as [`crate::openapi`] writes shapes; empty where it takes none.
    pub takes: &'static str,
    /// The shape of what it answers; `text` is plain text.
    pub gives: &'static str,
    answer: fn(&Call<'_>) -> Answer,
}

/// A request that found its route and may call it.
struct Call<'a> {
    desk: &'a Desk,
    admitted: &'a Admitted,
    /// What stands for the names in the path, in order.
    names: Vec<String>,
    query: &'a str,
    body: &'a [u8],
}

impl Call<'_> {
    fn name(&self) -> &str {
        self.names.first().map(String::as_str).unwrap_or_default()
    }

    fn actor(&self, given: Option<String>) -> Actor {
        self.admitted.actor(given)
    }

    fn keys(&self) -> Keys<'_> {
        Keys::of(self.desk)
    }

    /// The body as what the route takes; nothing at all is the default.
    fn read<T: Default + DeserializeOwned>(&self) -> Result<T, OperationError> {
        if self.body.is_empty() {
            return Ok(T::default());
        }
        self.required()
    }

    /// The same where there is no default.
    fn required<T: DeserializeOwned>(&self) -> Result<T, OperationError> {
        serde_json::from_slice(self.body)
            .map_err(|error| OperationError::Invalid(format!("the body is not what this route takes: {error}")))
    }
}

impl Route {
    /// The same, with what the document of the API says of it.
    const fn told(self, takes: &'static str, gives: &'static str, says: &'static str) -> Route {
        Route { says, takes, gives, ..self }
    }
}

const fn row(method: &'static str, path: &'static str, role: Role, answer: fn(&Call<'_>) -> Answer) -> Route {
    Route { method, path, role, says: "", takes: "", gives: "", answer }
}

const fn get(path: &'static str, answer: fn(&Call<'_>) -> Answer) -> Route {
    row("GET", path, Role::Viewer, answer)
}

const fn post(path: &'static str, role: Role, answer: fn(&Call<'_>) -> Answer) -> Route {
    row("POST", path, role, answer)
}

/// Answers one request. Blocks: operations read the store and wait for the controller.
pub(crate) fn route(desk: &Desk, admitted: &Admitted, request: (&Method, &Uri, &[u8])) -> Response<Full<Bytes>> {
    let (method, uri, body) = request;
    let found = ROUTES.iter().find_map(|route| {
        let names = (route.method == method.as_str()).then(|| names(route.path, uri.path())).flatten()?;
        Some((route, names))
    });
    let answer = match found {
        None => Err(OperationError::NotFound(format!("no such admin route: {method} {}", uri.path()))),
        Some((route, names)) => admitted.actor(None).needs(route.role).and_then(|()| {
            let query = uri.query().unwrap_or_default();
            (route.answer)(&Call { desk, admitted, names, query, body })
        }),
    };
    answer.unwrap_or_else(|error| answers::failure(answers::status_of(&error), &error.to_string()))
}

/// What stands in `path` where `pattern` has a `{…}`; `None` when they do not match. Segments are compared before anything
/// percent-encoded in them is decoded, so that no encoded slash makes a path another path.
pub(crate) fn names(pattern: &str, path: &str) -> Option<Vec<String>> {
    let (mut wanted, mut given) = (pattern.split('/'), path.split('/'));
    let mut names = Vec::new();
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(names),
            (Some(wanted), Some(given)) if wanted.starts_with('{') && !given.is_empty() => {
                names.push(unescape(given, false))
            }
            (Some(wanted), Some(given)) if wanted == given => {}
            _ => return None,
        }
    }
}

/// What a change must say about itself.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    /// Who asks; recorded in the audit row where no key says so.
    actor: Option<String>,
    /// Why; recorded in the audit row.
    #[serde(default)]
    reason: String,
}

fn change_rollout(call: &Call<'_>, verb: &str) -> Answer {
    let change: Change = call.read()?;
    let actor = call.actor(change.actor);
    json(&operations::rollouts::change(call.desk, &actor, call.name(), verb, &change.reason)?)
}

fn file_result(call: &Call<'_>) -> Answer {
    let mut request: operations::rollouts::FileRequest = call.read()?;
    let actor = call.actor(request.actor.take());
    json(&operations::rollouts::file(call.desk.keys.database(), &actor, call.name(), &request)?)
}

fn begin_drill(call: &Call<'_>) -> Answer {
    let mut request: operations::drills::DrillRequest = call.required()?;
    let actor = call.actor(request.actor.take());
    json(&operations::drills::begin(call.desk, &actor, call.name(), request)?)
}

fn end_drill(call: &Call<'_>) -> Answer {
    let change: Change = call.read()?;
    json(&operations::drills::end(call.desk, &call.actor(change.actor), call.name())?)
}

fn begin_exit_drill(call: &Call<'_>) -> Answer {
    let mut request: operations::leaving::ExitDrillRequest = call.required()?;
    let actor = call.actor(request.actor.take());
    json(&operations::leaving::begin(call.desk, &actor, call.name(), request)?)
}

fn end_exit_drill(call: &Call<'_>) -> Answer {
    let mut request: operations::leaving::WayBackRequest = call.read()?;
    let actor = call.actor(request.actor.take());
    json(&operations::leaving::end(call.desk, &actor, call.name(), request)?)
}

fn create_key(call: &Call<'_>) -> Answer {
    let mut request: operations::keys::Request = call.read()?;
    let actor = call.actor(request.actor.take());
    json(&operations::keys::create(call.keys(), &actor, request)?)
}

fn rotate_key(call: &Call<'_>) -> Answer {
    let mut request: operations::keys::RotationRequest = call.read()?;
    let actor = call.actor(request.actor.take());
    json(&operations::keys::rotate(call.keys(), &actor, call.name(), request)?)
}

fn limit_key(call: &Call<'_>) -> Answer {
    let mut request: operations::keys::LimitsRequest = call.read()?;
    let actor = call.actor(request.actor.take());
    json(&operations::keys::limit(call.keys(), &actor, call.name(), &request)?)
}

fn revoke_key(call: &Call<'_>) -> Answer {
    let change: Change = call.read()?;
    let actor = call.actor(change.actor);
    json(&operations::keys::revoke(call.keys(), &actor, call.name(), &change.reason)?)
}

fn spent(call: &Call<'_>) -> Answer {
    let day = |idx: usize| {
        let day = call.names.get(idx).and_then(|day| day.parse().ok());
        day.ok_or_else(|| OperationError::NotFound("a day is a number, counted from 1 January 1970".to_owned()))
    };
    json(&operations::costs::spent(&call.desk.reader(), day(0)?, day(1)?)?)
}

fn resolve_review(call: &Call<'_>) -> Answer {
    let mut request: operations::reviews::Request = call.read()?;
    let actor = call.actor(request.actor.take());
    let at_us = operations::reviews::now();
    json(&operations::reviews::resolve(call.desk.keys.database(), &actor, (call.name(), at_us), &request)?)
}

fn list_panels(call: &Call<'_>) -> Answer {
    json(&operations::panels::list(&call.desk.reader(), &call.actor(None))?)
}

fn open_panel(call: &Call<'_>) -> Answer {
    let mut request: operations::panels::OpenRequest = call.required()?;
    let actor = call.actor(request.actor.take());
    json(&operations::panels::open_here(call.desk, &actor, operations::reviews::now(), &request)?)
}

fn panel_result(call: &Call<'_>) -> Answer {
    json(&operations::panels::result(&call.desk.reader(), &call.actor(None), call.name())?)
}

fn next_pair(call: &Call<'_>) -> Answer {
    let mut request: operations::panels::Request = call.read()?;
    let actor = call.actor(request.reviewer.take());
    let at_us = operations::reviews::now();
    json(&operations::panels::next(call.desk.keys.database(), &actor, call.name(), at_us)?)
}

fn judge_pair(call: &Call<'_>) -> Answer {
    let mut request: operations::panels::Request = call.read()?;
    let actor = call.actor(request.reviewer.take());
    let at_us = operations::reviews::now();
    json(&operations::panels::judge(call.desk.keys.database(), &actor, (call.name(), at_us), &request)?)
}

fn review_progress(call: &Call<'_>) -> Answer {
    json(&operations::blind::progress(&call.desk.reader(), &call.actor(None), call.name())?)
}

fn review_results(call: &Call<'_>) -> Answer {
    json(&operations::blind::results(&call.desk.reader(), &call.actor(None), call.name())?)
}

fn hand_out(call: &Call<'_>) -> Answer {
    let mut request: operations::blind::Request = call.read()?;
    let actor = call.actor(request.reviewer.take());
    let databases = (&*call.desk.reader(), call.desk.keys.database());
    json(&operations::blind::next(databases, &actor, (call.name(), operations::reviews::now()), &request)?)
}

fn judge_answers(call: &Call<'_>) -> Answer {
    let mut request: operations::blind::Request = call.read()?;
    let actor = call.actor(request.reviewer.take());
    let at = (Some(call.name()), operations::reviews::now());
    json(&operations::blind::judge(call.desk.keys.database(), &actor, at, &request)?)
}

fn assign_pairs(call: &Call<'_>) -> Answer {
    let mut request: operations::blind::AssignRequest = call.required()?;
    let actor = call.actor(request.actor.take());
    let at = (call.name(), operations::reviews::now());
    json(&operations::blind::assign(call.desk.keys.database(), &actor, at, &request)?)
}

fn withdraw_pairs(call: &Call<'_>) -> Answer {
    let mut request: operations::blind::WithdrawRequest = call.required()?;
    let actor = call.actor(request.actor.take());
    let at = (call.name(), operations::reviews::now());
    json(&operations::blind::withdraw(call.desk.keys.database(), &actor, at, &request)?)
}

fn file_verdicts(call: &Call<'_>) -> Answer {
    let mut request: operations::blind::FileRequest = call.required()?;
    let actor = call.actor(request.reviewer.take());
    let at = (call.name(), operations::reviews::now());
    json(&operations::blind::file(call.desk.keys.database(), &actor, at, &request)?)
}

/// `back` in microseconds, `sample` in millionths.
fn revalidation(call: &Call<'_>) -> Answer {
    let sample: u32 = number(call, 2)?;
    let span = operations::revalidation::Span { back_us: number(call, 1)?, sample: f64::from(sample) / 1e6 };
    let now_us = operations::reviews::now();
    json(&operations::revalidation::read(&call.desk.reader(), call.name(), span, now_us)?)
}

fn test_alerts(call: &Call<'_>) -> Answer {
    let mut request: operations::alerts::Request = call.read()?;
    let actor = call.actor(request.actor.take());
    json(&operations::alerts::test(call.desk, &actor, request.webhook.as_deref())?)
}

fn resend_alert(call: &Call<'_>) -> Answer {
    let mut request: operations::alerts::Request = call.read()?;
    let actor = call.actor(request.actor.take());
    json(&operations::alerts::resend(call.desk.keys.database(), &actor, call.name(), request.webhook.as_deref())?)
}

fn number<T: std::str::FromStr>(call: &Call<'_>, idx: usize) -> Result<T, OperationError> {
    let number = call.names.get(idx).and_then(|number| number.parse().ok());
    number.ok_or_else(|| OperationError::NotFound("this path wants whole numbers".to_owned()))
}

fn egress(call: &Call<'_>) -> Answer {
    json(&operations::egress::summary(&call.desk.reader(), number(call, 0)?, number(call, 1)?)?)
}

fn connections(call: &Call<'_>) -> Answer {
    let span = (number(call, 0)?, number(call, 1)?);
    json(&operations::egress::connections(&call.desk.reader(), span, number(call, 2)?)?)
}

fn reload(call: &Call<'_>) -> Answer {
    let change: Change = call.read()?;
    json(&operations::reload(call.desk, &call.actor(change.actor))?)
}

fn turn_knobs(call: &Call<'_>) -> Answer {
    json(&operations::simulated::turn(call.desk, &call.actor(None), call.name(), call.body)?)
}

fn filter(query: &str) -> Result<ExchangeFilter, OperationError> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let pairs: Vec<(String, String)> = pairs.map(|(key, value)| (key.to_owned(), unescape(value, true))).collect();
    operations::exchanges::filter(&pairs)
}

/// Undoes percent-encoding (RFC 3986 §2.1); a broken escape stays as it is. In a query `+` is a space.
pub(crate) fn unescape(value: &str, in_query: bool) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = (first == b'%').then(|| tail.get(..2)).flatten();
        match escaped.and_then(|hex| std::str::from_utf8(hex).ok()).and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(if first == b'+' && in_query { b' ' } else { first });
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_matches_segment_by_segment_before_anything_is_decoded() {
        let check = |pattern: &str, path: &str| names(pattern, path).map(|names| names.join("|"));
        assert_eq!(check("/api/keys/{key}/revoke", "/api/keys/a/revoke").as_deref(), Some("a"));
        assert_eq!(check("/api/keys/{key}", "/api/keys/a%2Frevoke").as_deref(), Some("a/revoke"));
        assert_eq!(check("/api/keys/{key}", "/api/keys/a+b").as_deref(), Some("a+b"));
        for path in [
            "/api/keys/a%2Frevoke",
            "/api/keys//revoke",
            "/api/keys/a/revoke/",
            "/api//keys/a/revoke",
            "api/keys/a/revoke",
        ] {
            assert_eq!(check("/api/keys/{key}/revoke", path), None, "{path}");
        }
    }

    #[test]
    fn only_what_reads_is_open_to_viewers_and_nothing_is_twice_in_the_table() {
        let mut seen = std::collections::BTreeSet::new();
        for route in ROUTES {
            // People judge blind with a viewer's key, and what a panel found is not for those who still judge.
            let is_blind = ["/api/panels", "/api/evaluations"].iter().any(|start| route.path.starts_with(start));
            if !is_blind {
                assert_eq!(route.method == "GET", route.role == Role::Viewer, "{} {}", route.method, route.path);
            }
            assert!(seen.insert((route.method, route.path)), "{} {}", route.method, route.path);
        }
    }
}
