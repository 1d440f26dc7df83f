//! `crossfade dataset import|check|record|list|show|export`: cases to evaluate on, in versions named by their content.

mod record;

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Subcommand, ValueEnum};
use eval::case::Case;
use eval::dataset::{
    Columns, Dataset, Format, Imported, Located, LocatedKind, Origin, Problems, from_promptfoo, read, tuning,
    version_of,
};
use serde_json::{Value, json};
use store::{Database, DatasetRow};

use super::Place;
use super::time::{now_us, us_to_text};
use crate::config::{Key, Kind, Node, parse_tree};
use crate::load;
use crate::out::{Exit, Out, Stop, table};

/// What can be typed.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Keep the cases of a file: our JSONL, CSV, OpenAI evals, chats with their answer, or promptfoo's YAML.
    Import {
        /// What is read, and how.
        #[command(flatten)]
        from: FromFile,
        /// What the dataset is called; the file's name without its ending when it is not said.
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
    /// Say everything that is wrong with a file of cases, and keep nothing.
    Check {
        /// What is read, and how.
        #[command(flatten)]
        from: FromFile,
    },
    /// Make cases of recorded traffic.
    Record(record::Args),
    /// Every version of every dataset.
    List,
    /// What a dataset is made of, and its first cases.
    Show {
        /// Its name, or `NAME@VERSION` with the beginning of a version's hash.
        #[arg(value_name = "NAME[@VERSION]")]
        dataset: String,
        /// So many cases of it.
        #[arg(long, value_name = "N", default_value_t = 5)]
        cases: usize,
    },
    /// Print a dataset as our JSONL, or as chats with their answers, which is what fine-tuning takes.
    Export {
        /// Its name, or `NAME@VERSION`.
        #[arg(value_name = "NAME[@VERSION]")]
        dataset: String,
        /// As chats that end with the first right answer; cases without one are left out, and counted.
        #[arg(long)]
        chat: bool,
        /// Write `train.jsonl`, `validation.jsonl` and `manifest.json` here, to fine-tune on; what depends on each other is in one of them.
        #[arg(long, value_name = "DIRECTORY", conflicts_with = "chat")]
        tune: Option<PathBuf>,
        /// With `--tune`: the part of the cases that is for validation.
        #[arg(long, value_name = "SHARE", default_value_t = 0.1, requires = "tune", value_parser = share)]
        validation: f64,
        /// With `--tune`: decides which cases these are.
        #[arg(long, value_name = "N", default_value_t = 1, requires = "tune")]
        seed: u64,
        /// With `--tune`: how chats are written.
        #[arg(long, value_enum, value_name = "STYLE", default_value_t = Style::Openai, requires = "tune")]
        style: Style,
    },
}

/// How chats to fine-tune on are written.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Style {
    /// As the OpenAI API takes them.
    Openai,
    /// As chat templates of Hugging Face take them: arguments of tools as objects.
    Huggingface,
}

fn share(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| (0.0..1.0).contains(number));
    number.ok_or_else(|| "expected a number from 0 to 1; for 10 % write 0.1".to_owned())
}

/// A file of cases.
#[derive(Debug, clap::Args)]
pub(crate) struct FromFile {
    /// The file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// How it is written; by its name and first line when it is not said.
    #[arg(long, value_enum, value_name = "FORMAT")]
    from: Option<Written>,
    /// The column, or the member of an item, with the question.
    #[arg(long, value_name = "COLUMN")]
    input: Option<String>,
    /// The one with the right answer.
    #[arg(long, value_name = "COLUMN")]
    expected: Option<String>,
    /// The one with the case's id.
    #[arg(long, value_name = "COLUMN")]
    id: Option<String>,
    /// The one whose equal values say that cases are not independent.
    #[arg(long, value_name = "COLUMN")]
    cluster: Option<String>,
    /// One that is a slice of the same name; can be given more than once.
    #[arg(long = "slice", value_name = "COLUMN")]
    slices: Vec<String>,
}

/// How cases are written.
#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Written {
    /// One case per line.
    Jsonl,
    /// `{"input", "ideal"}`, or `{"item"}`.
    OpenaiEvals,
    /// Chats whose last message is the answer.
    Chat,
    /// With a row of headings.
    Csv,
    /// A promptfoo configuration.
    Promptfoo,
}

impl Written {
    fn format(self) -> Format {
        match self {
            Written::Jsonl => Format::Jsonl,
            Written::OpenaiEvals => Format::OpenaiEvals,
            Written::Chat => Format::Chat,
            Written::Csv => Format::Csv,
            Written::Promptfoo => Format::Promptfoo,
        }
    }
}

