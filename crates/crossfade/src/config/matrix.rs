//! The file of `crossfade bench matrix`: commands that start and stop a server, the settings that are tried, and the load. Read like the config.

use std::collections::BTreeMap;
use std::time::Duration;

use super::error::{ConfigError, nearest};
use super::reader::{Item, Section, Written};
use super::with_root;

/// Cells of one file at most: each is minutes of somebody's GPU.
const MOST_CELLS: usize = 1000;

/// Names that are filled in by the run and by no setting.
pub(crate) const GIVEN: [&str; 2] = ["port", "cell"];

/// A matrix as it was written, its commands filled in.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Matrix {
    /// What it is called.
    pub name: Option<String>,
    /// The cells, in order.
    pub cells: Vec<CellPlan>,
    /// The environment variable with the key.
    pub key_from: Option<String>,
    /// How long a server may take to its first answer.
    pub ready_within: Duration,
    /// How long it may take to stop.
    pub stop_within: Duration,
    /// What is remembered of every cell.
    pub metadata: BTreeMap<String, String>,
}

/// One server with its settings. In its texts only `{port}` is left to fill in.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct CellPlan {
    /// Its settings in one line.
    pub label: String,
    /// Its settings, in the order of the file.
    pub settings: Vec<(String, String)>,
    /// The command that starts it; it is there already where there is none.
    pub start: Option<String>,
    /// The command that stops it.
    pub stop: Option<String>,
    /// Where it answers.
    pub url: String,
    /// The model it is asked for.
    pub model: String,
    /// The load, as flags of `bench run`.
    pub load: Vec<String>,
}

/// The key that is wrong, where that is known, and why.
pub(crate) type WrongLoad = (Option<String>, String);

/// What is known of the load's flags: their names as keys, and whether they can be read.
pub(crate) struct LoadFlags<'f> {
    /// The keys.
    pub known: Vec<String>,
    /// Keys whose values are paths beside the file.
    pub paths: &'f [&'f str],
    /// Says what is wrong with these flags, and with which of the keys where that is known.
    pub check: &'f dyn Fn(&[String]) -> Result<(), WrongLoad>,
}

/// Reads a matrix.
///
/// # Errors
/// Every problem found, in the order of the file.
pub(crate) fn matrix(source_name: &str, text: &str, flags: &LoadFlags<'_>) -> Result<Matrix, Vec<ConfigError>> {
    let environment = |name: &str| std::env::var(name).ok();
    with_root(source_name, text, &environment, |root| read(&root_of(root), flags))
}

/// The sections of the file, each asked for once.
struct Parts<'a> {
    root: Section<'a>,
    templates: Templates<'a>,
    load: Vec<(Written<String>, Item<'a>)>,
}

struct Templates<'a> {
    start: Option<Item<'a>>,
    stop: Option<Item<'a>>,
    url: Option<Item<'a>>,
    model: Option<Item<'a>>,
}

