//! A whole answer: chat completion to response.

use super::super::Context;
use super::super::chat::{Answer, Choice, ToolCall};
use super::object::{Body, Call, Head, Item, LogProbability, Part, State, Status, annotation};
use crate::failure::{Failure, FailureKind};

/// The response object for a whole chat completion with a success status.
///
/// Fails when the body is an error object or no chat completion, or says that the server gave up.
pub fn answer(body: &[u8], context: &Context<'_>) -> Result<Vec<u8>, Failure> {
    let answer = Answer::read(body, FailureKind::ErrorInBody)?;
    let Some(choice) = answer.choice() else {
        return Err(Failure::new(FailureKind::Malformed, "a chat completion without choices"));
    };
    let mut head = Head::new(context);
    head.take_up(&answer);
    let state = match choice.finish_reason() {
        Some(reason) => State::of_finish_reason(&reason),
        None => Some(State::Completed),
    };
    let Some(state) = state else {
        return Err(Failure::new(FailureKind::ErrorInBody, "the chat server gave up"));
    };
    let mut output = items(choice, &head)?;
    if let (State::Incomplete(_), Some(last)) = (state, output.last_mut()) {
        last.status = Status::Incomplete;
    }
    Ok(head.object(state, &output, answer.usage.as_ref()).into_bytes())
}

impl Head {
    /// The model and the tier that the target names.
    pub(super) fn take_up(&mut self, answer: &Answer<'_>) {
        if let Some(model) = answer.model.as_deref().filter(|model| !model.is_empty()) {
            model.clone_into(&mut self.model);
        }
        if let Some(tier) = answer.service_tier {
            self.service_tier = Some(tier.get().to_owned());
        }
    }
}

/// Reasoning comes first, then the message, then the calls.
fn items(choice: &Choice<'_>, head: &Head) -> Result<Vec<Item>, Failure> {
    let mut items = Vec::new();
    let Some(message) = choice.said() else {
        return Err(Failure::new(FailureKind::Malformed, "a choice without a message"));
    };
    if let Some(text) = message.reasoning() {
        items.push(Item::new(Body::Reasoning { text: text.to_owned() }, Status::Completed));
    }
    let mut parts = Vec::new();
    if let Some(text) = message.text() {
        parts.push(Part::Text {
            text: text.to_owned(),
            annotations: message.annotations.iter().flatten().filter_map(|raw| annotation(raw)).collect(),
            logprobs: choice
                .logprobs
                .iter()
                .flat_map(|all| all.content.iter().flatten())
                .map(LogProbability::of)
                .collect(),
        });
    }
    parts.extend(message.refused().map(|refusal| Part::Refusal { refusal: refusal.to_owned() }));
    if !parts.is_empty() {
        items.push(Item::new(Body::Message { parts }, Status::Completed));
    }
    let mut ids: Vec<String> = Vec::new();
    for call in message.tool_calls.iter().flatten() {
        let call = self::call(call, head, &ids, items.len())?;
        ids.push(call.call_id.clone());
        items.push(Item::new(Body::Call(call), Status::Completed));
    }
    Ok(items)
}

fn call(call: &ToolCall<'_>, head: &Head, ids: &[String], idx: usize) -> Result<Call, Failure> {
    let (custom, called) = match (&call.custom, &call.function) {
        (Some(custom), _) => (true, custom),
        (None, Some(function)) => (false, function),
        (None, None) => return Err(Failure::new(FailureKind::Malformed, "a tool call without a function")),
    };
    let Some(name) = called.name.as_deref().filter(|name| !name.is_empty()) else {
        return Err(Failure::new(FailureKind::Malformed, "a tool call without a name"));
    };
    let call_id = call_id(call.id.as_deref(), head, ids, idx);
    Ok(Call { custom, call_id, name: name.to_owned(), input: called.arguments().into_owned() })
}

/// The id the target gave, or one of our own when it gave none or the same twice: results are matched by it.
pub(super) fn call_id(given: Option<&str>, head: &Head, taken: &[String], idx: usize) -> String {
    match given.filter(|id| !id.is_empty() && !taken.iter().any(|taken| taken == id)) {
        Some(id) => id.to_owned(),
        None => head.call_id(idx),
    }
}
