//! The request as a target wants it: another model name, its prompt variant, its parameters. Everything else travels through
//! byte for byte, and every change is reported. What the target's server is declared not to do ends here.

use wire::capability::mend::Plan;
use wire::capability::{Capability, Treatment, Unsupported, translate};
use wire::multipart;
use wire::record::{Adaptation, AdaptationAction, Endpoint, Service};
use wire::splice::{Patch, Pieces, SystemPrompt, json_string};

use crate::parse::Parsed;
use crate::snapshot::Target;

/// A request on its way to one target.
#[derive(Debug)]
pub(crate) struct Adapted {
    pub(crate) body: Pieces,
    pub(crate) changes: Vec<Adaptation>,
    /// What Crossfade asked for and the caller did not: what comes of it is not shown.
    pub(crate) added: AddedFields,
    /// What has to be looked at in the answer.
    pub(crate) plan: Option<Plan>,
}

/// What Crossfade asked for and the caller did not.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct AddedFields {
    /// The usage of a stream.
    pub(crate) usage: bool,
    /// The log-probabilities of a chat completion.
    pub(crate) logprobs: bool,
}

/// Fields that make a provider run tools of its own. A copy must have no side effects.
pub(crate) const SERVER_SIDE_FIELDS: [&str; 5] =
    ["web_search_options", "background", "connector_ids", "mcp_servers", "container"];

/// Tool types that run at the caller; all others run at the provider.
const CALLER_SIDE_TOOLS: [&[u8]; 2] = [b"\"function\"", b"\"custom\""];

/// For the target that answers the caller.
/// `logprobs` says that somebody wants to know how sure the model was.
pub(crate) fn adapt(
    request: &Parsed,
    target: &Target,
    (route, logprobs): (&str, bool),
) -> Result<Adapted, Unsupported> {
    if let Some((body, changes)) = not_json(request, target, route) {
        return Ok(Adapted { body, changes, added: AddedFields::default(), plan: None });
    }
    let mut patch = Patch::new(&request.body, &request.view, &target.name);
    let usage = change(&mut patch, request, target, route)?;
    let logprobs = logprobs && takes_logprobs(request, target);
    if logprobs {
        patch.set("logprobs", "true");
    }
    let (body, changes) = patch.finish();
    Ok(Adapted { body, changes, added: AddedFields { usage, logprobs }, plan: plan(request, target) })
}

fn plan(request: &Parsed, target: &Target) -> Option<Plan> {
    Plan::of(&target.provider.capabilities, &request.body, &request.view)
}

/// The report of a request that was refused because of `capability`.
pub(crate) fn refused(capability: Capability, target: &Target) -> Adaptation {
    let field = capability.field().into();
    Adaptation { field, action: AdaptationAction::Refused, target: target.name.clone() }
}

/// For a copy that nobody but Crossfade reads the answer of: nothing is stored. What its provider would run has been taken out of it.
pub(crate) fn adapt_shadow(request: &Parsed, target: &Target, route: &str) -> Result<Adapted, Unsupported> {
    let mut patch = Patch::new(&request.body, &request.view, &target.name);
    let usage = change(&mut patch, request, target, route)?;
    // A target whose server refuses the field says so by having it removed; such a server keeps nothing.
    let takes_store = matches!(request.endpoint, Endpoint::ChatCompletions | Endpoint::Responses);
    if takes_store && !target.parameters.remove.iter().any(|field| field == "store") {
        patch.store_false();
    }
    let (body, changes) = patch.finish();
    Ok(Adapted { body, changes, added: AddedFields { usage, logprobs: false }, plan: plan(request, target) })
}

/// A body that is not one JSON object Crossfade reads: what a provider keeps is left alone, and a form gets its model.
fn not_json(request: &Parsed, target: &Target, route: &str) -> Option<(Pieces, Vec<Adaptation>)> {
    if request.endpoint.service() == Service::Provider {
        return Some((Pieces::from(request.body.clone()), Vec::new()));
    }
    let boundary = request.boundary.as_deref()?;
    let model = target.model_for(route, request.model());
    let (body, change) = multipart::with_model(&request.body, boundary, &request.view, (&model, &target.name));
    Some((body, change.into_iter().collect()))
}

