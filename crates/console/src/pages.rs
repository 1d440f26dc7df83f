//! The pages of the console as a table: method, path, the least role, and what answers. What is not in it does not exist, nothing in it is reached
//! without its role, and nothing is changed without the token of a form that this console showed to this browser.
//!
//! A screen is a file beside this one, with one function per row. It asks `operations` and returns markup; it never makes a header.

mod assets;
mod benches;
mod costs;
mod diff;
mod drills;
mod evaluations;
mod exchanges;
mod fields;
mod frame;
mod inventory;
mod overview;
mod pairs;
mod prompts;
mod records;
mod reports;
mod review;
mod rollout;
mod session;
mod sign_in;
mod vectors;
mod waiting;
mod words;

use std::net::IpAddr;
use std::time::Instant;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, COOKIE, HeaderMap, HeaderName};
use http::{Method, Response, StatusCode, Uri};
use http_body_util::Full;
use operations::pulse::Mark;
use operations::{Actor, Admitted, Desk, Door, NotAdmitted, OperationError, Role};

use crate::events::{Follow, OVERVIEW, Watch};
use crate::routes::names;
use fields::Fields;
use frame::Theme;

pub(crate) use session::Sessions;

/// The cookie that names the session; before signing in it is what forms are bound to.
pub(crate) const COOKIE_NAME: &str = "crossfade_session";
const THEME_COOKIE: &str = "crossfade_theme";
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// A page, or why there is none.
type PageAnswer = Result<Response<Full<Bytes>>, OperationError>;

/// One row.
pub struct Page {
    /// The method: reading is `GET`, whatever changes anything is `POST`.
    pub method: &'static str,
    /// The path; `{…}` stands for one name.
    pub path: &'static str,
    /// The least role that reaches it; `None` is everybody, before signing in.
    pub role: Option<Role>,
    answer: Does,
}

