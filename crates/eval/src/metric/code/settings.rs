//! What a suite says of code: where it stands in an answer, how it is built, and how its tests are run.

use std::collections::BTreeMap;
use std::path::PathBuf;

use sandbox::Limits;
use serde::Deserialize;
use serde_json::Value;

use super::fences::{self, Which};

/// Settings that say nothing of whether code compiles.
pub(super) const OF_TESTS: [&str; 4] = ["run", "results", "results_file", "n_tests"];

/// Settings, read.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) kind: Kind,
    pub(super) build: Vec<Vec<String>>,
    pub(super) run: Vec<Vec<String>>,
    pub(super) results: Results,
    pub(super) n_tests: Option<u64>,
    pub(super) limits: Limits,
    pub(super) read: Vec<PathBuf>,
    pub(super) environment: BTreeMap<String, String>,
    /// Whether the suite says that there is to be no sandbox.
    pub(super) bare: bool,
}

/// What an answer is.
#[derive(Debug)]
pub(super) enum Kind {
    /// Code in a fenced block, which goes into a file.
    Code { languages: Vec<String>, which: Which, unfenced: bool, file: String },
    /// A patch to the case's files.
    Patch,
}

/// How it is known which tests pass.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Results {
    /// Each command is a test, which passes when it exits with 0.
    Exit,
    /// Each `runs` of the case is a test: the command with its arguments and its input writes what is expected.
    Output,
    /// The command writes TAP.
    Tap,
    /// The command writes a file of JUnit's XML.
    Junit { file: String },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(default)]
    answer: RawAnswer,
    #[serde(default)]
    language: OneOrMany,
    #[serde(default)]
    block: Which,
    #[serde(default)]
    unfenced: bool,
    file: Option<String>,
    #[serde(default)]
    build: Commands,
    #[serde(default)]
    run: Commands,
    #[serde(default)]
    results: RawResults,
    results_file: Option<String>,
    n_tests: Option<u64>,
    #[serde(default)]
    limits: RawLimits,
    #[serde(default)]
    read: Vec<PathBuf>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    #[serde(default)]
    sandbox: RawWalls,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "snake_case")]
enum RawAnswer {
    #[default]
    Code,
    Patch,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "snake_case")]
enum RawResults {
    #[default]
    Exit,
    Output,
    Tap,
    Junit,
}

