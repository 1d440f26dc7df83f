//! `tco`: what a worksheet of costs begins with where nothing is on record. These are assumptions, and stay called that until somebody puts a figure of their own there.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Map, Value};

use super::reader::Section;
use super::rollouts::Workloads;
use super::targets::Routes;

/// Figures beside the sides that may be assumed.
const BESIDE: [&str; 4] = ["review_hour", "growth.tasks", "growth.tokens", "one_off.migration"];
/// Figures of a side that may be. How good answers are, how many there are and what one costs may not: that is measured.
const OF_A_SIDE: [&str; 21] = [
    "price_change",
    "review.sampled",
    "review.sampled_minutes",
    "review.escalated",
    "review.escalated_minutes",
    "review.fixed",
    "undetected.share",
    "undetected.cost",
    "gpus.peak.per_gpu",
    "gpus.per_hour",
    "fallback.share",
    "fallback.minimum",
    "items.storage",
    "items.load_balancers",
    "items.observability",
    "items.quality_staff",
    "items.on_call",
    "items.security_review",
    "items.evaluation_runs",
    "items.embeddings",
    "items.vector_storage",
];
const SIDES: [&str; 2] = ["baseline", "candidate"];
/// Of both sides alike.
const BOTH: &str = "both.";

/// What is assumed of costs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Assumed {
    /// Figures by their place in a worksheet: `candidate.items.on_call`.
    figures: BTreeMap<String, Value>,
    /// Whose assumptions they are.
    evidence: String,
}

/// Worksheets by the workload or route that each is of.
pub(crate) type Worksheets = BTreeMap<String, PathBuf>;

/// `tco`.
pub(super) fn read(root: &Section<'_>, routes: &Routes, workloads: &Workloads) -> (Assumed, Worksheets) {
    let section = root.section("tco");
    let mut worksheets = Worksheets::new();
    let of: Vec<&str> = routes.found.keys().chain(workloads.found.keys()).map(String::as_str).collect();
    for (name, item) in section.named("worksheets") {
        if of.contains(&name.value.as_str()) {
            worksheets.extend(item.path().map(|path| (name.value.clone(), path)));
        } else {
            item.unknown_key(&name, of.iter().copied());
        }
    }
    let said = section.get("evidence").and_then(|item| item.string()).map(|written| written.value);
    let evidence = match said {
        Some(said) => format!("assumed by `tco` of the config: {said}"),
        None => "assumed by `tco` of the config".to_owned(),
    };
    let mut figures = BTreeMap::new();
    let known = known();
    for (name, item) in section.named("assumed") {
        if !known.contains(&name.value) {
            item.unknown_key(&name, known.iter().map(String::as_str));
            continue;
        }
        let Some(figure) = item.json() else { continue };
        let sides = name.value.strip_prefix(BOTH).map(|of| SIDES.map(|side| format!("{side}.{of}")));
        for place in sides.map_or_else(|| vec![name.value.clone()], Vec::from) {
            // What is said of a side itself goes before what is said of both.
            if name.value.starts_with(BOTH) {
                figures.entry(place).or_insert_with(|| figure.clone());
            } else {
                figures.insert(place, figure.clone());
            }
        }
    }
    section.finish();
    (Assumed { figures, evidence }, worksheets)
}

fn known() -> Vec<String> {
    let of = |side: &'static str| OF_A_SIDE.iter().map(move |place| format!("{side}.{place}"));
    BESIDE
        .iter()
        .map(|place| (*place).to_owned())
        .chain(["both", "baseline", "candidate"].into_iter().flat_map(of))
        .collect()
}

impl Assumed {
    /// The worksheet with assumptions in place of what is unknown, and how many of them.
    pub(crate) fn fill(&self, worksheet: &str) -> (String, usize) {
        let (mut filled, mut n) = (String::with_capacity(worksheet.len()), 0);
        let mut above: Vec<(usize, &str)> = Vec::new();
        for line in worksheet.lines() {
            let text = line.trim_start();
            let indent = line.len() - text.len();
            let key = text.split_once(':').map(|(key, _)| key).filter(|_| !text.starts_with(['#', '-']));
            if let Some(key) = key {
                above.retain(|(of, _)| *of < indent);
                above.push((indent, key));
            }
            let base = above.iter().map(|(_, key)| *key).collect::<Vec<_>>().join(".");
            let (line, n_here) = self.line(line, (&base, key));
            n += n_here;
            filled += &line;
            filled.push('\n');
        }
        (filled, n)
    }

