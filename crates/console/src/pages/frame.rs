//! What is around every page: the head, the way from one to the other, headers, and what is said when something went wrong.

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION,
    REFERRER_POLICY, SET_COOKIE, VARY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use operations::documents::Document;
use operations::{OperationError, Role};

use super::assets::assets;
use super::fields::{address, escape};
use super::words::coded;
use super::{PageAnswer, Visit};

/// Everything comes from here, nothing stands in the page itself, nobody frames it, and forms go nowhere else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
const OPENER: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const PERMISSIONS: HeaderName = HeaderName::from_static("permissions-policy");

/// No style of its own in the page; what somebody opened stays open when its content changes.
const HTMX: &str =
    r#"{"includeIndicatorCSS":false,"history":false,"mode":"same-origin","morphIgnore":["data-htmx-powered","open"]}"#;

/// Where one can go: path, words, the least role.
const PLACES: [(&str, &str, Role); 17] = [
    ("/", "Migration", Role::Viewer),
    ("/waiting", "Waiting", Role::Viewer),
    ("/reports", "Report", Role::Viewer),
    ("/costs", "Costs", Role::Viewer),
    ("/evaluations", "Evaluations", Role::Viewer),
    ("/benches", "Benchmarks", Role::Viewer),
    ("/exchanges", "Exchanges", Role::Viewer),
    ("/pairs", "Pairs", Role::Viewer),
    ("/review", "Review", Role::Viewer),
    ("/prompts", "Prompts", Role::Viewer),
    ("/inventory", "Inventory", Role::Viewer),
    ("/vectors", "Vectors", Role::Viewer),
    ("/drills", "Drills", Role::Viewer),
    ("/keys", "Keys", Role::Viewer),
    ("/audit", "Audit", Role::Viewer),
    ("/config", "Config", Role::Viewer),
    ("/status", "Health", Role::Viewer),
];

/// Dark, light, or as the system is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Theme {
    #[default]
    System,
    Dark,
    Light,
}

impl Theme {
    pub(super) fn named(word: &str) -> Option<Theme> {
        [Theme::System, Theme::Dark, Theme::Light].into_iter().find(|theme| theme.as_str() == word)
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Theme::System => "system",
            Theme::Dark => "dark",
            Theme::Light => "light",
        }
    }
}

/// A page with this title.
pub(super) fn page(visit: &Visit<'_>, title: &str, main: &Markup) -> PageAnswer {
    Ok(with_status(visit, StatusCode::OK, title, main))
}

