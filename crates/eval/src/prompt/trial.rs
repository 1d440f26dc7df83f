//! What came of asking a target a prompt: every answer is held against named checks, and the prompt is sorted by what they found.
//!
//! A check is a fact about one answer and never a model's opinion. Each says what usually helps: where an adaptation of the prompt does
//! ([`Helper`]), the prompt needs a minor adjustment; where none does, it has to be reworked.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};
use wire::leak;
use wire::openai::answer::inspect;

use super::golden::{Golden, Held};
use crate::metric;

/// An answer, and how it ended.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Said {
    /// The answer as metrics read it.
    pub answer: metric::Answer,
    /// Why it ended, as the provider says.
    pub finish_reason: Option<String>,
}

/// What an answer may be found to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// It is empty: no text, and no tool was called.
    Empty,
    /// It was cut off at the most tokens it may have.
    CutOff,
    /// A tool call stands in the text in the words of the model's template.
    LeakedToolCall,
    /// A call's arguments are no JSON object, or name a tool that was not offered.
    BrokenToolCall,
    /// JSON was wanted and stands in a code fence or among other words.
    WrappedJson,
    /// JSON was wanted and there is none that can be read.
    InvalidJson,
    /// The model's thoughts stand in the text.
    ThoughtsInText,
    /// Words of the model's chat template stand in the text.
    TemplateInText,
    /// It is a refusal, and none was right.
    Refusal,
    /// A refusal was right, and it is none.
    NoRefusal,
    /// It is in another language than is wanted.
    Language,
    /// It is longer than is wanted.
    TooLong,
    /// Something the golden test expects does not hold.
    Expectation,
}

/// What usually helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Helper {
    /// Say the wanted form again, last and strictly.
    StricterFormat,
    /// Put what is filled in between delimiters.
    Delimiters,
    /// Show examples of right answers.
    FewShots,
    /// Try other parameters.
    Parameters,
    /// Move the system message.
    Placement,
}

/// What was found about one answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// The check.
    pub check: Check,
    /// What was seen, in words.
    pub seen: String,
}

/// What became of one golden test, asked once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Outcome {
    /// Every check holds.
    Passed,
    /// Some do not.
    Failed {
        /// Which.
        reasons: Vec<Reason>,
    },
    /// There is no answer, or something that is expected cannot be measured.
    Unscored {
        /// Why.
        why: String,
    },
}

/// Where a prompt belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sorted {
    /// Every answer passed every check.
    Works,
    /// Some did not, and every check that did not hold has a helper.
    MinorAdjustment,
    /// Some did not, and of one of them nothing is known that helps.
    Rework,
    /// Nothing was measured, or too little: an answer is missing and none of the others failed.
    Undecided,
}

impl Check {
    /// Every check.
    pub const ALL: [Check; 13] = [
        Check::Empty,
        Check::CutOff,
        Check::LeakedToolCall,
        Check::BrokenToolCall,
        Check::WrappedJson,
        Check::InvalidJson,
        Check::ThoughtsInText,
        Check::TemplateInText,
        Check::Refusal,
        Check::NoRefusal,
        Check::Language,
        Check::TooLong,
        Check::Expectation,
    ];

    /// The word in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Check::Empty => "empty",
            Check::CutOff => "cut_off",
            Check::LeakedToolCall => "leaked_tool_call",
            Check::BrokenToolCall => "broken_tool_call",
            Check::WrappedJson => "wrapped_json",
            Check::InvalidJson => "invalid_json",
            Check::ThoughtsInText => "thoughts_in_text",
            Check::TemplateInText => "template_in_text",
            Check::Refusal => "refusal",
            Check::NoRefusal => "no_refusal",
            Check::Language => "language",
            Check::TooLong => "too_long",
            Check::Expectation => "expectation",
        }
    }

    /// What usually helps; nothing where the prompt itself has to be thought over, or the server.
    #[must_use]
    pub const fn helpers(self) -> &'static [Helper] {
        match self {
            Check::CutOff => &[Helper::Parameters, Helper::StricterFormat],
            Check::WrappedJson | Check::InvalidJson => &[Helper::StricterFormat, Helper::FewShots, Helper::Parameters],
            Check::Language | Check::TooLong => &[Helper::StricterFormat, Helper::FewShots],
            Check::TemplateInText => &[Helper::Placement, Helper::Parameters],
            Check::ThoughtsInText => &[Helper::Parameters, Helper::StricterFormat],
            Check::Empty
            | Check::LeakedToolCall
            | Check::BrokenToolCall
            | Check::Refusal
            | Check::NoRefusal
            | Check::Expectation => &[],
        }
    }
}

