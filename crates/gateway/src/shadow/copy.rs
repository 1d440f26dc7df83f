//! One copy, from the door to the record.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use providers::{Call, Reply, ReplyBody};
use rollout::{Metric, MetricSet};
use wire::capability::Unsupported;
use wire::capability::mend::{Findings, Plan};
use wire::failure::{Failure, FailureKind};
use wire::ids::ExchangeId;
use wire::private::Private;
use wire::record::{Adaptation, Arm, AttemptRecord, AttemptRole, Record, ShadowDrop, ShadowRecord};
use wire::usage::Usage;

use super::compared;
use super::strip::{SideEffects, strip};
use super::{AnswerRoom, Half, Heard, Offer, Shadow};
use crate::adapt::{self, Adapted, adapt_shadow};
use crate::answer;
use crate::asked::Outbound;
use crate::live::LiveRollout;
use crate::mend::{self, Expected};
use crate::observe::{self, Form};
use crate::parse::Parsed;
use crate::policy;
use crate::record::{begun, bytes_sent, micros};
use crate::targets::{Destination, Pick, Picked};
use crate::translate::{self, translate};
use crate::upstream::Upstream;
use crate::worker::Prepared;

/// Between two pieces of 256 KiB of a large copy those whose callers wait have their turn: one of 10 MB is 80 ms on its way.
const PAUSE: Duration = Duration::from_millis(2);

/// The longest answer that is read; one that goes on is cut and counts as malformed.
const LONGEST_ANSWER: u64 = 64 << 20;

const NOT_FORMAT: MetricSet = MetricSet::ALL.xor(MetricSet::of(&[Metric::Format, Metric::ToolCall]));

/// Gaps between the pieces of one stream that are kept: the first ones.
const MOST_GAPS: usize = 256;

/// Whose answer nobody but Crossfade reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// The candidate's.
    Candidate,
    /// The baseline's second one.
    Baseline,
}

/// One of the copies that may be under way at once. One that is given up, because its thread ends, is on record as dropped.
pub(super) struct UnderWay {
    shadow: Rc<Shadow>,
    offer: Offer,
    settled: Cell<bool>,
    in_flight: Cell<bool>,
}

impl UnderWay {
    /// Counted before the copy's task runs, so that a burst of offers cannot slip past the limit.
    pub(super) fn begin(shadow: &Rc<Shadow>, offer: Offer) -> Self {
        shadow.counts.in_flight.fetch_add(1, Ordering::Relaxed);
        Self { shadow: Rc::clone(shadow), offer, settled: Cell::new(false), in_flight: Cell::new(true) }
    }

