//! The inline policy of a route, applied: what a request says before it is recorded and called for, and what an answer says before
//! its caller has all of it. A route without a policy costs one branch here and there.

mod copy;
mod look;
mod moderation;
mod stopped;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use govern::policy::{Check, Kind, Policy, Streams};
use wire::failure::{Failure, FailureKind};
use wire::record::{Arm, CheckRecord, ChecksRecord, Endpoint, Phase, Record, Verdict};
use wire::texts::Gathered;

use crate::call::{Content, Dead, Opened, end_attempt};
use crate::parse::Parsed;
use crate::record::{Exchange, micros};
use crate::relay;
use crate::snapshot::{Route, Snapshot};
use crate::worker::Worker;

pub(crate) use copy::judge_copy;
use look::{Found, Said};

/// The longest answer that is looked at; a longer one counts as one that could not be.
const MAX_SAID: usize = 4 << 20;

/// What was found so far, and what a stream under way has said.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    checks: Vec<CheckRecord>,
    gathered: Option<Box<Gathered>>,
}

impl Findings {
    /// Takes the data of an event of a stream that is looked at at its end.
    pub(crate) fn gather(&mut self, data: &[u8]) {
        if let Some(gathered) = &mut self.gathered {
            gathered.push(data);
        }
    }

    fn push(&mut self, check: CheckRecord) {
        self.checks.push(check);
    }

    fn strictest(&self) -> Verdict {
        govern::policy::strictest(self.checks.iter().map(|check| check.verdict))
    }
}

/// Looks at a request before anything is recorded of it: its texts, its size, its tools. The request that comes back is the one that
/// goes on, on record too.
pub(crate) fn read(
    worker: &Worker,
    snapshot: &Snapshot,
    route: &Route,
    request: Arc<Parsed>,
) -> (Arc<Parsed>, Findings) {
    let mut findings = Findings::default();
    let Some(policy) = &route.policy else { return (request, findings) };
    let mut request = request;
    for check in policy.of(Phase::Before).filter(|check| !matches!(check.kind, Kind::Moderation(_))) {
        let began = Instant::now();
        let found = look::at_request(check, &request);
        let mut record = record_of(check, Phase::Before, &found, began);
        if let Found::Redacted(body) = found {
            match request.with_body(body, (&snapshot.limits, &worker.bodies)) {
                Ok(redacted) => request = Arc::new(redacted),
                // What cannot go on without it does not go on.
                Err(_) => (record.verdict, record.failed) = (Verdict::Block, true),
            }
        }
        let stops = record.verdict.stops();
        findings.push(record);
        if stops {
            break;
        }
    }
    (request, findings)
}

/// Ends a request that may not go on, and asks the moderation targets about one that still may.
pub(crate) async fn hold(exchange: &mut Exchange) -> Option<Dead> {
    let policy = Arc::clone(exchange.route.policy.as_ref()?);
    if exchange.findings.strictest().stops() {
        return Some(stopped::dead(exchange, exchange.findings.strictest()));
    }
    for check in policy.of(Phase::Before) {
        let Kind::Moderation(moderation) = &check.kind else { continue };
        let said = look::said_in_request(&exchange.request);
        let record = moderated(exchange, check, moderation, Phase::Before, said).await;
        let verdict = record.verdict;
        exchange.findings.push(record);
        if verdict.stops() {
            return Some(stopped::dead(exchange, verdict));
        }
    }
    None
}

/// Looks at an answer that nobody has seen. One that is passed on as it comes is looked at by [`at_end`].
pub(crate) async fn after(exchange: &mut Exchange, mut opened: Opened) -> Result<Opened, Dead> {
    let Some(policy) = exchange.route.policy.clone().filter(|policy| policy.looks_at_answers()) else {
        return Ok(opened);
    };
    let verdict = match &mut opened.content {
        Content::Pieces(_) => return Ok(opened),
        // What was read up to the first content is looked at with the rest.
        Content::Stream(_) if policy.streams == Streams::Cut => {
            exchange.findings.gathered = Some(Box::new(Gathered::with_limit(MAX_SAID)));
            return Ok(opened);
        }
        Content::Whole(body) => {
            let said = Said::Body(body.clone());
            let (verdict, said) = judged(exchange, &policy, said).await;
            if let Said::Body(redacted) = said {
                *body = redacted;
            }
            verdict
        }
        Content::Stream(open) => {
            let datas = open.held.iter().map(|heard| heard.shown().data.clone()).collect();
            let gathered = gathered(open.held.iter().map(|heard| &heard.shown().data));
            let n_bytes = open.upstream.seen().n_bytes;
            let said = if open.whole { Said::Stream(gathered, n_bytes, Some(datas)) } else { Said::TooLong };
            let (verdict, said) = judged(exchange, &policy, said).await;
            let is_chat = matches!(exchange.request.endpoint, Endpoint::ChatCompletions | Endpoint::Completions);
            match said {
                // What cannot be said without it is not said.
                Said::Stream(_, _, Some(datas)) if open.show(&datas, is_chat).is_err() => verdict.max(Verdict::Block),
                _ => verdict,
            }
        }
    };
    if !verdict.stops() {
        return Ok(opened);
    }
    end_attempt(exchange, None);
    if let Content::Stream(open) = opened.content {
        open.held.iter().for_each(|heard| exchange.keep(&heard.event.raw));
        relay::read_to_end(&exchange.worker, open.upstream.into_body());
    }
    Err(stopped::dead(exchange, verdict))
}

