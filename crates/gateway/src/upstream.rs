//! A stream from a provider, read whole event by whole event, with a clock that only content keeps quiet.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use providers::{ReplyBody, Timeouts};
use schema::Validator;
use schema::judge::{Judgement, judge};
use tokio::time::Sleep;
use wire::capability::mend::{Findings, Plan};
use wire::failure::{Failure, FailureKind};
use wire::messages::{Tokens, content, event};
use wire::openai::chunk::{self, ChunkFacts};
use wire::openai::content::{Accumulator, ChoiceText};
use wire::openai::{response, typed};
use wire::record::Endpoint;
use wire::refusal::{Beginning, Manner};
use wire::request::RequestView;
use wire::sse::{Decoder, Event, EventKind, MAX_EVENT_BYTES};
use wire::usage::Usage;

use crate::drain::{LocalPhase, Phase};
use crate::mend::{Expected, Mending};
use crate::parse::Parsed;
use crate::shadow::AnswerRoom;
use crate::snapshot::Target;

/// Events that are ready are taken together up to this many bytes, so that they leave in one write.
const COALESCE: usize = 64 << 10;

/// The upstream's side of a stream.
pub(crate) struct Upstream {
    body: ReplyBody,
    /// `None` once the stream has ended.
    decoder: Option<Decoder>,
    patience: Patience,
    /// How reading stopped, once it did; told after the events before it.
    stopped: Option<Result<(), Failure>>,
    format: Option<Format>,
    /// What the answer is judged by, when it is to have a form.
    asked: Option<Box<(RequestView, Bytes)>>,
    /// What was said, as the last event told.
    said: Option<Vec<ChoiceText>>,
    form: Option<Judgement>,
    seen: Seen,
    /// How it began to say what it says.
    beginning: Beginning,
    n_choices: u64,
    /// What its events are.
    kind: Kind,
    /// What a stream of Messages has said of its usage.
    tokens: Tokens,
    /// What may be held of it, when that is not the usual.
    within: Option<Rc<AnswerRoom>>,
    expected: Expected,
    mending: Option<Box<Mending>>,
}

/// What a stream has told so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// When the first content came, from the beginning of the attempt.
    pub(crate) time_to_first_token: Option<Duration>,
    pub(crate) finish_reason: Option<String>,
    pub(crate) n_finished: u64,
    pub(crate) done: bool,
    pub(crate) usage: Option<Usage>,
    pub(crate) n_bytes: u64,
}

impl Seen {
    /// Whether anything came that a caller waits for: from here on no other target can take over.
    pub(crate) fn content(&self) -> bool {
        self.time_to_first_token.is_some()
    }
}

impl Upstream {
    /// The stream of an attempt that began at `started`.
    pub(crate) fn new(
        body: ReplyBody,
        (request, target): (&Parsed, &Target),
        timeouts: &Timeouts,
        started: Instant,
    ) -> Self {
        let (kind, has_format) = (Kind::of(request.endpoint), request.view.has_format());
        Self {
            body,
            decoder: Some(Decoder::with_limit(longest_event(request.endpoint))),
            patience: Patience::new(timeouts, started),
            stopped: None,
            format: if has_format { Format::of(kind) } else { None },
            asked: has_format.then(|| Box::new((request.view.clone(), request.body.clone()))),
            said: None,
            form: None,
            seen: Seen::default(),
            beginning: Beginning::default(),
            n_choices: request.n_choices(),
            kind,
            tokens: Tokens::default(),
            within: None,
            expected: Expected::of(request, target),
            mending: None,
        }
    }

    /// The same, put right by this plan on the way.
    pub(crate) fn mended_by(mut self, plan: Option<Plan>) -> Self {
        self.mending = plan.map(|plan| Box::new(Mending::new(plan)));
        self
    }

    /// What goes on record for an event: the provider's own bytes, also when they were put right.
    pub(crate) fn on_record(&mut self, raw: &Bytes) -> Bytes {
        self.mending.as_mut().map_or_else(|| raw.clone(), |mending| mending.original())
    }

    /// Whether the stream is owed the `[DONE]` that its server never sends.
    pub(crate) fn owes_done(&self) -> bool {
        !self.seen.done && self.expected.owes_done()
    }

