//! From what came of a session to a score.

use std::collections::BTreeSet;

use sandbox::{Ended, Ran, Report, Run, Session};

use super::results::{self, Told};
use super::settings::{Results, Task};
use crate::case::Code;
use crate::metric::{Basis, Score, Unscored};

/// Bytes of an output that a score keeps, its end; failures stand there.
const KEPT: usize = 1500;

/// The score of a session, of a build alone or with its tests.
pub(super) fn score(task: &Task, (code, is_compiled): (&Code, bool), (session, report): (&Session, &Report)) -> Score {
    let lacks_tool = report.runs.iter().zip(&session.runs).find(|(ran, run)| lacks_tool(ran, run));
    if let Some((ran, run)) = lacks_tool {
        return Score::unscored(Unscored::NoTool).with_detail(detail(ran, run));
    }
    let n_build = task.build.len().min(report.runs.len());
    let (build, tests) = report.runs.split_at(n_build);
    if let Some((ran, run)) = build.iter().zip(&session.runs).find(|(ran, _)| !ran.ended.is_success()) {
        let outcome = if is_compiled { failed(&ran.ended) } else { "not_compiled" };
        return Score::is(false).with_outcome(outcome).with_detail(detail(ran, run));
    }
    if is_compiled {
        return Score::is(true).with_outcome("compiled");
    }
    let runs = session.runs.get(n_build..).unwrap_or_default();
    match &task.results {
        Results::Exit => counted(tests, runs, |_, ran| ran.ended.is_success()),
        Results::Output => counted(tests, runs, |idx, ran| {
            let wanted = code.runs.get(idx).map(|run| lines(&run.stdout));
            ran.ended.is_success() && ran.stdout.whole && wanted == Some(lines(&ran.stdout.text))
        }),
        Results::Tap | Results::Junit { .. } => {
            let (Some(ran), Some(run)) = (tests.first(), runs.first()) else {
                return Score::unscored(Unscored::NoReference);
            };
            let told = match &task.results {
                Results::Tap => ran.stdout.whole.then(|| results::tap(&ran.stdout.text)),
                _ => ran.collected.as_deref().and_then(results::junit),
            };
            told_of(code.n_tests.or(task.n_tests), told, (ran, run))
        }
    }
}

/// A program by its plain name, or from the root, is the suite's to have; one of the working directory would have been the answer's to make.
fn lacks_tool(ran: &Ran, run: &Run) -> bool {
    let name = run.command.first().map_or("", String::as_str);
    ran.ended == Ended::NoProgram && (!name.contains('/') || name.starts_with('/'))
}

/// Text as two outputs are compared: by lines, without blanks at their ends, and without empty lines at the end.
fn lines(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    while lines.last().is_some_and(|line| line.is_empty()) {
        lines.pop();
    }
    lines
}

fn counted(tests: &[Ran], runs: &[Run], passes: impl Fn(usize, &Ran) -> bool) -> Score {
    let first_failed = tests.iter().zip(runs).enumerate().find(|(idx, (ran, _))| !passes(*idx, ran));
    let n_passed = tests.iter().enumerate().filter(|(idx, ran)| passes(*idx, ran)).count();
    // Without a test there is nothing to pass.
    if runs.is_empty() {
        return Score::unscored(Unscored::NoReference).with_detail("the case has no tests");
    }
    let score = part(n_passed as u64, runs.len() as u64);
    match first_failed {
        None => score.with_outcome("passed"),
        Some((_, (ran, run))) => score.with_outcome(failed(&ran.ended)).with_detail(detail(ran, run)),
    }
}

/// The score where a program says which tests passed.
fn told_of(n_tests: Option<u64>, told: Option<Vec<Told>>, (ran, run): (&Ran, &Run)) -> Score {
    let Some(n_tests) = n_tests.filter(|n_tests| *n_tests > 0) else {
        return Score::unscored(Unscored::NoReference).with_detail("nothing says how many tests there are (`n_tests`)");
    };
    let detail = detail(ran, run);
    let told = match told {
        None => return part(0, n_tests).with_outcome(nothing(&ran.ended)).with_detail(detail),
        Some(told) if told.is_empty() => return part(0, n_tests).with_outcome(nothing(&ran.ended)).with_detail(detail),
        Some(told) => told,
    };
    let names: BTreeSet<&str> = told.iter().map(|told| told.name.as_str()).collect();
    let n_passed = told.iter().filter(|told| told.passed).count() as u64;
    let is_whole = n_passed == n_tests && told.len() as u64 == n_tests;
    if names.len() != told.len() || told.len() as u64 > n_tests || (is_whole && !ran.ended.is_success()) {
        let why = format!("{} results of {n_tests} tests, {} of them different\n{detail}", told.len(), names.len());
        return part(0, n_tests).with_outcome("not_believed").with_detail(why);
    }
    if is_whole {
        return part(n_passed, n_tests).with_outcome("passed");
    }
    let first = told.iter().find(|told| !told.passed);
    let first = first.map(|told| format!("{}: {}\n", told.name, told.message)).unwrap_or_default();
    part(n_passed, n_tests).with_outcome(failed(&ran.ended)).with_detail(first + &detail)
}

fn part(n_passed: u64, n_tests: u64) -> Score {
    let (n_passed, n_tests) = (n_passed as f64, n_tests as f64);
    Score::value(n_passed / n_tests).with_basis(Basis::Counts(vec![n_passed, n_tests]))
}

