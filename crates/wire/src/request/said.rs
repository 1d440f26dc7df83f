//! What rules ask of a request: how long its prompt is, what the user said last, which tools it offers. Each is a walk of its own,
//! for requests that somebody asks this of.

use std::ops::Range;

use super::RequestView;
use crate::scan::cursor::{Array, Object};
use crate::scan::{Kind, ScanError, unescape_lossy};

/// Fields that are part of the prompt beside the conversation itself.
const BESIDE: [&str; 3] = ["instructions", "system", "functions"];

impl RequestView {
    /// Bytes of the prompt as it came, JSON and attachments included: conversation, instructions and tools.
    pub fn prompt_bytes(&self, body: &[u8]) -> u64 {
        let spans = self.spans(body);
        spans.iter().map(|span| span.len() as u64).sum()
    }

    /// The parts of the body that are the prompt.
    pub fn spans(&self, body: &[u8]) -> Vec<Range<usize>> {
        let prompt = self.messages.clone().or_else(|| self.input.clone()).or_else(|| self.conversation_prefix.clone());
        let beside = BESIDE.iter().flat_map(|name| self.named(body, name).map(|(_, field)| field.value.clone()));
        prompt.into_iter().chain(self.tools.clone()).chain(beside).collect()
    }

    /// What the user said last, up to about `limit` bytes: the text of the last message of a user, or the whole prompt where there
    /// are no messages. Empty when there is none.
    pub fn last_user_text(&self, body: &[u8], limit: usize) -> String {
        let mut out = Vec::new();
        let list = self.messages.clone().or_else(|| self.input.clone()).or_else(|| self.conversation_prefix.clone());
        if let Some(list) = list {
            // What cannot be read says nothing.
            last_text(body, list, limit, &mut out).unwrap_or_default();
        }
        String::from_utf8_lossy(&out).into_owned()
    }

    /// Calls `visit` with the name of each tool that is offered, a server's own by its type, until it returns false.
    pub fn each_tool(&self, body: &[u8], mut visit: impl FnMut(&str) -> bool) {
        let lists = self.tools.clone().into_iter();
        let lists = lists.chain(self.named(body, "functions").map(|(_, field)| field.value.clone()));
        for list in lists {
            if !tools(body, list, &mut visit).unwrap_or(true) {
                return;
            }
        }
    }
}

/// False when `visit` said so.
fn tools(body: &[u8], list: Range<usize>, visit: &mut impl FnMut(&str) -> bool) -> Result<bool, ScanError> {
    let mut walk = Array::open(body, list.start)?;
    while walk.next_value()? {
        let (kind, tool) = walk.skip()?;
        if kind != Kind::Object {
            continue;
        }
        let [function, name, kind] = members(body, tool.start, ["function", "name", "type"])?;
        let inner = match function {
            Some((Kind::Object, function)) => members(body, function.start, ["name"])?[0].clone(),
            _ => None,
        };
        if let Some((Kind::String, name)) = inner.or(name).or(kind)
            && !visit(&text(body, name))
        {
            return Ok(false);
        }
    }
    Ok(true)
}

fn last_text(body: &[u8], at: Range<usize>, limit: usize, out: &mut Vec<u8>) -> Result<(), ScanError> {
    if body.get(at.start) == Some(&b'"') {
        take(body, at, limit, out);
        return Ok(());
    }
    let mut walk = Array::open(body, at.start)?;
    let mut last = None;
    while walk.next_value()? {
        let (kind, element) = walk.skip()?;
        match kind {
            // Prompts that are no messages.
            Kind::String => last = Some((Kind::String, element)),
            Kind::Object => {
                let [role, content] = members(body, element.start, ["role", "content"])?;
                if role.is_some_and(|(_, role)| &body[role] == b"\"user\"") {
                    last = content;
                }
            }
            _ => {}
        }
    }
    match last {
        Some((Kind::String, content)) => take(body, content, limit, out),
        Some((Kind::Array, parts)) => {
            let mut walk = Array::open(body, parts.start)?;
            while walk.next_value()? && out.len() < limit {
                let (kind, part) = walk.skip()?;
                if kind != Kind::Object {
                    continue;
                }
                if let [Some((Kind::String, text))] = members(body, part.start, ["text"])? {
                    take(body, text, limit, out);
                    out.push(b'\n');
                }
            }
        }
        _ => {}
    }
    Ok(())
}

