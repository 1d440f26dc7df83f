//! Records become rows. Everything is `INSERT OR IGNORE` by id, so that a record shipped twice is there once.

use std::collections::HashMap;
use std::io;

use rusqlite::{Statement, ToSql, Transaction, params};
use wire::ids::ExchangeId;
use wire::private::Body;
use wire::record::{
    AnswerRecord, Arm, AttemptRecord, Charge, ChecksRecord, ConnectionRecord, DrawnRecord, FeedbackRecord, GapRecord,
    OutcomeRecord, PairRecord, Record, RequestRecord, ShadowRecord, UnitOutcomeRecord,
};
use wire::usage::Usage;

use super::sums::{BELONGING, Belonging, Sums, Tallies};
use crate::database::{
    BodyKind, insert_checks, insert_connections, insert_drawn, insert_feedback, insert_pairs, insert_unit_outcomes,
    signed,
};
use crate::journal::Position;

/// Level 1: level 3 stores a tenth less and costs half more.
const LEVEL: i32 = 1;
/// Shorter bodies do not shrink.
const MIN_COMPRESSED: usize = 64;

/// A zstd context that is set up once.
pub(super) struct Compressor {
    context: zstd::bulk::Compressor<'static>,
    buffer: Vec<u8>,
}

impl Compressor {
    pub fn new() -> io::Result<Compressor> {
        Ok(Compressor { context: zstd::bulk::Compressor::new(LEVEL)?, buffer: Vec::new() })
    }

    /// The bytes to store: compressed when that is shorter.
    fn store(&mut self, bytes: &[u8]) -> Vec<u8> {
        if bytes.len() < MIN_COMPRESSED {
            return bytes.to_vec();
        }
        self.buffer.clear();
        self.buffer.reserve(zstd::zstd_safe::compress_bound(bytes.len()));
        match self.context.compress_to_buffer(bytes, &mut self.buffer) {
            Ok(len) if len < bytes.len() => self.buffer[..len].to_vec(),
            _ => bytes.to_vec(),
        }
    }
}

/// Records between two positions, ready to insert.
pub(super) struct Batch {
    pub start: Position,
    pub end: Position,
    /// Close what dead processes left open, before anything else.
    pub sweep: bool,
    pub n_records: usize,
    pub n_undecodable: u64,
    pub n_truncated: u64,
    pub body_bytes: u64,
    pub stored_bytes: u64,
    /// Requests by id; taken out when their answer is in the batch too.
    requests: HashMap<ExchangeId, RequestRecord>,
    answers: Vec<(Option<RequestRecord>, AnswerRecord)>,
    shadows: Vec<(ShadowRecord, Copied)>,
    drawn: Vec<DrawnRecord>,
    pairs: Vec<PairRecord>,
    outcomes: Vec<OutcomeRecord>,
    gaps: Vec<GapRecord>,
    connections: Vec<ConnectionRecord>,
    checks: Vec<ChecksRecord>,
    feedback: Vec<FeedbackRecord>,
    unit_outcomes: Vec<UnitOutcomeRecord>,
    bodies: Vec<(ExchangeId, BodyKind, StoredBody)>,
    copy_bodies: Vec<(ExchangeId, String, Copied, StoredBody)>,
}

/// Whose answer nobody but Crossfade reads; the number is the one in the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Copied {
    /// The candidate's.
    Copy = 1,
    /// The baseline's second one.
    Duplicate = 2,
    /// Embeddings of the others.
    Meaning = 3,
    /// Whether a baseline could take all traffic back.
    Probe = 4,
    /// What a model that judges the pair says.
    Judgement = 5,
}

struct StoredBody {
    bytes: u64,
    data: Vec<u8>,
}

impl Batch {
    pub fn new(start: Position) -> Batch {
        Batch {
            start,
            end: start,
            sweep: false,
            n_records: 0,
            n_undecodable: 0,
            n_truncated: 0,
            body_bytes: 0,
            stored_bytes: 0,
            requests: HashMap::new(),
            answers: Vec::new(),
            shadows: Vec::new(),
            drawn: Vec::new(),
            pairs: Vec::new(),
            outcomes: Vec::new(),
            gaps: Vec::new(),
            connections: Vec::new(),
            checks: Vec::new(),
            feedback: Vec::new(),
            unit_outcomes: Vec::new(),
            bodies: Vec::new(),
            copy_bodies: Vec::new(),
        }
    }

    /// Whether the batch leaves a segment behind.
    pub fn crosses(&self) -> bool {
        self.end.seq != self.start.seq
    }