fn root_of(root: Section<'_>) -> Parts<'_> {
    let templates =
        Templates { start: root.get("start"), stop: root.get("stop"), url: root.need("url"), model: root.get("model") };
    let load = root.need("load").map(|item| item.named()).unwrap_or_default();
    Parts { root, templates, load }
}

fn read(parts: &Parts<'_>, flags: &LoadFlags<'_>) -> Matrix {
    let root = &parts.root;
    let time = |key, usual| root.get(key).and_then(|item| item.duration()).unwrap_or(Duration::from_secs(usual));
    let texts = |key| {
        let named = root.named(key).into_iter();
        named.filter_map(|(name, item)| Some((name.value, item.string()?.value))).collect()
    };
    let mut matrix = Matrix {
        name: root.get("name").and_then(|item| item.string()).map(|written| written.value),
        key_from: root.get("key_from").and_then(|item| item.string()).map(|written| written.value),
        ready_within: time("ready_within", 600),
        stop_within: time("stop_within", 60),
        metadata: texts("meta"),
        cells: Vec::new(),
    };
    let settings = settings(root);
    root.unknown_keys();
    for (key, item) in parts.load.iter().filter(|(key, _)| !flags.known.contains(&key.value)) {
        item.unknown_key(key, flags.known.iter().map(String::as_str));
    }
    matrix.cells =
        settings.into_iter().enumerate().map(|(idx, settings)| cell((idx, settings), parts, flags)).collect();
    matrix
}

/// The settings of each cell: every combination of `settings` but those that `skip` names, then `cells`.
fn settings(root: &Section<'_>) -> Vec<Vec<(String, String)>> {
    let axes: Vec<(String, Vec<String>)> =
        root.named("settings").into_iter().map(|(name, item)| axis(&name, &item)).collect();
    let mut cells: Vec<Vec<(String, String)>> = if axes.is_empty() { Vec::new() } else { vec![Vec::new()] };
    for (name, values) in &axes {
        let with = |cell: &Vec<(String, String)>| {
            let longer = |value: &String| cell.iter().cloned().chain([(name.clone(), value.clone())]).collect();
            values.iter().map(longer).collect::<Vec<_>>()
        };
        cells = cells.iter().flat_map(with).collect();
        if cells.len() > MOST_CELLS {
            root.note(format!("`settings` make more than {MOST_CELLS} cells"), None);
            return Vec::new();
        }
    }
    if let Some(item) = root.get("skip") {
        for one in item.list("maps of settings").unwrap_or_default() {
            let left_out = of_map(&one);
            let before = cells.len();
            cells.retain(|cell| !left_out.iter().all(|setting| cell.contains(setting)));
            if left_out.is_empty() || cells.len() == before {
                one.note("no combination of `settings` is like this", None);
            }
        }
    }
    if let Some(item) = root.get("cells") {
        for one in item.list("maps of settings").unwrap_or_default() {
            let own = of_map(&one);
            if own.is_empty() {
                one.note("a cell needs a setting", None);
            } else if cells.contains(&own) {
                one.note("this cell is there twice", None);
            } else {
                cells.push(own);
            }
        }
    }
    if cells.is_empty() {
        let hint = "write `settings: { slots: [1, 4] }` for every combination, or `cells:` with a list of maps";
        root.note("nothing is compared: there is no cell", Some(hint.to_owned()));
    }
    cells
}

fn axis(name: &Written<String>, item: &Item<'_>) -> (String, Vec<String>) {
    if GIVEN.contains(&name.value.as_str()) || !is_name(&name.value) {
        let hint = format!("letters, digits and `_`; {} are filled in by the run", GIVEN.join(" and "));
        item.note(format!("`{}` cannot be the name of a setting", name.value), Some(hint));
    }
    let mut values: Vec<String> = Vec::new();
    for one in item.one_or_more("values") {
        // An empty text is a setting too: no flags.
        let Some(value) = text(&one) else { continue };
        if values.contains(&value) {
            one.note(format!("`{value}` is there twice"), None);
        } else {
            values.push(value);
        }
    }
    (name.value.clone(), values)
}

fn of_map(item: &Item<'_>) -> Vec<(String, String)> {
    item.named().into_iter().filter_map(|(name, item)| Some((name.value, text(&item)?))).collect()
}

/// A text, a number or a truth as it was written.
fn text(item: &Item<'_>) -> Option<String> {
    if item.is_map() && !item.is_nothing() || item.is_list() {
        item.note("expected a text or a number", None);
        return None;
    }
    item.string().map(|written| written.value)
}

fn cell((idx, settings): (usize, Vec<(String, String)>), parts: &Parts<'_>, flags: &LoadFlags<'_>) -> CellPlan {
    let label = settings.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",");
    let mut fill = Filled { settings: &settings, idx };
    let templates = &parts.templates;
    let of = |item: &Option<Item<'_>>, fill: &Filled<'_>| item.as_ref().and_then(|item| fill.item(item));
    let (start, stop) = (of(&templates.start, &fill), of(&templates.stop, &fill));
    let url = of(&templates.url, &fill).unwrap_or_default();
    let model = of(&templates.model, &fill).unwrap_or_else(|| "default".to_owned());
    let load = load(parts, flags, &mut fill);
    if let Err((key, why)) = (flags.check)(&load) {
        let named = key.and_then(|key| parts.load.iter().find(|(name, _)| name.value == key));
        match named {
            Some((_, item)) => item.note(why, None),
            None => parts.root.note_under("load", why),
        }
    }
    CellPlan { label, settings, start, stop, url, model, load }
}

