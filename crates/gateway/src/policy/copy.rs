//! What the policy would have said of the candidate's answer to a copy: what costs nothing but a look. No moderation target is asked.

use std::time::Instant;

use bytes::Bytes;
use govern::policy::{Kind, Policy};
use wire::ids::ExchangeId;
use wire::record::{Arm, CheckRecord, ChecksRecord, Phase, Record};
use wire::sse::Decoder;
use wire::texts::Gathered;

use super::look::{self, Said};
use super::{MAX_SAID, record_of};

/// The verdicts on an answer to a copy, as a record; nothing where nothing is looked at. `n_bytes` is the length of the whole answer,
/// of which `kept` is the beginning.
pub(crate) fn judge_copy(
    policy: &Policy,
    (id, route, target): (ExchangeId, &str, &str),
    (kept, n_bytes, at_us): (&[u8], u64, u64),
) -> Option<Record> {
    let said = if (kept.len() as u64) < n_bytes {
        Said::TooLong
    } else if kept.first() == Some(&b'{') {
        Said::Body(Bytes::copy_from_slice(kept))
    } else {
        let (mut events, mut gathered) = (Vec::new(), Gathered::with_limit(MAX_SAID));
        Decoder::with_limit(kept.len()).push(Bytes::copy_from_slice(kept), &mut events).ok()?;
        events.iter().for_each(|event| gathered.push(&event.data));
        Said::Stream(gathered, n_bytes, None)
    };
    let checks = policy.of(Phase::After).filter(|check| matches!(check.kind, Kind::Deny(_) | Kind::MaxBytes(_)));
    let judge = |check| {
        let began = Instant::now();
        let record = record_of(check, Phase::After, &look::at_answer(check, &said), began);
        CheckRecord { target: Some(target.to_owned()), arm: Some(Arm::Candidate), ..record }
    };
    let checks: Vec<CheckRecord> = checks.map(judge).collect();
    let route = route.to_owned();
    (!checks.is_empty()).then_some(Record::Checks(ChecksRecord { id, shadow: true, route, at_us, checks }))
}
