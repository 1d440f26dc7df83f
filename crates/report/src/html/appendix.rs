//! The appendix: nothing is left out.

use crate::phases;
use crate::report::{MoveReport, Report};
use crate::words::{aged, made};

use super::pieces::{escaped, list, number};
use super::{detail, last};

pub(super) fn page(page: &mut String, report: &Report) {
    *page += &format!(
        "<h1>Appendix to the decision report</h1>\n<p class=\"small\">{}</p>\n<p>{}</p>\n",
        escaped(&made(report)),
        escaped(&report.headline)
    );
    for mv in report.in_order() {
        detail::whole(page, report, mv, (usize::MAX, "sheet"));
    }
    *page += "<section class=\"sheet\">\n<h2>How the order is made</h2>\n<ul>\n";
    for rule in phases::RULES {
        *page += &format!("<li>{rule}</li>\n");
    }
    *page += &format!("</ul>\n<p>{}</p>\n", aged(&report.scorecard));
    for of in &report.outcomes {
        last::outcomes(page, of, usize::MAX);
    }
    list(page, "Evidence that is not counted", &last::stale(report), usize::MAX);
    list(page, "What is to be known of the rows", &report.notes, usize::MAX);
    last::rules(page, report);
    *page += "<h2>Where every figure is from</h2>\n<p><code>crossfade report verify bundle.tar</code> makes each again from these rows, offline.</p>\n\
              <table class=\"small\"><tr><th>Figure</th><th>What</th><th>Value</th><th>Interval</th><th>Rows</th></tr>\n";
    for figure in report.moves.iter().flat_map(MoveReport::figures).filter(|figure| figure.value.is_some()) {
        *page += &format!(
            "<tr id=\"{0}\"><td>{0}</td><td>{1}</td>{2}<td>{3}</td><td>{4}</td></tr>\n",
            escaped(&figure.id),
            escaped(&figure.label),
            number(figure),
            escaped(figure.interval.as_deref().unwrap_or_default()),
            escaped(&figure.rows.join(", "))
        );
    }
    *page += "</table>\n</section>\n";
}
