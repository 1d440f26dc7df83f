//! A streamed chat completion, event by event.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::places::{self, CallPlaces, ChoicePlaces, Places};
use super::{Choice, Findings, Plan, calls_json, id_part};
use crate::capability::translate::member_cut;
use crate::capability::{Capability, Treatment};
use crate::leak;
use crate::record::AdaptationAction;
use crate::scan::{self, Kind};
use crate::splice::{Edit, Pieces, json_string};
use crate::sse::{Event, EventKind};

/// More text than this is not held: it is no tool call any more, and goes out as it came.
pub(super) const MAX_HELD: usize = 256 << 10;

/// Puts a stream right while it passes. Text that may be the beginning of a leaked tool call is held until it is known to be
/// one or none; everything else goes through as it came.
#[derive(Debug)]
pub struct Mender {
    plan: Plan,
    choices: BTreeMap<usize, Told>,
    findings: Findings,
    /// A chunk that stands for the head of all: id, model, time.
    template: Bytes,
    /// The usage that came on a chunk with choices, to be told on one of its own.
    usage: Option<Bytes>,
    /// Whether anything of the plan is about streams.
    looks: bool,
    /// More text of a choice than this is not kept.
    limit: usize,
}

const DETAILS: [&str; 2] = ["prompt_tokens_details", "completion_tokens_details"];

/// What one choice has said so far.
#[derive(Debug, Default)]
struct Told {
    /// Text of which it is not known whether it is a call, and before it, while a leak may still begin anywhere, all of it.
    text: String,
    /// How much of `text` has gone out.
    shown: usize,
    growing: leak::Growing,
    /// Too much was said to look at.
    overflown: bool,
    /// The names of real tool calls, in order, and their ids.
    calls: Vec<(String, String)>,
    /// The call that a part without index goes on with.
    current: usize,
    has_logprobs: bool,
    ended: bool,
}

impl Mender {
    /// Nothing seen yet.
    pub fn new(plan: Plan) -> Mender {
        use Capability as Can;
        let always =
            [Can::UsageDetails, Can::SystemFingerprint, Can::Logprobs, Can::ReasoningContent, Can::StreamUsage];
        let looks =
            !plan.tools.is_empty() || always.iter().any(|capability| plan.treatment(*capability) != Treatment::Pass);
        Mender {
            plan,
            choices: BTreeMap::new(),
            findings: Findings::default(),
            template: Bytes::new(),
            usage: None,
            looks,
            limit: leak::MAX_BYTES,
        }
    }

    /// Keeps no more than this of what a choice says; of a longer text it is not known whether calls leaked into it.
    pub fn within(&mut self, n_bytes: usize) {
        self.limit = self.limit.min(n_bytes);
    }

    /// What was found so far.
    pub fn findings(&self) -> &Findings {
        &self.findings
    }

    /// Takes the next event and appends what the caller gets of it.
    pub fn event(&mut self, event: Event, out: &mut Vec<Event>) {
        if event.kind != EventKind::Data || !self.looks {
            return out.push(event);
        }
        if event.data.trim_ascii() == b"[DONE]" {
            self.end(out);
            return out.push(event);
        }
        // What cannot be read is judged as such by whoever reads it next.
        let Ok(places) = places::read(&event.data) else { return out.push(event) };
        self.head(&event.data, &places);
        let mut edits = Vec::new();
        self.take_usage(&event.data, &places, &mut edits);
        for choice in &places.choices {
            self.choice(&event.data, choice, &mut edits, out);
        }
        match edits.as_slice() {
            [] => out.push(event),
            edits => {
                let data = Pieces::of(event.data.clone(), edits).to_bytes();
                if is_telling(&data) {
                    out.push(made(&data));
                }
            }
        }
    }

    /// The stream has ended: appends what was held.
    pub fn end(&mut self, out: &mut Vec<Event>) {
        let indices: Vec<usize> =
            self.choices.iter().filter(|(_, told)| !told.ended).map(|(index, _)| *index).collect();
        for index in indices {
            let (last, _) = self.settle(index);
            out.extend(last);
        }
        out.extend(self.usage.take().and_then(|usage| self.usage_chunk(&usage)));
    }

    /// The usage has a last chunk of its own, without choices; anywhere else it is taken away and told there.
    fn take_usage(&mut self, data: &Bytes, places: &Places, edits: &mut Vec<Edit>) {
        let Some(usage) = places.usage.clone().filter(|_| !places.choices.is_empty()) else { return };
        let start = data.iter().position(|byte| *byte == b'{').unwrap_or(0);
        if self.plan.fixes(Capability::StreamUsage)
            && let Ok(Some(cut)) = member_cut(data, start, b"usage")
        {
            self.usage = Some(data.slice(usage));
            edits.push(Edit::new(cut, Bytes::new()));
            self.findings.note(Capability::StreamUsage, AdaptationAction::Fixed);
        }
    }

