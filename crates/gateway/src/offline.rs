//! A target as it would be asked and answer if a request came by the gateway, for whoever measures targets without traffic. Nothing is
//! called here: what comes back is a request ready to be sent by the caller's own client, and a way to read its answer.

use std::time::Duration;

use bytes::Bytes;
use govern::Residency;
use govern::residency::{Side, may_go};
use http::StatusCode;
use providers::{Call, Special, Timeouts};
use wire::capability::mend::{Findings, Plan};
use wire::failure::{Failure, FailureKind};
use wire::ids::ExchangeId;
use wire::record::{Adaptation, Endpoint};
use wire::splice::Pieces;

use crate::adapt::{Adapted, adapt_shadow};
use crate::asked::{Beside, Outbound};
use crate::mend;
use crate::parse::Parsed;
use crate::snapshot::{Route, Snapshot, Target};
use crate::translate::{Marks, Translation, anthropic_version, translate};

/// A chat completion as one target is asked for it.
#[derive(Debug)]
pub struct Prepared {
    /// What goes out, in the target's dialect.
    pub body: Bytes,
    /// What was changed, dropped or renamed on the way.
    pub changes: Vec<Adaptation>,
    endpoint: Endpoint,
    special: Option<Box<Special>>,
    translation: Option<Translation>,
    plan: Option<Plan>,
}

/// Prepares a whole (not streamed) chat completion for `target`: its model, its prompt variant, its parameters, its dialect, and nothing stored.
///
/// # Errors
/// When the body is no such request, the target cannot be asked that, or it may not leave the house.
pub fn prepare(
    snapshot: &Snapshot,
    target: &Target,
    (body, residency): (Bytes, Residency),
) -> Result<Prepared, Failure> {
    let refused = |words: String| Failure::new(FailureKind::Unsupported, words);
    let side = Side::of(target.provider.class.is_external());
    may_go(residency, side).map_err(|error| Failure::new(FailureKind::Residency, error.to_string()))?;
    let request = Parsed::of_record(Endpoint::ChatCompletions, body)
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
    Ok(Prepared { body: body.to_bytes(), changes, endpoint: asked.endpoint, special, translation, plan })
}

impl Prepared {
    /// The call that asks it once.
    #[must_use]
    pub fn call(&self, timeouts: Timeouts) -> Call {
        Call {
            endpoint: self.endpoint,
            body: Pieces::from(self.body.clone()),
            streamed: false,
            request_id: None,
            timeouts,
            sent: None,
            pause: Duration::ZERO,
            special: self.special.clone(),
        }
    }

    /// The answer as a chat completion: put right as the gateway would, and translated back.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&self, body: &Bytes) -> Result<Bytes, Failure> {
        let body = mend::whole(self.plan.as_ref(), StatusCode::OK, body, &mut Findings::default());
        match &self.translation {
            // Nobody sees the ids that are made of these.
            Some(translation) => translation.answer(&body, Marks { id: ExchangeId::from_u128(0), created_us: 0 }),
            None => Ok(body),
        }
    }
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