impl Helper {
    /// The word in reports and in the names of proposals.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Helper::StricterFormat => "stricter_format",
            Helper::Delimiters => "delimiters",
            Helper::FewShots => "few_shots",
            Helper::Parameters => "parameters",
            Helper::Placement => "placement",
        }
    }
}

impl Sorted {
    /// The word in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Sorted::Works => "works",
            Sorted::MinorAdjustment => "minor adjustment",
            Sorted::Rework => "rework",
            Sorted::Undecided => "undecided",
        }
    }
}

/// Marks that servers leave in a text when their template and the model's differ.
const TEMPLATE_MARKS: [&str; 10] = [
    "<|im_start|>",
    "<|im_end|>",
    "<|start_header_id|>",
    "<|eot_id|>",
    "[INST]",
    "[/INST]",
    "<start_of_turn>",
    "<end_of_turn>",
    "<|assistant|>",
    "<|channel|>",
];

/// How refusals begin, in lower case. A short text that begins so is taken for one; what a server marks as a refusal is one.
const REFUSALS: [&str; 12] = [
    "i can't",
    "i cannot",
    "i can not",
    "i'm sorry, but",
    "i am sorry, but",
    "sorry, but i can",
    "sorry, i can",
    "i'm unable to",
    "i am unable to",
    "i won't",
    "i'm not able to",
    "i apologize, but",
];
/// A longer text says more than no.
const LONGEST_REFUSAL: usize = 600;

impl Said {
    /// Reads the first choice of a chat completion; `None` when the body is none.
    #[must_use]
    pub fn read(body: &[u8]) -> Option<Said> {
        let facts = inspect(body);
        let texts = facts.texts(body);
        let first = texts.first().filter(|_| facts.has_answer)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let calls = first.tool_calls.iter().map(|call| metric::Call {
            name: text(&call.name),
            arguments: text(call.arguments.as_deref().unwrap_or_default()),
        });
        let refusal = serde_json::from_slice::<Value>(body).ok();
        let refusal = refusal.and_then(|body| body["choices"][0]["message"]["refusal"].as_str().map(str::to_owned));
        let answer = metric::Answer {
            text: text(&first.content),
            calls: calls.collect(),
            refusal: refusal.filter(|words| !words.is_empty()),
            ..metric::Answer::default()
        };
        Some(Said { answer, finish_reason: facts.finish_reason.clone() })
    }

    fn refuses(&self) -> bool {
        let text = self.answer.text.trim();
        let start: String = text.chars().take(40).collect::<String>().to_lowercase().replace('\u{2019}', "'");
        let reads_so = text.len() <= LONGEST_REFUSAL && REFUSALS.iter().any(|refusal| start.starts_with(refusal));
        self.answer.refusal.is_some() || (self.answer.calls.is_empty() && reads_so)
    }
}

/// Holds an answer to `request` against every check and what the golden test expects. `language` is the language of the answer, where it
/// can be told.
#[must_use]
pub fn judge(golden: &Golden, request: &Map<String, Value>, said: &Said, language: Option<&str>) -> Outcome {
    let mut reasons = Vec::new();
    let mut find = |check: Check, seen: String| reasons.push(Reason { check, seen });
    let Said { answer, finish_reason } = said;
    let text = answer.text.trim();
    if text.is_empty() && answer.calls.is_empty() && answer.refusal.is_none() {
        find(Check::Empty, format!("finish reason {}", finish_reason.as_deref().unwrap_or("not said")));
    }
    if finish_reason.as_deref() == Some("length") {
        find(Check::CutOff, format!("after {} characters", text.chars().count()));
    }
    let tools = offered(request);
    if let Some(found) = leak::find(&answer.text, &tools) {
        find(Check::LeakedToolCall, format!("`{}` in the text", found.calls.first().map_or("", |call| &call.name)));
    }
    for call in &answer.calls {
        if !tools.contains(&call.name) {
            find(Check::BrokenToolCall, format!("`{}` was not offered", call.name));
        } else if !serde_json::from_str::<Value>(&call.arguments).is_ok_and(|arguments| arguments.is_object()) {
            find(Check::BrokenToolCall, format!("the arguments of `{}` are no JSON object", call.name));
        }
    }
    if let Some((check, seen)) = wants_json(golden, request).then(|| json_of(text)).flatten() {
        find(check, seen);
    }
    if text.contains("<think>") || text.contains("</think>") {
        find(Check::ThoughtsInText, "`<think>` in the text".to_owned());
    }
    if let Some(mark) = TEMPLATE_MARKS.iter().find(|mark| text.contains(*mark)) {
        find(Check::TemplateInText, format!("`{mark}` in the text"));
    }
    match (golden.refuses, said.refuses()) {
        (false, true) => find(Check::Refusal, text.chars().take(60).collect()),
        (true, false) => find(Check::NoRefusal, text.chars().take(60).collect()),
        _ => {}
    }
    if let (Some(wanted), Some(found)) = (&golden.language, language)
        && wanted != found
    {
        find(Check::Language, format!("{found}, and {wanted} is wanted"));
    }
    let mut unscored = None;
    let schemas = described(request);
    for expectation in &golden.expect {
        match expectation.hold(said, &schemas) {
            Held::Yes => {}
            Held::No(seen) => match expectation.name.as_str() {
                "max_length" => find(Check::TooLong, seen),
                // What is wrong with it is said already.
                "json" => {}
                name => find(Check::Expectation, format!("{name}: {seen}")),
            },
            Held::Unscored(why) => unscored = Some(format!("{}: {why}", expectation.name)),
        }
    }
    match (reasons.is_empty(), unscored) {
        (false, _) => Outcome::Failed { reasons },
        (true, Some(why)) => Outcome::Unscored { why },
        (true, None) => Outcome::Passed,
    }
}