    /// No call is under way for it any more.
    fn landed(&self) {
        if self.in_flight.replace(false) {
            self.shadow.counts.in_flight.fetch_sub(1, Ordering::Relaxed);
            self.shadow.end(&self.offer);
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.landed();
        if !self.settled.get() {
            dropped(&self.shadow, &self.offer, ShadowDrop::ShuttingDown);
        }
    }
}

/// Makes one copy, asks the baseline again where that was drawn, settles what came of both, and compares.
pub(super) async fn send(copy: UnderWay) {
    let (shadow, offer) = (&*copy.shadow, &copy.offer);
    let prepared = shadow.prepared();
    let request = match strip(&offer.request, &offer.live.identity.candidate) {
        Err(SideEffects) => Err(ShadowDrop::SideEffects),
        Ok(None) => Ok((Arc::clone(&offer.request), false)),
        Ok(Some((body, changes))) => {
            shadow.counters.count_adaptations(&changes);
            let stripped = offer.request.with_body(body, (&prepared.snapshot.limits, &shadow.bodies));
            stripped.map(|request| (Arc::new(request), true)).map_err(|_| ShadowDrop::MemoryFull)
        }
    };
    let (request, altered) = match request {
        Ok(request) => request,
        Err(reason) => {
            copy.settled.set(true);
            return dropped(shadow, offer, reason);
        }
    };
    let candidate = async {
        let ended = attempt(shadow, (offer, &request), Whose::Candidate, &prepared).await;
        copy.settled.set(true);
        match ended {
            Ok((attempt, ended)) => Some(attempt.finish(shadow, offer, ended)),
            Err(reason) => {
                dropped(shadow, offer, reason);
                None
            }
        }
    };
    let again = async {
        // Without its tools the baseline would answer another request.
        if !offer.drawn.duplicate || altered {
            return None;
        }
        match attempt(shadow, (offer, &request), Whose::Baseline, &prepared).await {
            Ok((attempt, ended)) => Some(attempt.finish(shadow, offer, ended)),
            Err(reason) => {
                record(shadow, offer, Whose::Baseline, None, (Some(reason), Bytes::new()));
                None
            }
        }
    };
    let (candidate, again) = Box::pin(async { tokio::join!(candidate, again) }).await;
    copy.landed();
    if let Some(candidate) = candidate {
        compared::settle(shadow, offer, (&candidate, again.as_ref()), altered).await;
    }
}

/// Sends one copy and reads its answer, unless one of our own limits is in the way.
async fn attempt(
    shadow: &Shadow,
    (offer, request): (&Offer, &Parsed),
    whose: Whose,
    prepared: &Rc<Prepared>,
) -> Result<(Copy, Result<(), Failure>), ShadowDrop> {
    let identity = &offer.live.identity;
    let name = if whose == Whose::Candidate { &identity.candidate } else { &identity.baseline };
    let destination = prepared.destination(name).ok_or(ShadowDrop::ShuttingDown)?;
    let route = prepared.snapshot.routes.get(&identity.route).ok_or(ShadowDrop::ShuttingDown)?;
    let translation = translate(request, &destination.target, (&prepared.snapshot, route, &shadow.bodies));
    let asked = match &translation {
        Ok(Some(translation)) => &translation.request,
        Ok(None) | Err(_) => request,
    };
    let adapted = match (adapt_shadow(asked, &destination.target, &identity.route), &translation) {
        (_, Err(refusal)) => Err(translate::refused(refusal, &destination.target)),
        (Err(Unsupported(capability)), _) => Err(adapt::refused(capability, &destination.target)),
        (Ok(adapted), Ok(_)) => Ok(adapted),
    };
    // As many copies as calls may be under way, and none of them waits.
    let place = match &destination.places {
        Some(places) => Some(places.try_take().ok_or(ShadowDrop::Concurrency)?),
        None => None,
    };
    let picked = pick(offer, destination)?;
    let mut copy = Copy::new((offer, whose), (prepared, destination), picked, shadow.limits.max_answer);
    let adapted = match adapted {
        Ok(adapted) => adapted,
        Err(refused) => {
            let field = refused.field.to_string();
            shadow.counters.count_adaptations(&[refused]);
            return Ok((copy, Err(Failure::new(FailureKind::Unsupported, field))));
        }
    };
    shadow.counters.count_adaptations(&adapted.changes);
    if let Ok(Some(translation)) = &translation {
        shadow.counters.count_adaptations(&translation.changes);
    }
    let sent = shadow.counts.sent(whose);
    sent.fetch_add(1, Ordering::Relaxed);
    let ended = copy.run(shadow, (offer, asked), adapted).await;
    drop(place);
    // A reload moved the candidate out of the house, or the request in.
    if ended.as_ref().is_err_and(|failure| failure.kind == FailureKind::Residency) {
        sent.fetch_sub(1, Ordering::Relaxed);
        return Err(ShadowDrop::Residency);
    }
    // Our own limits, not the provider's failure: on calls to it, and then the copy was never sent, or on what one may hold.
    if ended.as_ref().is_err_and(|failure| failure.kind == FailureKind::Capacity) {
        if copy.record.status.is_some() {
            return Err(ShadowDrop::MemoryFull);
        }
        sent.fetch_sub(1, Ordering::Relaxed);
        return Err(ShadowDrop::Concurrency);
    }
    Ok((copy, ended))
}

fn pick(offer: &Offer, destination: &Destination) -> Result<Picked, ShadowDrop> {
    let [.., a, b, c, d, e, f, g, h] = offer.id.to_bytes();
    let random = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
    // Nobody else takes a copy: what the ramp held back would only be missing.
    let pick = Pick { key: offer.affinity, random, last_resort: true, ..Pick::default() };
    destination.pick(pick, Instant::now()).map_err(|failure| match failure.kind {
        FailureKind::RateLimited | FailureKind::QuotaExhausted => ShadowDrop::Paused,
        _ => ShadowDrop::BreakerOpen,
    })
}

/// Records that a copy was not made, and why.
pub(super) fn dropped(shadow: &Shadow, offer: &Offer, reason: ShadowDrop) {
    shadow.counters.count_shadow_drop(reason);
    offer.live.shadow_dropped(offer.epoch, reason, &offer.stratum.name);
    offer.pair.shadow(Half::NoEvidence);
    record(shadow, offer, Whose::Candidate, None, (Some(reason), Bytes::new()));
}

/// Writes down that a request has no copy, where there is no offer of it.
pub(super) fn write_drop(shadow: &Shadow, (id, live, epoch): (ExchangeId, &LiveRollout, u32), reason: ShadowDrop) {
    shadow.write(&Record::Shadow(ShadowRecord {
        id,
        rollout: live.identity.name.clone(),
        epoch,
        attempt: None,
        drop: Some(reason),
        body: Private::new(Bytes::new()),
        declined: None,
    }));
}

fn record(
    shadow: &Shadow,
    offer: &Offer,
    whose: Whose,
    attempt: Option<(AttemptRecord, Option<bool>)>,
    (drop, body): (Option<ShadowDrop>, Bytes),
) {
    let (attempt, declined) = attempt.map_or((None, None), |(attempt, declined)| (Some(attempt), declined));
    let record = ShadowRecord {
        id: offer.id,
        rollout: offer.live.identity.name.clone(),
        epoch: offer.epoch,
        attempt,
        drop,
        body: Private::new(body),
        declined,
    };
    shadow.write(&match whose {
        Whose::Candidate => Record::Shadow(record),
        Whose::Baseline => Record::Duplicate(record),
    });
}

/// A copy under way.
struct Copy {
    record: AttemptRecord,
    started: Instant,
    destination: Rc<Destination>,
    picked: Picked,
    kept: Kept,
    /// More came than is held at once, so that it is not known whether it has the format asked for.
    format_unknown: bool,
    /// The answer declines, or says nothing; `None` when that is not known.
    declined: Option<bool>,
    /// What it began with; it is priced by it, too.
    prepared: Rc<Prepared>,
    whose: Whose,
    /// Gaps between the pieces of its stream, microseconds.
    gaps_us: Vec<u64>,
    /// A drill's script answered, and nobody was called.
    drilled: bool,
}

/// What is kept of an answer. It grows as bytes come, and is never larger than there is room for.
struct Kept {
    bytes: Vec<u8>,
    room: Rc<AnswerRoom>,
}

impl Kept {
    /// Takes as much as there is room for.
    fn take(&mut self, piece: &[u8]) {
        if self.room.is_full() {
            return;
        }
        let most = self.room.covered();
        let taken = piece.len().min(most - self.bytes.len());
        let needed = self.bytes.len() + taken;
        if needed > self.bytes.capacity() {
            // Doubled, as a vector does by itself, but never beyond what there is room for.
            let capacity = needed.max(self.bytes.capacity() * 2).min(most);
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend_from_slice(&piece[..taken]);
    }
}

impl Copy {
    fn new(
        (offer, whose): (&Offer, Whose),
        (prepared, destination): (&Rc<Prepared>, &Rc<Destination>),
        picked: Picked,
        limit: usize,
    ) -> Self {
        let started = Instant::now();
        let started_us = if offer.offered.is_some() { offer.arrival.unix_us_at(started) } else { crate::live::now().0 };
        let target = &destination.target;
        let model = target.model_for(&offer.live.identity.route, offer.request.model());
        let part = match whose {
            Whose::Candidate => (Some(Arm::Candidate), AttemptRole::Shadow),
            Whose::Baseline => (Some(Arm::Baseline), AttemptRole::Duplicate),
        };
        let mut record = begun(target, &model, 0, part, started_us);
        record.provider.clone_from(&destination.replicas[picked.idx].provider.config().name);
        let kept = Kept { bytes: Vec::new(), room: Rc::new(AnswerRoom::beside(offer.room.as_ref(), limit)) };
        let (prepared, destination) = (Rc::clone(prepared), Rc::clone(destination));
        let gaps_us = Vec::new();
        Self {
            record,
            started,
            destination,
            picked,
            kept,
            format_unknown: false,
            declined: None,
            prepared,
            whose,
            gaps_us,
            drilled: false,
        }
    }

