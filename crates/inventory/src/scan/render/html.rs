//! As one page that needs nothing else.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::About;
use crate::scan::finding::{Asked, Finding, Kind};

const STYLE: &str = "\
:root{color-scheme:light dark;--over:#cf222e;--soon:#9a6700;--small:#59636e}\
@media(prefers-color-scheme:dark){:root{--over:#f85149;--soon:#d29922;--small:#9198a1}}\
body{font:15px/1.5 system-ui,sans-serif;max-width:90rem;margin:2rem auto;padding:0 1rem;overflow-wrap:break-word}\
h1{font-size:1.5rem}h2{font-size:1.15rem;margin:2rem 0 .5rem}\
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.3rem .6rem;border-bottom:1px solid #8884}\
th{font-weight:600}th,td{overflow-wrap:anywhere;min-width:4rem}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}\
.where{font-family:ui-monospace,monospace;font-size:.85rem;min-width:14rem}.small{color:var(--small);font-size:.85rem}\
.over{color:var(--over)}.soon{color:var(--soon)}\
@media print{body{max-width:none;margin:0;font-size:11px}.scroll{overflow:visible}}";

/// Nothing runs and nothing is fetched, whatever a name or a value holds.
const POLICY: &str =
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none';style-src 'unsafe-inline'\">";

/// The page: what it comes to, what has an end, every call site, and the rest.
#[must_use]
pub fn html(findings: &[Finding], about: &About<'_>) -> String {
    let title = format!("Inventory of {}", about.names.join(", "));
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">{POLICY}<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>{0}</title><style>{STYLE}</style>\n<h1>{0}</h1>\n",
        escaped(&title)
    );
    let (sites, others): (Vec<&Finding>, Vec<&Finding>) = findings.iter().partition(|finding| finding.kind.is_site());
    // Writing to a String cannot fail.
    head(&mut page, &sites, &others, about).unwrap_or_default();
    uses(&mut page, &sites).unwrap_or_default();
    ends(&mut page, findings, &about.now[..10.min(about.now.len())]).unwrap_or_default();
    site_rows(&mut page, &sites).unwrap_or_default();
    other_rows(&mut page, &others).unwrap_or_default();
    page + "</html>\n"
}

fn head(page: &mut String, sites: &[&Finding], others: &[&Finding], about: &About<'_>) -> std::fmt::Result {
    let n_files = sites.iter().map(|finding| &finding.path).collect::<std::collections::BTreeSet<_>>().len();
    writeln!(
        page,
        "<p>{} call sites in {n_files} files, and {} other findings, in {} lines of {} files.</p>",
        sites.len(),
        others.len(),
        about.lines,
        about.files
    )?;
    let n_keys = others.iter().filter(|finding| finding.kind == Kind::Key).count();
    if n_keys > 0 {
        writeln!(page, "<p class=\"over\">{n_keys} places look like a key in the clear.</p>")?;
    }
    writeln!(
        page,
        "<p class=\"small\">Found by crossfade {} on {} UTC.</p>",
        escaped(about.version),
        escaped(about.now)
    )
}

/// How often each operation of each vendor is used.
fn uses(page: &mut String, sites: &[&Finding]) -> std::fmt::Result {
    if sites.is_empty() {
        return Ok(());
    }
    let mut by_use: BTreeMap<(&str, &str), Vec<&Finding>> = BTreeMap::new();
    for finding in sites {
        by_use.entry((&finding.vendor, &finding.operation)).or_default().push(finding);
    }
    page.push_str("<h2>What is used</h2>\n<div class=\"scroll\"><table><tr><th>vendor<th>operation<th class=\"n\">sites<th>models<th>libraries<th>owners\n");
    for ((vendor, operation), found) in by_use {
        let list = |words: Vec<&str>| {
            let mut words = words;
            words.sort_unstable();
            words.dedup();
            escaped(&words.join(", "))
        };
        writeln!(
            page,
            "<tr><td>{}<td>{}<td class=\"n\">{}<td>{}<td>{}<td>{}",
            escaped(vendor),
            escaped(operation),
            found.len(),
            list(found.iter().filter_map(|finding| finding.model.id.as_deref()).collect()),
            list(found.iter().map(|finding| finding.sdk.as_str()).filter(|sdk| !sdk.is_empty()).collect()),
            list(found.iter().flat_map(|finding| &finding.owners).map(String::as_str).collect()),
        )?;
    }
    page.push_str("</table></div>\n");
    Ok(())
}

