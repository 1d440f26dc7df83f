//! The console's pages over sockets: who reaches what, forms and cookies, what a browser is told, and what is pushed.

mod hostile;
mod live;
mod screens;
mod studies;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use console::{PAGES, ROUTES};

use crate::parts::{CONFIG, Gateway, House};

const ROLES: [&str; 4] = ["viewer", "operator", "approver", "admin"];

/// What came back: the status, the head, and the body of what ends.
pub(crate) struct Shown {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Shown {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The token of the forms on it.
    #[track_caller]
    pub fn token(&self) -> &str {
        let rest =
            self.body.split("name=\"csrf\" value=\"").nth(1).unwrap_or_else(|| panic!("no form on {}", self.body));
        rest.split('"').next().unwrap()
    }
}

/// One request as a browser sends it.
pub(crate) fn ask(at: SocketAddr, method: &str, path: &str, (cookie, form): (&str, &str)) -> Shown {
    ask_with(at, method, path, (cookie, form), "")
}

fn ask_with(at: SocketAddr, method: &str, path: &str, (cookie, form): (&str, &str), more: &str) -> Shown {
    let mut stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let n = form.len();
    write!(stream, "{method} {path} HTTP/1.1\r\nhost: {at}\r\ncookie: {cookie}\r\n{more}content-type: application/x-www-form-urlencoded\r\ncontent-length: {n}\r\nconnection: close\r\n\r\n{form}").unwrap();
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).unwrap() > 0, "cut: {head}");
    }
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let mut body = Vec::new();
    // A stream does not end.
    if !head.contains("text/event-stream") {
        reader.read_to_end(&mut body).unwrap();
    }
    Shown { status, head, body: String::from_utf8_lossy(&body).into_owned() }
}

/// The cookie that an answer sets.
fn cookie_of(shown: &Shown) -> String {
    shown.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
}

/// Signs in as a browser does, and gives back the cookie.
pub(crate) fn sign_in(gateway: &Gateway<'_>, key: &str) -> String {
    let form = ask(gateway.admin, "GET", "/sign-in", ("", ""));
    let before = cookie_of(&form);
    let sent = format!("csrf={}&key={key}&next=/", form.token());
    let done = ask(gateway.admin, "POST", "/sign-in", (&before, &sent));
    assert_eq!((done.status, done.header("location")), (303, Some("/")), "{}", done.body);
    let after = cookie_of(&done);
    assert_ne!(before, after, "whoever signs in gets another cookie");
    after
}

/// A house whose callers need keys, with one of each role.
fn guarded() -> (House, Vec<String>) {
    let house = House::new(&format!("auth: {{ required: true }}\n{CONFIG}"));
    let make = |role: &str| house.run(&["keys", "create", role, "--role", role]).exits(0).stdout.trim().to_owned();
    let keys = ROLES.map(make).to_vec();
    (house, keys)
}

/// A path of the table with a name that nothing has.
fn named(path: &str) -> String {
    let parts = path.split('/').map(|part| match part {
        "{limit}" | "{from}" | "{to}" | "{back}" | "{sample}" => "1",
        part if part.starts_with('{') => "nope",
        part => part,
    });
    parts.collect::<Vec<_>>().join("/")
}

#[test]
fn nothing_is_reached_without_its_role_and_nothing_is_changed_without_a_form() {
    let (house, keys) = guarded();
    let gateway = house.serve();
    let at = gateway.admin;
    let cookies: Vec<String> = keys.iter().map(|key| sign_in(&gateway, key)).collect();
    for page in PAGES {
        let path = named(page.path);
        let is_post = page.method == "POST";
        let outside = ask(at, page.method, &path, ("", "")).status;
        let expected = match (page.role, is_post) {
            (None, false) => vec![200, 404],
            (None, true) => vec![403],
            // What is pushed to an open page is not led to the door: the page has to hear that it is cut off.
            (Some(_), false) if page.path.ends_with("/events") => vec![401],
            (Some(_), false) => vec![303],
            (Some(_), true) => vec![401],
        };
        assert!(expected.contains(&outside), "{} {path} without a session: {outside}", page.method);
        let Some(needed) = page.role else { continue };
        for (role, cookie) in ROLES.iter().zip(&cookies) {
            let may = ROLES.iter().position(|one| one == role) >= ROLES.iter().position(|one| *one == needed.as_str());
            let without = ask(at, page.method, &path, (cookie, "")).status;
            if is_post {
                assert_eq!(without, 403, "{path} as {role} without a form");
                // Signing out would end the session that the rest needs.
                if path == "/sign-out" {
                    continue;
                }
                let token = ask(at, "GET", "/", (cookie, "")).token().to_owned();
                let with = ask(at, "POST", &path, (cookie, &format!("csrf={token}"))).status;
                assert_eq!(with == 403, !may, "{path} as {role}: {with}");
                assert_ne!(with, 401, "{path} as {role}");
            } else {
                assert_eq!(without == 403, !may, "{path} as {role}: {without}");
                assert!(without != 303 && without != 401, "{path} as {role}: {without}");
            }
        }
    }
}

#[test]
fn the_api_is_reached_with_its_role_and_by_no_cookie() {
    let (house, keys) = guarded();
    let gateway = house.serve();
    let cookie = sign_in(&gateway, &keys[3]);
    for route in ROUTES {
        let path = named(route.path);
        let call = |key: Option<&String>| {
            let key = key.map(|key| format!("authorization: Bearer {key}\r\n")).unwrap_or_default();
            let json = "content-type: application/json\r\n";
            ask_with(gateway.admin, route.method, &path, ("", "{}"), &format!("{key}{json}")).status
        };
        assert_eq!(call(None), 401, "{} {path}", route.method);
        let by_cookie = ask(gateway.admin, route.method, &path, (&cookie, "")).status;
        assert_eq!(by_cookie, 401, "{} {path} by a cookie", route.method);
        for (role, key) in ROLES.iter().zip(&keys) {
            let may =
                ROLES.iter().position(|one| one == role) >= ROLES.iter().position(|one| *one == route.role.as_str());
            if !may {
                assert_eq!(call(Some(key)), 403, "{} {path} as {role}", route.method);
            } else if route.method == "GET" {
                assert!(![401, 403].contains(&call(Some(key))), "GET {path} as {role}");
            }
        }
    }
}