    fn usage_chunk(&self, usage: &Bytes) -> Option<Event> {
        let head = places::read(&self.template).ok()?;
        let choices = head.choices_range?;
        let mut edits = vec![Edit::new(choices.clone(), &b"[]"[..])];
        match head.usage_null {
            Some(null) => edits.push(Edit::new(null, usage.clone())),
            None => edits.push(Edit::new(choices.end..choices.end, [b",\"usage\":", usage.as_ref()].concat())),
        }
        Some(made(&Pieces::of(self.template.clone(), &edits).to_bytes()))
    }

    /// What a chunk says beside its choices.
    fn head(&mut self, data: &Bytes, places: &Places) {
        let Mender { plan, findings, template, .. } = self;
        if let Some(usage) = &places.usage
            && plan.treatment(Capability::UsageDetails) != Treatment::Pass
            && places::has_members(data, usage, &DETAILS).is_ok_and(|has| !has)
        {
            plan.count(Capability::UsageDetails, findings);
        }
        if template.is_empty() && !places.choices.is_empty() {
            *template = data.clone();
            // The head of all chunks, so without what is only this one's.
            let start = data.iter().position(|byte| *byte == b'{').unwrap_or(0);
            if let (Some(_), Ok(Some(cut))) = (&places.usage, member_cut(data, start, b"usage")) {
                *template = Pieces::cut(data.clone(), cut).to_bytes();
            }
            if !places.has_fingerprint {
                plan.count(Capability::SystemFingerprint, findings);
            }
        }
    }

    fn choice(&mut self, data: &Bytes, choice: &ChoicePlaces, edits: &mut Vec<Edit>, out: &mut Vec<Event>) {
        let (holds, limit) = (self.holds(), self.limit);
        let told = self.choices.entry(choice.index).or_default();
        let put_right = self.plan.fixes(Capability::ToolsStream);
        for call in &choice.calls {
            if told.part(data, call, put_right, edits) {
                self.findings.note(Capability::ToolsStream, AdaptationAction::Fixed);
            }
        }
        told.has_logprobs |= choice.logprobs == Some(Kind::Object);
        if let Some(literal) = choice.content.clone()
            && !told.overflown
        {
            let mut text = Vec::with_capacity(literal.len());
            scan::unescape_lossy(data, literal.clone(), &mut text);
            told.take(&String::from_utf8_lossy(&text), limit);
            if holds {
                let from = told.shown;
                let to = if told.overflown { told.text.len() } else { told.growing.safe_len(&told.text) };
                let now = &told.text[from..to];
                if now.as_bytes() == text.as_slice() {
                    told.shown = to;
                } else if choice.finish.is_some() {
                    // What was held comes before the last words, so all of it is said in chunks of their own.
                    edits.push(Edit::new(literal, &b"\"\""[..]));
                } else {
                    told.shown = to;
                    edits.push(Edit::new(literal, json_string(now)));
                }
            }
        }
        if let Some(finish) = choice.finish.clone() {
            self.finish(data, (choice, finish), edits, out);
        }
    }

    /// Whether text is held that may become a call. A call that was forbidden is not made one.
    fn holds(&self) -> bool {
        let row = self.plan.leak_row(true);
        self.plan.fixes(row) && self.plan.choice != Choice::None && !self.plan.tools.is_empty()
    }

    /// The last chunk of a choice: what is held becomes calls or text before it.
    fn finish(
        &mut self,
        data: &Bytes,
        (choice, finish): (&ChoicePlaces, std::ops::Range<usize>),
        edits: &mut Vec<Edit>,
        out: &mut Vec<Event>,
    ) {
        let called = self.choices.get(&choice.index).is_some_and(|told| !told.calls.is_empty());
        let (before, leaked) = self.settle(choice.index);
        out.extend(before);
        let is_stop = &data[finish.clone()] == b"\"stop\"";
        if leaked {
            edits.push(Edit::new(finish, &b"\"tool_calls\""[..]));
        } else if called && is_stop && self.plan.choice != Choice::Named {
            if self.plan.fixes(Capability::ToolsFinishReason) {
                edits.push(Edit::new(finish, &b"\"tool_calls\""[..]));
                self.findings.note(Capability::ToolsFinishReason, AdaptationAction::Fixed);
            } else {
                self.plan.count(Capability::ToolsFinishReason, &mut self.findings);
            }
        }
    }