    /// Decodes one record and compresses its body.
    pub fn add(&mut self, payload: &[u8], compressor: &mut Compressor) {
        self.n_records += 1;
        match decode(payload) {
            Ok(Record::Request(mut request)) => {
                self.keep_body(request.id, BodyKind::Request, std::mem::take(&mut request.body), compressor);
                self.requests.insert(request.id, request);
            }
            Ok(Record::Answer(mut answer)) => {
                self.keep_body(answer.id, BodyKind::Answer, std::mem::take(&mut answer.body), compressor);
                self.answers.push((self.requests.remove(&answer.id), answer));
            }
            Ok(Record::Shadow(shadow)) => self.keep_copy(shadow, Copied::Copy, compressor),
            Ok(Record::Duplicate(duplicate)) => self.keep_copy(duplicate, Copied::Duplicate, compressor),
            Ok(Record::Meaning(meaning)) => self.keep_copy(meaning, Copied::Meaning, compressor),
            Ok(Record::Probe(probe)) => self.keep_copy(probe, Copied::Probe, compressor),
            Ok(Record::Judgement(judgement)) => self.keep_copy(judgement, Copied::Judgement, compressor),
            Ok(Record::Drawn(drawn)) => self.drawn.push(drawn),
            Ok(Record::Pair(pair)) => self.pairs.push(pair),
            Ok(Record::Outcome(outcome)) => self.outcomes.push(outcome),
            Ok(Record::Gap(gap)) => self.gaps.push(gap),
            Ok(Record::Connection(connection)) => self.connections.push(connection),
            Ok(Record::Checks(checks)) => self.checks.push(checks),
            Ok(Record::Feedback(feedback)) => self.feedback.push(feedback),
            Ok(Record::UnitOutcome(outcome)) => self.unit_outcomes.push(outcome),
            Err(error) => {
                self.n_undecodable += 1;
                tracing::error!(%error, segment = self.start.seq, "journal record cannot be decoded");
            }
        }
    }

    fn keep_body(&mut self, id: ExchangeId, kind: BodyKind, body: Body, compressor: &mut Compressor) {
        let stored = self.compressed(&body, compressor);
        self.bodies.extend(stored.map(|stored| (id, kind, stored)));
    }

    fn keep_copy(&mut self, mut shadow: ShadowRecord, copied: Copied, compressor: &mut Compressor) {
        let stored = self.compressed(&std::mem::take(&mut shadow.body), compressor);
        self.copy_bodies.extend(stored.map(|stored| (shadow.id, shadow.rollout.clone(), copied, stored)));
        self.shadows.push((shadow, copied));
    }

    fn compressed(&mut self, body: &Body, compressor: &mut Compressor) -> Option<StoredBody> {
        let bytes = body.expose();
        if bytes.is_empty() {
            return None;
        }
        let data = compressor.store(bytes);
        self.body_bytes += bytes.len() as u64;
        self.stored_bytes += data.len() as u64;
        Some(StoredBody { bytes: bytes.len() as u64, data })
    }

