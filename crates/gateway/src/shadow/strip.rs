//! What of a request must not happen twice. A provider's own tools (searches, code, connectors) act while they answer, so that they are
//! taken out of a copy; what would go on behind the answer is not copied at all.

use std::ops::Range;

use bytes::Bytes;
use wire::record::Adaptation;
use wire::scan::{self, Kind, Next};
use wire::splice::Patch;

use crate::adapt::{SERVER_SIDE_FIELDS, is_caller_side_tool};
use crate::parse::Parsed;

/// The request cannot be copied without a side effect.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SideEffects;

/// Fields that go on without any tool left.
const OF_TOOLS: [&str; 3] = ["tool_choice", "parallel_tool_calls", "include"];

/// The request without what its provider would run; `None` when there is nothing of the kind. The changes are reported as made for
/// `target`.
pub(super) fn strip(request: &Parsed, target: &str) -> Result<Option<(Bytes, Vec<Adaptation>)>, SideEffects> {
    let (body, view) = (&request.body, &request.view);
    let named = |name: &'static str| view.named(body, name).last().map(|(_, field)| field);
    if named("background").is_some_and(|field| !matches!(field.kind, Kind::False | Kind::Null)) {
        return Err(SideEffects);
    }
    let fields: Vec<&str> =
        SERVER_SIDE_FIELDS.into_iter().filter(|name| *name != "background" && named(name).is_some()).collect();
    // Tools that cannot be read are not known to be harmless.
    let (kept, n_gone) = match view.tools.clone() {
        Some(tools) => sort(body, tools).ok_or(SideEffects)?,
        None => (Vec::new(), 0),
    };
    if fields.is_empty() && n_gone == 0 {
        return Ok(None);
    }
    let mut patch = Patch::new(body, view, target);
    fields.iter().for_each(|field| patch.remove(field));
    if n_gone > 0 && kept.is_empty() {
        patch.remove("tools");
        OF_TOOLS.iter().for_each(|field| patch.remove(field));
    } else if n_gone > 0 {
        let tools: Vec<&[u8]> = kept.into_iter().map(|tool| &body[tool]).collect();
        patch.set("tools", [b"[".as_slice(), &tools.join(&b","[..]), b"]"].concat());
        patch.remove("include");
        // A choice of one tool may be of one that is gone.
        if named("tool_choice").is_some_and(|field| field.kind == Kind::Object) {
            patch.remove("tool_choice");
        }
    }
    let (body, changes) = patch.finish();
    Ok(Some((body.to_bytes(), changes)))
}

/// The tools that run at the caller, and how many others there are. `None` when the list cannot be read.
fn sort(body: &[u8], tools: Range<usize>) -> Option<(Vec<Range<usize>>, usize)> {
    let (mut kept, mut n_gone) = (Vec::new(), 0);
    scan::each_element(body, tools, |tool| {
        if is_caller_side_tool(body, tool.value.clone())? {
            kept.push(tool.value);
        } else {
            n_gone += 1;
        }
        Ok(Next::Go)
    })
    .ok()?;
    Some((kept, n_gone))
}

/// Whether the messages hold what tools gave back: then the answers of another model led here, and a copy shows one step.
pub(super) fn is_teacher_forced(request: &Parsed) -> bool {
    // In a tool's result these stand before its text, so that no long request is read to its end for it.
    let marks: [&[u8]; 4] =
        [b"\"tool_call_id\"", b"\"tool_result\"", b"\"function_call_output\"", b"\"custom_tool_call_output\""];
    marks.iter().any(|mark| memchr::memmem::find(&request.body, mark).is_some())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use wire::record::Endpoint;

    use super::*;

    fn check(body: &str) -> Result<Option<Value>, SideEffects> {
        let request = Parsed::of_record(Endpoint::Responses, Bytes::from(body.to_owned())).unwrap();
        let stripped = strip(&request, "qwen")?;
        Ok(stripped.map(|(body, _)| serde_json::from_slice(&body).unwrap()))
    }

    #[test]
    fn what_runs_at_the_caller_stays() {
        let request =
            r#"{"model":"m","input":"hi","tools":[{"type":"function","name":"f"},{"type":"custom","name":"g"}]}"#;
        assert_eq!(check(request), Ok(None));
        assert_eq!(check(r#"{"model":"m","input":"hi","background":false}"#), Ok(None));
    }

    #[test]
    fn every_tool_of_a_provider_is_taken_out() {
        for tool in ["web_search", "web_search_preview", "code_interpreter", "file_search", "mcp", "image_generation"] {
            let request = format!(
                r#"{{"model":"m","input":"hi","tool_choice":"auto","tools":[{{"type":"function","name":"f"}},{{"type":"{tool}"}}]}}"#
            );
            let stripped = check(&request).unwrap().unwrap();
            assert_eq!(stripped["tools"], serde_json::json!([{ "type": "function", "name": "f" }]), "{tool}");
            assert_eq!(stripped["tool_choice"], "auto");
            let alone =
                format!(r#"{{"model":"m","input":"hi","tool_choice":"required","tools":[{{"type":"{tool}"}}]}}"#);
            assert_eq!(check(&alone), Ok(Some(serde_json::json!({ "model": "m", "input": "hi" }))), "{tool}");
        }
    }

    #[test]
    fn a_choice_of_a_tool_that_is_gone_goes_too() {
        let request = r#"{"model":"m","input":"hi","tool_choice":{"type":"mcp"},"tools":[{"type":"function","name":"f"},{"type":"mcp"}]}"#;
        assert_eq!(check(request).unwrap().unwrap().get("tool_choice"), None);
    }

    #[test]
    fn fields_that_make_a_provider_search_go() {
        let request = r#"{"model":"m","input":"hi","web_search_options":{},"mcp_servers":[]}"#;
        assert_eq!(check(request), Ok(Some(serde_json::json!({ "model": "m", "input": "hi" }))));
    }

    #[test]
    fn what_goes_on_behind_the_answer_is_not_copied() {
        assert_eq!(check(r#"{"model":"m","input":"hi","background":true}"#), Err(SideEffects));
    }
}
