//! The call itself: which target, whether it may be tried, how long it may take, and who takes over when it fails. Another
//! target is tried only while nothing of an answer has been seen by anybody.

mod attempt;
mod cascade;
mod enter;
mod open;
mod repair;
mod rescue;
mod steps;
mod told;
mod tries;
mod watch;
mod withdrawal;

use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;
use govern::Residency;
use http::{HeaderMap, StatusCode};
use wire::failure::{Failure, FailureKind, Retry};
use wire::openai::chunk::{self, ChunkFacts};
use wire::record::Arm;
use wire::sse::Event;

use crate::counters::add;
use crate::memory::Held;
use crate::policy;
use crate::record::Exchange;
use crate::relay::bytes::Pieces;
use crate::targets::Destination;
use crate::translate::Translator;
use crate::upstream::Upstream;

pub(crate) use attempt::{Attempt, end_attempt, left, note, refused_here};
use steps::Step;
use tries::{Next, Tries};

/// An answer whose beginning is there.
pub(crate) struct Opened {
    pub(crate) destination: Rc<Destination>,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) content: Content,
    /// The answer of a candidate that serves because everything else failed.
    pub(crate) emergency: bool,
    /// It was set aside as not good enough, and nothing better came.
    pub(crate) kept: bool,
}

/// The rest of an answer.
pub(crate) enum Content {
    /// All of it.
    Whole(Bytes),
    /// A stream whose first events are held back.
    Stream(Box<Open>),
    /// Bytes that are passed through as they come.
    Pieces(Box<Pieces>),
}

/// A stream up to its first content.
pub(crate) struct Open {
    pub(crate) upstream: Upstream,
    /// What the caller gets first, and what is known of it.
    pub(crate) held: Vec<Heard>,
    /// What came together with it and was not looked at.
    pub(crate) rest: Vec<Event>,
    pub(crate) usage_added: bool,
    /// It was held back to its end, and is judged.
    pub(crate) whole: bool,
    /// Says it in the caller's dialect, when that is another.
    pub(crate) translator: Option<Translator>,
    /// The same before it heard anything, where something may be taken out of what was said.
    pub(crate) again: Option<Box<Translator>>,
    /// What is held back beyond the usual is counted until it is sent.
    pub(crate) _room: Held,
}

/// One event of a stream, looked at.
pub(crate) struct Heard {
    pub(crate) event: Event,
    pub(crate) facts: ChunkFacts,
    /// The same in the caller's dialect, when that is another.
    pub(crate) said: Option<Bytes>,
    /// The same without what only Crossfade asked for, where that is more than usage.
    pub(crate) shown: Option<Box<(Event, ChunkFacts)>>,
}

impl Open {
    /// Has the caller get this data in place of that of the events that are held back.
    pub(crate) fn show(&mut self, datas: &[Bytes], is_chat: bool) -> Result<(), Failure> {
        if self.held.iter().zip(datas).all(|(heard, data)| heard.shown().data == *data) {
            return Ok(());
        }
        let is_translated = self.translator.is_some();
        self.held.iter_mut().zip(datas).for_each(|(heard, data)| heard.show(data, is_chat && !is_translated));
        if is_translated {
            let again = self.again.take();
            let mut again =
                again.ok_or_else(|| Failure::new(FailureKind::Internal, "nothing to translate it again"))?;
            for heard in &mut self.held {
                heard.said = Some(again.event(heard.shown())?);
            }
            self.translator = Some(*again);
        }
        Ok(())
    }
}

impl Heard {
    /// What its caller gets of it, when it is not translated.
    pub(crate) fn shown(&self) -> &Event {
        self.shown.as_deref().map_or(&self.event, |(event, _)| event)
    }

    /// Has its caller get this data in place of its own. Places that were found in a chunk of a chat are found anew.
    fn show(&mut self, data: &Bytes, is_chat: bool) {
        if *data == self.shown().data {
            return;
        }
        let (event, facts) = self.shown.as_deref().map_or((&self.event, &self.facts), |(event, facts)| (event, facts));
        let facts = if is_chat { chunk::inspect(data) } else { facts.clone() };
        self.shown = Some(Box::new((event.with_data(data), facts)));
    }
}

/// Looks at an event, and says it in the caller's dialect when that is another.
pub(crate) fn hear(
    upstream: &mut Upstream,
    translator: &mut Option<Translator>,
    event: &Event,
) -> Result<(ChunkFacts, Option<Bytes>), Failure> {
    let facts = upstream.look(event)?;
    let said = translator.as_mut().map(|translator| translator.event(event)).transpose()?;
    Ok((facts, said))
}

/// Why there is no answer.
pub(crate) struct Dead {
    pub(crate) failure: Failure,
    /// The provider's own words, when they are meant for the caller.
    pub(crate) answer: Option<(StatusCode, HeaderMap, Bytes)>,
    /// How much was tried.
    pub(crate) effort: Effort,
}

/// How much was tried before the answer is no.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Effort {
    /// One call at most: another try, by the caller, may be worth it.
    #[default]
    Some,
    /// Everything there is: the same request at once would only add load.
    All,
    /// No more is allowed: the provider's budget for retries is spent.
    BudgetSpent,
}