    async fn run(
        &mut self,
        shadow: &Shadow,
        (offer, asked): (&Offer, &Parsed),
        adapted: Adapted,
    ) -> Result<(), Failure> {
        let provider = Arc::clone(&self.destination.replicas[self.picked.idx].provider);
        let timeouts = provider.config().timeouts;
        let call = Call {
            endpoint: asked.endpoint,
            body: adapted.body,
            streamed: offer.request.streamed(),
            request_id: HeaderValue::try_from(offer.id.to_string()).ok(),
            hops: offer.request.hops() + 1,
            timeouts,
            sent: None,
            pause: PAUSE,
            special: offer.request.beside.special_of_copy(&Outbound {
                provider: provider.config(),
                endpoint: asked.endpoint,
                model: &self.record.model,
                version: translate::anthropic_version(&offer.request, asked, &self.destination.target),
            }),
        };
        let n_bytes = call.body.len() as u64;
        let reply = match self.drilled(offer, &call).await {
            Some(answer) => answer,
            None => shadow.client.call(offer.residency, &provider, call).await,
        };
        self.record.request_bytes = bytes_sent(reply.as_ref().err(), n_bytes);
        let reply = reply?;
        self.record.status = Some(reply.status.as_u16());
        let streamed =
            reply.headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        if reply.status.is_success() && offer.request.streamed() && streamed {
            let target = &self.destination.target;
            let upstream = Upstream::new(reply.body, (asked, target), &timeouts, self.started).mended_by(adapted.plan);
            let upstream = upstream.within(shadow.limits.max_answer, Rc::clone(&self.kept.room));
            self.read_stream(shadow, upstream).await
        } else {
            let deadline = self.started + timeouts.whole_answer();
            self.read_whole(shadow, (asked, adapted.plan), reply, deadline).await
        }
    }

