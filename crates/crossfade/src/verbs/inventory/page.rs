//! The table for people.

use std::collections::BTreeMap;

use inventory::scan::{Asked, Finding, Kind};

use super::tree::{Counts, NotRead};

/// Call sites first, then the rest; what has an end stands below.
pub(super) fn table(findings: &[Finding], today: &str) -> String {
    let mut text = String::new();
    let (sites, others): (Vec<&Finding>, Vec<&Finding>) = findings.iter().partition(|finding| finding.kind.is_site());
    if !sites.is_empty() {
        let rows: Vec<Vec<String>> = sites.iter().map(|finding| site(finding)).collect();
        text += &crate::out::table(
            &["where", "kind", "operation", "vendor", "model", "library", "asks for", "sure"],
            &rows,
        );
    }
    if !others.is_empty() {
        let rows: Vec<Vec<String>> = others.iter().map(|finding| other(finding)).collect();
        text += if text.is_empty() { "" } else { "\n" };
        text += &crate::out::table(&["where", "kind", "vendor", "what", "sure"], &rows);
    }
    let ends = ends(findings, today);
    if !ends.is_empty() {
        text += "\n";
        text += &crate::out::table(&["what has an end", "day", "", "places", "source"], &ends);
    }
    let open = Asked::of_findings(findings).words();
    if !open.is_empty() {
        text += &format!("\n{open}\n");
    }
    text
}

fn place(finding: &Finding) -> String {
    format!("{}:{}", finding.path, finding.line)
}

fn site(finding: &Finding) -> Vec<String> {
    let model = finding.model.id.clone().unwrap_or_else(|| match finding.model.from.as_str() {
        "unknown" => "-".to_owned(),
        from => format!("({from})"),
    });
    let library = match &finding.version {
        Some(version) => format!("{} {version}", finding.sdk),
        None if finding.sdk.is_empty() => "-".to_owned(),
        None => finding.sdk.clone(),
    };
    vec![
        place(finding),
        finding.kind.as_str().to_owned(),
        finding.operation.clone(),
        finding.vendor.clone(),
        model,
        library,
        finding.flags.words().join(" "),
        finding.confidence.as_str().to_owned(),
    ]
}

fn other(finding: &Finding) -> Vec<String> {
    let what = match (&finding.model.id, finding.kind) {
        (Some(id), Kind::Model) => format!("{}: {id}", finding.seen),
        (Some(id), _) => format!("{} ({id})", finding.seen),
        (None, _) => finding.seen.clone(),
    };
    let what: String = what.chars().take(80).collect();
    vec![
        place(finding),
        finding.kind.as_str().to_owned(),
        finding.vendor.clone(),
        what,
        finding.confidence.as_str().to_owned(),
    ]
}

/// What has an end, by the day.
fn ends(findings: &[Finding], today: &str) -> Vec<Vec<String>> {
    let mut places: BTreeMap<(&str, &str, &str), usize> = BTreeMap::new();
    for sunset in findings.iter().flat_map(|finding| &finding.sunsets) {
        *places.entry((&sunset.ends, &sunset.what, &sunset.source)).or_default() += 1;
    }
    let row = |((ends, what, source), n_places): (&(&str, &str, &str), &usize)| {
        let state = if *ends <= today { "over" } else { "to come" };
        vec![(*what).to_owned(), (*ends).to_owned(), state.to_owned(), n_places.to_string(), (*source).to_owned()]
    };
    places.iter().map(row).collect()
}

/// How many files that were not looked into are named on stderr.
const NAMED: usize = 5;

/// What is said on stderr in the end.
pub(super) fn words(
    findings: &[Finding],
    counts: &Counts,
    not_read: &[NotRead],
    n_less: usize,
    today: &str,
) -> Vec<String> {
    let n_sites = findings.iter().filter(|finding| finding.kind.is_site()).count();
    let n_keys = findings.iter().filter(|finding| finding.kind == Kind::Key).count();
    let n_over =
        findings.iter().filter(|finding| finding.sunsets.iter().any(|sunset| sunset.ends.as_str() <= today)).count();
    let files = |n: usize| if n == 1 { "file" } else { "files" };
    let mut words = vec![format!(
        "{n_sites} call sites and {} other findings in {} {} of {} lines",
        findings.len() - n_sites,
        counts.candidates,
        files(counts.candidates),
        counts.lines
    )];
    if !not_read.is_empty() {
        words.push(format!("{} {} not looked into:", not_read.len(), files(not_read.len())));
        words.extend(not_read.iter().take(NAMED).map(|of| format!("  {} {}", of.path, of.why)));
        if not_read.len() > NAMED {
            words.push(format!("  and {} more; `--format json` names them all", not_read.len() - NAMED));
        }
    }
    if counts.machine_made > 0 {
        words.push(format!(
            "{} source {} looked through for keys only: minified or generated",
            counts.machine_made,
            files(counts.machine_made)
        ));
    }
    if n_less > 0 {
        words.push(format!("{n_less} findings less sure are not shown: `--confidence possible` shows them"));
    }
    if n_over > 0 {
        words.push(format!("{n_over} places use what its vendor has switched off"));
    }
    if n_keys > 0 {
        words.push(format!(
            "{n_keys} places look like a key in the clear: take it back at the vendor, then out of the history"
        ));
    }
    words
}
