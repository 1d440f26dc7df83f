//! Signing in with a key, and out again.

use std::time::Instant;

use http::StatusCode;
use maud::html;
use operations::Secret;

use super::fields::{escape, own_path};
use super::frame::{self, token};
use super::{COOKIE_NAME, PageAnswer, Visit, session};

/// Sends somebody who has not signed in to where one does, and back afterwards.
pub(super) fn first(visit: &Visit<'_>) -> http::Response<http_body_util::Full<bytes::Bytes>> {
    frame::see(&format!("/sign-in?next={}", escape(visit.here())))
}

/// The form.
pub(super) fn form(visit: &Visit<'_>) -> PageAnswer {
    if visit.admitted.is_some() {
        return Ok(frame::see(next(visit)));
    }
    Ok(shown(visit, StatusCode::OK, None))
}

fn shown(
    visit: &Visit<'_>,
    status: StatusCode,
    problem: Option<&str>,
) -> http::Response<http_body_util::Full<bytes::Bytes>> {
    let main = html! {
        h1 { "Sign in" }
        @if let Some(problem) = problem { p.problem role="alert" #problem { (problem) } }
        form.card.narrow method="post" action="/sign-in" {
            (token(visit))
            input type="hidden" name="next" value=(next(visit));
            // So that a password manager knows what it keeps.
            input type="text" name="username" autocomplete="username" value="crossfade" hidden;
            label for="key" { "Key" }
            input #key type="password" name="key" autocomplete="current-password" required autofocus spellcheck="false" aria-describedby=[problem.map(|_| "problem")];
            p.hint { "A key with a role, or the config's " code { "admin.token" } ". A new one: " code { "crossfade keys create NAME --role viewer" } }
            button { "Sign in" }
        }
    };
    frame::with_status(visit, status, "Sign in", &main)
}

fn next<'v>(visit: &'v Visit<'_>) -> &'v str {
    let asked = visit.form.get("next").or_else(|| visit.query.get("next"));
    asked.and_then(own_path).unwrap_or("/")
}

/// Holds the key against the table of keys and opens a session.
pub(super) fn sign_in(visit: &Visit<'_>) -> PageAnswer {
    let now = Instant::now();
    if !visit.sessions.may_try(visit.from, now) {
        let words = "too many wrong keys came from your address; try again in a minute";
        return Ok(shown(visit, StatusCode::TOO_MANY_REQUESTS, Some(words)));
    }
    let key = Secret::new(visit.form.text("key").unwrap_or_default().to_owned());
    if let Err(outside) = visit.door.admit_key(visit.desk, key.expose().as_bytes(), Some(visit.from)) {
        visit.sessions.note_failure(visit.from, now);
        return Ok(shown(visit, StatusCode::UNAUTHORIZED, Some(&outside.to_string())));
    }
    // What the cookie was before is nobody's session.
    visit.sessions.end(visit.cookie);
    let id = visit.sessions.begin(key, now);
    let id = id.map_err(|error| operations::OperationError::Unavailable(error.to_string()))?;
    let mut response = frame::see(next(visit));
    frame::set_cookie(&mut response, COOKIE_NAME, &id, (session::LIFETIME.as_secs(), visit.is_secure));
    Ok(response)
}

/// Ends the session.
pub(super) fn sign_out(visit: &Visit<'_>) -> PageAnswer {
    visit.sessions.end(visit.cookie);
    let mut response = frame::see("/sign-in");
    frame::set_cookie(&mut response, COOKIE_NAME, "", (0, visit.is_secure));
    Ok(response)
}
