//! Answers that are put right, or seen to be wrong: what a server is declared to do wrong is looked for in its answers, and
//! nothing else is. Whatever stays is the provider's bytes.
//!
//! A [`Plan`] is made from the request and the target's profile; there is none when nothing of the request has to be looked
//! at in its answer. It mends a whole answer or a refusal in one go; a stream is mended event by event by a [`Mender`].

mod embeddings;
mod places;
mod refusal;
mod stream;
mod whole;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use bytes::Bytes;

use super::translate::Asked;
use super::{Capability, Profile, Treatment};
use crate::leak;
use crate::record::{Adaptation, AdaptationAction, Endpoint};
use crate::request::RequestView;
use crate::scan::cursor::{Array, Object};
use crate::scan::{self, Kind, ScanError};

pub use stream::Mender;

/// What has to be looked at in the answer to one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    endpoint: Endpoint,
    /// What is treated and used by the request.
    watched: Vec<(Capability, Treatment)>,
    /// The names of the request's tools.
    tools: Vec<String>,
    choice: Choice,
    /// The caller asks for embeddings in base64.
    base64: bool,
    dimensions: Option<u64>,
    /// How many texts there are to embed, when they are in a list.
    n_inputs: Option<usize>,
}

/// What `tool_choice` says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Choice {
    #[default]
    Auto,
    None,
    Required,
    Named,
}

/// What was put right, or seen and left.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings(Vec<(Capability, AdaptationAction)>);

impl Findings {
    /// Notes that `capability` was `action`; once is enough.
    fn note(&mut self, capability: Capability, action: AdaptationAction) {
        if !self.0.contains(&(capability, action)) {
            self.0.push((capability, action));
        }
    }

    /// Notes a fault that is left as it is.
    pub fn counted(&mut self, capability: Capability) {
        self.note(capability, AdaptationAction::Counted);
    }

    /// Notes a fault that was put right.
    pub fn fixed(&mut self, capability: Capability) {
        self.note(capability, AdaptationAction::Fixed);
    }

    /// Adds those of `others`.
    pub fn extend(&mut self, others: &Findings) {
        others.0.iter().for_each(|(capability, action)| self.note(*capability, *action));
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As they are recorded and counted.
    pub fn adaptations(&self, target: &str) -> impl Iterator<Item = Adaptation> {
        self.0.iter().map(move |(capability, action)| Adaptation {
            field: Cow::Borrowed(capability.field()),
            action: *action,
            target: target.to_owned(),
        })
    }
}

/// Capabilities whose faults are found by reading an answer's body. The others show in what is gathered of every answer.
const IN_BODIES: [Capability; 19] = [
    Capability::UsageDetails,
    Capability::AnswerMembers,
    Capability::SystemFingerprint,
    Capability::Logprobs,
    Capability::ReasoningContent,
    Capability::StreamUsage,
    Capability::ToolsAuto,
    Capability::ToolsStream,
    Capability::ToolsFinishReason,
    Capability::ToolChoiceNamed,
    Capability::ToolChoiceRequired,
    Capability::ToolChoiceNone,
    Capability::ParallelToolCalls,
    Capability::ContextLength,
    Capability::ErrorEnvelope,
    Capability::Embeddings,
    Capability::EmbeddingsBase64,
    Capability::EmbeddingsDimensions,
    Capability::EmbeddingsBatch,
];

impl Plan {
    /// What has to be looked at in the answer to the request read as `view` from `body`; `None` when nothing has.
    pub fn of(profile: &Profile, body: &[u8], view: &RequestView) -> Option<Plan> {
        if profile.treated().is_empty() || !matches!(view.endpoint, Endpoint::ChatCompletions | Endpoint::Embeddings) {
            return None;
        }
        let asked = Asked { body, view };
        let is_watched = |&&(capability, treatment): &&(Capability, Treatment)| {
            let looks = matches!(treatment, Treatment::Count | Treatment::Fix);
            // That a stream lacks its usage shows without reading it; that it is in the wrong place does not.
            let shows = capability == Capability::StreamUsage && treatment == Treatment::Count;
            looks && IN_BODIES.contains(&capability) && !shows && asked.uses(capability)
        };
        let watched: Vec<(Capability, Treatment)> = profile.treated().iter().filter(is_watched).copied().collect();
        if watched.is_empty() {
            return None;
        }
        // Tools that cannot be read have no names; then nothing is taken for a call of one.
        let tools = tool_names(body, view).unwrap_or_default();
        Some(Plan {
            endpoint: view.endpoint,
            watched,
            tools,
            choice: choice(&asked),
            base64: asked.text("encoding_format") == Some(b"\"base64\""),
            dimensions: asked.number("dimensions"),
            n_inputs: n_inputs(body, view),
        })
    }

    /// What is done about `capability`.
    fn treatment(&self, capability: Capability) -> Treatment {
        let found = self.watched.iter().find(|(watched, _)| *watched == capability);
        found.map_or(Treatment::Pass, |(_, treatment)| *treatment)
    }

    fn fixes(&self, capability: Capability) -> bool {
        self.treatment(capability) == Treatment::Fix
    }