/// Looks at a stream that was passed on as it came, before its last bytes leave. A failure cuts it there.
pub(crate) async fn at_end(exchange: &mut Exchange, n_bytes: u64) -> Result<(), Failure> {
    let Some(gathered) = exchange.findings.gathered.take() else { return Ok(()) };
    let Some(policy) = exchange.route.policy.clone() else { return Ok(()) };
    let (verdict, _) = judged(exchange, &policy, Said::Stream(*gathered, n_bytes, None)).await;
    match verdict.stops() {
        true => Err(Failure::new(stopped::kind(verdict), "stopped by the route's policy")),
        false => Ok(()),
    }
}

/// Whether a failure is a policy's doing: then it is nobody's failure.
pub(crate) const fn is_stopped(kind: FailureKind) -> bool {
    matches!(kind, FailureKind::Policy | FailureKind::Referred)
}

/// The texts of events with this data.
fn gathered<'d>(datas: impl Iterator<Item = &'d Bytes>) -> Gathered {
    let mut gathered = Gathered::with_limit(MAX_SAID);
    datas.for_each(|data| gathered.push(data));
    gathered
}

/// The strictest verdict on an answer, and the answer without what was taken out.
async fn judged(exchange: &mut Exchange, policy: &Policy, said: Said) -> (Verdict, Said) {
    let (mut said, mut strictest) = (said, Verdict::Allow);
    for check in policy.of(Phase::After) {
        let record = match &check.kind {
            Kind::Moderation(moderation) => {
                let text = said.text();
                moderated(exchange, check, moderation, Phase::After, text).await
            }
            _ => {
                let began = Instant::now();
                let found = look::at_answer(check, &said);
                let record = record_of(check, Phase::After, &found, began);
                said = match (found, said) {
                    (Found::Redacted(body), _) => Said::Body(body),
                    (Found::RedactedStream(datas), Said::Stream(_, n_bytes, _)) => {
                        Said::Stream(gathered(datas.iter()), n_bytes, Some(datas))
                    }
                    (_, said) => said,
                };
                record
            }
        };
        strictest = strictest.max(record.verdict);
        let (target, arm) = whose(exchange);
        exchange.findings.push(CheckRecord { target, arm, ..record });
        if strictest.stops() {
            break;
        }
    }
    (strictest, said)
}

/// Whose answer is looked at.
fn whose(exchange: &Exchange) -> (Option<String>, Option<Arm>) {
    match &exchange.attempt {
        Some(attempt) => (Some(attempt.record.target.clone()), attempt.record.arm),
        None => (exchange.served.as_ref().map(|served| served.target.clone()), None),
    }
}

/// A check by a moderation target.
async fn moderated(
    exchange: &Exchange,
    check: &Check,
    moderation: &govern::policy::Moderation,
    phase: Phase,
    said: Option<String>,
) -> CheckRecord {
    let began = Instant::now();
    let asked = moderation::ask(exchange, moderation, said).await;
    let (found, failed) = match asked.flagged {
        Ok(flagged) => (flagged, false),
        Err(why) => (Some(Cow::Borrowed(why)), true),
    };
    let verdict = match (&found, failed) {
        (_, true) => moderation.on_error,
        (Some(_), false) => check.then,
        (None, false) => Verdict::Allow,
    };
    CheckRecord {
        verdict,
        detail: found,
        failed,
        asked: asked.by,
        request_bytes: asked.request_bytes,
        answer_bytes: asked.answer_bytes,
        ..record_of(check, phase, &Found::Nothing, began)
    }
}

fn record_of(check: &Check, phase: Phase, found: &Found, began: Instant) -> CheckRecord {
    let (verdict, detail, failed) = match found {
        Found::Nothing => (Verdict::Allow, None, false),
        Found::Redacted(_) | Found::RedactedStream(_) => (Verdict::Redact, None, false),
        Found::This(detail) => (check.then, Some(detail.clone()), false),
        // A text that could not be looked at may hold anything.
        Found::Unknown(why) => (
            if check.then == Verdict::Allow { Verdict::Allow } else { Verdict::Block },
            Some(Cow::Borrowed(*why)),
            true,
        ),
        Found::CannotRedact(detail) => (Verdict::Block, Some(detail.clone()), false),
    };
    CheckRecord {
        name: check.name.clone(),
        phase,
        verdict,
        target: None,
        arm: None,
        latency_us: micros(began.elapsed()),
        detail,
        failed,
        asked: None,
        request_bytes: 0,
        answer_bytes: 0,
    }
}

/// What goes on record of an exchange's checks; nothing where there was none.
pub(crate) fn take_record(exchange: &mut Exchange, at_us: u64) -> Option<Record> {
    let checks = std::mem::take(&mut exchange.findings.checks);
    if checks.is_empty() {
        return None;
    }
    exchange.worker.counters.verdicts.count(&exchange.route.name, false, &checks);
    let route = exchange.route.name.clone();
    Some(Record::Checks(ChecksRecord { id: exchange.id, shadow: false, route, at_us, checks }))
}
