//! The same answers scored by other tools' definitions of a like name, as their published code has them; promptfoo's ROUGE, which needs its
//! tokenizer, as js-rouge 3.2.3 gives it. A page's table is made of what both say here, so that our side of it cannot go stale unseen.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use eval::metric::squad::normalised;
use eval::metric::{Answer, Case};
use serde_json::{Value, json};

use super::metric;

const BEGIN: &str = "<!-- disagreements, written by the test of that name with UPDATE_EXPECT=1 -->";
const END: &str = "<!-- end of disagreements -->";

/// An answer, a reference, and who says what.
struct Row {
    tool: &'static str,
    theirs: f64,
    ours: &'static str,
    scale: f64,
    answer: &'static str,
    reference: &'static str,
    settings: Value,
    expected: f64,
    why: &'static str,
}

fn row(
    (tool, theirs): (&'static str, f64),
    (ours, expected): (&'static str, f64),
    (answer, reference): (&'static str, &'static str),
    why: &'static str,
) -> Row {
    // sacreBLEU counts to a hundred.
    let scale = if ours == "bleu" { 100.0 } else { 1.0 };
    Row { tool, theirs, ours, scale, answer, reference, settings: Value::Null, expected, why }
}

/// HELM's `f1_score`: SQuAD's normalisation, then sets; nothing on either side is 0.
fn helm_f1(answer: &str, reference: &str) -> f64 {
    let (one, other): (BTreeSet<String>, BTreeSet<String>) =
        (normalised(answer).into_iter().collect(), normalised(reference).into_iter().collect());
    let n_same = one.intersection(&other).count() as f64;
    let total = (one.len() + other.len()) as f64;
    if one.is_empty() || other.is_empty() { 0.0 } else { 2.0 * n_same / total }
}

/// inspect's words: split at blanks and hyphens, each by itself without punctuation and articles, numbers as numbers, and a set of them.
fn inspect_words(text: &str) -> BTreeSet<String> {
    let word = |token: &str| match token.to_lowercase() {
        token if token.parse::<f64>().is_ok() => format!("{:?}", token.parse::<f64>().unwrap()),
        token => {
            let token: String = token.chars().filter(|c| !c.is_ascii_punctuation()).collect();
            if ["a", "an", "the"].contains(&token.as_str()) { String::new() } else { token }
        }
    };
    text.split([' ', '-']).map(word).filter(|word| !word.is_empty()).collect()
}

/// inspect's `f1`: of sets, a side without words is perfect, rounded to two places.
fn inspect_f1(answer: &str, reference: &str) -> f64 {
    let (one, other) = (inspect_words(answer), inspect_words(reference));
    let n_same = one.intersection(&other).count() as f64;
    let part = |of: &BTreeSet<String>| if of.is_empty() { 1.0 } else { n_same / of.len() as f64 };
    let (precision, recall) = (part(&one), part(&other));
    let f1 = if precision + recall > 0.0 { 2.0 * precision * recall / (precision + recall) } else { 0.0 };
    (f1 * 100.0).round() / 100.0
}

/// promptfoo's `bleu`: words between blanks in lower case, effective order, and 1e-7 for a precision of 0.
fn promptfoo_bleu(answer: &str, reference: &str) -> f64 {
    let words = |text: &str| text.to_lowercase().split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let (answer, reference) = (words(answer), words(reference));
    let grams = |words: &[String], n: usize| {
        let mut grams: BTreeMap<Vec<String>, usize> = BTreeMap::new();
        words.windows(n).for_each(|gram| *grams.entry(gram.to_vec()).or_default() += 1);
        grams
    };
    let precision = |n: usize| {
        let known = grams(&reference, n);
        let same: usize = grams(&answer, n).iter().map(|(gram, n)| *n.min(known.get(gram).unwrap_or(&0))).sum();
        let precision = same as f64 / (answer.len() + 1 - n) as f64;
        if precision > 0.0 { precision } else { 1e-7 }
    };
    let (c, r) = (answer.len() as f64, reference.len() as f64);
    let penalty = if c > r { 1.0 } else { (1.0 - r / c).exp() };
    let orders = answer.len().min(4);
    penalty * ((1..=orders).map(|n| precision(n).ln()).sum::<f64>() / orders as f64).exp()
}

/// Of the two texts.
fn by(tool: &'static str, rule: fn(&str, &str) -> f64, texts: (&'static str, &'static str)) -> (&'static str, f64) {
    (tool, rule(texts.0, texts.1))
}

fn equal(answer: &str, reference: &str) -> f64 {
    f64::from(u8::from(answer == reference))
}

fn begins(answer: &str, reference: &str) -> f64 {
    f64::from(u8::from(answer.trim().starts_with(reference.trim())))
}

fn rows() -> Vec<Row> {
    let (helm, inspect, bleu, rouge) = ("HELM `f1_score`", "inspect `f1`", "promptfoo `bleu`", "promptfoo `rouge-n`");
    let repeated = ("refund refund refund refund issued", "refund issued");
    let hyphens = ("state-of-the-art model", "state of the art model");
    let (zeros, points) = (("3.0", "3"), ("3.5", "35"));
    let nothing = ("The", "a");
    let thirds = ("one two three", "one two four five");
    let broken = ("Parcels are sent within two days.", "We send parcels within two days.");
    let stop = ("Parcels arrive within two working days.", "Parcels arrive within two working days");
    let loud = ("PARCELS ARRIVE WITHIN TWO DAYS", "parcels arrive within two days");
    let monday = ("The customer's refund was issued on Monday.", "The customer's refund was issued on Monday");
    let days = ("Parcels are sent within two days, not three.", "We send parcels within two days.");
    let between = ("It takes 3-5 days.", "It takes 3-5 business days, at most.");
    let (blank, more) = (("Yes\n", "Yes"), ("Yes, but not today", "Yes"));
    let address = ("{\"ip\":\"127.0.0.1\"}", "format: ipv4");
    let fence = ("```json\n{\"a\":1}\n```", "");
    let schema = json!({ "schema": { "properties": { "ip": { "type": "string", "format": "ipv4" } } } });
    let valid = row(
        ("lm-eval `schema_compliance`", 0.0),
        ("json_schema", 1.0),
        address,
        "its check of a format returns nothing, which counts as a failure: every IPv4, IPv6 and UUID is wrong; ours asserts no format",
    );
    vec![
        row(by(helm, helm_f1, repeated), ("squad_f1", 4.0 / 7.0), repeated, "sets of words, where SQuAD counts each"),
        row(by(inspect, inspect_f1, repeated), ("squad_f1", 4.0 / 7.0), repeated, "sets of words"),
        row(by(inspect, inspect_f1, hyphens), ("squad_f1", 1.0 / 3.0), hyphens, "splits at hyphens first"),
        row(by(inspect, inspect_f1, zeros), ("squad_f1", 0.0), zeros, "reads numbers as numbers"),
        row(by(inspect, inspect_f1, points), ("squad_f1", 1.0), points, "SQuAD takes the point out of a number"),
        row(by(helm, helm_f1, nothing), ("squad_f1", 1.0), nothing, "two texts without words are 0, where SQuAD has 1"),
        row(by(inspect, inspect_f1, thirds), ("squad_f1", 4.0 / 7.0), thirds, "rounded to two places before the mean"),
        row(
            by(bleu, promptfoo_bleu, broken),
            ("bleu", 41.113_361_690_051_98),
            broken,
            "no match of one length counts 1e-7",
        ),
        row(by(bleu, promptfoo_bleu, stop), ("bleu", stop_bleu()), stop, "punctuation stays on the word"),
        row(by(bleu, promptfoo_bleu, loud), ("bleu", 0.0), loud, "in lower case, where sacreBLEU keeps it"),
        row((rouge, 2.0 / 3.0), ("rouge_1", 1.0), ("Yes.", "yes"), "a full stop is a word"),
        row((rouge, 16.0 / 17.0), ("rouge_1", 1.0), monday, "the same"),
        row((rouge, 10.0 / 17.0), ("rouge_1", 4.0 / 7.0), days, "commas and full stops are words that agree"),
        row((rouge, 5.0 / 7.0), ("rouge_1", 10.0 / 13.0), between, "`3-5` is one word"),
        row(
            by("lm-eval `exact_match`", equal, blank),
            ("exact_match", 1.0),
            blank,
            "white space around is not taken off",
        ),
        row(
            by("openai/evals `Match`", begins, more),
            ("exact_match", 0.0),
            more,
            "it is enough to begin with the reference",
        ),
        row(by("HELM `prefix_exact_match`", begins, more), ("exact_match", 0.0), more, "the same"),
        Row { settings: schema, ..valid },
        row(
            ("lm-eval `json_validity`", 1.0),
            ("json_valid", 0.0),
            fence,
            "takes code fences off; here that is the outcome `fenced`, and wrong",
        ),
    ]
}

/// Of seven tokens six are right, and so on.
fn stop_bleu() -> f64 {
    100.0 * (6.0_f64 / 7.0 * 5.0 / 6.0 * 4.0 / 5.0 * 3.0 / 4.0).powf(0.25)
}

fn shown(text: &str) -> String {
    let text = text.replace('\n', "\\n");
    if text.is_empty() { "-".to_owned() } else { format!("`` {text} ``") }
}

#[test]
fn disagreements_with_other_tools_are_those_of_the_page() {
    let mut table =
        String::from("| there | answer | reference | theirs | ours | | why |\n|---|---|---|---|---|---|---|\n");
    for row in rows() {
        let case = Case { references: vec![row.reference.to_owned()], ..Case::default() };
        let answer = Answer { text: row.answer.to_owned(), ..Answer::default() };
        let ours = metric(row.ours, row.settings.clone()).score(&case, &answer).as_value().unwrap();
        let what = format!("{} of {:?}", row.ours, row.answer);
        assert!((ours - row.expected).abs() < 1e-9, "{what}: {ours}, not {}", row.expected);
        let ours = ours / row.scale;
        assert!((ours - row.theirs).abs() > 1e-3, "{what}: {} agrees", row.tool);
        table += &format!(
            "| {} | {} | {} | {:.4} | {ours:.4} | `{}` | {} |\n",
            row.tool,
            shown(row.answer),
            shown(row.reference),
            row.theirs,
            row.ours,
            row.why
        );
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (found, after) = rest.split_once(END).unwrap();
    let wanted = format!("\n\n{table}\n");
    if std::env::var_os("UPDATE_EXPECT").is_some_and(|set| set == "1") {
        std::fs::write(&path, format!("{before}{BEGIN}{wanted}{END}{after}")).unwrap();
    } else {
        assert_eq!(found, wanted, "UPDATE_EXPECT=1 writes the table anew");
    }
}
