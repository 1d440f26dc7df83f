//! A record full of hostile content is shown as text: markup, scripts, marks that turn the direction of reading, strings of a megabyte, escapes that are no
//! character. Ten thousand exchanges with `CROSSFADE_SLOW_TESTS`, else a few hundred; every page of the list, every exchange and every pair is looked at.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use scripted::{Received, Script, Upstream};

use super::ask;
use crate::parts::{Gateway, House, post, until};

const SOME: usize = 120;
const ALL: usize = 10_000;
/// Every so many has a string of a megabyte.
const LONG_EVERY: usize = 40;
/// So many pairs come of the fewest exchanges.
const LEAST_PAIRS: usize = 10;
const THREADS: usize = 4;

const HOSTILE: [&str; 8] = [
    "</pre></td></main><script>alert(1)</script>",
    "\"><img src=x onerror=alert(2)><svg onload=alert(3)>",
    "'-alert(4)-' onmouseover=alert(5) autofocus onfocus=alert(6) x=\"",
    "\u{202e}turned\u{2066}\u{200f} \u{feff}hidden\u{200b}",
    "<a href=\"javascript:alert(7)\">x</a><iframe srcdoc=\"<script>alert(8)</script>\"></iframe>",
    "<!--<base href=\"https://example.org/\"><meta http-equiv=refresh content=\"0;url=https://example.org\">",
    "\u{0}\u{1b}[2J\u{7f}\u{85}\u{2028}]]>{{7*7}}${7*7}%0d%0aset-cookie:%20a=b",
    "<style>*{display:none}</style><form action=https://example.org><input name=csrf>",
];

/// Half of a pair of surrogates, and bytes that are no UTF-8: what JSON lets through and no text holds.
const HALF: &str = "\\ud800\\udfff\\u0000\\u202e<script>alert(9)</script>";

fn chat(content: &str) -> String {
    let text = serde_json::Value::from(content).to_string();
    let tool = serde_json::Value::from(format!("{{\"q\":{text}}}")).to_string();
    let message = format!(
        "{{\"role\":\"assistant\",\"content\":{text},\"tool_calls\":[{{\"id\":{text},\"type\":\"function\",\"function\":{{\"name\":{text},\"arguments\":{tool}}}}}]}}"
    );
    format!(
        "{{\"id\":{text},\"object\":\"chat.completion\",\"created\":1,\"model\":{text},\"choices\":[{{\"index\":0,\"message\":{message},\"finish_reason\":{text}}}],\
         \"usage\":{{\"prompt_tokens\":1,\"completion_tokens\":1,\"total_tokens\":2}}}}"
    )
}

/// Answers as it was asked, and worse.
fn upstream() -> Upstream {
    let nth = AtomicUsize::new(0);
    Upstream::with(move |_: &Received| {
        let nth = nth.fetch_add(1, Ordering::Relaxed);
        let hostile = HOSTILE[nth % HOSTILE.len()];
        match nth % 12 {
            0 => Script::json(chat("HALF").replace("HALF", HALF)),
            1 => Script::json(
                [&b"{\"choices\":[{\"message\":{\"content\":\"\xff\xfe<script>alert(1)</script>\"}}]}"[..]].concat(),
            ),
            2 => Script::error(400, hostile, hostile),
            3 => Script::json(format!("<html>{hostile}")),
            _ => Script::json(chat(hostile)),
        }
    })
}

fn config(upstream: &Upstream) -> String {
    format!(
        "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0 }}\nshadow: {{ overload: false }}\nproviders:\n  p: {{ dialect: openai, base_url: {}/v1 }}\n\
         targets:\n  gpt: {{ provider: p, model: m }}\n  qwen: {{ provider: p, model: q }}\nroutes:\n  chat: {{ target: gpt, workload: support }}\n\
         workloads:\n  support: {{ risk: low }}\nrollouts:\n  to-qwen:\n    {{ route: chat, baseline: gpt, candidate: qwen, unit: request, policy: {{ warm_up: 0, requires: [] }} }}\n",
        upstream.url()
    )
}