/// Keeps datasets, or reads them.
pub(crate) fn run(place: &Place, verb: Verb, out: &Out) -> Result<Exit, Stop> {
    match verb {
        Verb::Import { from, name } => {
            let imported = from_file(&from, name)?;
            let row = keep(place, &imported.dataset, &imported.origin)?;
            said(&imported, out);
            out.answer(&row, || kept(&row));
            let name = &row.name;
            out.say(format_args!("next: `crossfade eval run --target BASELINE --target CANDIDATE --dataset {name}`"));
        }
        Verb::Check { from } => {
            let imported = from_file(&from, None)?;
            said(&imported, out);
            let facts = json!({
                "version": imported.dataset.version(),
                "n_cases": imported.dataset.cases.len(),
                "left_out": imported.left_out,
            });
            out.answer(&facts, || summary(&imported.dataset));
        }
        Verb::Record(args) => return record::run(place, &args, out),
        Verb::List => list(place, out)?,
        Verb::Show { dataset, cases } => show(place, &dataset, cases, out)?,
        Verb::Export { dataset, tune: Some(directory), validation, seed, style, .. } => {
            let (_, dataset) = stored(place, &dataset)?;
            tune(&dataset, &directory, (validation, seed, style), out)?;
        }
        Verb::Export { dataset, chat: false, .. } => out.print(&stored(place, &dataset)?.1.to_jsonl()),
        Verb::Export { dataset, chat: true, .. } => {
            let (_, dataset) = stored(place, &dataset)?;
            let (text, n_left_out) = dataset.to_chats();
            out.print(&text);
            if n_left_out > 0 {
                out.say(format_args!("left out: {} without a right answer", n_things(n_left_out, "case")));
            }
        }
    }
    Ok(Exit::Ok)
}

/// Writes the files to fine-tune on.
fn tune(
    dataset: &Dataset,
    directory: &Path,
    (validation, seed, style): (f64, u64, Style),
    out: &Out,
) -> Result<(), Stop> {
    let style = match style {
        Style::Openai => tuning::Style::OpenAi,
        Style::Huggingface => tuning::Style::HuggingFace,
    };
    let tuning = tuning::split(dataset, (validation, seed), style);
    let manifest = format!("{:#}\n", tuning.manifest);
    std::fs::create_dir_all(directory)
        .with_context(|| format!("could not make {}", directory.display()))
        .map_err(Stop::from)?;
    for (name, text) in
        [("train.jsonl", &tuning.train), ("validation.jsonl", &tuning.validation), ("manifest.json", &manifest)]
    {
        let path = directory.join(name);
        std::fs::write(&path, text)
            .with_context(|| format!("could not write {}", path.display()))
            .map_err(Stop::from)?;
    }
    out.answer(&tuning.manifest, || {
        let (train, validation) = (tuning.train.lines().count(), tuning.validation.lines().count());
        let left_out = tuning.manifest["left_out"].as_array().map_or(0, Vec::len);
        format!("{train} to train, {validation} to validate, {left_out} without a right answer left out\n")
    });
    Ok(())
}

/// The cases of a file. What is wrong with it is a usage error, problem by problem.
pub(super) fn from_file(from: &FromFile, name: Option<String>) -> Result<Imported, Stop> {
    let columns = Columns {
        input: from.input.clone(),
        expected: from.expected.clone(),
        id: from.id.clone(),
        cluster: from.cluster.clone(),
        slices: from.slices.clone(),
    };
    file(&from.file, name, (from.from.map(Written::format), &columns))
}

/// The cases of a file at a path.
pub(super) fn file(path: &Path, name: Option<String>, how: (Option<Format>, &Columns)) -> Result<Imported, Stop> {
    let bytes = std::fs::read(path).map_err(|error| Stop::usage(format!("cannot read {}: {error}", path.display())))?;
    let shown = path.display().to_string();
    let stem = || path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let name = name.unwrap_or_else(stem);
    let is_promptfoo =
        how.0.unwrap_or_else(|| Format::of(&shown, &String::from_utf8_lossy(&bytes))) == Format::Promptfoo;
    if is_promptfoo
        && how.0.is_none()
        && let Some(stop) = other_yaml(&shown, &String::from_utf8_lossy(&bytes))
    {
        return Err(stop);
    }
    let imported = if is_promptfoo { promptfoo(&name, &shown, &bytes) } else { read(&name, &shown, &bytes, how) };
    imported.map_err(|problems| Stop::usage(format!("{} with {shown}\n{problems}", n_things(problems.n, "problem"))))
}

