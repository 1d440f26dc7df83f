//! What was asked for beside what code asks for: by operation and model, with the vendor where a model is not known.

use std::collections::BTreeMap;

use serde::Serialize;

use super::gather::Use;
use crate::scan::{self, Finding, Kind};

/// Where something was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Seen {
    /// In code and in traffic.
    Both,
    /// In code, and no request of it is on record.
    CodeOnly,
    /// In traffic, and no code that was looked through says it.
    TrafficOnly,
}

/// By what code and traffic were taken for one; the surest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The same operation with the same model.
    Model,
    /// The same model with another operation that writes text: frameworks choose it themselves.
    ModelAlone,
    /// The model stands in configuration.
    Setting,
    /// The same operation of the same vendor; the code does not say which model.
    Operation,
    /// The same vendor: a client that is made, whose operation is elsewhere.
    Vendor,
}

/// One line of the two inventories.
#[derive(Debug, Clone, PartialEq)]
pub struct Row<'a> {
    /// Where it was seen.
    pub seen: Seen,
    /// By what, when in both.
    pub by: Option<By>,
    /// What is done.
    pub operation: String,
    /// The model, or the name that applications call; empty where code does not say.
    pub model: String,
    /// Whose service; several where several answered.
    pub vendors: Vec<String>,
    /// The places in code. Where `by` is `operation`, they may mean others of that operation too.
    pub sites: Vec<&'a Finding>,
    /// The sum of the requests.
    pub traffic: Option<&'a Use>,
}

/// A vendor that says nothing of who is behind the gateway.
const ANYBODY: [&str; 4] = ["", "-", "unknown", "self-hosted"];
/// Operations that write text: a framework's client asks for one or another.
const WRITES: [&str; 3] = ["chat", "responses", "completions"];

/// Sites of one operation, model and vendor.
struct Group<'a> {
    operation: &'a str,
    model: Option<&'a str>,
    vendor: &'a str,
    sites: Vec<&'a Finding>,
    is_met: bool,
}

/// Lays the sums beside the sites in code. Every sum is one row, most requests first as they come; below stand sites of which nothing was
/// asked for.
#[must_use]
pub fn join<'a>(findings: &'a [Finding], uses: &'a [Use]) -> Vec<Row<'a>> {
    let mut groups = groups(findings);
    let mut rows: Vec<Row<'a>> = uses.iter().map(|of| beside(of, &mut groups, findings)).collect();
    let all: Vec<String> = uses.iter().flat_map(vendors).collect();
    for group in groups.iter_mut().filter(|group| group.operation == "client") {
        group.is_met = all.iter().any(|vendor| is_same_vendor(group.vendor, vendor));
    }
    let alone = groups.into_iter().filter(|group| !group.is_met || group.operation == "client").map(|group| Row {
        seen: if group.is_met { Seen::Both } else { Seen::CodeOnly },
        by: group.is_met.then_some(By::Vendor),
        operation: group.operation.to_owned(),
        model: group.model.unwrap_or_default().to_owned(),
        vendors: vec![group.vendor.to_owned()],
        sites: group.sites,
        traffic: None,
    });
    rows.extend(alone);
    rows.sort_by_key(|row| row.seen);
    rows
}

fn groups(findings: &[Finding]) -> Vec<Group<'_>> {
    let mut groups: BTreeMap<(&str, Option<&str>, &str), Vec<&Finding>> = BTreeMap::new();
    for finding in findings.iter().filter(|finding| finding.kind.is_site()) {
        let key = (finding.operation.as_str(), finding.model.id.as_deref(), finding.vendor.as_str());
        groups.entry(key).or_default().push(finding);
    }
    let group = |((operation, model, vendor), sites)| Group { operation, model, vendor, sites, is_met: false };
    groups.into_iter().map(group).collect()
}

/// The row of a sum.
fn beside<'a>(of: &'a Use, groups: &mut [Group<'a>], findings: &'a [Finding]) -> Row<'a> {
    let names: Vec<String> =
        std::iter::once(&of.route).chain(of.models.iter().map(|asked| &asked.model)).map(|name| plain(name)).collect();
    let is_named = |model: Option<&str>| model.is_some_and(|id| names.contains(&plain(id)));
    let whose = vendors(of);
    let is_of_vendor = |vendor: &str| whose.is_empty() || whose.iter().any(|own| is_same_vendor(vendor, own));
    let writes = |operation: &str| WRITES.contains(&operation);
    let mut sites: Vec<&'a Finding> = Vec::new();
    let mut by = None;
    let mut take = |groups: &mut [Group<'a>], how: By, fits: &dyn Fn(&Group<'a>) -> bool| {
        for group in groups.iter_mut().filter(|group| group.operation != "client" && fits(group)) {
            group.is_met = true;
            by = by.or(Some(how));
            sites.extend(&group.sites);
        }
        by.is_some()
    };
    let found = take(groups, By::Model, &|group| group.operation == of.operation && is_named(group.model))
        || take(groups, By::ModelAlone, &|group| {
            writes(group.operation) && writes(&of.operation) && is_named(group.model)
        });
    // A site that does not say which model may be of every name of its operation.
    take(groups, By::Operation, &|group| {
        group.model.is_none() && group.operation == of.operation && is_of_vendor(group.vendor)
    });
    let settings =
        findings.iter().filter(|finding| finding.kind == Kind::Model && is_named(finding.model.id.as_deref()));
    if !found {
        let settings: Vec<&Finding> = settings.collect();
        if !settings.is_empty() {
            by = Some(By::Setting);
            sites.splice(0..0, settings);
        }
    }
    Row {
        seen: if by.is_some() { Seen::Both } else { Seen::TrafficOnly },
        by,
        operation: of.operation.clone(),
        model: of.route.clone(),
        vendors: whose,
        sites,
        traffic: Some(of),
    }
}

/// Whose service it is: who answered, else whose model the name is.
fn vendors(of: &Use) -> Vec<String> {
    let mut vendors: Vec<String> = Vec::new();
    let answered = of.models.iter().map(|asked| asked.vendor.as_str()).filter(|vendor| !vendor.is_empty());
    for vendor in answered.chain(scan::vendor_of_model(&of.route)) {
        if !vendors.iter().any(|own| own == vendor) {
            vendors.push(vendor.to_owned());
        }
    }
    vendors
}

fn is_same_vendor(code: &str, traffic: &str) -> bool {
    let family = |vendor: &str| if vendor == "azure-openai" { "openai".to_owned() } else { vendor.to_owned() };
    ANYBODY.contains(&code) || family(code) == family(traffic)
}

/// An id without whose it is in front, in lower case: routers write `openai/gpt-4o`.
fn plain(id: &str) -> String {
    let vendor = scan::vendor_of_model(id);
    let bare = if vendor.is_some() && !id.starts_with("ft:") { id.rsplit('/').next().unwrap_or(id) } else { id };
    bare.to_lowercase()
}
