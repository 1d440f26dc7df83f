//! The report as pages that need nothing else. The report itself takes at most [`MOST_PAGES`] sheets of A4, whatever it is of; what does not fit is in the
//! appendix, which has every figure of every workload.

mod appendix;
mod detail;
mod first;
mod last;
mod pieces;

pub(crate) use pieces::{code, escaped};

use crate::report::Report;

/// Printed pages of a report, at most: one of what to do, four of workloads, one of what is behind them.
pub const MOST_PAGES: usize = 6;

/// The style of all pages, for screen and print.
pub(crate) const STYLE: &str = include_str!("html/page.css");

/// The report as a page.
#[must_use]
pub fn html(report: &Report) -> String {
    let mut page = begin("Decision report");
    first::page(&mut page, report);
    detail::pages(&mut page, report);
    last::page(&mut page, report);
    page + "</body>\n</html>\n"
}

/// Page one by itself, as a part of another page, whose style it takes. Its links to the appendix go to `appendix.html`.
#[must_use]
pub fn page_one(report: &Report) -> String {
    let mut page = String::new();
    first::page(&mut page, report);
    page
}

/// Everything that the report has no room for: each workload whole, and each figure with the rows it is from.
#[must_use]
pub fn appendix(report: &Report) -> String {
    let mut page = begin("Appendix to the decision report");
    appendix::page(&mut page, report);
    page + "</body>\n</html>\n"
}

fn begin(title: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n"
    )
}
