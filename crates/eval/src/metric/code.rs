//! Answers that are code: whether it compiles, and what part of its tests passes. What runs it is a [`Bench`]; without one there is no number.
//!
//! The commands are those of the suite. A case brings files, tests, input and expected output, and never a command. Commands are run in a
//! sandbox in which there is nothing but these files and the system's programs; the answer's files are put there before the build, the
//! case's tests before every command that tests, over whatever has their name.

pub mod fences;
mod judged;
pub mod patch;
pub mod results;
mod settings;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use sandbox::{Isolation, Report, Run, Sandbox, Session, Unavailable};
use serde_json::Value;

use super::{Answer, Case, Metric, Score, Unscored};
use crate::case::{Code, canonical, digest};
use fences::code_of;
use patch::Patch;
use settings::{Kind, Results, Task};

/// Names of the metrics that run code. They are a suite's only: no check of a case, prompt or rollout can name them.
pub const NAMES: [&str; 2] = ["code_compiles", "code_tests"];

/// Reports that are kept, so that the same code is not run twice.
const MOST_KNOWN: usize = 512;

/// What runs code: a sandbox, and what came of the sessions it ran already. Equal sessions are run once.
#[derive(Debug)]
pub struct Bench {
    sandbox: Sandbox,
    known: Mutex<HashMap<String, Arc<Report>>>,
}

impl Bench {
    /// A bench that runs code in this sandbox.
    #[must_use]
    pub fn new(sandbox: Sandbox) -> Bench {
        Bench { sandbox, known: Mutex::default() }
    }

    /// Whether code can be run at all as the settings of a metric of [`NAMES`] say.
    ///
    /// # Errors
    /// Why not.
    pub fn try_out(&self, settings: &Value) -> Result<(), Unavailable> {
        // Settings that cannot be read are another's to report.
        let Ok(task) = Task::read(settings) else { return Ok(()) };
        let nothing = Run { command: vec!["true".to_owned()], ..Run::default() };
        self.sandbox.run(&task.session(vec![nothing])).map(drop)
    }

    fn run(&self, session: &Session) -> Result<Arc<Report>, Unavailable> {
        // Texts and numbers always serialise.
        let key = digest(&[serde_json::to_string(session).unwrap_or_default().as_bytes()]);
        if let Some(report) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(Arc::clone(report));
        }
        let report = Arc::new(self.sandbox.run(session)?);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_KNOWN {
            known.clear();
        }
        known.insert(key, Arc::clone(&report));
        Ok(report)
    }
}

/// The metric of this name, with its settings, which runs code at this bench; without one it says that there is no sandbox.
///
/// # Errors
/// What is wrong with the settings. `None` where no metric of this name runs code.
pub(super) fn metric(name: &str, settings: &Value, bench: Option<&Arc<Bench>>) -> Option<Result<Metric, String>> {
    NAMES.contains(&name).then(|| {
        let task = Task::read(settings)?;
        task.examine(name)?;
        Ok(made(name, settings, task, bench.cloned()))
    })
}

fn made(name: &str, settings: &Value, task: Task, bench: Option<Arc<Bench>>) -> Metric {
    let is_compiled = name == "code_compiles";
    let mut settings = settings.clone();
    if let (true, Some(members)) = (is_compiled, settings.as_object_mut()) {
        members.retain(|member, _| !settings::OF_TESTS.contains(&member.as_str()));
    }
    let id = format!("{name}@crossfade-1:{}", &digest(&[canonical(&settings).as_bytes()])[..8]);
    let definition = if is_compiled {
        "1 when every build command of the suite exits with 0 on the answer's code, in a sandbox with limits, else 0; an answer without code is 0 \
         with the outcome no_code"
    } else {
        "tests that pass / tests there are, of the answer's code in a sandbox with limits; 0 when it does not build; an answer without code is 0 \
         with the outcome no_code"
    };
    Metric::new(id, definition, move |case, answer| {
        let told = task.files(case, answer).and_then(|(code, files)| {
            let session = task.session(task.runs((&code, files), is_compiled));
            let Some(bench) = &bench else { return Err(Score::unscored(Unscored::NoSandbox)) };
            let report = bench
                .run(&session)
                .map_err(|unavailable| Score::unscored(Unscored::NoSandbox).with_detail(unavailable.to_string()))?;
            Ok(judged::score(&task, (&code, is_compiled), (&session, &report)))
        });
        told.unwrap_or_else(|score| score)
    })
}

impl Task {
    /// The files there are before the build: the case's, and the answer's.
    fn files(&self, case: &Case, answer: &Answer) -> Result<(Code, BTreeMap<String, String>), Score> {
        let code = case.code.clone().unwrap_or_default();
        let files = match &self.kind {
            Kind::Patch => {
                let patch = Patch::of_answer(&answer.text).and_then(|patch| {
                    patch.spare(code.tests.keys())?;
                    patch.apply(&code.files)
                });
                patch.map_err(|flaw| Score::is(false).with_outcome(flaw.as_str()).with_detail(flaw.to_string()))?
            }
            Kind::Code { languages, which, unfenced, file } => {
                let text = code_of(&answer.text, languages, *which)
                    .or_else(|| unfenced.then(|| answer.text.clone()).filter(|text| !text.trim().is_empty()));
                let text = text.ok_or_else(|| Score::is(false).with_outcome("no_code"))?;
                let mut files = code.files.clone();
                files.insert(file.clone(), text);
                files
            }
        };
        Ok((code, files))
    }

    /// The commands: those of the build, and those of the tests after it.
    fn runs(&self, (code, files): (&Code, BTreeMap<String, String>), is_compiled: bool) -> Vec<Run> {
        let plain = |command: &Vec<String>| Run { command: command.clone(), ..Run::default() };
        let mut runs: Vec<Run> = self.build.iter().map(|command| Run { needed: true, ..plain(command) }).collect();
        if !is_compiled {
            let test = |command: &Vec<String>| Run { files: code.tests.clone(), ..plain(command) };
            match &self.results {
                Results::Exit | Results::Tap => runs.extend(self.run.iter().map(test)),
                Results::Junit { file } => {
                    runs.extend(self.run.iter().map(|command| Run { collect: Some(file.clone()), ..test(command) }));
                }
                Results::Output => runs.extend(code.runs.iter().flat_map(|one| {
                    let with = |command: &Vec<String>| {
                        let command = command.iter().chain(&one.arguments).cloned().collect();
                        Run { stdin: one.stdin.clone(), ..test(&command) }
                    };
                    self.run.iter().map(with).collect::<Vec<_>>()
                })),
            }
        }
        if let Some(first) = runs.first_mut() {
            let tests = std::mem::take(&mut first.files);
            first.files = files;
            first.files.extend(tests);
        }
        runs
    }

    fn session(&self, runs: Vec<Run>) -> Session {
        Session {
            isolation: if self.bare { Isolation::None } else { Isolation::Namespaces },
            limits: self.limits,
            read: self.read.clone(),
            environment: self.environment.clone(),
            runs,
        }
    }
}