    /// Inserts everything; may be called again after a failure.
    pub fn insert(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let mut tallies = Tallies::default();
        if self.sweep {
            self.n_truncated = sweep(transaction)?;
            tallies.add_exchanges(TRUNCATED, usize::try_from(self.n_truncated).unwrap_or(usize::MAX));
        }
        let mut bodies = transaction.prepare("INSERT OR IGNORE INTO bodies VALUES (?1, ?2, ?3, ?4)")?;
        for (id, kind, body) in &self.bodies {
            bodies.execute(params![id.to_bytes(), kind.code(), signed(body.bytes), body.data])?;
        }
        self.insert_copy_bodies(transaction)?;
        self.insert_answers(transaction, &mut tallies)?;
        insert_pending(transaction, self.requests.values())?;
        let mut attempts = transaction.prepare(ATTEMPT)?;
        let mut belonging = transaction.prepare(BELONGING)?;
        let mut sums = Sums::default();
        for (request, answer) in &self.answers {
            let belonging = match request {
                Some(request) => Belonging::of(request),
                None => Belonging::find(&mut belonging, answer.id)?,
            };
            for attempt in &answer.attempts {
                if insert_attempt(
                    &mut attempts,
                    (answer.id, attempt.idx.into()),
                    (Some(attempt), answer.declined_by(attempt.idx)),
                    None,
                )? {
                    tallies.add_attempt(0);
                    sums.add(attempt, &belonging);
                }
            }
        }
        for (shadow, copied) in &self.shadows {
            let place = (shadow.id, idx_of(shadow, *copied));
            let is_new = insert_attempt(
                &mut attempts,
                place,
                (shadow.attempt.as_ref(), shadow.declined),
                Some((shadow, *copied)),
            )?;
            if is_new {
                tallies.add_attempt(*copied as u8);
            }
            if let (Some(attempt), true) = (&shadow.attempt, is_new) {
                let rollout = Some((shadow.rollout.clone(), shadow.epoch));
                sums.add(attempt, &Belonging { rollout, is_retry: false });
            }
        }
        sums.write(transaction)?;
        tallies.write(transaction)?;
        insert_drawn(transaction, &self.drawn)?;
        insert_pairs(transaction, &self.pairs)?;
        self.end_deferred(transaction)?;
        let mut outcomes = transaction.prepare("INSERT OR IGNORE INTO outcomes VALUES (?1, ?2, ?3, ?4, ?5)")?;
        for outcome in &self.outcomes {
            outcomes.execute(params![
                outcome.id.to_bytes(),
                outcome.name,
                outcome.source,
                signed(outcome.at_us),
                outcome.value
            ])?;
        }
        let mut gaps = transaction.prepare("INSERT OR IGNORE INTO gaps VALUES (?1, ?2, ?3, ?4)")?;
        for gap in &self.gaps {
            gaps.execute(params![signed(gap.from_us), signed(gap.to_us), signed(gap.n), gap.reason])?;
        }
        insert_checks(transaction, &self.checks)?;
        insert_feedback(transaction, &self.feedback)?;
        insert_unit_outcomes(transaction, &self.unit_outcomes)?;
        insert_connections(transaction, &self.connections)
    }

    fn insert_copy_bodies(&self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        if self.copy_bodies.is_empty() {
            return Ok(());
        }
        let mut insert = transaction.prepare("INSERT OR IGNORE INTO copy_bodies VALUES (?1, ?2, ?3, ?4, ?5)")?;
        for (id, rollout, copied, body) in &self.copy_bodies {
            let duplicate = *copied == Copied::Duplicate;
            insert.execute(params![id.to_bytes(), rollout, duplicate, signed(body.bytes), body.data])?;
        }
        Ok(())
    }

    /// What was to be copied later has been.
    fn end_deferred(&self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let mut end = transaction.prepare("DELETE FROM deferred WHERE rollout = ?1 AND exchange_id = ?2")?;
        for (shadow, _) in self.shadows.iter().filter(|(_, copied)| *copied == Copied::Copy) {
            end.execute(params![shadow.rollout, shadow.id.to_bytes()])?;
        }
        Ok(())
    }

    /// One immutable row per exchange, from the request and its answer together.
    fn insert_answers(&self, transaction: &Transaction<'_>, tallies: &mut Tallies) -> rusqlite::Result<()> {
        let mut whole = transaction.prepare(EXCHANGE)?;
        let mut from_pending = transaction.prepare(EXCHANGE_FROM_PENDING)?;
        let mut close = transaction.prepare("DELETE FROM pending WHERE id = ?1")?;
        for (request, answer) in &self.answers {
            let n_new = match request {
                Some(request) => insert_exchange(&mut whole, request, answer)?,
                None => {
                    bind_answer(&mut from_pending, 1, answer)?;
                    from_pending.raw_bind_parameter(ANSWER_COLUMNS + 1, answer.id.to_bytes())?;
                    from_pending.raw_execute()?
                }
            };
            tallies.add_exchanges(answer.outcome.as_str(), n_new);
            close.execute([answer.id.to_bytes()])?;
        }
        Ok(())
    }
}

/// The record in a payload, also of a journal of before requests said what was `asked`, answers what was decided and who declined: theirs
/// end where that would begin, and every such part is nothing when it is a zero.
pub(super) fn decode(payload: &[u8]) -> Result<Record, postcard::Error> {
    match postcard::from_bytes(payload) {
        Err(postcard::Error::DeserializeUnexpectedEnd) => {
            let longer = |n: usize| postcard::from_bytes(&[payload, &[0, 0][..n]].concat());
            // Of an answer two parts came later, of all others one.
            let may_lack_two = payload.first() == Some(&ANSWER);
            longer(1).or_else(|error| if may_lack_two { longer(2) } else { Err(error) })
        }
        done => done,
    }
}

/// How the record of an answer begins.
const ANSWER: u8 = 1;

const PENDING_COLUMNS: usize = 15;
const ANSWER_COLUMNS: usize = 18;

const PENDING: &str = "INSERT OR IGNORE INTO pending
    SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15
    WHERE NOT EXISTS (SELECT 1 FROM exchanges WHERE id = ?1)";