/// Why a YAML file has no cases in it, when it has none of the keys that promptfoo keeps them under.
fn other_yaml(path: &str, text: &str) -> Option<Stop> {
    const OF_PROMPTFOO: [&str; 5] = ["prompts", "tests", "scenarios", "defaultTest", "providers"];
    let tree = parse_tree(text).ok()?;
    let Kind::Map(members) = &tree.kind else { return None };
    let has = |name: &str| members.iter().any(|(key, _)| key.name == name);
    if OF_PROMPTFOO.into_iter().any(has) {
        return None;
    }
    let hint = if has("worksheet") {
        format!("it is a worksheet of costs: `crossfade tco run {path}`")
    } else if crate::config::suite(path, text).is_ok() {
        format!("it is a suite, which is typed without `--file`: `crossfade eval run {path}`")
    } else {
        "cases are a JSONL or CSV file, or a configuration of promptfoo with `prompts` and `tests`".to_owned()
    };
    Some(Stop::usage(format!("{path} has no cases: it is YAML without a key of promptfoo's")).hint(hint))
}

fn promptfoo(name: &str, path: &str, bytes: &[u8]) -> Result<Imported, Problems> {
    let text = String::from_utf8_lossy(bytes);
    match parse_tree(&text) {
        Ok(tree) => from_promptfoo(name, path, (bytes, &located(&tree))),
        Err(error) => {
            let mut problems = Problems::of(path);
            problems.note(error.place.line, "", format!("not YAML: {}", error.message));
            Err(problems)
        }
    }
}

/// The tree as the room that reads cases wants it, its scalars read as YAML 1.2 reads them, and what `<<` merges into a map in its place.
pub(super) fn located(node: &Node) -> Located {
    let kind = match &node.kind {
        Kind::List(items) => LocatedKind::List(items.iter().map(located).collect()),
        Kind::Map(members) => LocatedKind::Map(merged(members)),
        Kind::Scalar { text, quoted: true } => LocatedKind::Scalar(Value::String(text.clone())),
        Kind::Scalar { .. } if node.is_nothing() => LocatedKind::Scalar(Value::Null),
        Kind::Scalar { text, .. } => LocatedKind::Scalar(match text.as_str() {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            text => match serde_json::from_str(text) {
                Ok(Value::Number(number)) => Value::Number(number),
                _ => Value::String(text.to_owned()),
            },
        }),
    };
    Located { line: node.place.line, column: node.place.column, kind }
}

/// The members of a map. What `<<` brings in goes behind what the map says itself, and of several maps the first counts, as YAML's merge key has it.
fn merged(members: &[(Key, Node)]) -> Vec<(String, Located)> {
    let is_merge = |key: &Key, node: &Node| {
        let is_map = |node: &Node| matches!(node.kind, Kind::Map(_));
        key.name == "<<" && (is_map(node) || matches!(&node.kind, Kind::List(maps) if maps.iter().all(is_map)))
    };
    let (merges, own): (Vec<_>, Vec<_>) = members.iter().partition(|(key, node)| is_merge(key, node));
    let mut all: Vec<(String, Located)> = own.iter().map(|(key, node)| (key.name.clone(), located(node))).collect();
    for (_, node) in merges {
        let maps = if let Kind::List(maps) = &node.kind { maps.as_slice() } else { std::slice::from_ref(node) };
        for map in maps {
            let LocatedKind::Map(brought) = located(map).kind else { continue };
            for (name, node) in brought {
                if !all.iter().any(|(known, _)| *known == name) {
                    all.push((name, node));
                }
            }
        }
    }
    all
}

/// Keeps a dataset in the store of the config.
pub(super) fn keep(place: &Place, dataset: &Dataset, origin: &Origin) -> Result<DatasetRow, Stop> {
    let database = writable(place)?;
    let cases: Vec<(String, String)> = dataset.cases.iter().map(|case| (case.id.clone(), case.canonical())).collect();
    let row = DatasetRow {
        name: dataset.name.clone(),
        version: version_of(&cases),
        at_us: now_us(),
        n_cases: dataset.cases.len() as u64,
        origin: serde_json::to_value(origin).map_err(Stop::failed)?,
    };
    database.put_dataset(&row, &cases).map_err(Stop::failed)?;
    // One that was there already stays with the time and the origin it had.
    let stored = database.dataset(&row.name, &row.version).map_err(Stop::failed)?;
    Ok(stored.unwrap_or(row))
}

/// The store of the config, for writing; it is made where there is none yet.
pub(in crate::verbs) fn writable(place: &Place) -> Result<Database, Stop> {
    let places = load::places(&place.config)?;
    Database::open(&places.store).map_err(Stop::failed)
}

