//! One more attempt for an answer that has not the form it was asked for, while nobody has seen any of it. What the guards and
//! gates learn is the first attempt's form, whatever comes of this.

use std::rc::Rc;
use std::sync::Arc;

use wire::failure::{Failure, FailureKind};
use wire::record::AttemptRole;

use super::attempt::{self, end_attempt};
use super::steps::Step;
use super::tries::Tries;
use super::{Content, Dead, Opened, repair, through};
use crate::parse::Parsed;
use crate::record::Exchange;
use crate::relay;
use crate::snapshot::OnInvalid;

/// The answer to be sent: this one, or a better one. When one more attempt brings none, the first answer stays: the caller gets
/// what it would have got without a policy.
pub(super) async fn rescue(exchange: &mut Exchange, opened: Opened, steps: &[Step]) -> Opened {
    let on_invalid = exchange.route.validation.on_invalid;
    if opened.kept
        || on_invalid == OnInvalid::Count
        || !exchange.form.is_invalid()
        || !is_unseen(&opened)
        || exchange.is_overdue()
    {
        return opened;
    }
    let Some(idx) = steps.iter().position(|step| Rc::ptr_eq(&step.destination, &opened.destination)) else {
        return opened;
    };
    let called = exchange.attempt.as_ref().and_then(|attempt| attempt.called());
    let repaired = if on_invalid == OnInvalid::Repair { repair::request(exchange, &opened) } else { None };
    let (served, answer) = (exchange.served.take(), exchange.whole_answer.take());
    end_attempt(exchange, None);
    let next = match on_invalid {
        OnInvalid::FailOver => {
            // Whoever serves only in an emergency does not serve here.
            let rest = steps[idx + 1..].iter().take_while(|step| !step.emergency).count();
            Box::pin(through(exchange, &steps[idx + 1..idx + 1 + rest])).await
        }
        _ => Box::pin(again(exchange, (&steps[idx], &steps[idx + 1..]), called, repaired)).await,
    };
    let result = match &next {
        Err(_) => "failed",
        Ok(_) if exchange.form.is_invalid() => "invalid",
        Ok(_) => "valid",
    };
    exchange.worker.counters.forms.count_rescue(on_invalid.as_str(), result);
    match next {
        Ok(better) if result == "valid" => {
            leave(exchange, opened);
            better
        }
        next => {
            end_attempt(exchange, None);
            exchange.forget_answer();
            (exchange.served, exchange.whole_answer) = (served, answer);
            if let Ok(worse) = next {
                leave(exchange, worse);
            }
            opened
        }
    }
}

/// Whether the caller has seen nothing of it and all of it is here.
fn is_unseen(opened: &Opened) -> bool {
    match &opened.content {
        Content::Whole(_) => true,
        Content::Stream(open) => open.whole,
        Content::Pieces(_) => false,
    }
}

/// Asks the same target once more.
async fn again(
    exchange: &mut Exchange,
    (step, rest): (&Step, &[Step]),
    called: Option<usize>,
    repaired: Option<Arc<Parsed>>,
) -> Result<Opened, Dead> {
    let role = if repaired.is_some() { AttemptRole::Repair } else { AttemptRole::Retry };
    let Some(mut tries) = Tries::once_more(exchange, step, called, role) else {
        return Err(Failure::new(FailureKind::RetryBudget, "as many retries as the provider's budget allows").into());
    };
    exchange.instead = repaired;
    let tried = attempt::attempt(exchange, step, rest, &mut tries).await;
    exchange.instead = None;
    match tried {
        Ok(Some(opened)) => Ok(opened),
        Ok(None) => Err(Failure::new(FailureKind::Internal, "the rollout took its share back").into()),
        Err(mut dead) => {
            dead.failure = attempt::blame(exchange, dead.failure);
            end_attempt(exchange, Some(&dead.failure));
            exchange.forget_answer();
            Err(dead)
        }
    }
}

/// Lets an answer go that nobody gets.
pub(super) fn leave(exchange: &Exchange, opened: Opened) {
    if let Content::Stream(open) = opened.content {
        relay::read_to_end(&exchange.worker, open.upstream.into_body());
    }
}