#[derive(Deserialize, Default, PartialEq)]
#[serde(rename_all = "snake_case")]
enum RawWalls {
    #[default]
    Namespaces,
    None,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl Default for OneOrMany {
    fn default() -> OneOrMany {
        OneOrMany::Many(Vec::new())
    }
}

/// One command, or several; each a list of texts.
#[derive(Deserialize)]
#[serde(untagged)]
enum Commands {
    Many(Vec<Vec<String>>),
    One(Vec<String>),
}

impl Default for Commands {
    fn default() -> Commands {
        Commands::Many(Vec::new())
    }
}

impl Commands {
    fn all(self, name: &str) -> Result<Vec<Vec<String>>, String> {
        let commands = match self {
            Commands::Many(commands) => commands,
            Commands::One(command) => vec![command],
        };
        let is_command = |command: &Vec<String>| command.first().is_some_and(|program| !program.is_empty());
        if commands.iter().all(is_command) {
            Ok(commands)
        } else {
            Err(format!("`{name}`: a command begins with the name of a program"))
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawLimits {
    cpu_seconds: Option<u64>,
    wall_seconds: Option<f64>,
    memory_mib: Option<u64>,
    address_space_mib: Option<u64>,
    file_mib: Option<u64>,
    disk_mib: Option<u64>,
    processes: Option<u64>,
    open_files: Option<u64>,
    output_kib: Option<u64>,
}

impl RawLimits {
    fn resolve(self) -> Result<Limits, String> {
        let usual = Limits::default();
        let bounded = |name: &str, value: Option<u64>, (most, unit): (u64, u64), otherwise: u64| match value {
            None => Ok(otherwise),
            Some(value) if (1..=most).contains(&value) => Ok(value * unit),
            Some(_) => Err(format!("`limits.{name}` is from 1 to {most}")),
        };
        let wall_ms = match self.wall_seconds {
            None => usual.wall_ms,
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "between a tenth and a day, in milliseconds"
            )]
            Some(seconds) if (0.1..=86_400.0).contains(&seconds) => (seconds * 1000.0) as u64,
            Some(_) => return Err("`limits.wall_seconds` is from 0.1 to 86400".to_owned()),
        };
        let (mib, many) = ((1 << 20, 1 << 20), (1 << 20, 1));
        Ok(Limits {
            cpu_seconds: bounded("cpu_seconds", self.cpu_seconds, (86_400, 1), usual.cpu_seconds)?,
            wall_ms,
            memory_bytes: bounded("memory_mib", self.memory_mib, mib, usual.memory_bytes)?,
            address_space_bytes: bounded("address_space_mib", self.address_space_mib, mib, usual.address_space_bytes)?,
            file_bytes: bounded("file_mib", self.file_mib, mib, usual.file_bytes)?,
            disk_bytes: bounded("disk_mib", self.disk_mib, mib, usual.disk_bytes)?,
            processes: bounded("processes", self.processes, many, usual.processes)?,
            open_files: bounded("open_files", self.open_files, many, usual.open_files)?,
            output_bytes: bounded("output_kib", self.output_kib, (16 << 10, 1 << 10), usual.output_bytes)?,
        })
    }
}

impl Task {
    /// Reads the settings of a metric that runs code.
    pub(super) fn read(settings: &Value) -> Result<Task, String> {
        let settings = if settings.is_null() { Value::Object(serde_json::Map::new()) } else { settings.clone() };
        let raw: Raw = serde_json::from_value(settings).map_err(|error| error.to_string())?;
        let kind = match raw.answer {
            RawAnswer::Patch => Kind::Patch,
            RawAnswer::Code => Kind::Code {
                languages: match raw.language {
                    OneOrMany::One(language) => vec![fences::language(&language)],
                    OneOrMany::Many(languages) => languages.iter().map(|one| fences::language(one)).collect(),
                },
                which: raw.block,
                unfenced: raw.unfenced,
                file: plain("file", raw.file.ok_or("`file` says where the answer's code goes, as `solution.py`")?)?,
            },
        };
        let results = match (raw.results, raw.results_file) {
            (RawResults::Junit, Some(file)) => Results::Junit { file: plain("results_file", file)? },
            (RawResults::Junit, None) => return Err("`results_file` says where the JUnit file is".to_owned()),
            (_, Some(_)) => return Err("`results_file` goes with `results: junit`".to_owned()),
            (RawResults::Exit, None) => Results::Exit,
            (RawResults::Output, None) => Results::Output,
            (RawResults::Tap, None) => Results::Tap,
        };
        if let Some(path) = raw.read.iter().find(|path| !path.is_absolute() || path.parent().is_none()) {
            return Err(format!("`read`: `{}` is no path from / to a directory or file", path.display()));
        }
        Ok(Task {
            kind,
            build: raw.build.all("build")?,
            run: raw.run.all("run")?,
            results,
            n_tests: raw.n_tests,
            limits: raw.limits.resolve()?,
            read: raw.read,
            environment: raw.environment,
            bare: raw.sandbox == RawWalls::None,
        })
    }

    /// Whether the settings say enough for the metric of this name.
    pub(super) fn examine(&self, name: &str) -> Result<(), String> {
        match (name, &self.results, self.run.len()) {
            ("code_compiles", ..) if self.build.is_empty() => {
                Err("`build` says what is run on the code, as `[[python3, -m, py_compile, solution.py]]`".to_owned())
            }
            ("code_tests", _, 0) => {
                Err("`run` says what tests the code, as `[[python3, test_solution.py]]`".to_owned())
            }
            ("code_tests", Results::Output | Results::Tap | Results::Junit { .. }, 2..) => {
                Err("`run` is one command, whose output says which tests pass".to_owned())
            }
            _ => Ok(()),
        }
    }
}

/// A path below the working directory.
fn plain(name: &str, path: String) -> Result<String, String> {
    let is_plain = !path.is_empty() && path.split('/').all(|part| !matches!(part, "" | "." | ".."));
    if is_plain { Ok(path) } else { Err(format!("`{name}`: `{path}` is no path below the working directory")) }
}