/// What a row does.
#[derive(Clone, Copy)]
enum Does {
    /// Answers at once.
    Answer(fn(&Visit<'_>) -> PageAnswer),
    /// Follows what this names, and is told of every change.
    Follow(fn(&Visit<'_>) -> Result<String, OperationError>),
}

const fn open(method: &'static str, path: &'static str, answer: fn(&Visit<'_>) -> PageAnswer) -> Page {
    Page { method, path, role: None, answer: Does::Answer(answer) }
}

const fn get(path: &'static str, answer: fn(&Visit<'_>) -> PageAnswer) -> Page {
    Page { method: "GET", path, role: Some(Role::Viewer), answer: Does::Answer(answer) }
}

const fn post(path: &'static str, role: Role, answer: fn(&Visit<'_>) -> PageAnswer) -> Page {
    Page { method: "POST", path, role: Some(role), answer: Does::Answer(answer) }
}

const fn follow(path: &'static str, topic: fn(&Visit<'_>) -> Result<String, OperationError>) -> Page {
    Page { method: "GET", path, role: Some(Role::Viewer), answer: Does::Follow(topic) }
}

/// Every page. Earlier ones win.
pub const PAGES: &[Page] = &[
    open("GET", "/assets/{name}", frame::asset),
    open("GET", "/sign-in", sign_in::form),
    open("POST", "/sign-in", sign_in::sign_in),
    post("/sign-out", Role::Viewer, sign_in::sign_out),
    get("/", overview::page),
    follow("/events", |_| Ok(OVERVIEW.to_owned())),
    get("/rollouts/{name}", rollout::page),
    follow("/rollouts/{name}/events", rollout::topic),
    get("/rollouts/{name}/trail", rollout::trail),
    post("/rollouts/{name}/start", Role::Operator, |visit| rollout::change(visit, "start")),
    post("/rollouts/{name}/pause", Role::Operator, |visit| rollout::change(visit, "pause")),
    post("/rollouts/{name}/resume", Role::Operator, |visit| rollout::change(visit, "resume")),
    post("/rollouts/{name}/extend", Role::Operator, |visit| rollout::change(visit, "extend")),
    post("/rollouts/{name}/abort", Role::Operator, |visit| rollout::change(visit, "abort")),
    post("/rollouts/{name}/approve", Role::Approver, rollout::approve),
    post("/rollouts/{name}/promote", Role::Approver, |visit| rollout::change(visit, "promote")),
    post("/rollouts/{name}/accept", Role::Approver, |visit| rollout::change(visit, "accept")),
    get("/exchanges", exchanges::list),
    get("/exchanges/{id}", exchanges::one),
    get("/pairs", pairs::list),
    get("/pairs/{id}", pairs::one),
    get("/review", review::list),
    post("/review", Role::Operator, review::open),
    get("/review/{panel}", review::next),
    post("/review/{panel}", Role::Viewer, review::judge),
    Page {
        method: "GET",
        path: "/review/{panel}/result",
        role: Some(Role::Operator),
        answer: Does::Answer(review::result),
    },
    get("/prompts", prompts::list),
    get("/prompts/{name}", prompts::one),
    get("/inventory", inventory::page),
    get("/vectors", vectors::list),
    get("/vectors/runs/{number}", vectors::run),
    post("/vectors/{index}/switch", Role::Approver, |visit| vectors::turn(visit, true)),
    post("/vectors/{index}/rollback", Role::Operator, |visit| vectors::turn(visit, false)),
    get("/drills", drills::list),
    get("/waiting", waiting::list),
    get("/waiting/{id}", waiting::one),
    post("/waiting/{id}", Role::Operator, waiting::decide),
    get("/evaluations", evaluations::list),
    get("/evaluations/{run}", evaluations::one),
    get("/evaluations/{run}/page", evaluations::document),
    get("/evaluations/{run}/beside", evaluations::beside),
    get("/benches", benches::list),
    get("/benches/{name}", benches::one),
    get("/benches/{name}/page", benches::document),
    get("/benches/{name}/beside", benches::beside),
    get("/costs", costs::list),
    get("/costs/{name}", costs::one),
    get("/reports", reports::list),
    post("/reports", Role::Viewer, reports::make),
    get("/reports/{id}", reports::one),
    get("/reports/{id}/{file}", reports::file),
    get("/keys", records::keys),
    get("/audit", records::audit),
    get("/config", records::config),
    get("/status", records::health),
];

/// Somebody on a page.
struct Visit<'a> {
    desk: &'a Desk,
    door: &'a Door,
    sessions: &'a Sessions,
    watch: &'a Watch,
    /// Who, where somebody came in.
    admitted: Option<&'a Admitted>,
    /// Where from.
    from: IpAddr,
    /// What the cookie says, or will say.
    cookie: &'a str,
    theme: Theme,
    /// Whether the browser speaks TLS, as a proxy in front says.
    is_secure: bool,
    takes_gzip: bool,
    uri: &'a Uri,
    /// What stands for the names in the path, in order.
    names: Vec<String>,
    query: Fields,
    form: Fields,
}

impl Visit<'_> {
    fn name(&self) -> &str {
        self.names.first().map(String::as_str).unwrap_or_default()
    }

    /// Who does what a page does; under the name that was given where nobody knows better.
    fn actor(&self) -> Actor {
        let given = self.form.get("as").or_else(|| self.query.get("as")).map(str::to_owned);
        match self.admitted {
            Some(admitted) => admitted.actor(given.filter(|name| !name.is_empty())),
            None => Actor::trusted("nobody", Role::Viewer),
        }
    }

    fn has(&self, role: Role) -> bool {
        self.admitted.is_some_and(|admitted| admitted.role() >= Some(role))
    }

    /// Whether nobody knows who it is, so that a form asks.
    fn is_nameless(&self) -> bool {
        self.admitted.is_some_and(Admitted::is_nameless)
    }

    /// The whole number of this name in the address, where there is one.
    fn number(&self, name: &str) -> Result<Option<u64>, OperationError> {
        let wrong = |text: &str| OperationError::Invalid(format!("`{name}` wants a whole number, not `{text}`"));
        self.query.text(name).map(|text| text.parse().map_err(|_| wrong(text))).transpose()
    }

    fn form_token(&self) -> String {
        self.sessions.form_token(self.cookie)
    }