#[test]
fn a_session_ends_with_its_key_by_signing_out_and_never_begins_with_a_wrong_one() {
    let (house, keys) = guarded();
    let gateway = house.serve();
    let at = gateway.admin;
    let viewer = sign_in(&gateway, &keys[0]);
    let page = ask(at, "GET", "/", (&viewer, ""));
    assert_eq!(page.status, 200);
    gateway.run_as(&keys[3], &["keys", "revoke", "viewer", "--reason", "left"]).exits(0);
    let sent = ask(at, "GET", "/exchanges?route=a%26b", (&viewer, ""));
    assert_eq!((sent.status, sent.header("location")), (303, Some("/sign-in?next=%2Fexchanges%3Froute%3Da%2526b")));

    let operator = sign_in(&gateway, &keys[1]);
    let token = ask(at, "GET", "/", (&operator, "")).token().to_owned();
    let out = ask(at, "POST", "/sign-out", (&operator, &format!("csrf={token}")));
    assert!(out.status == 303 && out.head.contains("Max-Age=0"), "{}", out.head);
    assert_eq!(ask(at, "GET", "/", (&operator, "")).status, 303);

    let form = ask(at, "GET", "/sign-in?next=//example.org", ("", ""));
    assert!(form.body.contains("name=\"next\" value=\"/\""), "nobody is sent elsewhere: {}", form.body);
    let before = cookie_of(&form);
    let wrong = format!("csrf={}&key=sk-wrong", form.token());
    for _ in 0..10 {
        let refused = ask(at, "POST", "/sign-in", (&before, &wrong));
        assert_eq!(refused.status, 401);
        assert!(!refused.body.contains("sk-wrong"), "{}", refused.body);
    }
    let right = format!("csrf={}&key={}", form.token(), keys[2]);
    assert_eq!(ask(at, "POST", "/sign-in", (&before, &right)).status, 429, "a right key too, for a minute");
}

#[test]
fn a_form_of_another_browser_or_another_site_changes_nothing() {
    let (house, keys) = guarded();
    let gateway = house.serve();
    let at = gateway.admin;
    let [one, other] = [&keys[1], &keys[3]].map(|key| sign_in(&gateway, key));
    let token = ask(at, "GET", "/", (&one, "")).token().to_owned();
    let sent = format!("csrf={token}");
    let start = "/rollouts/to-qwen/start";
    assert_eq!(ask(at, "POST", start, (&other, &sent)).status, 403);
    assert_eq!(ask_with(at, "POST", start, (&one, &sent), "sec-fetch-site: cross-site\r\n").status, 403);
    let page = ask(at, "GET", "/rollouts/to-qwen", (&one, ""));
    assert!(page.body.contains("has not been started"), "{}", page.body);
    assert_eq!(ask_with(at, "POST", start, (&one, &sent), "sec-fetch-site: same-origin\r\n").status, 303);
    assert!(ask(at, "GET", "/rollouts/to-qwen", (&one, "")).body.contains("shadow"));
}

#[test]
fn every_page_is_guarded_by_its_headers_and_what_it_loads_is_kept_for_good() {
    let house = House::new(CONFIG);
    let gateway = house.serve();
    let page = ask(gateway.admin, "GET", "/?theme=dark", ("", ""));
    assert_eq!(page.status, 200, "on loopback, where nobody needs a key, the door is open: {}", page.body);
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    for (name, value) in
        [("x-content-type-options", "nosniff"), ("x-frame-options", "DENY"), ("cache-control", "no-store")]
    {
        assert_eq!(page.header(name), Some(value), "{name}");
    }
    assert!(page.body.contains("data-theme=\"dark\""));
    for cookie in page.head.lines().filter(|line| line.starts_with("set-cookie")) {
        assert!(
            cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict") && !cookie.contains("Secure"),
            "{cookie}"
        );
    }
    let proxied = ask_with(gateway.admin, "GET", "/", ("", ""), "x-forwarded-proto: https\r\n");
    assert!(proxied.header("set-cookie").unwrap().ends_with("; Secure"), "{}", proxied.head);
    for inline in ["<style", " style=", " onclick", "javascript:", "<script>"] {
        assert!(!page.body.contains(inline), "{inline}");
    }
    let loaded: Vec<&str> = page.body.split("\"/assets/").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(loaded.len(), 2, "{loaded:?}");
    for name in loaded {
        let asset = ask(gateway.admin, "GET", &format!("/assets/{name}"), ("", ""));
        assert_eq!((asset.status, asset.header("cache-control")), (200, Some("public, max-age=31536000, immutable")));
        let gzip =
            ask_with(gateway.admin, "GET", &format!("/assets/{name}"), ("", ""), "accept-encoding: gzip, br\r\n");
        assert_eq!(gzip.header("content-encoding"), Some("gzip"));
    }
    let elsewhere = ask_with(gateway.admin, "GET", "/nothing", ("", ""), "");
    assert_eq!(elsewhere.status, 404);
    let mut stream = TcpStream::connect(gateway.admin).unwrap();
    write!(stream, "GET / HTTP/1.1\r\nhost: rebound.example\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 403"), "a name of somebody else's that points at loopback: {answer}");
}