    /// What the stream did not do as it should, at its proper end.
    pub(crate) fn findings(&self) -> Findings {
        let mut findings = self.mending.as_ref().map(|mending| mending.findings().clone()).unwrap_or_default();
        self.expected.missed(self.seen.usage.as_ref(), &self.form(), Some(&self.seen), &mut findings);
        findings
    }

    /// The same, holding at most `n_bytes` of the stream at once: half for an event that is not whole yet, half for what the
    /// format is judged by. A longer event ends the stream as [`FailureKind::Capacity`]; of more text, the format is not known. Where there
    /// is no room for as much, less is held.
    pub(crate) fn within(mut self, n_bytes: usize, room: Rc<AnswerRoom>) -> Self {
        self.decoder = Some(Decoder::with_limit(n_bytes / 2));
        self.format = self.format.map(|format| match format {
            Format::Chat(_) => Format::Chat(Accumulator::with_limit(n_bytes / 2)),
            Format::Messages(_) => Format::Messages(content::Accumulator::with_limit(n_bytes / 2)),
        });
        if let Some(mending) = &mut self.mending {
            mending.within(n_bytes / 2);
        }
        self.within = Some(room);
        self
    }

    /// There is no room for more of the stream: what was gathered is given up.
    fn give_up(&mut self, covered: usize) {
        match &mut self.format {
            Some(Format::Chat(said)) => said.give_up(),
            Some(Format::Messages(said)) => said.give_up(),
            None => {}
        }
        if let Some(decoder) = &mut self.decoder {
            decoder.limit_to(covered / 2);
        }
    }

    pub(crate) fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Judges the whole answer by what was asked for; once.
    pub(crate) fn judge(&mut self, validator: &RefCell<Validator>) {
        let Some(asked) = self.asked.take() else { return };
        let choices = match &self.format {
            Some(Format::Chat(said)) => Some(said.choices()),
            Some(Format::Messages(said)) => Some(said.choices()),
            None => self.said.as_deref().map(Some),
        };
        // A stream of events that do not tell what was said has no form to judge.
        let Some(choices) = choices else { return };
        self.form = Some(judge(&mut validator.borrow_mut(), (&asked.0, &asked.1), choices));
    }

    /// What was said, by choice. `None` when too much was, or it has no form.
    pub(crate) fn choices(&self) -> Option<&[ChoiceText]> {
        match &self.format {
            Some(Format::Chat(said)) => said.choices(),
            Some(Format::Messages(said)) => said.choices(),
            None => self.said.as_deref(),
        }
    }

    /// What [`Self::judge`] found.
    pub(crate) fn form(&self) -> Judgement {
        self.form.clone().unwrap_or_default()
    }

    /// Whether there was more than is held to judge the format by.
    pub(crate) fn format_unknown(&self) -> bool {
        match &self.format {
            Some(Format::Chat(said)) => said.has_overflown(),
            Some(Format::Messages(said)) => said.has_overflown(),
            None => false,
        }
    }

    /// Whether the whole answer declines, also in plain words, or says nothing and calls nothing; `None` when it is not whole. Of several
    /// choices, which come in turns, only whether they say anything is known.
    pub(crate) fn declines(&self) -> Option<bool> {
        self.whole().ok()?;
        Some(if self.n_choices > 1 { !self.seen.content() } else { self.beginning.manner() != Manner::Answered })
    }

    /// The body, to be read to its end so that the connection can be used again.
    pub(crate) fn into_body(self) -> ReplyBody {
        self.body
    }

    /// Waits for the next whole events and appends all that are ready to `events`. `Ok(false)` is the proper end of a
    /// whole answer; every other end is a failure.
    pub(crate) async fn read(&mut self, phase: &LocalPhase, events: &mut Vec<Event>) -> Result<bool, Failure> {
        poll_fn(|cx| self.poll_read(cx, phase, events)).await
    }