    /// The path and query, for coming back.
    fn here(&self) -> &str {
        self.uri.path_and_query().map_or("/", |here| here.as_str())
    }
}

/// What came in, as far as it was read.
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a Method,
    pub(crate) uri: &'a Uri,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
    pub(crate) from: IpAddr,
}

/// Whether a page answers on this path, and not the JSON API.
pub(crate) fn has(path: &str) -> bool {
    PAGES.iter().any(|page| names(page.path, path).is_some())
}

/// Answers one request for a page. Blocks: operations read the store and wait for the controller.
pub(crate) fn serve(
    desk: &Desk,
    (door, sessions, watch): (&Door, &Sessions, &Watch),
    asked: &Asked<'_>,
) -> Response<Full<Bytes>> {
    let brought =
        cookie(asked.headers, COOKIE_NAME).filter(|id| id.len() == 64 && id.bytes().all(|c| c.is_ascii_hexdigit()));
    let fresh = if brought.is_none() { sessions.new_id().ok() } else { None };
    let id = brought.or(fresh.as_deref()).unwrap_or_default();
    let admitted = admit(desk, door, sessions, (asked, id));
    let query = Fields::read(asked.uri.query().unwrap_or_default().as_bytes());
    let chosen = query.get("theme").and_then(Theme::named);
    let theme = chosen.or_else(|| cookie(asked.headers, THEME_COOKIE).and_then(Theme::named)).unwrap_or_default();
    let value = |name| asked.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut visit = Visit {
        desk,
        door,
        sessions,
        watch,
        admitted: admitted.as_ref().ok(),
        from: asked.from,
        cookie: id,
        theme,
        is_secure: value(FORWARDED_PROTO) == "https",
        takes_gzip: value(ACCEPT_ENCODING).contains("gzip"),
        uri: asked.uri,
        names: Vec::new(),
        query,
        form: Fields::read(asked.body),
    };
    let mut response = match answer(&mut visit, asked, admitted.as_ref().err()) {
        Ok(response) => response,
        Err(error) => frame::problem(&visit, crate::answers::status_of(&error), &error.to_string()),
    };
    if let Some(fresh) = fresh.as_deref().filter(|_| !response.headers().contains_key(http::header::SET_COOKIE)) {
        frame::set_cookie(&mut response, COOKIE_NAME, fresh, (session::LIFETIME.as_secs(), visit.is_secure));
    }
    if let Some(chosen) = chosen {
        frame::set_cookie(&mut response, THEME_COOKIE, chosen.as_str(), (365 * 86_400, visit.is_secure));
    }
    frame::guard(&mut response);
    response
}