fn ends(page: &mut String, findings: &[Finding], today: &str) -> std::fmt::Result {
    let mut places: BTreeMap<(&str, &str, &str), usize> = BTreeMap::new();
    for sunset in findings.iter().flat_map(|finding| &finding.sunsets) {
        *places.entry((&sunset.ends, &sunset.what, &sunset.source)).or_default() += 1;
    }
    let open = Asked::of_findings(findings).words();
    if places.is_empty() && open.is_empty() {
        return Ok(());
    }
    if places.is_empty() {
        return writeln!(
            page,
            "<h2>What has an end</h2>\n<p>Nothing that is known.</p>\n<p class=\"small\">{}</p>",
            escaped(&open)
        );
    }
    page.push_str("<h2>What has an end</h2>\n<div class=\"scroll\"><table><tr><th>what<th>day<th>state<th class=\"n\">places<th>source\n");
    for ((day, what, source), n) in places {
        let (class, state) = if day <= today { ("over", "over") } else { ("soon", "to come") };
        let source = escaped(source);
        writeln!(
            page,
            "<tr><td>{}<td>{}<td class=\"{class}\">{state}<td class=\"n\">{n}<td><a href=\"{source}\" rel=\"noreferrer\">{source}</a>",
            escaped(what),
            escaped(day),
        )?;
    }
    page.push_str("</table></div>\n");
    if !open.is_empty() {
        writeln!(page, "<p class=\"small\">{}</p>", escaped(&open))?;
    }
    Ok(())
}

fn site_rows(page: &mut String, sites: &[&Finding]) -> std::fmt::Result {
    if sites.is_empty() {
        return Ok(());
    }
    page.push_str("<h2>Call sites</h2>\n<div class=\"scroll\"><table><tr><th>where<th>operation<th>vendor and library<th>model<th>parameters and what is asked for<th>prompt<th>answer read as<th>owner<th>sure\n");
    for finding in sites {
        let library = match &finding.version {
            Some(version) => format!("{} {version}", finding.sdk),
            None => finding.sdk.clone(),
        };
        let model = finding.model.id.clone().unwrap_or_else(|| format!("({})", finding.model.from.as_str()));
        let prompt = finding.prompt.as_ref().map_or(String::new(), |prompt| {
            let is_here = prompt.path == finding.path;
            let place = if is_here { "line ".to_owned() } else { format!("{}:", escaped(&prompt.path)) };
            format!("{place}{}<br><span class=\"small\">{}</span>", prompt.line, prompt.form.as_str())
        });
        writeln!(
            page,
            "<tr><td class=\"where\">{}:{}<td>{}<br><span class=\"small\">{}</span><td>{}<br><span class=\"small\">{}</span><td>{}<td>{}<br><span class=\"small\">{}</span><td>{prompt}<td class=\"small\">{}<td class=\"small\">{}<td>{}",
            escaped(&finding.path),
            finding.line,
            escaped(&finding.operation),
            finding.kind.as_str(),
            escaped(&finding.vendor),
            escaped(&library),
            escaped(&model),
            escaped(&finding.flags.words().join(", ")),
            escaped(&finding.parameters.join(", ")),
            escaped(&finding.response.join(", ")),
            escaped(&finding.owners.join(", ")),
            finding.confidence.as_str(),
        )?;
    }
    page.push_str("</table></div>\n");
    Ok(())
}

fn other_rows(page: &mut String, others: &[&Finding]) -> std::fmt::Result {
    if others.is_empty() {
        return Ok(());
    }
    page.push_str("<h2>Configuration, dependencies and keys</h2>\n<div class=\"scroll\"><table><tr><th>where<th>kind<th>vendor<th>seen<th>model<th>sure\n");
    for finding in others {
        let class = if finding.kind == Kind::Key { " class=\"over\"" } else { "" };
        writeln!(
            page,
            "<tr><td class=\"where\">{}:{}<td{class}>{}<td>{}<td>{}<td>{}<td>{}",
            escaped(&finding.path),
            finding.line,
            finding.kind.as_str(),
            escaped(&finding.vendor),
            escaped(&finding.seen),
            escaped(finding.model.id.as_deref().unwrap_or("")),
            finding.confidence.as_str(),
        )?;
    }
    page.push_str("</table></div>\n");
    Ok(())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