    /// Time spent on handing a frame to the caller is not the provider's.
    pub(crate) fn caller_took(&mut self, time: Duration) {
        self.patience.life += time;
    }

    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        phase: &LocalPhase,
        events: &mut Vec<Event>,
    ) -> Poll<Result<bool, Failure>> {
        if phase.get() >= Phase::Cutting {
            return Poll::Ready(Err(Failure::new(FailureKind::ShuttingDown, "cut at the drain's deadline")));
        }
        let mut n_taken = 0;
        while self.stopped.is_none() && n_taken < COALESCE {
            match self.body.poll_next(cx) {
                Poll::Pending => break,
                Poll::Ready(Some(Ok(bytes))) => {
                    n_taken += bytes.len();
                    self.take(bytes, events);
                }
                Poll::Ready(Some(Err(failure))) => self.stopped = Some(Err(failure)),
                Poll::Ready(None) => self.stopped = Some(self.end(events)),
            }
        }
        if !events.is_empty() {
            return Poll::Ready(Ok(true));
        }
        if let Some(stopped) = self.stopped.take() {
            return Poll::Ready(stopped.map(|()| false));
        }
        // Bytes that made no whole event yet, or nothing: the clock decides, and wakes this when it has to.
        if n_taken >= COALESCE {
            cx.waker().wake_by_ref();
        }
        let kind = ready!(self.patience.poll(cx));
        Poll::Ready(Err(Failure::new(kind, "the stream stalled")))
    }

    fn take(&mut self, bytes: Bytes, events: &mut Vec<Event>) {
        self.seen.n_bytes += bytes.len() as u64;
        if let Some(room) = self.within.clone().filter(|room| !room.cover(self.seen.n_bytes)) {
            self.give_up(room.covered());
        }
        let Some(decoder) = &mut self.decoder else { return };
        let (said, from) = (self.mending.is_some().then(|| bytes.clone()), events.len());
        if let Err(error) = decoder.push(bytes, events) {
            let kind = if self.within.is_some() { FailureKind::Capacity } else { FailureKind::Malformed };
            self.stopped = Some(Err(Failure::new(kind, error.to_string())));
        }
        if let (Some(mending), Some(said)) = (&mut self.mending, said) {
            let alive = events[from..].iter().any(|event| event.kind != EventKind::Comment);
            mending.take(&said, events, from);
            // What is held back is a sign of life all the same.
            if alive && events.len() == from {
                self.patience.life = Instant::now();
                self.patience.answering = true;
            }
        }
    }

    /// The bytes ended in order. Whether the answer did, its own words must say: a clean close in the middle of an answer is
    /// what a crashed server looks like.
    fn end(&mut self, events: &mut Vec<Event>) -> Result<(), Failure> {
        let Some(end) = self.decoder.take().map(Decoder::finish) else { return Ok(()) };
        let from = events.len();
        events.extend(end.event);
        if let Some(mending) = &mut self.mending {
            mending.take(&Bytes::new(), events, from);
            mending.end(events);
        }
        if end.incomplete.is_empty() {
            Ok(())
        } else {
            Err(Failure::new(FailureKind::Disconnected, "the stream ended inside an event"))
        }
    }

    /// Whether the answer is whole, judged at the proper end of the stream. Some servers never send `[DONE]`: they are
    /// believed when every choice has finished and the body's own framing says that it ended there.
    pub(crate) fn whole(&self) -> Result<(), Failure> {
        let finished = self.seen.n_finished >= self.n_choices && self.body.has_marked_end();
        // An event that says so is as good as a marked end.
        let said_so = self.kind == Kind::Typed && self.seen.n_finished > 0;
        if self.seen.done || finished || said_so {
            return Ok(());
        }
        Err(Failure::new(FailureKind::Disconnected, "the stream ended before the answer did"))
    }

    /// An event of Anthropic's, told as a chunk is.
    fn message_event(&mut self, data: &[u8]) -> ChunkFacts {
        let facts = event::inspect(data);
        self.tokens.update(facts.tokens.unwrap_or_default());
        ChunkFacts {
            valid: facts.valid,
            done: facts.done,
            error: facts.error,
            has_content: facts.has_content,
            finish_reason: facts.stop_reason,
            usage: facts.tokens.map(|_| self.tokens.usage()),
            says: facts.says,
            ..ChunkFacts::default()
        }
    }

    /// Looks at one event: keeps the clock and what the stream tells, and finds errors.
    pub(crate) fn look(&mut self, event: &Event) -> Result<ChunkFacts, Failure> {
        if event.kind == EventKind::Comment {
            // A flood of comments keeps the timer from being looked at, so it is looked at here.
            let (deadline, kind) = self.patience.deadline();
            if Instant::now() >= deadline {
                return Err(Failure::new(kind, "the stream stalled behind comments"));
            }
            return Ok(ChunkFacts { valid: true, ..ChunkFacts::default() });
        }
        let facts = match self.kind {
            Kind::Chat => chunk::inspect(&event.data),
            Kind::Typed => typed::inspect(&event.data),
            Kind::Messages => self.message_event(&event.data),
        };
        if event.kind == EventKind::Error || facts.error {
            return Err(Failure::new(FailureKind::ErrorInStream, "the provider sent an error event"));
        }
        if !facts.valid {
            return Err(Failure::new(FailureKind::Malformed, "an event is neither JSON nor [DONE]"));
        }
        let now = Instant::now();
        self.beginning.push(&event.data, &facts.says);
        if facts.has_content && !self.seen.content() {
            self.seen.time_to_first_token = Some(now.saturating_duration_since(self.patience.started));
            self.patience.answering = true;
        }
        self.patience.life = now;
        if let Some(reason) = facts.finish_reason_in(&event.data) {
            self.seen.n_finished += 1;
            self.seen.finish_reason.get_or_insert_with(|| reason.to_owned());
        }
        if let Some(usage) = facts.usage {
            self.seen.usage = Some(usage);
        }
        match &mut self.format {
            Some(Format::Chat(said)) => said.push(&event.data),
            Some(Format::Messages(said)) => said.push(&event.data),
            None => {}
        }
        if facts.done && self.asked.is_some() && self.kind == Kind::Typed {
            self.said = response::of_event(&event.data).map(|facts| facts.texts(&event.data));
        }
        self.seen.done |= facts.done;
        Ok(facts)
    }
}

