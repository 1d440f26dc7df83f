//! Framed records on their way to the disk. A large body is not copied: the buffer holds on to it and the write gathers.

use std::io::IoSlice;

use bytes::Bytes;
use wire::record::Record;

use super::frame::{self, FRAME_HEAD, MAX_PAYLOAD};

/// Bodies from here on are held, not copied. Copying faults in fresh memory, which costs more than the copy.
const MIN_HELD: usize = 8 << 10;

#[derive(Default)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    /// Where in `bytes` the heads of the records are, and what their checks are mixed with.
    heads: Vec<usize>,
    salt: [u8; 4],
    /// Bodies, each with the offset in `bytes` it stands before.
    held: Vec<(usize, Bytes)>,
    n_held_bytes: usize,
}

impl Buffer {
    pub fn len(&self) -> usize {
        self.bytes.len() + self.n_held_bytes
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    pub fn clear(&mut self) {
        self.bytes.clear();
        self.heads.clear();
        self.salt = [0; 4];
        self.held.clear();
        self.n_held_bytes = 0;
    }

    /// Appends one framed record; on an error the buffer is as it was.
    pub fn push(&mut self, record: &Record) -> Result<(), postcard::Error> {
        let start = self.bytes.len();
        let large = body(record).filter(|body| body.len() >= MIN_HELD);
        self.bytes.extend_from_slice(&[0; FRAME_HEAD]);
        let flavor = Gathering { bytes: &mut self.bytes, large, held_at: None };
        let held_at = match postcard::serialize_with_flavor(record, flavor) {
            Ok(held_at) => held_at,
            Err(error) => {
                self.bytes.truncate(start);
                return Err(error);
            }
        };
        let mut crc = 0;
        let mut from = start + FRAME_HEAD;
        let mut len = self.bytes.len() - from;
        let held = held_at.zip(large);
        if let Some((at, body)) = held {
            crc = crc32c::crc32c_append(crc32c::crc32c_append(crc, &self.bytes[from..at]), body);
            from = at;
            len += body.len();
        }
        crc = crc32c::crc32c_append(crc, &self.bytes[from..]);
        let Some(head) = u32::try_from(len).ok().filter(|_| len <= MAX_PAYLOAD).map(|len| frame::head(len, crc)) else {
            self.bytes.truncate(start);
            return Err(postcard::Error::SerializeBufferFull);
        };
        self.bytes[start..start + FRAME_HEAD].copy_from_slice(&head);
        frame::mix(&mut self.bytes[start..], self.salt);
        self.heads.push(start);
        if let Some((at, body)) = held {
            self.held.push((at, body.clone()));
            self.n_held_bytes += body.len();
        }
        Ok(())
    }

    /// Appends a record that is encoded already.
    pub fn push_payload(&mut self, payload: &[u8]) -> Result<(), postcard::Error> {
        let len = u32::try_from(payload.len()).map_err(|_| postcard::Error::SerializeBufferFull)?;
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&frame::head(len, crc32c::crc32c(payload)));
        frame::mix(&mut self.bytes[start..], self.salt);
        self.heads.push(start);
        self.bytes.extend_from_slice(payload);
        Ok(())
    }

    /// Makes the records those of the segment with this nonce.
    pub fn belong_to(&mut self, nonce: u64) {
        let salt = frame::salt(nonce);
        for head in &self.heads {
            let head = &mut self.bytes[*head..];
            frame::mix(head, self.salt);
            frame::mix(head, salt);
        }
        self.salt = salt;
    }

    /// Everything in order, for one gathering write.
    pub fn slices(&self) -> Vec<IoSlice<'_>> {
        let mut slices = Vec::with_capacity(2 * self.held.len() + 1);
        let mut from = 0;
        for (at, body) in &self.held {
            slices.push(IoSlice::new(&self.bytes[from..*at]));
            slices.push(IoSlice::new(body));
            from = *at;
        }
        if from < self.bytes.len() {
            slices.push(IoSlice::new(&self.bytes[from..]));
        }
        slices
    }
}

fn body(record: &Record) -> Option<&Bytes> {
    match record {
        Record::Request(request) => Some(request.body.expose()),
        Record::Answer(answer) => Some(answer.body.expose()),
        Record::Shadow(shadow)
        | Record::Duplicate(shadow)
        | Record::Meaning(shadow)
        | Record::Probe(shadow)
        | Record::Judgement(shadow) => Some(shadow.body.expose()),
        Record::Outcome(_)
        | Record::Gap(_)
        | Record::Connection(_)
        | Record::Checks(_)
        | Record::Drawn(_)
        | Record::Pair(_) => None,
        // A comment is short.
        Record::Feedback(_) | Record::UnitOutcome(_) => None,
    }
}

/// Writes behind what the buffer already holds, and leaves the large body out.
struct Gathering<'a> {
    bytes: &'a mut Vec<u8>,
    large: Option<&'a Bytes>,
    /// Where the body belongs, once it was met.
    held_at: Option<usize>,
}

impl postcard::ser_flavors::Flavor for Gathering<'_> {
    type Output = Option<usize>;

    fn try_extend(&mut self, data: &[u8]) -> postcard::Result<()> {
        match self.large {
            Some(body) if self.held_at.is_none() && std::ptr::eq(body.as_ref(), data) => {
                self.held_at = Some(self.bytes.len());
            }
            _ => self.bytes.extend_from_slice(data),
        }
        Ok(())
    }

    fn try_push(&mut self, data: u8) -> postcard::Result<()> {
        self.bytes.push(data);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<Option<usize>> {
        Ok(self.held_at)
    }
}

#[cfg(test)]
mod tests {
    use wire::ids::ExchangeId;
    use wire::private::Private;
    use wire::record::{Record, ShadowRecord};

    use super::{Buffer, MIN_HELD};
    use crate::journal::frame::{Frame, decode};

    fn record(n_bytes: usize) -> Record {
        Record::Shadow(ShadowRecord {
            id: ExchangeId::from_u128(7),
            rollout: "r".to_owned(),
            epoch: 1,
            attempt: None,
            drop: None,
            body: Private::from((0..n_bytes).map(|at| u8::try_from(at % 251).unwrap()).collect::<Vec<_>>()),
            declined: None,
        })
    }

    #[test]
    fn small_and_large_records_lie_one_behind_the_other() {
        let records = [0, 1, MIN_HELD - 1, MIN_HELD, 3, 100_000, 200_000].map(record);
        let mut buffer = Buffer::default();
        buffer.belong_to(6);
        for record in &records {
            buffer.push(record).unwrap();
        }
        buffer.belong_to(7);
        let written: Vec<u8> = buffer.slices().iter().flat_map(|slice| slice.to_vec()).collect();
        assert_eq!(written.len(), buffer.len());
        let mut at = 0;
        for record in &records {
            let Frame::Whole(payload) = decode(&written[at..], 7) else { panic!("torn at {at}") };
            assert_eq!(postcard::from_bytes::<Record>(payload).unwrap(), *record);
            at += 8 + payload.len();
        }
        assert_eq!(at, written.len());
        buffer.clear();
        assert_eq!((buffer.len(), buffer.slices().len()), (0, 0));
    }
}