/// By the session's key as the table of keys has it now, else by what the request itself brings.
fn admit(
    desk: &Desk,
    door: &Door,
    sessions: &Sessions,
    (asked, id): (&Asked<'_>, &str),
) -> Result<Admitted, NotAdmitted> {
    let Some(key) = sessions.key(id, Instant::now()) else { return door.admit(desk, asked.headers, Some(asked.from)) };
    let admitted = door.admit_key(desk, key.expose().as_bytes(), Some(asked.from));
    if admitted.is_err() {
        sessions.end(id);
    }
    admitted
}

fn answer(visit: &mut Visit<'_>, asked: &Asked<'_>, outside: Option<&NotAdmitted>) -> PageAnswer {
    let found = PAGES.iter().find_map(|page| {
        let names = (page.method == asked.method.as_str()).then(|| names(page.path, asked.uri.path())).flatten()?;
        Some((page, names))
    });
    let Some((page, names)) = found else {
        let (method, path) = (asked.method, asked.uri.path());
        return Err(OperationError::NotFound(format!("there is no page {method} {path}")));
    };
    visit.names = names;
    if page.role.is_some() && visit.admitted.is_none() {
        let is_reading = page.method == "GET" && !matches!(page.answer, Does::Follow(_));
        return Ok(if is_reading {
            sign_in::first(visit)
        } else {
            frame::problem(
                visit,
                StatusCode::UNAUTHORIZED,
                &outside.filter(|_| asked.headers.contains_key(http::header::AUTHORIZATION)).map_or_else(
                    || "nobody is signed in here: the session has ended, or the gateway was started anew".to_owned(),
                    ToString::to_string,
                ),
            )
        });
    }
    if page.method != "GET" && !is_own_form(visit, asked.headers) {
        let words = "this form is not one that this console showed to this browser, or it was shown by a process that is gone: open the page again and send it from there";
        return Err(OperationError::Forbidden(words.to_owned()));
    }
    if let Some(role) = page.role {
        visit.actor().needs(role)?;
    }
    match page.answer {
        Does::Answer(answer) => answer(visit),
        Does::Follow(topic) => {
            let last_id = asked.headers.get("last-event-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
            let (topic, seen) = (topic(visit)?, visit.number("seen")?);
            let follow = Follow { topic, last_id, seen, cookie: visit.cookie.to_owned() };
            let mut response = Response::new(Full::default());
            if visit.sessions.key(visit.cookie, Instant::now()).is_none() {
                response.extensions_mut().insert(ByHeader(asked.headers.clone()));
            }
            response.extensions_mut().insert(follow);
            Ok(response)
        }
    }
}

/// A stream without a session: by these headers, or through an open door.
#[derive(Clone)]
pub(crate) struct ByHeader(HeaderMap);

/// Whether what a stream was opened with still opens the door: the headers, else the session that the cookie names.
pub(crate) fn lasts(
    desk: &Desk,
    (door, sessions): (&Door, &Sessions),
    (headers, cookie): (Option<&ByHeader>, &str),
    from: IpAddr,
) -> bool {
    if let Some(ByHeader(headers)) = headers {
        return door.admit(desk, headers, Some(from)).is_ok();
    }
    let key = sessions.key(cookie, Instant::now());
    key.is_some_and(|key| door.admit_key(desk, key.expose().as_bytes(), Some(from)).is_ok())
}

/// What everybody who follows a topic is sent when it changed.
pub(crate) fn pushed(desk: &Desk, topic: &str) -> Result<String, OperationError> {
    let markup = if topic == OVERVIEW { overview::parts(desk, true)? } else { rollout::pushed(desk, topic)? };
    Ok(markup.into_string())
}

/// Tells whether the first page changed: a sum over all rollouts.
pub(crate) fn overview_mark(desk: &Desk) -> Result<Mark, OperationError> {
    let lines = operations::rollouts::list(&desk.reader())?;
    let mut sum = Mark { generation: 1, ..Mark::default() };
    for line in lines {
        sum.generation += operations::pulse::mark(desk, &line.name)?.generation;
    }
    Ok(sum)
}

/// A form of ours carries a token that only the holder of the cookie was shown. A browser says of itself when another site made it send one.
fn is_own_form(visit: &Visit<'_>, headers: &HeaderMap) -> bool {
    let site = headers.get(FETCH_SITE).map(|site| site.as_bytes());
    let token = visit.form.get("csrf").unwrap_or_default();
    site.is_none_or(|site| site == b"same-origin") && visit.sessions.is_form_token(visit.cookie, token)
}

fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let values = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = values.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_changes_anything_is_a_form_and_nothing_is_twice_in_the_table() {
        let mut seen = std::collections::BTreeSet::new();
        for page in PAGES {
            assert!(matches!(page.method, "GET" | "POST"), "{} {}", page.method, page.path);
            assert!(seen.insert((page.method, page.path)), "{} {}", page.method, page.path);
            let is_open = page.path == "/sign-in" || page.path.starts_with("/assets/");
            assert_eq!(page.role.is_none(), is_open, "{} {}", page.method, page.path);
        }
        assert!(PAGES.iter().all(|page| crate::ROUTES.iter().all(|route| route.path != page.path)));
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, http::HeaderValue::from_static("a=1; crossfade_theme=dark"));
        headers.append(COOKIE, http::HeaderValue::from_static("b=2"));
        assert_eq!(cookie(&headers, THEME_COOKIE), Some("dark"));
        assert_eq!((cookie(&headers, "b"), cookie(&headers, "theme")), (Some("2"), None));
    }
}