impl From<Failure> for Dead {
    fn from(failure: Failure) -> Self {
        Self { failure, answer: None, effort: Effort::Some }
    }
}

/// Calls the target the request was assigned to, then whoever may take over.
pub(crate) async fn call(exchange: &mut Exchange) -> Result<Opened, Dead> {
    let mut steps = steps::steps(exchange);
    if steps.is_empty() && exchange.residency != Residency::Anywhere {
        return Err(Failure::new(FailureKind::Residency, "every target of the route is outside the house").into());
    }
    let mut ended = match steps.iter().take_while(|step| step.cascade).count() {
        0 => through(exchange, &steps).await,
        n => Box::pin(cascade::cascade(exchange, &steps, n)).await,
    };
    let all_ejected =
        |exchange: &Exchange| exchange.attempts.iter().all(|attempt| attempt.failure == Some(FailureKind::BreakerOpen));
    if ended.is_err() && exchange.route.panic && all_ejected(exchange) {
        add(&exchange.worker.counters.panics, 1);
        steps = steps::in_panic(steps);
        ended = through(exchange, &steps).await;
    }
    if let Ok(opened) = ended {
        let opened = rescue::rescue(exchange, opened, &steps).await;
        return policy::after(exchange, opened).await;
    }
    ended.map_err(|dead| {
        let effort = match exchange.n_calls {
            _ if exchange.budget_spent || !has_room(exchange) => Effort::BudgetSpent,
            0 | 1 => Effort::Some,
            _ => Effort::All,
        };
        Dead { effort, ..dead }
    })
}

/// Whether the caller's own next try would find room in the budget of the last target's provider.
fn has_room(exchange: &Exchange) -> bool {
    let last = exchange.attempts.last().and_then(|attempt| exchange.prepared.destination(&attempt.target));
    last.is_none_or(|destination| {
        let provider = &destination.provider;
        provider.budget().has_room(provider.config().retry_budget, Instant::now())
    })
}

/// Tries one target after the other.
async fn through(exchange: &mut Exchange, steps: &[Step]) -> Result<Opened, Dead> {
    let mut dead: Option<Dead> = None;
    for (idx, step) in steps.iter().enumerate() {
        if dead.is_some() && exchange.is_overdue() {
            break;
        }
        match target(exchange, step, &steps[idx + 1..]).await {
            Ok(Some(opened)) => return Ok(opened),
            Ok(None) => {}
            Err(next) => {
                let elsewhere = may_go_elsewhere(&next.failure, step);
                dead = Some(says_more(dead, next));
                if !elsewhere {
                    break;
                }
            }
        }
    }
    Err(dead.unwrap_or_else(|| Failure::new(FailureKind::Internal, "no target of the route can be called").into()))
}

/// One target, as often as its rules and its budget allow. `None` when it is not to be tried at all: the rollout took its share
/// back since the assignment.
async fn target(exchange: &mut Exchange, step: &Step, rest: &[Step]) -> Result<Option<Opened>, Dead> {
    let mut tries = Tries::begin(exchange, step);
    let mut before = None;
    loop {
        let mut dead = match attempt::attempt(exchange, step, rest, &mut tries).await {
            Err(dead) => dead,
            opened => return opened,
        };
        dead.failure = attempt::blame(exchange, dead.failure);
        let next = tries.next(exchange, step, rest, &dead.failure);
        end_attempt(exchange, Some(&dead.failure));
        exchange.forget_answer();
        let dead = says_more(before, dead);
        match next {
            Next::Over => return Err(dead),
            Next::Replica => {}
            Next::After(wait) => {
                let wait = async {
                    tokio::time::sleep(wait).await;
                    Ok(())
                };
                open::guarded(exchange, wait).await?;
            }
        }
        before = Some(dead);
    }
}

/// Which of two failures the caller hears of. The words of a target that was called say more than why another was not; of
/// two that were not, the one that ends sooner.
fn says_more(dead: Option<Dead>, next: Dead) -> Dead {
    let wait = |dead: &Dead| if let Retry::After(wait) = dead.failure.retry { Some(wait) } else { None };
    match dead {
        Some(dead) if attempt::was_not_called(&next.failure) => {
            let sooner = wait(&next).is_some_and(|next| wait(&dead).is_some_and(|dead| next < dead));
            if attempt::was_not_called(&dead.failure) && sooner { next } else { dead }
        }
        _ => next,
    }
}

/// What the gateway let through and only the candidate refuses is the candidate's failure; what the baseline refuses is the
/// caller's; so it is with a step of a cascade and who comes after it. What Crossfade itself cannot do, no other target can.
fn may_go_elsewhere(failure: &Failure, step: &Step) -> bool {
    match failure.kind {
        FailureKind::RecordUnavailable | FailureKind::ShuttingDown => false,
        FailureKind::Capacity if failure.status.is_some() => false,
        FailureKind::HttpClientError | FailureKind::Unsupported if step.detour => true,
        FailureKind::HttpClientError => step.cascade || step.arm == Some(Arm::Candidate) || failure.may_fail_over(),
        _ => failure.may_fail_over(),
    }
}
