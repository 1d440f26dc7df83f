//! Calls of tools against the calls that are right, by the rules of the Berkeley function-calling leaderboard (`bfcl-eval`
//! 2026.3.23, `ast_checker`, category Python), and what became of a call that is not right.
//!
//! The rules: the name is the tool's; every required argument is there; no argument that the tool or the case does not know; the type
//! is the schema's (an integer where a number is wanted will do) or, failing that, the type of the accepted values; the value is one
//! of the accepted ones, strings compared without ` ,./-_*^`, in lower case and with one kind of quote; an argument may be left out
//! where `""` is accepted. Several calls match in any order, each expected call taking the first call left that fits it.
//!
//! What we add: an answer without a call is looked at before it counts as abstention. A call in the words of a chat template is
//! `leaked`, arguments that are no JSON are `malformed`; BFCL's own irrelevance category takes both for a wise silence. The schema's
//! words `number` and `object` are read as BFCL's `float` and `dict`. Integers beyond 64 bits are doubles.

mod accept;
mod expected;
mod health;

use serde_json::{Map, Value};
use wire::leak;

use super::{Answer, Call, Case, Metric, Score, Tool, Unscored};

pub use accept::Mismatch;
pub use expected::{Expected, unreadable};
pub(super) use health::metric as health;

/// How several calls find the ones they are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Matching {
    /// Each expected call takes the first call left that fits, as BFCL does it.
    #[default]
    Greedy,
    /// Right when there is any way at all to pair them: no right answer is lost to the order.
    Maximum,
}

/// The case's expectation cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// `tool_calls`. `dotless`: names that were offered with dots may be called with underscores only, as for vendors that allow no dots.
pub(super) fn metric(matching: Matching, dotless: bool) -> Metric {
    let mut id = "tool_calls@bfcl-eval-2026.3.23:of=any".to_owned();
    if matching == Matching::Maximum {
        id.push_str(":matching=maximum");
    }
    if dotless {
        id.push_str(":dotless");
    }
    let definition =
        "1 when the calls are those that the case accepts by BFCL's rules, of several expected answers any, else 0";
    Metric::new(id, definition, move |case, answer| score(case, answer, matching, dotless))
}

fn score(case: &Case, answer: &Answer, matching: Matching, dotless: bool) -> Score {
    if case.calls.is_empty() {
        return Score::unscored(Unscored::NoReference);
    }
    let expected = match readable(case) {
        Ok(expected) => expected,
        Err(why) => return Score::unscored(Unscored::MalformedCase).with_detail(why),
    };
    if let Some(outcome) = silence(case, answer) {
        let is_right = expected.iter().any(Vec::is_empty) && matches!(outcome, "abstained" | "empty");
        return Score::is(is_right).with_outcome(outcome);
    }
    let mut calls = Vec::new();
    for call in &answer.calls {
        match Parsed::of(call) {
            Some(parsed) => calls.push(parsed),
            None => return Score::is(false).with_outcome("malformed"),
        }
    }
    let (mut closest, mut is_malformed) = (None, false);
    for expected in expected.iter().filter(|expected| !expected.is_empty()) {
        match check(&case.tools, &calls, expected, matching, dotless) {
            Ok(Ok(())) => return Score::is(true).with_outcome("correct"),
            Ok(Err(mismatch)) => closest = closest.max(Some(mismatch)),
            Err(Malformed) => is_malformed = true,
        }
    }
    let is_offered = |call: &Parsed| case.tools.iter().any(|tool| named(tool, dotless) == call.name);
    match closest {
        _ if is_malformed => Score::unscored(Unscored::MalformedCase)
            .with_detail("a call is expected of a tool that is not offered, or with values that cannot be compared"),
        None => Score::is(false).with_outcome("unwanted"),
        Some(_) if !calls.iter().all(is_offered) => Score::is(false).with_outcome("unknown_tool"),
        Some(mismatch) => Score::is(false).with_outcome(mismatch.as_str()),
    }
}

/// What is expected, each as BFCL's rules compare it.
fn readable(case: &Case) -> Result<Vec<Vec<Value>>, String> {
    let one = |call: &Value| match Expected::read(call) {
        Ok(expected) => Ok(expected.as_accepted(&case.tools)),
        Err((place, what)) if place.is_empty() => Err(format!("an expected call cannot be read: {what}")),
        Err((place, what)) => Err(format!("an expected call cannot be read: {place}: {what}")),
    };
    case.calls.iter().map(|calls| calls.iter().map(one).collect()).collect()
}

