//! A target as it would be asked and answer if a request came by the gateway, for whoever measures targets without traffic. Nothing is
//! called here: what comes back is a request ready to be sent by the caller's own client, and a way to read its answer.

use std::time::Duration;

use bytes::Bytes;
use govern::Residency;
use govern::residency::{Side, may_go};
use http::StatusCode;
use providers::{Call, Special, Timeouts};
use serde_json::json;
use wire::capability::mend::{Findings, Plan};
use wire::failure::{Failure, FailureKind};
use wire::ids::ExchangeId;
use wire::record::{Adaptation, Endpoint};
use wire::splice::Pieces;
use wire::sse::{Decoder, Event};

use crate::adapt::{Adapted, adapt_shadow};
use crate::asked::{Beside, Outbound};
use crate::mend::{self, Mending};
use crate::parse::Parsed;
use crate::snapshot::{Route, Snapshot, Target};
use crate::translate::{Marks, Translation, Translator, anthropic_version, translate};

/// A request as one target is asked it.
#[derive(Debug)]
pub struct Prepared {
    /// What goes out, in the target's dialect.
    pub body: Bytes,
    /// What was changed, dropped or renamed on the way.
    pub changes: Vec<Adaptation>,
    endpoint: Endpoint,
    streamed: bool,
    special: Option<Box<Special>>,
    translation: Option<Translation>,
    plan: Option<Plan>,
}

/// Prepares a request of `endpoint`, whole or streamed as the body says, for `target`: its model, its prompt variant, its parameters, its dialect, and
/// nothing stored.
///
/// # Errors
/// When the body is no such request, the target cannot be asked that, or it may not leave the house.
pub fn prepare(
    snapshot: &Snapshot,
    target: &Target,
    (endpoint, body, residency): (Endpoint, Bytes, Residency),
) -> Result<Prepared, Failure> {
    let refused = |words: String| Failure::new(FailureKind::Unsupported, words);
    let side = Side::of(target.provider.class.is_external());
    may_go(residency, side).map_err(|error| Failure::new(FailureKind::Residency, error.to_string()))?;
    let request = Parsed::of_record(endpoint, body)
        .map_err(|refusal| Failure::new(FailureKind::InvalidRequest, refusal.body.message.to_string()))?;
    let route = Route::to(target.name.clone(), target.name.clone());
    let translation = translate(&request, target, (snapshot, &route, &std::sync::Arc::default()))
        .map_err(|refusal| refused(refusal.body.message.to_string()))?;
    let asked = translation.as_ref().map_or(&request, |translation| &translation.request);
    let Adapted { body, mut changes, plan, .. } = adapt_shadow(asked, target, &route.name)
        .map_err(|unsupported| refused(format!("the target does not do `{}`", unsupported.0.id())))?;
    if let Some(translation) = &translation {
        changes.extend(translation.changes.iter().cloned());
    }
    let to = Outbound {
        provider: &target.provider,
        endpoint: asked.endpoint,
        model: &target.model,
        version: anthropic_version(&request, asked, target),
    };
    let special = Beside::default().special(&to);
    let (endpoint, streamed) = (asked.endpoint, request.streamed());
    Ok(Prepared { body: body.to_bytes(), changes, endpoint, streamed, special, translation, plan })
}

/// Prepares a question whose answer a program reads, such as one to a model that judges. What such a question asks for beside its words, a form of the
/// answer and a seed, helps and is not what it is about: it goes in the strongest form that the target takes, or stays away.
///
/// # Errors
/// As [`prepare`], for the plainest form.
pub fn prepare_question(
    snapshot: &Snapshot,
    target: &Target,
    (body, residency): (Bytes, Residency),
) -> Result<Prepared, Failure> {
    let chat = Endpoint::ChatCompletions;
    let mut refused = match prepare(snapshot, target, (chat, body.clone(), residency)) {
        Err(failure) if failure.kind == FailureKind::Unsupported => failure,
        done => return done,
    };
    let Ok(serde_json::Value::Object(question)) = serde_json::from_slice(&body) else { return Err(refused) };
    for keeps_seed in [true, false] {
        for format in [question.get("response_format").cloned(), Some(json!({ "type": "json_object" })), None] {
            let mut plainer = question.clone();
            plainer.remove("response_format");
            plainer.extend(format.map(|format| ("response_format".to_owned(), format)));
            if !keeps_seed {
                plainer.remove("seed");
            }
            let body = Bytes::from(serde_json::Value::Object(plainer).to_string());
            match prepare(snapshot, target, (chat, body, residency)) {
                Err(failure) if failure.kind == FailureKind::Unsupported => refused = failure,
                done => return done,
            }
        }
    }
    Err(refused)
}