fn change(patch: &mut Patch<'_>, request: &Parsed, target: &Target, route: &str) -> Result<bool, Unsupported> {
    patch.model(&target.model_for(route, request.model()));
    // A target's parameters are those of its model's text and vectors: pictures and sound have fields of their own.
    if !request.endpoint.is_evidence() {
        return Ok(false);
    }
    let parameters = &target.parameters;
    let usage_added =
        has_usage_option(request.endpoint) && request.streamed() && !request.view.wants_usage() && takes_usage(target);
    if usage_added {
        patch.include_usage();
    }
    if let Some(prompt) = &target.prompt {
        match request.endpoint {
            Endpoint::ChatCompletions => patch.system_prompt(&SystemPrompt::Replace(prompt.system.clone())),
            Endpoint::Responses => patch.set("instructions", json_string(&prompt.system)),
            Endpoint::Messages => patch.set("system", json_string(&prompt.system)),
            _ => {}
        }
    }
    // What is known of servers is known of these.
    if matches!(request.endpoint, Endpoint::ChatCompletions | Endpoint::Completions | Endpoint::Embeddings) {
        translate(&target.provider.capabilities, &request.body, &request.view, patch)?;
    }
    for (from, to) in &parameters.rename {
        patch.rename(from, to);
    }
    for field in &parameters.remove {
        patch.remove(field);
    }
    for (field, json) in &parameters.default {
        patch.set_default(field, json);
    }
    for (field, json) in &parameters.set {
        patch.set(field, json.clone());
    }
    Ok(usage_added)
}

/// The dialects whose streams tell their usage only when asked to.
fn has_usage_option(endpoint: Endpoint) -> bool {
    matches!(endpoint, Endpoint::ChatCompletions | Endpoint::Completions)
}

/// A target that wants `stream_options` gone does not get it from us either.
fn takes_usage(target: &Target) -> bool {
    !target.provider.capabilities.does(Capability::StreamOptions, Treatment::Drop)
        && !target.parameters.remove.iter().any(|field| field == "stream_options")
}

/// Whether log-probabilities can be asked of the target, and the caller did not ask for them.
fn takes_logprobs(request: &Parsed, target: &Target) -> bool {
    let is_treated = |how| target.provider.capabilities.does(Capability::Logprobs, how);
    let asked = request.view.named(&request.body, "logprobs").any(|(_, field)| field.kind == wire::scan::Kind::True);
    request.endpoint == Endpoint::ChatCompletions
        && !asked
        && !is_treated(Treatment::Drop)
        && !is_treated(Treatment::Refuse)
        && !target.parameters.remove.iter().any(|field| field == "logprobs")
}

/// Whether the provider runs tools of its own for it, as far as that is known.
pub(crate) fn has_server_side_tools(request: &Parsed) -> bool {
    let named = |name: &str| request.view.named(&request.body, name).next().is_some();
    if SERVER_SIDE_FIELDS.iter().any(|name| named(name)) {
        return true;
    }
    let Some(tools) = request.view.tools.clone() else { return false };
    let mut server_side = false;
    let read = wire::scan::each_element(&request.body, tools, |tool| {
        server_side |= !is_caller_side_tool(&request.body, tool.value)?;
        Ok(wire::scan::Next::Go)
    });
    // Tools that cannot be read are not known to be harmless.
    server_side || read.is_err()
}

/// Whether a tool runs at the caller: one without a type does, and one of a type that is known to.
pub(crate) fn is_caller_side_tool(body: &[u8], tool: std::ops::Range<usize>) -> Result<bool, wire::scan::ScanError> {
    let mut caller_side = true;
    wire::scan::each_member(body, tool, |member| {
        if member.key == "type" {
            caller_side &= CALLER_SIDE_TOOLS.contains(&&body[member.value]);
        }
        Ok(())
    })?;
    Ok(caller_side)
}
