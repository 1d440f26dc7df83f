//! Where the code uses vendors, and what would take their place: the last inventory and the last matrix that were filed.

use maud::{Markup, html};
use operations::inventory::{self, Finding, Inventory, Matrix, MatrixCell, MatrixRow};

use super::fields::address;
use super::frame::{self, badge, table};
use super::words::{count, moment};
use super::{PageAnswer, Visit};

/// Findings on a page.
const PAGE: usize = 100;
const FILTERS: [&str; 3] = ["vendor", "operation", "kind"];

/// Both.
pub(super) fn page(visit: &Visit<'_>) -> PageAnswer {
    let inventory = inventory::last(&visit.desk.reader())?;
    let matrix = inventory::last_matrix(&visit.desk.reader())?;
    let after = visit.number("after")?.unwrap_or(0);
    let main = html! {
        h1 { "Inventory" }
        @match &inventory {
            None => { (frame::empty("No inventory is filed: look through the code, and file what is found.", "crossfade inventory PATH --file")) }
            Some(inventory) => { (found(visit, inventory, usize::try_from(after).unwrap_or(usize::MAX))) }
        }
        h2 #matrix { "What would take their place" }
        @match &matrix {
            None => { (frame::empty("No replacement matrix is filed.", "crossfade inventory matrix PATH --conformance REPORT.json --file")) }
            Some(matrix) => { (replacement(matrix)) }
        }
    };
    frame::page(visit, "Inventory", &main)
}

fn head(names: &str, (at_us, actor): (u64, &str), digest: &str) -> Markup {
    html! {
        p.sub { "Of " bdi { (names) } ", filed by " bdi { (actor) } " at " (moment(at_us)) ", "
            a href=(address("/audit", &[("subject".to_owned(), format!("inventory:{names}"))])) title=(digest) { "SHA-256 " code.hash { (digest.chars().take(12).collect::<String>()) } } "." }
    }
}

fn found(visit: &Visit<'_>, inventory: &Inventory, after: usize) -> Markup {
    let chosen = visit.query.only(&FILTERS);
    let is_meant = |finding: &&Finding| {
        chosen.iter().all(|(name, value)| match name.as_str() {
            "vendor" => finding.vendor == *value,
            "operation" => finding.operation == *value,
            _ => finding.kind == *value,
        })
    };
    let meant: Vec<&Finding> = inventory.findings.iter().filter(is_meant).collect();
    let rows = &meant[after.min(meant.len())..(after.saturating_add(PAGE)).min(meant.len())];
    let next = after + rows.len();
    let more = (next < meant.len())
        .then(|| address("/inventory", &[chosen.as_slice(), &[("after".to_owned(), next.to_string())]].concat()));
    let keys = inventory.findings.iter().filter(|finding| finding.kind == "key").count();
    let of = |vendor: &str, operation: &str| {
        address(
            "/inventory",
            &[("vendor".to_owned(), vendor.to_owned()), ("operation".to_owned(), operation.to_owned())],
        )
    };
    html! {
        (head(&inventory.head.names, (inventory.head.at_us, &inventory.head.actor), &inventory.head.digest))
        @if keys > 0 { p.problem { (keys) " places look like a key in the clear: take it back at the vendor, then out of the history. "
            a href="/inventory?kind=key" { "Where" } } }
        (table("Call sites by vendor and operation", &["Vendor", "Operation", "Call sites"], &html! {
            @for (vendor, operation, n) in inventory.sums() { tr { td { bdi { (vendor) } } td { bdi { (operation) } } td.number { a href=(of(vendor, operation)) { (count(n as u64)) } } } }
        }))
        @let ends = inventory.ends();
        @if !ends.is_empty() { (table("What has an end", &["Day", "What", "Places", "Who says so"], &html! {
            @for (sunset, n) in ends { tr { td { (sunset.ends) } td { bdi { (sunset.what) } } td.number { (count(n as u64)) } td.wide { bdi { (sunset.source) } } } }
        })) }
        h2 { "Findings" }
        @if !chosen.is_empty() { p { (meant.len()) " of " (inventory.findings.len()) " are " @for (_, value) in &chosen { code { (value) } " " } ". " a href="/inventory" { "All of them" } } }
        @if rows.is_empty() { p.none { "Nothing matches." } } @else { (findings(rows)) }
        @if let Some(more) = more { p.more { a rel="next" href=(more) { "More" } } }
    }
}

fn findings(rows: &[&Finding]) -> Markup {
    table(
        "Places, in the order of the inventory",
        &["Where", "Kind", "Vendor", "Operation", "Model", "Library", "Sure", "Owners"],
        &html! {
            @for finding in rows { tr {
                td.wide { bdi { (finding.path) } ":" (finding.line) }
                td { (finding.kind) }
                td { bdi { (finding.vendor) } }
                td { bdi { (finding.operation) } @if !finding.sunsets.is_empty() { " " (badge("warn", "has an end")) } }
                td { bdi { (finding.model()) } }
                td { bdi { (finding.sdk) " " (finding.version.as_deref().unwrap_or_default()) } }
                td { (finding.confidence) }
                td.wide { bdi { (finding.owners.join(", ")) } }
            } }
        },
    )
}

fn standing(word: &str) -> Markup {
    let kind = match word {
        "equivalent" => "good",
        "degraded" | "unproved" => "warn",
        _ => "bad",
    };
    badge(kind, word)
}

fn replacement(matrix: &Matrix) -> Markup {
    let document = &matrix.document;
    let names: Vec<&str> = document.alternatives.iter().filter_map(|one| one["name"].as_str()).collect();
    let heads = [["What is used", "Vendors", "Places", "Requests"].as_slice(), &names, &["Effort", "Risk"]].concat();
    html! {
        (head(&matrix.head.names, (matrix.head.at_us, &matrix.head.actor), &matrix.head.digest))
        p { bdi { (document.headline) } }
        (table("Capability by capability that is used", &heads, &html! { @for row in &document.rows { (line(row, &names)) } }))
    }
}

fn line(row: &MatrixRow, names: &[&str]) -> Markup {
    html! {
        tr {
            th scope="row" { bdi { (row.what) } }
            td { bdi { (row.vendors.join(", ")) } }
            td.number { (count(row.places.len() as u64)) }
            td.number { (count(row.requests)) }
            @for name in names { td.wide { @if let Some(cell) = row.cells.iter().find(|cell| cell.alternative == *name) { (shown(cell)) } @else { "–" } } }
            td { (row.effort.as_str().unwrap_or_default()) }
            td { (row.risk.as_str().unwrap_or_default()) }
        }
    }
}

fn shown(cell: &MatrixCell) -> Markup {
    html! {
        (standing(&cell.standing))
        @if !cell.how.is_empty() || cell.workaround.is_some() {
            details { summary { @match cell.proofs.len() { 0 => "Why", 1 => "1 proof", n => { (n) " proofs" } } } p { bdi { (cell.how) } } @if let Some(workaround) = &cell.workaround { p { bdi { (workaround) } } } }
        }
    }
}