/// What the events of a stream are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Chunks, and `[DONE]` at the end.
    Chat,
    /// They name their own type, and one of them says that the answer is whole.
    Typed,
    /// Anthropic's.
    Messages,
}

/// What was said so far, to see whether it has the format asked for.
enum Format {
    Chat(Accumulator),
    Messages(content::Accumulator),
}

impl Format {
    /// A stream whose last event repeats the whole answer needs none.
    fn of(kind: Kind) -> Option<Self> {
        match kind {
            Kind::Chat => Some(Self::Chat(Accumulator::new())),
            Kind::Messages => Some(Self::Messages(content::Accumulator::new())),
            Kind::Typed => None,
        }
    }
}

impl Kind {
    const fn of(endpoint: Endpoint) -> Self {
        match endpoint {
            Endpoint::ChatCompletions | Endpoint::Completions => Self::Chat,
            Endpoint::Messages => Self::Messages,
            _ => Self::Typed,
        }
    }
}

/// An event of text is short; one of a picture, or one that repeats a whole response, is not.
const fn longest_event(endpoint: Endpoint) -> usize {
    match endpoint {
        Endpoint::ChatCompletions | Endpoint::Completions | Endpoint::Messages => MAX_EVENT_BYTES,
        _ => 32 << 20,
    }
}

/// The clock of a stream: one timer, moved only when it fires.
struct Patience {
    started: Instant,
    /// The last event with data, moved on by the time the caller took for its frames.
    life: Instant,
    /// The first content has come.
    answering: bool,
    first_token: Duration,
    inter_token: Duration,
    total: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    fn new(timeouts: &Timeouts, started: Instant) -> Self {
        Self {
            started,
            life: started,
            answering: false,
            first_token: timeouts.first_token,
            inter_token: timeouts.inter_token,
            total: timeouts.total,
            timer: None,
        }
    }

    /// When it is over, and what to call it.
    fn deadline(&self) -> (Instant, FailureKind) {
        let (stall, kind) = if self.answering {
            (self.life + self.inter_token, FailureKind::TimeoutInterToken)
        } else {
            (self.started + self.first_token, FailureKind::TimeoutFirstToken)
        };
        let total = self.started + self.total;
        if total < stall { (total, FailureKind::TimeoutTotal) } else { (stall, kind) }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<FailureKind> {
        let (deadline, kind) = self.deadline();
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline.into())));
        // An inter-token limit may end before the first-token limit that the timer was set for.
        if timer.deadline() > deadline.into() {
            timer.as_mut().reset(deadline.into());
        }
        loop {
            ready!(timer.as_mut().poll(cx));
            if Instant::now() >= deadline {
                return Poll::Ready(kind);
            }
            timer.as_mut().reset(deadline.into());
        }
    }
}
