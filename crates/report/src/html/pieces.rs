//! Small parts of pages.

use crate::area::{Found, Standing};
use crate::decision::Decision;
use crate::figure::{Figure, Unit};
use crate::report::MoveReport;

pub(super) fn badge(decision: Decision) -> String {
    format!("<span class=\"d {}\">{}</span>", class(decision), decision.label())
}

/// That of a workload, which may be done already.
pub(super) fn badge_of(mv: &MoveReport) -> String {
    format!("<span class=\"d {}\">{}</span>", class(mv.decision), mv.label())
}

pub(super) const fn class(decision: Decision) -> &'static str {
    match decision {
        Decision::Switch => "switch",
        Decision::Hybridize => "hybridize",
        Decision::Stay => "stay",
        Decision::NotEnoughEvidence => "open",
    }
}

pub(super) fn standing(standing: Standing) -> String {
    format!("<span class=\"s {}\">{}</span>", standing.as_str(), standing.label())
}

/// The sign of a standing with other words.
pub(super) fn standing_as(standing: Standing, words: &str) -> String {
    format!("<span class=\"s {}\">{words}</span>", standing.as_str())
}

/// What an area was found to be, with its interval below.
pub(super) fn measured(found: &Found) -> String {
    match found.measured() {
        None => "–".to_owned(),
        Some(figure) if figure.unit == Unit::Count => {
            behind(figure, &format!("<b>{}</b> cases", escaped(&figure.shown())))
        }
        Some(figure) => behind(figure, &over(&figure.shown_with_level())),
    }
}

/// A figure with the way to the rows it is from, which the appendix names.
pub(super) fn behind(figure: &Figure, shown: &str) -> String {
    format!("<a href=\"appendix.html#{}\">{shown}</a>", escaped(&figure.id))
}

/// A value over its interval, so that columns stay narrow.
pub(super) fn value(figure: &Figure) -> String {
    over(&figure.shown())
}

fn over(shown: &str) -> String {
    let shown = escaped(shown);
    match shown.split_once(" [") {
        Some((value, interval)) => format!("<b>{value}</b><br><span class=\"small\">[{interval}</span>"),
        None => format!("<b>{shown}</b>"),
    }
}

/// A cell of a table with the figure's name behind it.
pub(super) fn number(figure: &Figure) -> String {
    format!("<td title=\"{}\">{}</td>", escaped(&figure.id), value(figure))
}

/// A list with its heading, at most so many of it; nothing where there is nothing.
pub(super) fn list(page: &mut String, heading: &str, lines: &[String], most: usize) {
    if lines.is_empty() {
        return;
    }
    *page += &format!("<h3>{heading}</h3>\n<ul>\n");
    for line in lines.iter().take(most) {
        let cut = if most == usize::MAX { "" } else { " class=\"clamp3\"" };
        *page += &format!("<li><span{cut}>{}</span></li>\n", code(line));
    }
    *page += "</ul>\n";
    *page += &more(lines.len().saturating_sub(most));
}

/// Where the rest of something is.
pub(super) fn more(n: usize) -> String {
    match n {
        0 => String::new(),
        n => format!("<p class=\"small\">… and {n} more, in <a href=\"appendix.html\">appendix.html</a>.</p>\n"),
    }
}

/// Text with what stands between backticks as code. A word of it with a hyphen is kept whole: a flag that is broken is copied broken.
pub(crate) fn code(text: &str) -> String {
    let mut html = String::new();
    for (idx, piece) in escaped(text).split('`').enumerate() {
        html += match idx {
            0 => "",
            idx if idx % 2 == 1 => "<code>",
            _ => "</code>",
        };
        if idx % 2 == 1 {
            html += &piece.split(' ').map(whole).collect::<Vec<_>>().join(" ");
        } else {
            html += piece;
        }
    }
    if text.matches('`').count() % 2 == 1 { html + "</code>" } else { html }
}

/// Up to so many letters fit where a cell is narrow.
const FITS: usize = 24;

fn whole(word: &str) -> String {
    let is_short = word.chars().count() <= FITS;
    if word.contains('-') && is_short { format!("<i>{word}</i>") } else { word.to_owned() }
}

pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
