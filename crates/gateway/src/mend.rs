//! What a target's server is declared to do wrong, looked for in its answers: put right on the way, or counted. A target of
//! which nothing is declared costs nothing here.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use schema::judge::Judgement;
use wire::capability::mend::{Findings, Mender, Plan};
use wire::capability::{Capability, Profile, Treatment};
use wire::openai::ResponseFormat;
use wire::record::Endpoint;
use wire::sse::Event;
use wire::usage::Usage;

use crate::parse::Parsed;
use crate::snapshot::Target;
use crate::upstream::Seen;

/// What was asked for, as far as what is gathered of every answer shows whether it was done.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    profile: Arc<Profile>,
    /// A chat completion; nothing is known of the others.
    is_chat: bool,
    limit: Option<(Capability, u64)>,
    n_choices: u64,
    format: ResponseFormat,
}

impl Expected {
    /// What `request` expects of `target`.
    pub(crate) fn of(request: &Parsed, target: &Target) -> Self {
        let view = &request.view;
        let newer = view.max_completion_tokens.map(|limit| (Capability::MaxCompletionTokens, limit));
        Self {
            profile: Arc::clone(&target.provider.capabilities),
            is_chat: request.endpoint == Endpoint::ChatCompletions,
            limit: newer.or(view.max_tokens.map(|limit| (Capability::MaxTokens, limit))),
            n_choices: request.n_choices(),
            format: view.response_format,
        }
    }

    /// Whether the target's streams lack their `[DONE]` and are to get it.
    pub(crate) fn owes_done(&self) -> bool {
        self.is_chat && self.profile.does(Capability::StreamDone, Treatment::Fix)
    }

    /// What an answer that came to its end did not do: its usage, whether it has its form, and what its stream told.
    pub(crate) fn missed(
        &self,
        usage: Option<&Usage>,
        form: &Judgement,
        stream: Option<&Seen>,
        findings: &mut Findings,
    ) {
        if !self.is_chat || self.profile.treated().is_empty() {
            return;
        }
        let mut count = |capability: Capability, holds: bool| {
            if holds && self.profile.treatment(capability) != Treatment::Pass {
                findings.counted(capability);
            }
        };
        let usage_row = if stream.is_some() { Capability::StreamUsage } else { Capability::ChatUsage };
        count(usage_row, usage.is_none());
        if let (Some((capability, limit)), Some(usage)) = (self.limit, usage) {
            count(capability, usage.output_tokens > limit.saturating_mul(self.n_choices));
        }
        let not_kept = form.format_valid == Some(false) || form.schema_valid == Some(false);
        match self.format {
            ResponseFormat::JsonObject => count(Capability::JsonObject, not_kept),
            ResponseFormat::JsonSchema => count(Capability::JsonSchema, not_kept),
            ResponseFormat::Text => {}
        }
        let Some(seen) = stream else { return };
        count(Capability::StreamFinish, seen.n_finished == 0);
        count(Capability::N, seen.n_finished > 0 && seen.n_finished < self.n_choices);
        if !seen.done && self.owes_done() {
            findings.fixed(Capability::StreamDone);
        } else {
            count(Capability::StreamDone, !seen.done);
        }
    }
}

/// A whole answer as the caller, or the translation for it, gets it.
pub(crate) fn whole(plan: Option<&Plan>, status: StatusCode, body: &Bytes, findings: &mut Findings) -> Bytes {
    let mended = match plan {
        Some(plan) if status.is_success() => plan.answer(body, findings),
        Some(plan) => plan.refusal(status.as_u16(), body, findings),
        None => None,
    };
    mended.unwrap_or_else(|| body.clone())
}

/// A stream being put right.
#[derive(Debug)]
pub(crate) struct Mending {
    mender: Mender,
    /// What the provider said and is not on record yet.
    original: BytesMut,
}

impl Mending {
    pub(crate) fn new(plan: Plan) -> Self {
        Self { mender: Mender::new(plan), original: BytesMut::new() }
    }

    /// Holds and keeps no more than this of a choice's text.
    pub(crate) fn within(&mut self, n_bytes: usize) {
        self.mender.within(n_bytes);
    }

    /// Takes the provider's bytes, and of `events` those from `from` on, which they made.
    pub(crate) fn take(&mut self, bytes: &Bytes, events: &mut Vec<Event>, from: usize) {
        self.original.extend_from_slice(bytes);
        let new: Vec<Event> = events.drain(from..).collect();
        for event in new {
            self.mender.event(event, events);
        }
    }

    /// The stream has ended: what was held of it.
    pub(crate) fn end(&mut self, events: &mut Vec<Event>) {
        self.mender.end(events);
    }

    /// The provider's bytes since the last time.
    pub(crate) fn original(&mut self) -> Bytes {
        self.original.split().freeze()
    }

    pub(crate) fn findings(&self) -> &Findings {
        self.mender.findings()
    }
}