/// The store of the config, for reading.
pub(in crate::verbs) fn readable(place: &Place) -> Result<Database, Stop> {
    let path = load::places(&place.config)?.store;
    if !path.exists() {
        let stop = Stop::failed(anyhow::anyhow!("there is no store {} yet", path.display()));
        let hint = "nothing is on record: `crossfade serve` makes it, or the first `dataset import`, `eval run` or `bench run`";
        return Err(stop.hint(hint));
    }
    Database::open_read_only(path).map_err(Stop::failed)
}

/// `NAME` or `NAME@VERSION` of the store.
pub(super) fn stored(place: &Place, what: &str) -> Result<(DatasetRow, Dataset), Stop> {
    let database = readable(place)?;
    let (name, version) = what.split_once('@').unwrap_or((what, ""));
    let row = database.dataset(name, version).map_err(Stop::failed)?.ok_or_else(|| {
        let known: Vec<String> = database.datasets().unwrap_or_default().into_iter().map(|row| row.name).collect();
        let stop = Stop::usage(format!("there is no dataset `{what}`"));
        if known.is_empty() {
            stop.hint("`crossfade dataset import FILE` keeps one")
        } else {
            stop.hint(format!("there are: {}", known.join(", ")))
        }
    })?;
    let cases = database.dataset_cases(&row.version, row.n_cases, |_, line| serde_json::from_str(line));
    let cases = cases.map_err(Stop::failed)?.into_iter().collect::<Result<Vec<Case>, _>>();
    let cases = cases.context("a case in the store cannot be read").map_err(Stop::from)?;
    let dataset = Dataset { name: row.name.clone(), cases };
    Ok((row, dataset))
}

pub(super) fn n_things(n: usize, thing: &str) -> String {
    if n == 1 { format!("1 {thing}") } else { format!("{n} {thing}s") }
}

fn said(imported: &Imported, out: &Out) {
    for (what, n) in &imported.left_out {
        out.say(format_args!("left out: `{what}`, {n} times"));
    }
}

fn kept(row: &DatasetRow) -> String {
    format!("{}@{}  {} cases\n", row.name, short(&row.version), row.n_cases)
}

/// As much of a version as a person needs.
pub(super) fn short(version: &str) -> &str {
    version.get(..12).unwrap_or(version)
}

fn list(place: &Place, out: &Out) -> Result<(), Stop> {
    let rows = readable(place)?.datasets().map_err(Stop::failed)?;
    out.answer(&rows, || {
        let row = |row: &DatasetRow| {
            let from = match row.origin["kind"].as_str() {
                Some("file") => row.origin["path"].as_str().unwrap_or_default().to_owned(),
                _ => "traffic".to_owned(),
            };
            vec![row.name.clone(), short(&row.version).to_owned(), row.n_cases.to_string(), us_to_text(row.at_us), from]
        };
        let rows: Vec<Vec<String>> = rows.iter().map(row).collect();
        table(&["dataset", "version", "cases", "kept at (UTC)", "from"], &rows)
    });
    Ok(())
}

fn show(place: &Place, what: &str, n_cases: usize, out: &Out) -> Result<(), Stop> {
    let (row, dataset) = stored(place, what)?;
    let first: Vec<&Case> = dataset.cases.iter().take(n_cases).collect();
    let facts = json!({ "dataset": row, "cases": first });
    out.answer(&facts, || {
        let mut text = format!("{}@{}  {} cases, kept {}\n", row.name, row.version, row.n_cases, us_to_text(row.at_us));
        text += &format!("from {}\n{}", row.origin, summary(&dataset));
        for case in &first {
            text += &format!("\n{}: {}\n", case.id, case.question().trim());
            for answer in case.expected_texts() {
                text += &format!("  -> {}\n", answer.trim());
            }
        }
        text
    });
    Ok(())
}

/// How many cases are in each slice.
fn summary(dataset: &Dataset) -> String {
    let mut slices = std::collections::BTreeMap::<(String, String), u64>::new();
    for (name, value) in dataset.cases.iter().flat_map(|case| &case.slices) {
        *slices.entry((name.clone(), value.clone())).or_default() += 1;
    }
    let labelled = dataset.cases.iter().filter(|case| !case.expected.is_empty() || !case.checks.is_empty()).count();
    let mut text = format!("{}, {labelled} with a right answer or checks\n", n_things(dataset.cases.len(), "case"));
    if !slices.is_empty() {
        let rows: Vec<Vec<String>> =
            slices.into_iter().map(|((name, value), n)| vec![name, value, n.to_string()]).collect();
        text += &table(&["slice", "", "cases"], &rows);
    }
    text
}