/// Where a prompt with these outcomes belongs.
#[must_use]
pub fn sort<'o>(outcomes: impl IntoIterator<Item = &'o Outcome>) -> Sorted {
    let (mut n_passed, mut n_unscored, mut failed, mut needs_rework) = (0, 0, false, false);
    for outcome in outcomes {
        match outcome {
            Outcome::Passed => n_passed += 1,
            Outcome::Unscored { .. } => n_unscored += 1,
            Outcome::Failed { reasons } => {
                failed = true;
                needs_rework |= reasons.iter().any(|reason| reason.check.helpers().is_empty());
            }
        }
    }
    match (failed, needs_rework) {
        (true, true) => Sorted::Rework,
        (true, false) => Sorted::MinorAdjustment,
        (false, _) if n_passed > 0 && n_unscored == 0 => Sorted::Works,
        (false, _) => Sorted::Undecided,
    }
}

/// How often each check did not hold, over answers.
#[must_use]
pub fn tally<'o>(outcomes: impl IntoIterator<Item = &'o Outcome>) -> BTreeMap<Check, u64> {
    let mut counts = BTreeMap::new();
    for outcome in outcomes {
        let Outcome::Failed { reasons } = outcome else { continue };
        let mut checks: Vec<Check> = reasons.iter().map(|reason| reason.check).collect();
        checks.dedup();
        for check in checks {
            *counts.entry(check).or_default() += 1;
        }
    }
    counts
}

fn offered(request: &Map<String, Value>) -> Vec<String> {
    let tools = request.get("tools").and_then(Value::as_array).into_iter().flatten();
    tools.filter_map(|tool| tool["function"]["name"].as_str().map(str::to_owned)).collect()
}

/// The tools of the request as metrics read them.
fn described(request: &Map<String, Value>) -> Vec<metric::Tool> {
    let tools = request.get("tools").and_then(Value::as_array).into_iter().flatten();
    let tool = |tool: &Value| {
        let name = tool["function"]["name"].as_str()?.to_owned();
        Some(metric::Tool { name, parameters: tool["function"]["parameters"].clone() })
    };
    tools.filter_map(tool).collect()
}

/// Whether the answer is to be JSON: the request's format or the golden test says so.
fn wants_json(golden: &Golden, request: &Map<String, Value>) -> bool {
    let kind = request.get("response_format").and_then(|format| format["type"].as_str());
    matches!(kind, Some("json_object" | "json_schema")) || golden.expect.iter().any(|one| one.name == "json")
}

fn json_of(text: &str) -> Option<(Check, String)> {
    let error = serde_json::from_str::<Value>(text).err()?;
    let is_json = |inner: &str| serde_json::from_str::<Value>(inner.trim()).is_ok_and(|value| !value.is_number());
    let fenced = text.split("```").nth(1).map(|inner| inner.split_once('\n').map_or(inner, |(_, rest)| rest));
    if fenced.is_some_and(is_json) {
        return Some((Check::WrappedJson, "in a code fence".to_owned()));
    }
    let among = |open: char, close: char| text.find(open).zip(text.rfind(close)).filter(|(from, to)| from < to);
    let spans = [among('{', '}'), among('[', ']')];
    if spans.into_iter().flatten().any(|(from, to)| is_json(&text[from..=to])) {
        return Some((Check::WrappedJson, "among other words".to_owned()));
    }
    Some((Check::InvalidJson, error.to_string()))
}
