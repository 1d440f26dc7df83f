//! What a verb says: answers on stdout, words on stderr, an exit code, and a hint when the next step is known.

use std::fmt;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::ValueEnum;
use serde::Serialize;

use crate::config::{self, ConfigError};

/// How answers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs: the same facts.
    Json,
    /// One page that needs nothing else; for verbs that write reports.
    Html,
    /// For build servers: golden tests as JUnit XML.
    Junit,
}

/// How a verb ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done, or pass.
    Ok = 0,
    /// Something failed.
    Failed = 1,
    /// The command line or the config is wrong.
    Usage = 2,
    /// The evidence says no.
    No = 3,
    /// There is not enough evidence.
    Undecided = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// Why a verb stopped.
#[derive(Debug)]
pub(crate) struct Stop {
    /// How the process ends.
    pub exit: Exit,
    /// What went wrong, and below it why.
    pub error: anyhow::Error,
    /// The next step, when it is known.
    pub hint: Option<String>,
    /// The problems of a config, each in full.
    pub config_errors: Vec<ConfigError>,
}

impl Stop {
    /// Something failed.
    pub(crate) fn failed(error: impl Into<anyhow::Error>) -> Stop {
        Stop { exit: Exit::Failed, error: error.into(), hint: None, config_errors: Vec::new() }
    }

    /// The command line is wrong.
    pub(crate) fn usage(message: impl fmt::Display) -> Stop {
        Stop { exit: Exit::Usage, ..Stop::failed(anyhow::anyhow!("{message}")) }
    }

    /// The config, or a file like it, is wrong.
    pub(crate) fn config(errors: Vec<ConfigError>) -> Stop {
        let place = config::places_of(&errors);
        Stop { config_errors: errors, ..Stop::usage(format_args!("there are errors in {place}")) }
    }

    /// Everything it says, problems of a config included.
    pub(crate) fn full_text(&self) -> String {
        if self.config_errors.is_empty() { format!("{:#}", self.error) } else { config::render(&self.config_errors) }
    }

    /// The same with the next step.
    pub(crate) fn hint(self, hint: impl Into<String>) -> Stop {
        Stop { hint: Some(hint.into()), ..self }
    }

    /// The same with another exit code.
    pub(crate) fn exit(self, exit: Exit) -> Stop {
        Stop { exit, ..self }
    }
}

impl From<anyhow::Error> for Stop {
    fn from(error: anyhow::Error) -> Stop {
        Stop::failed(error)
    }
}

/// Where a verb writes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Out {
    format: Format,
    colour: bool,
    config: Option<&'static str>,
}

impl Out {
    /// Colour only on a terminal, and never when `NO_COLOR` is set.
    pub(crate) fn new(format: Format) -> Out {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Out { format, colour: wanted && format == Format::Text && std::io::stdout().is_terminal(), config: None }
    }

    /// The same where the command line named a config: commands that are shown as the next step name it too.
    pub(crate) fn with_config(self, config: Option<&'static str>) -> Out {
        Out { config, ..self }
    }

    /// The config that commands shown as the next step have to name.
    pub(crate) fn config(&self) -> Option<&'static str> {
        self.config
    }

    /// How answers are written.
    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// Whether answers are JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Whether answers may be coloured.
    pub(crate) fn has_colour(&self) -> bool {
        self.colour
    }

    /// Writes the answer: `text` for people, `facts` for programs.
    pub(crate) fn answer<T: Serialize + ?Sized>(&self, facts: &T, text: impl FnOnce() -> String) {
        let answer = match self.format {
            Format::Text | Format::Html | Format::Junit => text(),
            // The facts are maps with text keys: they always serialise.
            Format::Json => serde_json::to_string_pretty(facts).unwrap_or_default() + "\n",
        };
        self.print(&answer);
    }

    /// Writes to stdout as it is. A reader that left (`| head`) is no error.
    pub(crate) fn print(&self, text: &str) {
        self.print_bytes(text.as_bytes());
    }

    /// The same of what may be no text.
    pub(crate) fn print_bytes(&self, bytes: &[u8]) {
        let mut stdout = std::io::stdout().lock();
        if stdout.write_all(bytes).and_then(|()| stdout.flush()).is_err() {
            tracing::debug!("stdout is closed");
        }
    }

    /// Writes words to stderr.
    pub(crate) fn say(&self, words: impl fmt::Display) {
        self.write(&with_config(&words.to_string(), self.config));
    }

    /// The same as they are.
    fn write(&self, words: &str) {
        if writeln!(std::io::stderr().lock(), "{words}").is_err() {
            tracing::debug!("stderr is closed");
        }
    }

    /// Says why a verb stopped. With `--format json` the same facts go to stdout.
    pub(crate) fn stop(&self, stop: &Stop) {
        let problems = hints_with_config(&stop.config_errors, self.config);
        if self.is_json() {
            let facts = serde_json::json!({ "error": {
                "message": format!("{:#}", stop.error),
                "hint": stop.hint.as_deref().map(|hint| with_config(hint, self.config)),
                "problems": problems,
            } });
            self.answer(&facts, String::new);
        }
        if problems.is_empty() {
            self.say(format_args!("error: {}", stop.full_text().trim_end()));
        } else {
            self.write(config::render(&problems).trim_end());
        }
        if let Some(hint) = &stop.hint {
            self.say(format_args!("hint: {hint}"));
        }
    }
}