/// What an answer without calls is; `None` when it has some.
fn silence(case: &Case, answer: &Answer) -> Option<&'static str> {
    if !answer.calls.is_empty() {
        return None;
    }
    let names: Vec<&str> = case.tools.iter().map(|tool| tool.name.as_str()).collect();
    Some(if leak::find(&answer.text, &names).is_some() {
        "leaked"
    } else if leak::is_marked(&answer.text) {
        // The words of a template, and no call that could be read from them.
        "malformed"
    } else if answer.text.trim().is_empty() && answer.refusal.is_none() {
        "empty"
    } else {
        "abstained"
    })
}

/// A call whose arguments are an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// The name called.
    pub name: String,
    /// The arguments.
    pub arguments: Map<String, Value>,
}

impl Parsed {
    /// `None` when the arguments are no object. Nothing at all is an empty one: some servers say it so.
    #[must_use]
    pub fn of(call: &Call) -> Option<Parsed> {
        let arguments = match call.arguments.trim() {
            "" => Map::new(),
            text => serde_json::from_str(text).ok()?,
        };
        Some(Parsed { name: call.name.clone(), arguments })
    }
}

/// Whether the calls are those that are expected, at least one.
///
/// # Errors
/// When the expectation cannot be read: it names a tool that was not offered, or is not made as it should be.
pub fn check(
    tools: &[Tool],
    calls: &[Parsed],
    expected: &[Value],
    matching: Matching,
    dotless: bool,
) -> Result<Result<(), Mismatch>, Malformed> {
    if calls.len() != expected.len() {
        return Ok(Err(Mismatch::Count));
    }
    // Row: expected; column: the calls.
    let mut table: Vec<Vec<Pair>> = Vec::with_capacity(expected.len());
    for one in expected {
        let (name, accepted) = one.as_object().and_then(|object| object.iter().next()).ok_or(Malformed)?;
        let tool = tools.iter().find(|tool| tool.name == *name).ok_or(Malformed)?;
        let accepted = accepted.as_object().ok_or(Malformed)?;
        let name = named(tool, dotless);
        table.push(calls.iter().map(|call| accept::call(tool, &name, call, accepted)).collect());
    }
    let unmatched = match matching {
        Matching::Greedy => greedy(&table)?,
        Matching::Maximum => maximum(&table)?,
    };
    let Some(row) = unmatched else { return Ok(Ok(())) };
    // The call that came closest says what is wrong.
    let closest = table[row].iter().filter_map(|pair| pair.ok()?.err()).max();
    Ok(Err(closest.unwrap_or(Mismatch::Count)))
}

/// Whether a call is the expected one; or the expectation, as far as it had to be read, cannot be.
type Pair = Result<Result<(), Mismatch>, Malformed>;

/// The first row that finds no call, if there is one. Only what is looked at on the way has to be readable.
fn greedy(table: &[Vec<Pair>]) -> Result<Option<usize>, Malformed> {
    let mut taken = vec![false; table.len()];
    'rows: for (row, pairs) in table.iter().enumerate() {
        for (column, pair) in pairs.iter().enumerate() {
            if !taken[column] && (*pair)?.is_ok() {
                taken[column] = true;
                continue 'rows;
            }
        }
        return Ok(Some(row));
    }
    Ok(None)
}

/// The same with augmenting paths: Kuhn's algorithm. What cannot be read fits nothing, and matters only when no pairing is found.
fn maximum(table: &[Vec<Pair>]) -> Result<Option<usize>, Malformed> {
    let mut holder: Vec<Option<usize>> = vec![None; table.len()];
    for row in 0..table.len() {
        let mut seen = vec![false; table.len()];
        if !augment(table, row, &mut seen, &mut holder) {
            return if table.iter().flatten().any(Result::is_err) { Err(Malformed) } else { Ok(Some(row)) };
        }
    }
    Ok(None)
}

fn augment(table: &[Vec<Pair>], row: usize, seen: &mut [bool], holder: &mut [Option<usize>]) -> bool {
    for column in 0..table[row].len() {
        if table[row][column] != Ok(Ok(())) || std::mem::replace(&mut seen[column], true) {
            continue;
        }
        if holder[column].is_none_or(|other| augment(table, other, seen, holder)) {
            holder[column] = Some(row);
            return true;
        }
    }
    false
}

/// The name by which a tool is called.
fn named(tool: &Tool, dotless: bool) -> String {
    if dotless { tool.name.replace('.', "_") } else { tool.name.clone() }
}

#[cfg(test)]
mod tests;