const EXCHANGE: &str = "INSERT OR IGNORE INTO exchanges VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13,
    ?14, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32, ?15, ?33)";

const EXCHANGE_FROM_PENDING: &str = "INSERT OR IGNORE INTO exchanges
    SELECT ?19, p.received_at_us, p.endpoint, p.route, p.principal, p.streamed, p.rollout, p.epoch, p.share, p.unit,
        p.unit_source, p.arm, p.forced, p.client_retry, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15,
        ?16, ?17, p.asked, ?18
    FROM (SELECT 1) LEFT JOIN pending p ON p.id = ?19";

const ATTEMPT: &str = "INSERT OR IGNORE INTO attempts VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13,
    ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32, ?33, ?34, ?35, ?36)";

/// How an exchange ended whose process died.
const TRUNCATED: &str = "truncated";

/// Requests of dead processes: their answers, if they were written, have been shipped before this.
fn sweep(transaction: &Transaction<'_>) -> rusqlite::Result<u64> {
    let n = transaction.execute(
        "INSERT OR IGNORE INTO exchanges (id, received_at_us, endpoint, route, principal, streamed, rollout, epoch,
            share, unit, unit_source, arm, forced, client_retry, asked, outcome)
         SELECT id, received_at_us, endpoint, route, principal, streamed, rollout, epoch,
            share, unit, unit_source, arm, forced, client_retry, asked, 'truncated' FROM pending",
        [],
    )?;
    transaction.execute("DELETE FROM pending", [])?;
    Ok(n as u64)
}

fn insert_pending<'a>(
    transaction: &Transaction<'_>,
    requests: impl Iterator<Item = &'a RequestRecord>,
) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare(PENDING)?;
    for request in requests {
        bind_request(&mut statement, request)?;
        statement.raw_execute()?;
    }
    Ok(())
}

fn insert_exchange(
    statement: &mut Statement<'_>,
    request: &RequestRecord,
    answer: &AnswerRecord,
) -> rusqlite::Result<usize> {
    bind_request(statement, request)?;
    bind_answer(statement, PENDING_COLUMNS + 1, answer)?;
    statement.raw_execute()
}

fn bind_request(statement: &mut Statement<'_>, request: &RequestRecord) -> rusqlite::Result<()> {
    let rollout = request.rollout.as_ref();
    bind(
        statement,
        1,
        &[
            &request.id.to_bytes(),
            &signed(request.received_at_us),
            &request.endpoint.as_str(),
            &request.route,
            &request.principal,
            &request.streamed,
            &rollout.map(|rollout| &rollout.name),
            &rollout.map(|rollout| rollout.epoch),
            &rollout.map(|rollout| rollout.share),
            &rollout.map(|rollout| signed(rollout.unit)),
            &rollout.map(|rollout| rollout.unit_source.as_str()),
            &rollout.map(|rollout| arm(rollout.arm)),
            &rollout.map(|rollout| rollout.forced),
            &request.client_retry,
            &request.asked,
        ],
    )
}

fn bind_answer(statement: &mut Statement<'_>, from: usize, answer: &AnswerRecord) -> rusqlite::Result<()> {
    let adaptations = match answer.adaptations.as_slice() {
        [] => None,
        adaptations => serde_json::to_string(adaptations).ok(),
    };
    let decisions = match answer.decisions.as_slice() {
        [] => None,
        decisions => serde_json::to_string(decisions).ok(),
    };
    let [input, output, cached, reasoning, cache_write] = tokens(answer.usage);
    let (nanos, row, unknown) = cost(answer.cost.as_ref());
    bind(
        statement,
        from,
        &[
            &signed(answer.finished_at_us),
            &answer.status,
            &answer.outcome.as_str(),
            &answer.failure.map(|failure| failure.as_str()),
            &answer.served_by,
            &answer.time_to_first_token_us.map(signed),
            &signed(answer.duration_us),
            &input,
            &output,
            &cached,
            &reasoning,
            &cache_write,
            &more(answer.usage),
            &nanos,
            &row,
            &unknown,
            &adaptations,
            &decisions,
        ],
    )
}

/// What tells the copies of one exchange apart: a hash of the rollout's name, in 31 bits, and of the question's number where a judge was
/// asked several.
fn idx_of(shadow: &ShadowRecord, copied: Copied) -> u32 {
    let rollout = crc32c::crc32c(shadow.rollout.as_bytes());
    let number = shadow.attempt.as_ref().filter(|_| copied == Copied::Judgement).map_or(0, |attempt| attempt.idx);
    let idx = if number == 0 { rollout } else { crc32c::crc32c_append(rollout, &number.to_be_bytes()) };
    idx >> 1
}