    /// Notes a fault that is left, if it is looked for at all.
    fn count(&self, capability: Capability, findings: &mut Findings) {
        if self.treatment(capability) != Treatment::Pass {
            findings.note(capability, AdaptationAction::Counted);
        }
    }

    /// Looks at a whole answer with a status of success. The answer put right, when there was something to be.
    pub fn answer(&self, body: &Bytes, findings: &mut Findings) -> Option<Bytes> {
        // An answer that cannot be read is judged as such by whoever reads it next.
        let mended = match self.endpoint {
            Endpoint::Embeddings => embeddings::mend(self, body, findings),
            _ => whole::mend(self, body, findings),
        };
        mended.unwrap_or_default()
    }

    /// Looks at an answer with another status. The body put right, when there was something to be.
    pub fn refusal(&self, status: u16, body: &[u8], findings: &mut Findings) -> Option<Bytes> {
        refusal::mend(self, status, body, findings)
    }

    /// Judges what a choice did with the tools it was given.
    fn judge_calls<N: AsRef<str>>(&self, names: &[N], findings: &mut Findings) {
        let forced = match self.choice {
            Choice::Required => Some(Capability::ToolChoiceRequired),
            Choice::Named => Some(Capability::ToolChoiceNamed),
            Choice::None | Choice::Auto => None,
        };
        match forced {
            Some(capability) if names.is_empty() => self.count(capability, findings),
            _ => {}
        }
        if self.choice == Choice::None && !names.is_empty() {
            self.count(Capability::ToolChoiceNone, findings);
        }
        if names.len() > 1 {
            self.count(Capability::ParallelToolCalls, findings);
        }
    }

    /// The row that says what is done about calls that leaked into the text.
    fn leak_row(&self, streamed: bool) -> Capability {
        let of_streams = streamed && self.treatment(Capability::ToolsStream) != Treatment::Pass;
        if of_streams { Capability::ToolsStream } else { Capability::ToolsAuto }
    }

    /// Tool calls in a text, when they are looked for.
    fn leaked(&self, text: &str, streamed: bool) -> Option<leak::Leak> {
        let looks = self.treatment(self.leak_row(streamed)) != Treatment::Pass;
        if looks { leak::find(text, &self.tools) } else { None }
    }
}

/// How many inputs a list of texts has.
fn n_inputs(body: &[u8], view: &RequestView) -> Option<usize> {
    let input = view.input.clone()?;
    let mut walk = Array::open(body, input.start).ok()?;
    let mut n = 0;
    while walk.next_value().ok()? {
        let (kind, _) = walk.skip().ok()?;
        if kind != Kind::String {
            return None;
        }
        n += 1;
    }
    Some(n)
}

fn choice(asked: &Asked<'_>) -> Choice {
    if asked.uses(Capability::ToolChoiceNamed) {
        Choice::Named
    } else if asked.uses(Capability::ToolChoiceRequired) {
        Choice::Required
    } else if asked.uses(Capability::ToolChoiceNone) {
        Choice::None
    } else {
        Choice::Auto
    }
}

fn tool_names(body: &[u8], view: &RequestView) -> Result<Vec<String>, ScanError> {
    let mut names = Vec::new();
    let Some(tools) = view.tools.clone() else { return Ok(names) };
    let mut walk = Array::open(body, tools.start)?;
    while walk.next_value()? {
        let (kind, tool) = walk.skip()?;
        if kind != Kind::Object {
            continue;
        }
        let mut members = Object::open(body, tool.start)?;
        while let Some(key) = members.next_key()? {
            let (kind, value) = members.skip()?;
            if key.name.as_ref() == b"function" && kind == Kind::Object {
                let mut function = Object::open(body, value.start)?;
                while let Some(key) = function.next_key()? {
                    let (kind, value) = function.skip()?;
                    if key.name.as_ref() == b"name" && kind == Kind::String {
                        names.push(scan::unescape(body, value)?.into_owned());
                    }
                }
            }
        }
    }
    Ok(names)
}

/// Leaked calls as the dialect writes them, ids made of `id`.
fn calls_json(calls: &[leak::LeakedCall], id: &str, with_index: bool) -> String {
    let call = |(place, call): (usize, &leak::LeakedCall)| {
        let index = if with_index { format!("\"index\":{place},") } else { String::new() };
        format!(
            "{{{index}\"id\":{},\"type\":\"function\",\"function\":{{\"name\":{},\"arguments\":{}}}}}",
            crate::splice::json_string(&format!("call_{id}_{place}")),
            crate::splice::json_string(&call.name),
            crate::splice::json_string(&call.arguments)
        )
    };
    let calls: Vec<String> = calls.iter().enumerate().map(call).collect();
    format!("[{}]", calls.join(","))
}

/// The letters and digits of an answer's id, for ids made of it.
fn id_part(id: &[u8]) -> String {
    let id = String::from_utf8_lossy(id);
    let letters: String = id.chars().filter(char::is_ascii_alphanumeric).collect();
    letters.chars().rev().take(24).collect::<Vec<_>>().into_iter().rev().collect()
}