    /// The answer of a drill's script in the candidate's place, when one is on and this copy meets it. One that is to be late is late
    /// when this returns.
    async fn drilled(&mut self, offer: &Offer, call: &Call) -> Option<Result<Reply, Failure>> {
        let script = offer.live.script().filter(|_| self.whose == Whose::Candidate)?;
        let fault = script.fault(&offer.request, true)?;
        let answer = fault.play((call.endpoint, call.streamed), &call.timeouts, None).await?;
        (self.drilled, self.record.simulated) = (true, true);
        Some(answer)
    }

    async fn read_stream(&mut self, shadow: &Shadow, mut upstream: Upstream) -> Result<(), Failure> {
        if let Err(failure) = self.read_events(shadow, &mut upstream).await {
            // What was said of the usage before the answer broke off is what its provider charges for.
            self.record.usage = upstream.seen().usage;
            return Err(failure);
        }
        self.format_unknown = upstream.format_unknown();
        upstream.judge(&shadow.validator);
        self.report(shadow, &upstream.findings());
        let judged = answer::stream(&upstream);
        self.declined = judged.declined;
        judged.write(&mut self.record);
        Ok(())
    }

    async fn read_events(&mut self, shadow: &Shadow, upstream: &mut Upstream) -> Result<(), Failure> {
        let mut events = Vec::new();
        let mut last_piece: Option<Instant> = None;
        loop {
            let more = upstream.read(&shadow.phase, &mut events).await?;
            let now = Instant::now();
            for event in events.drain(..) {
                self.kept.take(&upstream.on_record(&event.raw));
                if upstream.look(&event)?.has_content {
                    self.piece(last_piece.replace(now), now);
                }
                let seen = upstream.seen();
                self.record.answer_bytes = seen.n_bytes;
                self.record.time_to_first_token_us = seen.time_to_first_token.map(micros);
            }
            if upstream.seen().done || !more {
                break;
            }
            if upstream.seen().n_bytes > LONGEST_ANSWER {
                return Err(Failure::new(FailureKind::Malformed, "the answer does not end"));
            }
        }
        upstream.whole()
    }

    /// A piece of content came; those that came together have no gap between them.
    fn piece(&mut self, before: Option<Instant>, now: Instant) {
        if let Some(before) = before.filter(|_| self.gaps_us.len() < MOST_GAPS) {
            self.gaps_us.push(micros(now.saturating_duration_since(before)));
        }
    }

    fn report(&self, shadow: &Shadow, findings: &Findings) {
        let changes: Vec<Adaptation> = findings.adaptations(&self.destination.target.name).collect();
        shadow.counters.count_adaptations(&changes);
    }

    async fn read_whole(
        &mut self,
        shadow: &Shadow,
        (asked, plan): (&Parsed, Option<Plan>),
        reply: Reply,
        deadline: Instant,
    ) -> Result<(), Failure> {
        let Reply { status, headers, body, .. } = reply;
        let read = tokio::time::timeout_at(deadline.into(), self.read_pieces(body)).await;
        read.map_err(|_| Failure::new(FailureKind::TimeoutTotal, "the answer did not end in time"))??;
        // The beginning says what kind of refusal it is; what a success is worth, only the whole does.
        if self.record.answer_bytes > self.kept.bytes.len() as u64 && status.is_success() {
            self.format_unknown = asked.view.has_format();
            return Ok(());
        }
        let mut findings = Findings::default();
        let judged = match plan {
            // Judged as a caller would get it.
            Some(plan) if status.is_success() => {
                let said = Bytes::copy_from_slice(&self.kept.bytes);
                let said = mend::whole(Some(&plan), status, &said, &mut findings);
                answer::whole((asked, &shadow.validator), status, &headers, &said)?
            }
            _ => answer::whole((asked, &shadow.validator), status, &headers, &self.kept.bytes)?,
        };
        let expected = Expected::of(asked, &self.destination.target);
        expected.missed(judged.usage.as_ref(), &judged.form, None, &mut findings);
        self.report(shadow, &findings);
        self.declined = judged.declined;
        judged.write(&mut self.record);
        Ok(())
    }