type Found = Option<(Kind, Range<usize>)>;

/// The members of the object at `at` with these names.
fn members<const N: usize>(body: &[u8], at: usize, names: [&str; N]) -> Result<[Found; N], ScanError> {
    let mut found = [const { None }; N];
    let mut walk = Object::open(body, at)?;
    while let Some(key) = walk.next_key()? {
        let value = walk.skip()?;
        if let Some(idx) = names.iter().position(|name| name.as_bytes() == key.name.as_ref()) {
            found[idx] = Some(value);
        }
    }
    Ok(found)
}

/// The text of the literal at `literal`, cut after about `limit` bytes of it.
fn take(body: &[u8], literal: Range<usize>, limit: usize, out: &mut Vec<u8>) {
    // Six bytes of an escape are at least one of text.
    let most = limit.saturating_mul(6);
    if literal.len() <= most {
        return unescape_lossy(body, literal, out);
    }
    let mut cut = body[literal.start..literal.start + most].to_vec();
    // An escape that is cut in two would take the quotation mark into the text.
    if cut.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1 {
        cut.pop();
    }
    cut.push(b'"');
    let whole = 0..cut.len();
    unescape_lossy(&cut, whole, out);
}

fn text(body: &[u8], literal: Range<usize>) -> String {
    let mut out = Vec::new();
    unescape_lossy(body, literal, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use crate::record::Endpoint;
    use crate::request::{RequestView, parse};

    fn view(endpoint: Endpoint, body: &str) -> RequestView {
        parse(endpoint, body.as_bytes()).unwrap()
    }

    #[track_caller]
    fn check(endpoint: Endpoint, body: &str, said: &str, tools: &[&str]) {
        let view = view(endpoint, body);
        assert_eq!(view.last_user_text(body.as_bytes(), 100), said);
        let mut found = Vec::new();
        view.each_tool(body.as_bytes(), |tool| {
            found.push(tool.to_owned());
            true
        });
        assert_eq!(found, tools);
    }

    #[test]
    fn what_the_user_said_last_and_the_tools_in_every_dialect() {
        check(
            Endpoint::ChatCompletions,
            r#"{"model":"m","messages":[{"role":"user","content":"first"},{"role":"assistant","content":"x"},
               {"role":"user","content":[{"type":"text","text":"se\u0063ond"},{"type":"image_url","image_url":{"url":"data:"}}]},
               {"role":"tool","content":"t"}],"tools":[{"type":"function","function":{"name":"a"}},{"type":"web_search"}]}"#,
            "second\n",
            &["a", "web_search"],
        );
        check(
            Endpoint::Responses,
            r#"{"model":"m","input":"hello","tools":[{"type":"function","name":"b"}]}"#,
            "hello",
            &["b"],
        );
        check(
            Endpoint::Messages,
            r#"{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"hi"}],"tools":[{"name":"c","input_schema":{}}]}"#,
            "hi",
            &["c"],
        );
        check(Endpoint::Completions, r#"{"model":"m","prompt":["one","two"]}"#, "two", &[]);
        check(Endpoint::Embeddings, r#"{"model":"m","input":[1,2,3]}"#, "", &[]);
        check(Endpoint::ChatCompletions, r#"{"model":"m","messages":[],"functions":[{"name":"old"}]}"#, "", &["old"]);
    }

    #[test]
    fn a_prompt_is_its_messages_tools_and_instructions() {
        let body = r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"tools":[{}],"temperature":0}"#;
        let n = r#"[{"role":"user","content":"hi"}]"#.len() + "[{}]".len();
        assert_eq!(view(Endpoint::ChatCompletions, body).prompt_bytes(body.as_bytes()), n as u64);
        let body = r#"{"model":"m","input":"hello","instructions":"be"}"#;
        assert_eq!(view(Endpoint::Responses, body).prompt_bytes(body.as_bytes()), 7 + 4);
    }

    #[test]
    fn a_long_text_is_read_up_to_the_limit() {
        let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{}"}}]}}"#, "\\\\".repeat(10_000));
        let said = view(Endpoint::ChatCompletions, &body).last_user_text(body.as_bytes(), 100);
        assert!((100..=600).contains(&said.len()), "{}", said.len());
        assert!(said.chars().all(|c| c == '\\'));
    }
}
