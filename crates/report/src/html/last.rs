//! The last page: what is behind the decisions, and how to check them.

use crate::outcomes::{Line, Outcomes};
use crate::report::Report;
use crate::words::conditions;

use super::pieces::{escaped, list, more, number, value};

/// Lines of business outcomes, over all files.
const MOST_OUTCOMES: usize = 10;
/// Lines of what is not counted.
const MOST_STALE: usize = 6;

pub(super) fn page(page: &mut String, report: &Report) {
    *page += "<section class=\"sheet\">\n";
    let mut left = MOST_OUTCOMES;
    for of in &report.outcomes {
        left = outcomes(page, of, left);
    }
    list(page, "Evidence that is not counted", &stale(report), MOST_STALE);
    list(page, "What is to be known of the rows", &report.notes, 4);
    rules(page, report);
    *page += &format!(
        "<h2>How to check this</h2>\n<p><code>crossfade report verify bundle.tar</code> makes every figure again from the rows in the bundle, offline, and names \
         whatever does not follow from them. <code>--evidence {}</code> holds it to the rows of this report. \
         <a href=\"appendix.html\">appendix.html</a>, in the bundle and beside this page, has every figure of every workload with the rows it is from.</p>\n</section>\n",
        &report.evidence[..16]
    );
}

/// What is not counted, in lines.
pub(super) fn stale(report: &Report) -> Vec<String> {
    report.stale.iter().map(|one| format!("{}: {}.", one.what, one.why)).collect()
}

/// The rules there are.
pub(super) fn rules(page: &mut String, report: &Report) {
    *page += "<h2>Rules</h2>\n<p>The first whose conditions hold decides.</p>\n<table class=\"small\">\n\
              <colgroup><col class=\"w5\"><col class=\"w34\"><col class=\"w15\"><col></colgroup>\n<tr><th></th><th>When</th><th>Then</th><th>Why</th></tr>\n";
    for rule in &report.rules {
        *page += &format!(
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
            rule.id,
            conditions(rule),
            rule.then.label(),
            rule.says
        );
    }
    *page += "</table>\n";
}

/// What a file says, at most so many lines of it, over all cohorts first; how many lines are left comes back.
pub(super) fn outcomes(page: &mut String, of: &Outcomes, left: usize) -> usize {
    let (all, cohorts): (Vec<&Line>, Vec<&Line>) = of.lines.iter().partition(|line| line.cohort.is_none());
    let lines: Vec<&Line> = all.into_iter().chain(cohorts).collect();
    let whose = of.of.as_ref().map(|of| format!(" of {}", escaped(of))).unwrap_or_default();
    *page += &format!("<h2>Business outcomes{whose}, from {}</h2>\n", escaped(&of.source));
    let n = lines.len().min(left);
    if n > 0 {
        *page += "<table><tr><th>Metric</th><th>Cohort</th><th>Baseline</th><th>Candidate</th><th>Difference</th><th></th></tr>\n";
    }
    for line in &lines[..n] {
        *page += &format!(
            "<tr><td>{}</td><td>{}</td><td>{} <span class=\"small\">n {}</span></td><td>{} <span class=\"small\">n {}</span></td>{}<td>{}</td></tr>\n",
            escaped(&line.metric),
            escaped(line.cohort.as_deref().unwrap_or("all")),
            value(&line.baseline),
            line.n.0,
            value(&line.candidate),
            line.n.1,
            number(&line.difference),
            line.says
        );
    }
    if n > 0 {
        *page += "</table>\n<p class=\"small\">Who was served by which arm may differ in more than the arm: outcomes decide nothing by themselves.</p>\n";
    }
    *page += &more(lines.len() - n);
    if of.n_bad > 0 {
        *page += &format!("<p class=\"clamp3\">{} rows are left out: {}</p>\n", of.n_bad, escaped(&of.bad.join("; ")));
    }
    left - n
}
