//! Every form says the same, and nothing that others wrote is more than text in it.

use super::*;
use crate::matrix::{About, Candidate, Facts, Matrix, Place, Used, matrix, probes};

const EVIL: &str = "=x|<script>alert('x')</script>\n\"`";

fn made() -> Matrix {
    let row = |capability: &str, verdict: &str| {
        format!(r#"{{"capability":"{capability}","verdict":"{verdict}","how":"<b>seen</b> | so","evidence":["e7"]}}"#)
    };
    let text = format!(
        r#"{{"subject":"qwen","model":"m","began_s":1795000000,"simulated":false,"kind":"generic","rows":[{},{}]}}"#,
        row("chat", "equivalent"),
        row("seed", "none")
    );
    let read = probes("probe.json", &text).unwrap();
    let used = |operation: &str| Used {
        place: Some(Place { path: EVIL.to_owned(), line: 3 }),
        is_site: true,
        operation: operation.to_owned(),
        vendor: "openai".to_owned(),
        model: Some(EVIL.to_owned()),
        parameters: vec!["seed".to_owned()],
        owners: vec![EVIL.to_owned()],
        ..Used::default()
    };
    let facts = Facts {
        name: "qwen".to_owned(),
        provider: String::new(),
        model: "m".to_owned(),
        kind: "generic".to_owned(),
        class: "self_hosted".to_owned(),
        external: false,
        simulated: false,
    };
    let mut candidates = vec![Candidate::target(facts, &read, 1_795_000_060)];
    candidates.extend(Candidate::references());
    matrix(
        &[used("chat"), used("files")],
        &candidates,
        About { of: &[EVIL.to_owned()], date: "2026-11-26", traffic: None },
    )
}

#[test]
fn what_others_wrote_is_text_on_the_page_and_the_page_needs_nothing_else() {
    let page = html(&made());
    assert!(!page.contains("<script") && !page.contains("alert('x')") && !page.contains("<b>seen"), "{page}");
    assert!(page.contains("&lt;script&gt;"));
    for outside in ["src=", "<link", "@import", "url(", "href=\"http"] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert_eq!(page.matches("<details>").count(), 3);
    assert!(page.contains("chat equivalent (e7)"), "the entry of the report is named");
}

#[test]
fn each_form_has_every_row_with_its_standing_at_every_alternative() {
    let made = made();
    assert_eq!(made.rows.iter().map(Row::id).collect::<Vec<_>>(), ["chat", "seed", "files"]);
    let text = csv(&made);
    let lines: Vec<&str> = text.split("\r\n").collect();
    assert_eq!(lines.len(), 1 + 3 * made.alternatives.len() + 1);
    assert!(lines[1].starts_with("chat,Chat completions,1,0,openai,\"'=x|"), "{}", lines[1]);
    assert!(
        lines[1].contains(
            ",qwen,1,equivalent,0,\"not measured: chat_usage, context_length, error_envelope\",chat equivalent (e7),"
        ),
        "{}",
        lines[1]
    );
    let text = markdown(&made);
    for line in text.lines().filter(|line| line.starts_with("| ")) {
        assert!(!line.contains('<'), "{line}");
    }
    assert!(text.contains("| **equivalent** | unproved | unproved | unproved | S | low |"), "{text}");
    assert!(
        text.contains("| seed | qwen | none | seed: &lt;b>seen&lt;/b> \\| so | seed none (e7) | temperature 0"),
        "{text}"
    );
}

#[test]
fn a_day_is_that_of_the_civil_calendar() {
    assert_eq!(
        [0, 951_782_400, 1_709_164_800, 1_795_000_000].map(day),
        ["1970-01-01", "2000-02-29", "2024-02-29", "2026-11-18"]
    );
}