pub(super) fn with_status(visit: &Visit<'_>, status: StatusCode, title: &str, main: &Markup) -> Response<Full<Bytes>> {
    let assets = assets();
    let whole = html! {
        (DOCTYPE)
        html lang="en" data-theme=(visit.theme.as_str()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="htmx-config" content=(HTMX);
                title { (title) " · Crossfade" }
                link rel="icon" href="data:,";
                link rel="stylesheet" href=(format!("/assets/{}", assets.style.name));
                script src=(format!("/assets/{}", assets.script.name)) defer {}
            }
            body {
                a.skip href="#main" { "To the content" }
                (header(visit))
                // Shown by the script when what is pushed to this page stops.
                p #lost.problem role="alert" hidden { span {} " " a href=(visit.here()) { "Load the page again" } }
                main #main tabindex="-1" { (main) }
                (footer(visit))
            }
        }
    };
    let mut response = Response::new(Full::new(Bytes::from(whole.into_string())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn header(visit: &Visit<'_>) -> Markup {
    let path = visit.uri.path();
    let is_at = |place: &str| {
        path == place || place != "/" && path.starts_with(place) || place == "/" && path.starts_with("/rollouts")
    };
    html! {
        header.top {
            a.brand href="/" { "Crossfade" }
            @if let Some(admitted) = visit.admitted {
                nav aria-label="Pages" {
                    @for (place, words, role) in PLACES {
                        @if visit.has(role) {
                            a href=(place) aria-current=[is_at(place).then_some("page")] { (words) }
                        }
                    }
                }
                div.who {
                    span { (admitted.actor(None).name) " · " (admitted.role().map_or("", Role::as_str)) }
                    @if !visit.door.is_open(visit.desk) {
                        form method="post" action="/sign-out" { (token(visit)) button.quiet { "Sign out" } }
                    }
                }
            }
        }
    }
}

fn footer(visit: &Visit<'_>) -> Markup {
    let kept = visit.query.without("theme");
    let link = |theme: Theme| {
        let chosen = [("theme".to_owned(), theme.as_str().to_owned())];
        address(visit.uri.path(), &[kept.as_slice(), &chosen].concat())
    };
    html! {
        footer.bottom {
            span { "Crossfade " (visit.desk.identity.version) }
            nav aria-label="Colours" {
                @for theme in [Theme::System, Theme::Light, Theme::Dark] {
                    a href=(link(theme)) aria-current=[(theme == visit.theme).then_some("true")] { (theme.as_str()) }
                }
            }
        }
    }
}

/// The hidden field that every form has.
pub(super) fn token(visit: &Visit<'_>) -> Markup {
    html! { input type="hidden" name="csrf" value=(visit.form_token()); }
}

/// Where nobody's name is known by a key, a form asks for it: the record says who did what, and one person's consent is not two people's.
pub(super) fn whoever(visit: &Visit<'_>, words: &str) -> Markup {
    html! { @if visit.is_nameless() { label { (words) input name="as" maxlength="100" autocomplete="off" spellcheck="false"; } } }
}

/// What went wrong, and what to do.
pub(super) fn problem(visit: &Visit<'_>, status: StatusCode, words: &str) -> Response<Full<Bytes>> {
    let (title, next) = match status {
        StatusCode::NOT_FOUND => {
            ("There is nothing here", "Look for it from the first page; it may have another name.")
        }
        StatusCode::FORBIDDEN => {
            ("This is not open to you", "Ask somebody with the role that it needs, or sign in with another key.")
        }
        StatusCode::UNAUTHORIZED => {
            ("Sign in first", "You are signed out, and nothing was done. Sign in, then do it again.")
        }
        StatusCode::CONFLICT => ("It does not allow that now", "Look at where it stands, and why."),
        StatusCode::BAD_REQUEST => ("That is not understood", "Go back and say it in another way."),
        StatusCode::TOO_MANY_REQUESTS => ("Too many tries", "Wait for a minute."),
        StatusCode::SERVICE_UNAVAILABLE => {
            ("Nobody is there to do it", "Try again in a moment; the log of the gateway says more.")
        }
        _ => ("That failed", "The log of the gateway says more; try again."),
    };
    // Back to where a form was: its page is the path without the last word.
    let page = visit.uri.path().rsplit_once('/').map_or("/", |(page, _)| if page.is_empty() { "/" } else { page });
    let main = html! {
        h1 { (title) }
        p.problem role="alert" { (coded(words)) }
        p { (next) }
        p {
            @if visit.admitted.is_none() { a href=(format!("/sign-in?next={}", escape(page))) { "Sign in" } " · " }
            @if status == StatusCode::CONFLICT || status == StatusCode::BAD_REQUEST { a href=(page) { "Back to " (page) } " · " }
            a href="/" { "To the first page" }
        }
    };
    with_status(visit, status, title, &main)
}

/// See what came of it over there.
pub(super) fn see(path: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let to = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(LOCATION, to);
    response
}

/// A file, by a name that is never another file's.
pub(super) fn asset(visit: &Visit<'_>) -> PageAnswer {
    let missing = || OperationError::NotFound(format!("there is no file `{}`; load the page again", visit.name()));
    let asset = assets().find(visit.name()).ok_or_else(missing)?;
    let body = if visit.takes_gzip { &asset.gzip } else { &asset.plain };
    let mut response = Response::new(Full::new(body.clone()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(asset.kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    if visit.takes_gzip {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(response)
}

/// A page that a room made whole. It takes its own style and nothing else, runs nothing and sends nothing.
pub(super) fn document(document: &Document) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(document.html.clone())));
    let policy = format!(
        "default-src 'none'; style-src '{}'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        document.style
    );
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // A hash in base64 always is a header's value.
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static(POLICY)));
    response
}

/// A file to be taken away under a name of our own.
pub(super) fn download(name: &str, kind: &'static str, bytes: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(bytes)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let plain: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || "._-".contains(*c)).collect();
    let disposition = HeaderValue::from_str(&format!("attachment; filename=\"{plain}\""));
    headers.insert(CONTENT_DISPOSITION, disposition.unwrap_or(HeaderValue::from_static("attachment")));
    response
}

/// A cookie that no script reads and no other site sends.
pub(super) fn set_cookie(
    response: &mut Response<Full<Bytes>>,
    name: &str,
    value: &str,
    (age_s, is_secure): (u64, bool),
) {
    let secure = if is_secure { "; Secure" } else { "" };
    let cookie = format!("{name}={value}; Path=/; Max-Age={age_s}; HttpOnly; SameSite=Strict{secure}");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
}

/// The headers of everything that a browser gets.
pub(super) fn guard(response: &mut Response<Full<Bytes>>) {
    response.headers_mut().entry(CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(POLICY));
    for (name, value) in [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "same-origin"),
        (OPENER, "same-origin"),
        (RESOURCE, "same-origin"),
        (PERMISSIONS, "camera=(), geolocation=(), microphone=()"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
}

/// So many columns fit beside each other on a telephone; of more, the rows are shown as blocks there.
const BESIDE: usize = 3;

/// A table that scrolls by itself where it is wider than the page. What it shows is said in its caption.
pub(super) fn table(caption: &str, heads: &[&str], rows: &Markup) -> Markup {
    let is_stacked = heads.len() > BESIDE;
    let rows = if is_stacked { &named(heads, &rows.0) } else { rows };
    html! {
        div.scroll.stacked[is_stacked] tabindex="0" role="region" aria-label=(caption) {
            table {
                caption { (caption) }
                thead { tr { @for head in heads { th scope="col" { (head) } } } }
                tbody { (rows) }
            }
        }
    }
}

/// How a cell without a value goes on and ends.
const NOTHING: [&str; 5] = ["</t", "–</t", "<bdi></bdi></t", "<bdi>–</bdi></t", "<span class=\"none\">–</span></t"];

/// Rows whose cells say the head of their column, for where no heads are shown; a cell without a value says so. Texts in them are escaped: a tag is one of ours.
fn named(heads: &[&str], rows: &str) -> Markup {
    let heads: Vec<String> = heads.iter().map(|head| html! { (head) }.into_string()).collect();
    let mut shown = String::with_capacity(rows.len() + rows.len() / 4);
    let mut column = 0;
    for (idx, piece) in rows.split("<t").enumerate() {
        if idx > 0 {
            shown.push_str("<t");
        }
        let is_cell = idx > 0 && piece.starts_with(['d', 'h']);
        if !is_cell {
            column = if idx > 0 && piece.starts_with('r') { 0 } else { column };
            shown.push_str(piece);
            continue;
        }
        let (kind, rest) = piece.split_at(1);
        shown.push_str(kind);
        if let Some(head) = heads.get(column).filter(|head| !head.is_empty()) {
            shown.push_str(&format!(" data-head=\"{head}\""));
        }
        let is_nothing = rest.split_once('>').is_some_and(|(_, text)| NOTHING.iter().any(|one| text.starts_with(one)));
        if is_nothing {
            shown.push_str(" data-nothing");
        }
        shown.push_str(rest);
        column += 1;
    }
    PreEscaped(shown)
}

/// A word in a coloured frame; the word says it too.
pub(super) fn badge(kind: &str, words: &str) -> Markup {
    html! { span class=(format!("badge {kind}")) { (words) } }
}

/// Nothing there yet, and what makes it come.
pub(super) fn empty(words: &str, command: &str) -> Markup {
    html! {
        div.empty {
            p { (coded(words)) }
            @if !command.is_empty() { p { "Next: " code { (command) } } }
        }
    }
}

/// Markup of a room, whose tables scroll by themselves where they are wider than the page.
pub(super) fn scrolled(name: &str, markup: &str) -> Markup {
    let mut shown = String::with_capacity(markup.len());
    for (idx, piece) in markup.split("<table").enumerate() {
        if idx > 0 {
            shown += &format!(
                "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{name}, table {idx}\"><table"
            );
        }
        shown += &piece.replace("</table>", "</table></div>");
    }
    PreEscaped(shown)
}

/// A link to a rollout's page.
pub(super) fn rollout_link(name: &str) -> Markup {
    html! { a href=(format!("/rollouts/{}", escape(name))) { bdi { (name) } } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_says_the_head_of_its_column_and_a_text_of_others_is_none() {
        let rows = html! { tr { th scope="row" { "<td>" } td.number { "1" } td { "–" } td { time { "now" } } } tr { td { bdi {} } } };
        assert_eq!(
            named(&["Name", "A & B", "", "When"], &rows.0).0,
            "<tr><th data-head=\"Name\" scope=\"row\">&lt;td&gt;</th><td data-head=\"A &amp; B\" class=\"number\">1</td><td data-nothing>–</td>\
             <td data-head=\"When\"><time>now</time></td></tr><tr><td data-head=\"Name\" data-nothing><bdi></bdi></td></tr>"
        );
        assert!(!table("c", &["a", "b"], &rows).0.contains("data-head"));
    }
}