/// The load as flags. A map is `limit=value` pairs but for `extra`, which is JSON; a list is one text with commas; `true` is a flag alone.
fn load(parts: &Parts<'_>, flags: &LoadFlags<'_>, fill: &mut Filled<'_>) -> Vec<String> {
    let mut arguments = Vec::new();
    for (key, item) in parts.load.iter().filter(|(key, _)| flags.known.contains(&key.value)) {
        let flag = format!("--{}", key.value.replace('_', "-"));
        let value = if key.value == "extra" {
            item.json().map(|json| json.to_string())
        } else if flags.paths.contains(&key.value.as_str()) {
            item.path().map(|path| path.display().to_string())
        } else if item.is_list() {
            let parts = item.list("values").unwrap_or_default();
            parts.iter().map(|item| fill.item(item)).collect::<Option<Vec<_>>>().map(|parts| parts.join(","))
        } else if item.is_map() {
            let pairs = item.named().into_iter();
            pairs
                .map(|(name, item)| Some(format!("{}={}", name.value, fill.item(&item)?)))
                .collect::<Option<Vec<_>>>()
                .map(|pairs| pairs.join(","))
        } else if let Some(is) = item.is_boolean() {
            arguments.extend(is.then_some(flag));
            continue;
        } else {
            fill.item(item)
        };
        // A value may begin with a dash.
        arguments.extend(value.map(|value| format!("{flag}={value}")));
    }
    arguments
}

/// What placeholders stand for in one cell.
struct Filled<'s> {
    settings: &'s [(String, String)],
    idx: usize,
}