impl Prepared {
    /// The call that asks it once.
    #[must_use]
    pub fn call(&self, timeouts: Timeouts) -> Call {
        Call {
            endpoint: self.endpoint,
            body: Pieces::from(self.body.clone()),
            streamed: self.streamed,
            request_id: None,
            hops: 0,
            timeouts,
            sent: None,
            pause: Duration::ZERO,
            special: self.special.clone(),
        }
    }

    /// The answer, to a chat as a chat completion: put right as the gateway would, and translated back.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&self, body: &Bytes) -> Result<Bytes, Failure> {
        let body = mend::whole(self.plan.as_ref(), StatusCode::OK, body, &mut Findings::default());
        match &self.translation {
            // Nobody sees the ids that are made of these.
            Some(translation) => translation.answer(&body, UNSEEN),
            None => Ok(body),
        }
    }

    /// Reads a streamed answer as the chunks of a chat completion: put right as the gateway would, and translated back.
    #[must_use]
    pub fn reader(&self) -> StreamReader {
        StreamReader {
            decoder: Some(Decoder::new()),
            mending: self.plan.clone().map(Mending::new),
            translator: self.translation.as_ref().and_then(|translation| translation.stream(UNSEEN)),
            translated: Decoder::new(),
        }
    }
}

/// Nobody sees the ids that are made of these.
const UNSEEN: Marks = Marks { id: ExchangeId::from_u128(0), created_us: 0 };

/// A streamed answer on its way from a target's bytes to chunks of a chat completion.
pub struct StreamReader {
    decoder: Option<Decoder>,
    mending: Option<Mending>,
    translator: Option<Translator>,
    translated: Decoder,
}

impl StreamReader {
    /// Takes the next bytes and appends the chunks that they complete.
    ///
    /// # Errors
    /// When they are no events, or cannot be translated.
    pub fn push(&mut self, bytes: &Bytes, chunks: &mut Vec<Event>) -> Result<(), Failure> {
        let Some(decoder) = &mut self.decoder else { return Ok(()) };
        let mut events = Vec::new();
        decoder.push(bytes.clone(), &mut events).map_err(|error| malformed(&error))?;
        if let Some(mending) = &mut self.mending {
            mending.take(bytes, &mut events, 0);
            // What the provider said word for word is nobody's concern here.
            drop(mending.original());
        }
        self.pass_on(events, chunks)
    }

    /// The body has ended: the last chunks.
    ///
    /// # Errors
    /// When they cannot be translated.
    pub fn end(&mut self, chunks: &mut Vec<Event>) -> Result<(), Failure> {
        let mut events = Vec::from_iter(self.decoder.take().and_then(|decoder| decoder.finish().event));
        if let Some(mending) = &mut self.mending {
            mending.take(&Bytes::new(), &mut events, 0);
            mending.end(&mut events);
        }
        self.pass_on(events, chunks)?;
        match &mut self.translator {
            Some(translator) => {
                let bytes = translator.end()?;
                self.translated.push(bytes, chunks).map_err(|error| malformed(&error))
            }
            None => Ok(()),
        }
    }

    fn pass_on(&mut self, mut events: Vec<Event>, chunks: &mut Vec<Event>) -> Result<(), Failure> {
        let Some(translator) = &mut self.translator else {
            chunks.append(&mut events);
            return Ok(());
        };
        for event in &events {
            let bytes = translator.event(event)?;
            self.translated.push(bytes, chunks).map_err(|error| malformed(&error))?;
        }
        Ok(())
    }
}

fn malformed(error: &wire::sse::SseError) -> Failure {
    Failure::new(FailureKind::Malformed, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_chat_and_what_may_not_leave_is_refused() {
        assert!(Parsed::of_record(Endpoint::ChatCompletions, Bytes::from_static(b"[]")).is_err());
        assert!(may_go(Residency::Internal, Side::Outside).is_err());
    }
}