/// Sends so many; says under which ids they are on record.
fn send(gateway: &Gateway<'_>, n: usize) -> BTreeSet<String> {
    let one = |nth: usize| {
        let hostile = HOSTILE[nth % HOSTILE.len()];
        let long =
            if nth.is_multiple_of(LONG_EVERY) { hostile.repeat((1 << 20) / hostile.len()) } else { hostile.to_owned() };
        let text = serde_json::Value::from(long).to_string();
        let short = serde_json::Value::from(hostile).to_string();
        let body = format!(
            "{{\"model\":\"chat\",\"user\":{short},\"metadata\":{{\"k\":{short}}},\"messages\":[{{\"role\":\"user\",\"content\":{text}}},{{\"role\":\"user\",\"content\":\"{HALF}\"}}]}}"
        );
        let answer = post(gateway.data, "/v1/chat/completions", &body);
        answer.header("x-crossfade-exchange-id").unwrap_or_else(|| panic!("{}", answer.head)).to_owned()
    };
    let one = &one;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| scope.spawn(move || (thread..n).step_by(THREADS).map(one).collect::<Vec<_>>()))
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

/// A page that nothing of the record has become part of.
#[track_caller]
fn inert(gateway: &Gateway<'_>, path: &str) -> String {
    let page = ask(gateway.admin, "GET", path, ("", ""));
    assert_eq!(page.status, 200, "{path}: {}", page.body);
    let lower = page.body.to_lowercase();
    assert_eq!(lower.matches("<script").count(), 1, "{path}: our own, in the head");
    for markup in [
        "<img",
        "<iframe",
        "<svg",
        "<style",
        "<base",
        "<!--",
        "href=\"javascript",
        "<form action=",
        "<meta http-equiv",
        "\u{fffd}<script",
    ] {
        assert!(!lower.contains(markup), "`{markup}` on {path}");
    }
    let inside = |tag: &str| tag.contains(" on") && tag.contains("=alert") && !tag.contains('"');
    assert!(!lower.split('<').skip(1).filter_map(|rest| rest.split_once('>')).any(|(tag, _)| inside(tag)), "{path}");
    let hidden = |c: char| {
        c.is_control() && !matches!(c, '\n' | '\t')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    let found = page.body.chars().find(|c| hidden(*c));
    assert!(found.is_none(), "{path} has U+{:04X}", found.map_or(0, u32::from));
    assert!(page.head.to_lowercase().matches("set-cookie").count() <= 1, "{}", page.head);
    page.body
}

/// Every row of a list, page by page.
fn walk(gateway: &Gateway<'_>, path: &str, link: &str) -> BTreeSet<String> {
    let (mut at, mut ids) = (path.to_owned(), BTreeSet::new());
    loop {
        let page = inert(gateway, &at);
        ids.extend(
            page.split(&format!("href=\"{link}")).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()),
        );
        let older = page.split("<p class=\"more\"><a href=\"").nth(1);
        let Some(older) = older.map(|rest| rest.split('"').next().unwrap().replace("&amp;", "&")) else { return ids };
        at = older;
    }
}

#[test]
fn whatever_is_on_record_is_shown_as_text_and_nothing_of_it_does_anything() {
    let n = if std::env::var_os("CROSSFADE_SLOW_TESTS").is_some() { ALL } else { SOME };
    let upstream = upstream();
    let house = House::new(&config(&upstream));
    let gateway = house.serve();
    gateway.run(&["rollout", "start", "to-qwen"]).exits(0);
    let sent = send(&gateway, n);
    assert_eq!(sent.len(), n);
    let is_there = |id: &String| ask(gateway.admin, "GET", &format!("/exchanges/{id}"), ("", "")).status == 200;
    until(|| sent.iter().rev().take(50).all(is_there).then_some(()));
    until(|| sent.is_subset(&walk(&gateway, "/exchanges", "/exchanges/")).then_some(()));
    let mut n_seen = 0;
    for id in &sent {
        let page = inert(&gateway, &format!("/exchanges/{id}"));
        n_seen += usize::from(
            page.contains("&lt;script&gt;alert(9)") || page.contains("\\u003cscript") || page.contains("All of it"),
        );
        assert!(page.len() < 1 << 20, "{} bytes of a page before somebody asks for all of it", page.len());
    }
    assert_eq!(n_seen, n, "what was asked stands on every page, as text");
    // Answers that are no chat, and copies for which there was no room, make no pair.
    let pairs = until(|| Some(walk(&gateway, "/pairs", "/pairs/")).filter(|pairs| pairs.len() >= LEAST_PAIRS));
    for id in &pairs {
        inert(&gateway, &format!("/pairs/{id}"));
    }
    let long = sent
        .iter()
        .find(|id| ask(gateway.admin, "GET", &format!("/exchanges/{id}"), ("", "")).body.contains("All of it"));
    inert(&gateway, &format!("/exchanges/{}?whole=1", long.unwrap()));
}