    /// Reads to the end, piece by piece: what there is no room for is counted and forgotten.
    async fn read_pieces(&mut self, mut body: ReplyBody) -> Result<(), Failure> {
        while let Some(piece) = body.next().await.transpose()? {
            self.record.answer_bytes += piece.len() as u64;
            if self.record.answer_bytes > LONGEST_ANSWER {
                return Err(Failure::new(FailureKind::Malformed, "the answer does not end"));
            }
            self.kept.room.cover(self.record.answer_bytes);
            self.kept.take(&piece);
        }
        Ok(())
    }

    fn finish(mut self, shadow: &Shadow, offer: &Offer, ended: Result<(), Failure>) -> Heard {
        let now = Instant::now();
        let failure = ended.err();
        self.record.duration_us = micros(now.saturating_duration_since(self.started));
        self.record.failure = failure.as_ref().map(|failure| failure.kind);
        self.record.truncated = failure.is_some() && self.record.answer_bytes > 0;
        // What no provider did costs nothing and is no provider's health.
        if self.drilled {
            self.record.usage = Some(Usage::default());
        } else {
            self.record.cost = self.prepared.snapshot.prices.charge(offer.request.endpoint, &self.record);
            shadow.counters.count_cost(&self.record);
            shadow.spent(offer, &self.record);
            // No jitter: one process has one shadow, so there is nobody to be out of step with.
            let health = &self.destination.replicas[self.picked.idx].health;
            health.record(self.picked.permit.take(), failure.as_ref(), now, 0.5);
        }
        shadow.counts.ended(self.whose, failure.is_some());
        if self.whose == Whose::Candidate {
            shadow.counters.forms.count(&self.record);
            offer.pair.shadow(self.half(offer));
            if failure.is_none() {
                self.look(shadow, offer);
            }
        }
        let (unkept, room) = (self.kept.room.is_full(), self.kept.room.take());
        if unkept {
            shadow.counts.unkept.fetch_add(1, Ordering::Relaxed);
        }
        let answer = Bytes::from(self.kept.bytes);
        let heard = Heard {
            answer: answer.clone(),
            n_bytes: self.record.answer_bytes,
            failure: self.record.failure,
            finish_reason: self.record.finish_reason.clone(),
            gaps_us: self.gaps_us,
            unkept,
            room: Some(room),
        };
        record(shadow, offer, self.whose, Some((self.record, self.declined)), (None, answer));
        heard
    }

    /// Writes down what the route's policy would have said of the answer, before the answer itself.
    fn look(&self, shadow: &Shadow, offer: &Offer) {
        let Some(policy) = &offer.policy else { return };
        let (route, kept) = (offer.live.identity.route.as_str(), self.kept.bytes.as_slice());
        let said = (kept, self.record.answer_bytes, crate::live::now().0);
        let Some(record) = policy::judge_copy(policy, (offer.id, route, &self.record.target), said) else { return };
        if let Record::Checks(checks) = &record {
            shadow.counters.verdicts.count(route, true, &checks.checks);
        }
        shadow.write(&record);
    }

    /// What the guards and gates learn. The gateway let the request through and the baseline's answer decides whether it was
    /// in order: what only the candidate refuses counts against it.
    fn half(&self, offer: &Offer) -> Half {
        let failure = match self.record.failure {
            Some(kind) if observe::is_refusal(kind) => Some(FailureKind::HttpServerError),
            other => other,
        };
        match observe::verdict(failure, Form::of(&self.record)) {
            Some((observed, bad)) => {
                let observed = if self.format_unknown { observed.and(NOT_FORMAT) } else { observed };
                let speed = observe::speed(&self.record, offer.request.streamed(), offer.live.objectives());
                let refusal = observe::refusal(&self.record, self.declined);
                let (observed, bad) = (observed.or(speed.0).or(refusal.0), bad.or(speed.1).or(refusal.1));
                let complete = failure.is_none().then_some(self.record.duration_us);
                Half::Known { observed, bad, times: (self.record.time_to_first_token_us, complete) }
            }
            None => Half::NoEvidence,
        }
    }
}