/// The outcome of what did not pass.
fn failed(ended: &Ended) -> &'static str {
    match ended {
        Ended::WallTime | Ended::CpuTime => "timed_out",
        Ended::Memory => "out_of_memory",
        Ended::Exit(_) | Ended::Signal(_) | Ended::NoProgram | Ended::NotStarted(_) | Ended::BroughtDown(_) => "failed",
    }
}

/// The outcome where there are no results at all.
fn nothing(ended: &Ended) -> &'static str {
    match failed(ended) {
        "failed" => "no_results",
        other => other,
    }
}

/// What a report shows of a command: the command, how it ended, and the end of what it wrote.
fn detail(ran: &Ran, run: &Run) -> String {
    let mut text = format!("$ {}\n{}", run.command.join(" "), ran.ended.words());
    for written in [&ran.stdout.text, &ran.stderr.text] {
        let written = written.trim();
        if !written.is_empty() {
            let from = written.len().saturating_sub(KEPT);
            let from = (from..written.len()).find(|at| written.is_char_boundary(*at)).unwrap_or(0);
            text.push_str(if from > 0 { "\n[...]" } else { "\n" });
            text.push_str(&written[from..]);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use sandbox::Output;
    use serde_json::json;

    use super::*;
    use crate::case::CodeRun;

    fn ran(ended: Ended, stdout: &str) -> Ran {
        let output = |text: &str| Output { text: text.to_owned(), whole: true };
        Ran { ended, stdout: output(stdout), stderr: output(""), collected: None, wall_ms: 1 }
    }

    #[track_caller]
    fn check(settings: serde_json::Value, code: &Code, runs: Vec<Ran>, expected: (Option<f64>, &str)) {
        let mut all = json!({ "file": "a.py", "build": ["cc"], "run": ["./a.out"] });
        all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        let task = Task::read(&all).unwrap();
        task.examine("code_tests").unwrap();
        let session = task.session(task.runs((code, Default::default()), false));
        let score = score(&task, (code, false), (&session, &Report { runs }));
        let word = match score.measured {
            crate::metric::Measured::Unscored(why) => why.as_str(),
            crate::metric::Measured::Value(_) => score.outcome.as_deref().unwrap_or_default(),
        };
        assert_eq!((score.as_value(), word), expected, "{score:?}");
    }

    fn built() -> Ran {
        ran(Ended::Exit(0), "")
    }

    #[test]
    fn tests_by_exit_code_count_each() {
        let three = json!({ "run": [["t", "1"], ["t", "2"], ["t", "3"]] });
        let runs = |last| vec![built(), ran(Ended::Exit(0), ""), ran(Ended::Exit(0), ""), last];
        check(three.clone(), &Code::default(), runs(ran(Ended::Exit(0), "")), (Some(1.0), "passed"));
        check(three.clone(), &Code::default(), runs(ran(Ended::Exit(1), "")), (Some(2.0 / 3.0), "failed"));
        check(three.clone(), &Code::default(), runs(ran(Ended::CpuTime, "")), (Some(2.0 / 3.0), "timed_out"));
        check(three.clone(), &Code::default(), runs(ran(Ended::NoProgram, "")), (None, "no_tool"));
        check(three, &Code::default(), vec![ran(Ended::Exit(1), "")], (Some(0.0), "not_compiled"));
        // What the build was to make and did not is the answer's fault.
        check(json!({}), &Code::default(), vec![built(), ran(Ended::NoProgram, "")], (Some(0.0), "failed"));
    }

    #[test]
    fn output_is_compared_by_lines() {
        let run = |stdout: &str| CodeRun { stdout: stdout.to_owned(), ..CodeRun::default() };
        let code = Code { runs: vec![run("1\n2\n"), run("3")], ..Code::default() };
        let output = json!({ "results": "output" });
        let runs = |second: Ran| vec![built(), ran(Ended::Exit(0), "1  \n2"), second];
        check(output.clone(), &code, runs(ran(Ended::Exit(0), "3\n\n")), (Some(1.0), "passed"));
        check(output.clone(), &code, runs(ran(Ended::Exit(0), "4")), (Some(0.5), "failed"));
        check(output.clone(), &code, runs(ran(Ended::Exit(1), "3")), (Some(0.5), "failed"));
        check(output, &Code::default(), vec![built()], (None, "no_reference"));
    }

    #[test]
    fn results_that_cannot_be_are_not_believed() {
        let tap = |n: u64| json!({ "results": "tap", "n_tests": n });
        let said = |text: &str| vec![built(), ran(Ended::Exit(0), text)];
        let code = Code::default();
        check(tap(2), &code, said("ok 1\nok 2"), (Some(1.0), "passed"));
        check(tap(2), &code, said("ok 1\nnot ok 2"), (Some(0.5), "failed"));
        check(tap(2), &code, said("ok 1"), (Some(0.5), "failed"));
        check(tap(2), &code, said("1..1\nok 1\nok 2\nok 3"), (Some(0.0), "not_believed"));
        check(tap(2), &code, said("ok 1\nnot ok 1"), (Some(0.0), "not_believed"));
        check(tap(2), &code, said("OK"), (Some(0.0), "no_results"));
        check(tap(2), &code, vec![built(), ran(Ended::Exit(1), "ok 1\nok 2")], (Some(0.0), "not_believed"));
        check(json!({ "results": "tap" }), &code, said("ok 1"), (None, "no_reference"));
        // The case knows better than the suite.
        let three = Code { n_tests: Some(4), ..Code::default() };
        check(tap(2), &three, said("ok 1\nok 2"), (Some(0.5), "failed"));
    }
}