impl Filled<'_> {
    fn item(&self, item: &Item<'_>) -> Option<String> {
        let text = item.string()?.value;
        match fill(&text, |name| self.of(name)) {
            Ok(text) => Some(text),
            Err((name, nth)) => {
                let known = self.settings.iter().map(|(name, _)| name.as_str()).chain(GIVEN);
                let hint = match nearest(&name, known.clone()) {
                    Some(word) => {
                        format!("did you mean `{{{word}}}`? `{{{{{name}}}}}` is the text `{{{name}}}` itself")
                    }
                    None => format!(
                        "there are: {}; `{{{{{name}}}}}` is the text `{{{name}}}` itself",
                        known.collect::<Vec<_>>().join(", ")
                    ),
                };
                item.note_piece((&format!("{{{name}}}"), nth), format!("no setting is called `{name}`"), Some(hint));
                None
            }
        }
    }

    fn of(&self, name: &str) -> Option<String> {
        match name {
            "port" => Some("{port}".to_owned()),
            "cell" => Some((self.idx + 1).to_string()),
            _ => self.settings.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()),
        }
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Replaces `{name}` by what `of` says; `{{name}}` is the text `{name}`, and braces around anything else stay as they are.
///
/// # Errors
/// The first name that `of` does not know, and how many of the same stand before it.
pub(crate) fn fill(text: &str, of: impl Fn(&str) -> Option<String>) -> Result<String, (String, usize)> {
    let (mut filled, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find('{') {
        filled.push_str(&rest[..at]);
        rest = &rest[at..];
        let is_literal = rest.starts_with("{{");
        let from = if is_literal { 2 } else { 1 };
        let name = rest[from..].find('}').map(|end| &rest[from..from + end]).filter(|name| is_name(name));
        match name {
            Some(name) if is_literal && rest[from + name.len()..].starts_with("}}") => {
                filled.push_str(&rest[1..=from + name.len()]);
                rest = &rest[from + name.len() + 2..];
            }
            // A shell's own `${NAME}` is no placeholder.
            Some(name) if !is_literal && !filled.ends_with('$') => {
                let Some(value) = of(name) else {
                    let before = &text[..text.len() - rest.len()];
                    return Err((name.to_owned(), before.matches(&format!("{{{name}}}")).count()));
                };
                filled.push_str(&value);
                rest = &rest[from + name.len() + 1..];
            }
            _ => {
                filled.push('{');
                rest = &rest[1..];
            }
        }
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::render;

    fn flags() -> LoadFlags<'static> {
        let check: &'static dyn Fn(&[String]) -> Result<(), WrongLoad> =
            &|arguments| match arguments.iter().find(|argument| argument.starts_with("--rate=0")) {
                Some(_) => Err((Some("rate".to_owned()), "expected a number above 0".to_owned())),
                None => Ok(()),
            };
        let known = ["rate", "slo", "extra", "ignore_eos", "concurrency"].map(str::to_owned).to_vec();
        LoadFlags { known, paths: &[], check }
    }

    fn check(text: &str, expected: &[&str]) {
        let found = match matrix("m.yaml", text, &flags()) {
            Ok(matrix) => matrix
                .cells
                .iter()
                .map(|cell| {
                    format!("{} | {} | {}", cell.label, cell.start.as_deref().unwrap_or("-"), cell.load.join(" "))
                })
                .collect(),
            Err(errors) => errors
                .iter()
                .map(|error| {
                    format!(
                        "{}:{} {}: {} ({})",
                        error.line,
                        error.column,
                        error.path,
                        error.message,
                        error.hint.as_deref().unwrap_or("-")
                    )
                })
                .collect::<Vec<_>>(),
        };
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn every_combination_is_a_cell_but_those_that_are_skipped() {
        check(
            "url: http://127.0.0.1:{port}/v1\nstart: s -p {port} -q {quant} -np {slots}\nsettings: { quant: [q4, q8], slots: [1, 4] }\n\
             skip: [{ quant: q8, slots: 1 }]\ncells: [{ quant: awq, slots: 2 }]\n\
             load: { concurrency: \"{slots}\", slo: { ttft: 500ms, e2e: 2.5s }, extra: { temperature: 0 }, ignore_eos: true }\n",
            &[
                "quant=q4,slots=1 | s -p {port} -q q4 -np 1 | --concurrency=1 --slo=ttft=500ms,e2e=2.5s --extra={\"temperature\":0} --ignore-eos",
                "quant=q4,slots=4 | s -p {port} -q q4 -np 4 | --concurrency=4 --slo=ttft=500ms,e2e=2.5s --extra={\"temperature\":0} --ignore-eos",
                "quant=q8,slots=4 | s -p {port} -q q8 -np 4 | --concurrency=4 --slo=ttft=500ms,e2e=2.5s --extra={\"temperature\":0} --ignore-eos",
                "quant=awq,slots=2 | s -p {port} -q awq -np 2 | --concurrency=2 --slo=ttft=500ms,e2e=2.5s --extra={\"temperature\":0} --ignore-eos",
            ],
        );
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line_and_key() {
        check(
            "url: http://h:{prot}/v1\nstart: s {slot} {slots}\nsettings: { slots: [1, 1], port: 3 }\nskip: [{ slots: 9 }]\nload: { rate: [0], speeed: 1 }\nstopp: x\n",
            &[
                "1:15 url: no setting is called `prot` (did you mean `{port}`? `{{prot}}` is the text `{prot}` itself)",
                "2:10 start: no setting is called `slot` (did you mean `{slots}`? `{{slot}}` is the text `{slot}` itself)",
                "3:24 settings.slots[1]: `1` is there twice (-)",
                "3:34 settings.port: `port` cannot be the name of a setting (letters, digits and `_`; port and cell are filled in by the run)",
                "4:8 skip[0]: no combination of `settings` is like this (-)",
                "5:15 load.rate: expected a number above 0 (-)",
                "5:20 load.speeed: unknown key (known here: rate, slo, extra, ignore_eos, concurrency)",
                "6:1 stopp: unknown key (did you mean `stop`?)",
            ],
        );
        check(
            "load: { rate: 1 }\nurl: http://h/v1\n",
            &[
                "1:1 : nothing is compared: there is no cell (write `settings: { slots: [1, 4] }` for every combination, or `cells:` with a list of maps)",
            ],
        );
        let errors = matrix("m.yaml", "settings: { a: 1 }\n", &flags()).unwrap_err();
        assert!(render(&errors).contains("`url` is missing") && render(&errors).contains("`load` is missing"));
    }

    #[test]
    fn only_names_in_braces_are_filled_in() {
        let of = |name: &str| (name == "a").then(|| "1".to_owned());
        let text = r#"x {a} {{a}} {"b":{a}} ${a} { a } {}"#;
        assert_eq!(fill(text, of).unwrap(), r#"x 1 {a} {"b":1} ${a} { a } {}"#);
        assert_eq!(fill("{a} {b} {b}", of), Err(("b".to_owned(), 0)));
    }
}