/// Verbs that read the config: a command without it would be about another gateway.
const READS_CONFIG: [&str; 19] = [
    "bench",
    "dataset",
    "eval",
    "serve",
    "check",
    "reload",
    "exchanges",
    "exit",
    "egress",
    "keys",
    "prices",
    "review",
    "alerts",
    "rollout",
    "init",
    "inventory",
    "prompts",
    "panel",
    "report",
];

/// Names the config in every `crossfade VERB` between backticks.
fn with_config(words: &str, config: Option<&'static str>) -> String {
    let Some(config) = config else { return words.to_owned() };
    let mut parts = words.split("`crossfade ");
    let mut named = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let verb = part.split([' ', '`']).next().unwrap_or_default();
        let place = if READS_CONFIG.contains(&verb) { format!("-c {config} ") } else { String::new() };
        named += &format!("`crossfade {place}{part}");
    }
    named
}

/// Problems whose hints name the config. Lines of the file, and what a message quotes of them, stay as they were written.
fn hints_with_config(problems: &[ConfigError], config: Option<&'static str>) -> Vec<ConfigError> {
    let named = |problem: &ConfigError| {
        let hint = problem.hint.as_deref().map(|hint| with_config(hint, config));
        ConfigError { hint, ..problem.clone() }
    };
    problems.iter().map(named).collect()
}

/// Rows under headings, columns as wide as they need to be, numbers to the right.
pub(crate) fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let width = |idx: usize| {
        let cells = rows.iter().filter_map(|row| row.get(idx)).map(|cell| width_of(cell));
        cells.chain([headings[idx].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let is_number = |cell: &str| {
        let number = cell.trim_end_matches(" pp").trim_end_matches(" %");
        cell == "-" || number.parse::<f64>().is_ok() || cell.split(" / ").all(|part| part.parse::<f64>().is_ok())
    };
    let right =
        |idx: usize| !rows.is_empty() && rows.iter().all(|row| row.get(idx).is_some_and(|cell| is_number(cell)));
    let mut text = String::new();
    let heading: Vec<String> = headings.iter().map(|heading| (*heading).to_owned()).collect();
    for row in std::iter::once(&heading).chain(rows) {
        let cells = row.iter().enumerate().map(|(idx, cell)| {
            let blank = " ".repeat(widths[idx] - width_of(cell));
            if right(idx) { blank + cell } else { format!("{cell}{blank}") }
        });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// Characters that show: colours (`ESC [ … m`) do not.
fn width_of(cell: &str) -> usize {
    let mut in_colour = false;
    let mut width = 0;
    for character in cell.chars() {
        in_colour = in_colour || character == '\x1b';
        width += usize::from(!in_colour);
        in_colour = in_colour && character != 'm';
    }
    width
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_shown_as_the_next_step_name_the_config_that_was_named() {
        let hint = "`crossfade check` lists them, `crossfade rollout start NAME` starts one; `crossfade completions`";
        assert_eq!(with_config(hint, None), hint);
        assert_eq!(
            with_config(hint, Some("prod.yaml")),
            "`crossfade -c prod.yaml check` lists them, `crossfade -c prod.yaml rollout start NAME` starts one; `crossfade \
             completions`"
        );
    }
}
