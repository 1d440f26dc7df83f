//! The judges of a suite: who grades answers or compares them, by what, and when that may decide.

use eval::judge::{Criterion, Floor, Kind, Rules, Scale};

use super::reader::{Item, Section, Written};
use super::suite::SuiteJudge;

/// The name of the only criterion of a judge that was given a text in place of a map.
const ONLY: &str = "quality";
/// The highest point a scale may have.
const MOST_POINTS: u32 = 100;
/// The seed that is sent where none is said.
pub(super) const SEED: u64 = 1;
/// How often a question may be asked.
const MOST_REPEATS: u64 = 9;

/// Reads `judges` of a suite.
pub(super) fn read(root: &Section<'_>) -> Vec<SuiteJudge> {
    root.named("judges").iter().filter_map(|(name, item)| judge(name, item)).collect()
}

fn judge(name: &Written<String>, item: &Item<'_>) -> Option<SuiteJudge> {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    if !name.value.chars().all(is_plain) {
        item.note("the name of a judge is letters, digits, `-`, `_` and `.`", None);
    }
    let section = item.section()?;
    let target = section.need("target").and_then(|item| item.string()).map(|written| written.value);
    let rules = rules(&section);
    let floor = section.get("agreement").map(|item| floor(&item)).unwrap_or_default();
    section.finish();
    Some(SuiteJudge { name: name.value.clone(), target: target?, rules: rules?, floor })
}

/// What a judge is asked.
pub(super) fn rules(section: &Section<'_>) -> Option<Rules> {
    let is_rubric = section.need("kind").and_then(|item| item.word(&[("rubric", true), ("pairwise", false)]));
    let criteria = section.need("criteria").map(|item| criteria(&item)).unwrap_or_default();
    let scale = section.get("scale").map(|item| (item.parsed("`pass_fail`, or points such as `1-5`", scale), item));
    let (seed, temperature) = knobs(section);
    let repeats = section.get("repeats").and_then(|item| item.count(1, MOST_REPEATS)).unwrap_or(1);
    let kind = match (is_rubric?, scale) {
        (true, None) => Kind::Rubric(Scale::Points(1, 5)),
        (true, Some((scale, _))) => Kind::Rubric(scale?),
        (false, None) => Kind::Pairwise,
        (false, Some((_, item))) => {
            item.note("a pairwise judge says which answer is better: it has no scale", None);
            Kind::Pairwise
        }
    };
    Some(Rules { kind, criteria, seed, temperature, repeats })
}

/// The seed and the temperature that are sent to a judge.
pub(super) fn knobs(section: &Section<'_>) -> (u64, Option<f64>) {
    let seed = section.get("seed").and_then(|item| item.count(0, u64::from(u32::MAX))).unwrap_or(SEED);
    let temperature = match section.get("temperature") {
        None => Some(0.0),
        Some(item) if item.json().is_some_and(|value| value.is_null()) => None,
        Some(item) => item.number(0.0, 2.0),
    };
    (seed, temperature)
}

/// Criteria by name, or the text of the only one.
fn criteria(item: &Item<'_>) -> Vec<Criterion> {
    let of = |name: &str, item: &Item<'_>| {
        let text = item.string()?.value.trim().to_owned();
        if text.is_empty() {
            item.note("a criterion says what it asks of an answer", None);
        }
        Some(Criterion { name: name.to_owned(), text })
    };
    if !item.is_map() {
        return of(ONLY, item).into_iter().collect();
    }
    let named = item.named();
    if named.is_empty() {
        item.note("a judge goes by at least one criterion", None);
    }
    named.iter().filter_map(|(name, item)| of(&name.value, item)).collect()
}

fn scale(text: &str) -> Option<Scale> {
    if text == "pass_fail" {
        return Some(Scale::PassFail);
    }
    let (low, high) = text.split_once('-')?;
    let (low, high) = (low.trim().parse().ok()?, high.trim().parse().ok()?);
    (low < high && high <= MOST_POINTS).then_some(Scale::Points(low, high))
}

/// When a judge's word may decide.
pub(super) fn floor(item: &Item<'_>) -> Floor {
    let Some(section) = item.section() else { return Floor::default() };
    let usual = Floor::default();
    let names = |key: &'static str| -> Vec<String> {
        let items = section.get(key).map(|item| item.one_or_more(key)).unwrap_or_default();
        items.iter().filter_map(Item::string).map(|written| written.value).collect()
    };
    let (runs, panels) = (names("runs"), names("panels"));
    let floor = Floor {
        kappa: section.get("kappa").and_then(|item| item.number(0.0, 1.0)).unwrap_or(usual.kappa),
        labelled: section.get("labelled").and_then(|item| item.count(10, 1_000_000)).unwrap_or(usual.labelled),
        runs,
        panels,
    };
    section.finish();
    floor
}