/// True when it was not there yet.
fn insert_attempt(
    statement: &mut Statement<'_>,
    (id, idx): (ExchangeId, u32),
    (attempt, declined): (Option<&AttemptRecord>, Option<bool>),
    shadow: Option<(&ShadowRecord, Copied)>,
) -> rusqlite::Result<bool> {
    let copied = shadow.map_or(0, |(_, copied)| copied as u8);
    let shadow = shadow.map(|(shadow, _)| shadow);
    let role = if copied == Copied::Duplicate as u8 { "duplicate" } else { "shadow" };
    let usage = attempt.and_then(|attempt| attempt.usage);
    let [input, output, cached, reasoning, cache_write] = tokens(usage);
    let (nanos, row, unknown) = cost(attempt.and_then(|attempt| attempt.cost.as_ref()));
    let validity = attempt.map(|attempt| attempt.validity.clone()).unwrap_or_default();
    bind(
        statement,
        1,
        &[
            &id.to_bytes(),
            &copied,
            &idx,
            &attempt.map_or(role, |attempt| attempt.role.as_str()),
            &attempt.and_then(|attempt| attempt.arm).map(arm),
            &shadow.map(|shadow| &shadow.rollout),
            &shadow.map(|shadow| shadow.epoch),
            &shadow.and_then(|shadow| shadow.drop).map(|drop| drop.as_str()),
            &attempt.map(|attempt| &attempt.target),
            &attempt.map(|attempt| &attempt.provider),
            &attempt.map(|attempt| &attempt.model),
            &attempt.map(|attempt| signed(attempt.started_us)),
            &attempt.and_then(|attempt| attempt.status),
            &attempt.and_then(|attempt| attempt.failure).map(|failure| failure.as_str()),
            &attempt.and_then(|attempt| attempt.time_to_first_token_us).map(signed),
            &attempt.map(|attempt| signed(attempt.duration_us)),
            &input,
            &output,
            &cached,
            &reasoning,
            &cache_write,
            &more(usage),
            &nanos,
            &row,
            &unknown,
            &attempt.and_then(|attempt| attempt.finish_reason.as_ref()),
            &attempt.and_then(|attempt| attempt.format_valid),
            &validity.schema_valid,
            &validity.tool_calls_valid,
            &validity.violation,
            &validity.not_validated.as_deref(),
            &attempt.is_some_and(|attempt| attempt.simulated),
            &attempt.is_some_and(|attempt| attempt.truncated),
            &attempt.map_or(0, |attempt| signed(attempt.answer_bytes)),
            &attempt.map_or(0, |attempt| signed(attempt.request_bytes)),
            &declined,
        ],
    )?;
    Ok(statement.raw_execute()? > 0)
}

fn bind(statement: &mut Statement<'_>, from: usize, values: &[&dyn ToSql]) -> rusqlite::Result<()> {
    for (idx, value) in values.iter().enumerate() {
        statement.raw_bind_parameter(from + idx, value)?;
    }
    Ok(())
}

fn tokens(usage: Option<Usage>) -> [Option<i64>; 5] {
    let all = |usage: Usage| {
        let Usage { input_tokens, output_tokens, cached_tokens, reasoning_tokens, cache_write_tokens, .. } = usage;
        [input_tokens, output_tokens, cached_tokens, reasoning_tokens, cache_write_tokens].map(|n| Some(signed(n)))
    };
    usage.map_or([None; 5], all)
}

/// The whole usage as JSON, when there is more to it than the columns say.
fn more(usage: Option<Usage>) -> Option<String> {
    let usage = usage?;
    let Usage { input_tokens, output_tokens, cached_tokens, reasoning_tokens, cache_write_tokens, .. } = usage;
    let usual =
        Usage { input_tokens, output_tokens, cached_tokens, reasoning_tokens, cache_write_tokens, ..Usage::default() };
    if usage == usual { None } else { serde_json::to_string(&usage).ok() }
}

fn cost(charge: Option<&Charge>) -> (Option<i64>, Option<&str>, Option<&str>) {
    match charge {
        None => (None, None, None),
        Some(Charge::Priced { nanos, row }) => (Some(signed(*nanos)), Some(row), None),
        Some(Charge::Unknown { why }) => (None, None, Some(why)),
    }
}

pub(crate) fn arm(arm: Arm) -> &'static str {
    match arm {
        Arm::Baseline => "baseline",
        Arm::Candidate => "candidate",
    }
}