    /// One line, which may ask for several figures: `growth: { tasks: unknown, tokens: unknown }`.
    fn line(&self, line: &str, (base, own): (&str, Option<&str>)) -> (String, usize) {
        const ASKS: &str = ": unknown";
        let code = line.find(" #").unwrap_or(line.len());
        let (mut filled, mut from, mut n) = (String::new(), 0, 0);
        for (at, _) in line[..code].match_indices(ASKS) {
            let start = line[..at].rfind([' ', '{']).map_or(0, |space| space + 1);
            let key = &line[start..at];
            let place = if Some(key) == own { base.to_owned() } else { format!("{base}.{key}") };
            let Some(figure) = self.figure(&place) else { continue };
            filled += &line[from..at];
            filled += ": ";
            filled += &self.written(figure);
            from = at + ASKS.len();
            n += 1;
        }
        (filled + &line[from..], n)
    }

    fn figure(&self, place: &str) -> Option<&Value> {
        let within = || {
            let (above, key) = place.rsplit_once('.')?;
            self.figures.get(above)?.get(key)
        };
        self.figures.get(place).or_else(within)
    }

    /// A figure as the worksheet has it, called an assumption.
    fn written(&self, figure: &Value) -> String {
        self.marked(figure).to_string().replace("${", "$${")
    }

    fn marked(&self, figure: &Value) -> Value {
        let with = |mut members: Map<String, Value>| {
            let own = members.remove("evidence").and_then(|own| own.as_str().map(str::to_owned));
            let evidence = own.map_or_else(|| self.evidence.clone(), |own| format!("{}; {own}", self.evidence));
            members.insert("provenance".to_owned(), "assumed".into());
            members.insert("evidence".to_owned(), evidence.into());
            Value::Object(members)
        };
        match figure {
            Value::Number(_) => with(Map::from_iter([("value".to_owned(), figure.clone())])),
            Value::Object(members) if members.contains_key("value") => with(members.clone()),
            Value::Object(members) => {
                let said = |(key, value): (&String, &Value)| match (key.as_str(), value) {
                    ("none", Value::String(reason)) => (key.clone(), format!("{reason} ({})", self.evidence).into()),
                    _ => (key.clone(), self.marked(value)),
                };
                Value::Object(members.iter().map(said).collect())
            }
            Value::Array(parts) => parts.iter().map(|part| self.marked(part)).collect(),
            _ => figure.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{render, resolve};

    fn assumed(text: &str) -> Assumed {
        resolve("c.yaml", text, &|_| None).map_err(|errors| render(&errors)).unwrap().assumed
    }

    #[test]
    fn what_is_unknown_and_assumed_is_filled_in_and_called_an_assumption() {
        let assumed = assumed(
            "tco:\n  evidence: a start\n  assumed:\n    growth.tokens: 0.01\n    both.review.fixed: { value: 0.9, low: 0.8, high: 1 }\n    \
             candidate.review.fixed: 0.5\n    both.items.on_call: { none: paid anyway }\n    candidate.items.evaluation_runs: { quantity: 2, price: 9 }\n",
        );
        let sheet = "growth: { tasks: unknown, tokens: unknown }\nbaseline:\n  review:\n    fixed: unknown   # people: unknown\n  items:\n    on_call: unknown\n\
                     candidate:\n  review:\n    fixed: unknown\n  items:\n    evaluation_runs: { quantity: unknown, price: { value: 1 } }\n    on_call: 7\n";
        let (filled, n) = assumed.fill(sheet);
        let by = "assumed by `tco` of the config: a start";
        let expected = format!(
            "growth: {{ tasks: unknown, tokens: {{\"value\":0.01,\"provenance\":\"assumed\",\"evidence\":\"{by}\"}} }}\nbaseline:\n  review:\n    \
             fixed: {{\"value\":0.9,\"low\":0.8,\"high\":1,\"provenance\":\"assumed\",\"evidence\":\"{by}\"}}   # people: unknown\n  items:\n    \
             on_call: {{\"none\":\"paid anyway ({by})\"}}\ncandidate:\n  review:\n    fixed: {{\"value\":0.5,\"provenance\":\"assumed\",\"evidence\":\"{by}\"}}\n  \
             items:\n    evaluation_runs: {{ quantity: {{\"value\":2,\"provenance\":\"assumed\",\"evidence\":\"{by}\"}}, price: {{ value: 1 }} }}\n    on_call: 7\n"
        );
        // A map of serde_json may have its members in either order.
        let sorted = |text: &str| {
            let mut parts: Vec<String> = text.split([',', '{', '}']).map(|part| part.trim().to_owned()).collect();
            parts.sort();
            parts
        };
        assert_eq!((sorted(&filled), n), (sorted(&expected), 5), "{filled}");
        assert!(filled.contains("tasks: unknown") && filled.contains("# people: unknown"), "{filled}");
    }

    #[test]
    fn what_is_measured_is_not_assumed() {
        let errors = resolve("c.yaml", "tco: { assumed: { candidate.first_pass: 0.9, review_hours: 4 } }\n", &|_| None);
        let errors = render(&errors.err().unwrap());
        assert!(errors.contains("candidate.first_pass") && errors.contains("`review_hour`"), "{errors}");
    }
}
