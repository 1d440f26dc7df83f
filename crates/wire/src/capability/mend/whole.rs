//! A whole chat completion.

use bytes::Bytes;

use super::places::{self, ChoicePlaces, Places};
use super::{Choice, Findings, Plan, calls_json, id_part};
use crate::capability::{Capability, Treatment};
use crate::record::AdaptationAction;
use crate::scan::{self, Kind, ScanError};
use crate::splice::{Edit, Pieces, json_string};

/// Looks at an answer; the answer put right, when there was something to be.
pub(super) fn mend(plan: &Plan, body: &Bytes, findings: &mut Findings) -> Result<Option<Bytes>, ScanError> {
    let places = places::read(body)?;
    let mut edits = Vec::new();
    usage(plan, body, &places, findings)?;
    if !places.has_fingerprint {
        plan.count(Capability::SystemFingerprint, findings);
    }
    for choice in &places.choices {
        members(plan, choice, &mut edits, findings);
        if choice.logprobs.is_none_or(|kind| kind == Kind::Null) {
            plan.count(Capability::Logprobs, findings);
        }
        said(plan, body, (&places, choice), &mut edits, findings);
    }
    Ok((!edits.is_empty()).then(|| Pieces::of(body.clone(), &edits).to_bytes()))
}

fn usage(plan: &Plan, body: &Bytes, places: &Places, findings: &mut Findings) -> Result<(), ScanError> {
    let Some(usage) = &places.usage else { return Ok(()) };
    if plan.treatment(Capability::UsageDetails) != Treatment::Pass
        && !places::has_members(body, usage, &["prompt_tokens_details", "completion_tokens_details"])?
    {
        plan.count(Capability::UsageDetails, findings);
    }
    Ok(())
}

/// The members that the vendor's schema requires.
fn members(plan: &Plan, choice: &ChoicePlaces, edits: &mut Vec<Edit>, findings: &mut Findings) {
    let whole = choice.has_refusal && choice.logprobs.is_some();
    let treatment = plan.treatment(Capability::AnswerMembers);
    if whole || treatment == Treatment::Pass {
        return;
    }
    if treatment == Treatment::Count {
        return plan.count(Capability::AnswerMembers, findings);
    }
    if let Some(message) = choice.message.as_ref().filter(|_| !choice.has_refusal) {
        edits.push(Edit::new(message.start + 1..message.start + 1, r#""refusal":null,"#));
    }
    if choice.logprobs.is_none() {
        edits.push(Edit::new(choice.range.start + 1..choice.range.start + 1, r#""logprobs":null,"#));
    }
    findings.note(Capability::AnswerMembers, AdaptationAction::Fixed);
}

/// What a choice said: its text and its calls.
fn said(
    plan: &Plan,
    body: &Bytes,
    (places, choice): (&Places, &ChoicePlaces),
    edits: &mut Vec<Edit>,
    findings: &mut Findings,
) {
    let text = choice.content.clone().map(|literal| {
        let mut text = Vec::with_capacity(literal.len());
        scan::unescape_lossy(body, literal, &mut text);
        String::from_utf8_lossy(&text).into_owned()
    });
    let text = text.unwrap_or_default();
    if text.contains("<think>") || text.contains("</think>") {
        plan.count(Capability::ReasoningContent, findings);
    }
    if plan.tools.is_empty() {
        return;
    }
    if !choice.calls.is_empty() {
        let names: Vec<&str> = choice.calls.iter().map(|call| call.name.as_deref().unwrap_or_default()).collect();
        plan.judge_calls(&names, findings);
        return finish(plan, body, choice, edits, findings);
    }
    let Some(leak) = plan.leaked(&text, false) else { return plan.judge_calls::<&str>(&[], findings) };
    // A call that was forbidden is not made one.
    let fixed = plan.fixes(Capability::ToolsAuto) && plan.choice != Choice::None;
    let names: Vec<&str> = leak.calls.iter().map(|call| call.name.as_str()).collect();
    if !fixed {
        plan.count(Capability::ToolsAuto, findings);
        // It is no call to whoever asked for one.
        let as_seen: &[&str] = if plan.choice == Choice::None { &names } else { &[] };
        return plan.judge_calls(as_seen, findings);
    }
    let Some(content) = choice.content.clone() else { return };
    let before = text[..leak.at].trim_end();
    let content_json = if before.is_empty() { "null".to_owned() } else { json_string(before) };
    let id = places.id.clone().map_or_else(|| "0".to_owned(), |id| id_part(&body[id]));
    let id = format!("{id}{}", choice.index);
    let calls = calls_json(&leak.calls, &id, false);
    edits.push(Edit::new(content, format!("{content_json},\"tool_calls\":{calls}")));
    if let Some(finish) = &choice.finish {
        edits.push(Edit::new(finish.clone(), &b"\"tool_calls\""[..]));
    }
    findings.note(Capability::ToolsAuto, AdaptationAction::Fixed);
    plan.judge_calls(&names, findings);
}

/// A call ends with `tool_calls`, but for one that was forced by name.
fn finish(plan: &Plan, body: &Bytes, choice: &ChoicePlaces, edits: &mut Vec<Edit>, findings: &mut Findings) {
    let Some(literal) = &choice.finish else { return };
    if plan.choice == Choice::Named || &body[literal.clone()] != b"\"stop\"" {
        return;
    }
    if plan.fixes(Capability::ToolsFinishReason) {
        edits.push(Edit::new(literal.clone(), &b"\"tool_calls\""[..]));
        findings.note(Capability::ToolsFinishReason, AdaptationAction::Fixed);
    } else {
        plan.count(Capability::ToolsFinishReason, findings);
    }
}