    /// Judges a choice that has ended, and says what was held of it: as tool calls (then true), or as text.
    fn settle(&mut self, index: usize) -> (Vec<Event>, bool) {
        let (holds, row) = (self.holds(), self.plan.leak_row(true));
        let Mender { plan, choices: told, findings, template, .. } = self;
        let Some(told) = told.get_mut(&index) else { return (Vec::new(), false) };
        if std::mem::replace(&mut told.ended, true) {
            return (Vec::new(), false);
        }
        if told.text.contains("<think>") || told.text.contains("</think>") {
            plan.count(Capability::ReasoningContent, findings);
        }
        if !told.has_logprobs {
            plan.count(Capability::Logprobs, findings);
        }
        if plan.tools.is_empty() {
            return (Vec::new(), false);
        }
        let leak = if told.calls.is_empty() && !told.overflown { plan.leaked(&told.text, true) } else { None };
        let head = places::read(template).unwrap_or_default();
        let chunk = |delta: String| {
            let choices = format!("[{{\"index\":{index},\"delta\":{delta},\"finish_reason\":null}}]");
            let edit = Edit::new(head.choices_range.clone().unwrap_or_default(), choices);
            made(&Pieces::of(template.clone(), &[edit]).to_bytes())
        };
        let mut events = Vec::new();
        let mut say = |text: &str| {
            if !text.is_empty() {
                events.push(chunk(format!("{{\"content\":{}}}", json_string(text))));
            }
        };
        match leak {
            Some(leak) if holds && leak.at >= told.shown => {
                say(told.text[told.shown..leak.at].trim_end());
                let id = head.id.clone().map_or_else(|| "0".to_owned(), |id| id_part(&template[id]));
                let calls = calls_json(&leak.calls, &format!("{id}{index}"), true);
                events.push(chunk(format!("{{\"tool_calls\":{calls}}}")));
                findings.note(row, AdaptationAction::Fixed);
                let names: Vec<&str> = leak.calls.iter().map(|call| call.name.as_str()).collect();
                plan.judge_calls(&names, findings);
                return (events, true);
            }
            found => {
                if holds {
                    say(&told.text[told.shown..]);
                }
                told.shown = told.text.len();
                match &found {
                    Some(leak) => {
                        plan.count(row, findings);
                        let names: Vec<&str> = leak.calls.iter().map(|call| call.name.as_str()).collect();
                        let as_seen: &[&str] = if plan.choice == Choice::None { &names } else { &[] };
                        plan.judge_calls(as_seen, findings);
                    }
                    None => {
                        let names: Vec<&str> = told.calls.iter().map(|(name, _)| name.as_str()).collect();
                        plan.judge_calls(&names, findings);
                    }
                }
            }
        }
        (events, false)
    }
}

impl Told {
    /// Takes a part of a real tool call. Official SDKs join every text of the parts with one index, so an index must be there,
    /// and id and name must come once: a part that says otherwise is put right, and then this is true.
    fn part(&mut self, data: &Bytes, call: &CallPlaces, put_right: bool, edits: &mut Vec<Edit>) -> bool {
        let known = |(_, id): &(String, String)| call.id.as_ref().is_some_and(|new| new == id);
        let is_new = call.id.as_ref().is_some_and(|id| !id.is_empty()) && !self.calls.iter().any(known);
        let index = call.index.or_else(|| self.calls.iter().position(known)).unwrap_or(match is_new {
            true => self.calls.len(),
            false => self.current,
        });
        self.current = index;
        let n_before = edits.len();
        if put_right && call.index.is_none() {
            edits.push(Edit::new(call.start + 1..call.start + 1, format!("\"index\":{index},")));
        }
        if self.calls.len() <= index {
            self.calls.resize_with(index + 1, Default::default);
        }
        let (name, id) = &mut self.calls[index];
        let mut repeated = |old: &mut String, new: Option<&String>, at: Option<usize>, member: &[u8]| {
            let Some(new) = new.filter(|new| !new.is_empty()) else { return };
            if old.is_empty() {
                old.clone_from(new);
            } else if put_right
                && old == new
                && let Some(at) = at
                && let Ok(Some(cut)) = member_cut(data, at, member)
            {
                edits.push(Edit::new(cut, Bytes::new()));
            }
        };
        repeated(id, call.id.as_ref(), Some(call.start), b"id");
        repeated(name, call.name.as_ref(), call.function, b"name");
        edits.len() > n_before
    }

    fn take(&mut self, text: &str, limit: usize) {
        self.text.push_str(text);
        // What is shown cannot become a call; it is kept because a call may still be recognised, and counted, by its whole.
        self.overflown = self.text.len() - self.shown > MAX_HELD || self.text.len() > limit;
    }
}

/// An event with this data.
fn made(data: &[u8]) -> Event {
    Event::parse(Bytes::from([b"data: ", data, b"\n\n"].concat()))
}

/// Whether a chunk whose text was held back still says something.
fn is_telling(data: &[u8]) -> bool {
    let Ok(places) = places::read(data) else { return true };
    let silent = |choice: &ChoicePlaces| {
        let empty_text = choice.content.as_ref().is_some_and(|literal| literal.len() == 2);
        let only_text = choice.message.as_ref().is_some_and(|message| only_content(data, message.start));
        empty_text && only_text && choice.finish.is_none()
    };
    places.usage.is_some() || !places.choices.iter().all(silent)
}

fn only_content(data: &[u8], at: usize) -> bool {
    let mut only = true;
    let Ok(mut walk) = scan::cursor::Object::open(data, at) else { return false };
    while let Ok(Some(key)) = walk.next_key() {
        only &= key.name.as_ref() == b"content";
        if walk.skip().is_err() {
            return false;
        }
    }
    only
}
