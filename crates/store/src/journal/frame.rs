//! How a record lies in a segment: `[len u32 LE][crc32c u32 LE][payload]` after an eight byte header.

use postcard::ser_flavors::Flavor;
use serde::Serialize;

/// Magic and format version at the start of every segment.
pub(crate) const HEADER: [u8; 8] = *b"XFJL\x01\0\0\0";
/// The header's length in a file.
pub(crate) const HEADER_LEN: u64 = 8;
/// Length and checksum before each payload.
pub(crate) const FRAME_HEAD: usize = 8;
/// No record is larger; a length above it is a torn or foreign one.
pub(crate) const MAX_PAYLOAD: usize = 256 << 20;

/// Appends one framed record to `buffer`; on an error the buffer is as it was.
pub(crate) fn encode<R: Serialize + ?Sized>(buffer: &mut Vec<u8>, record: &R) -> Result<(), postcard::Error> {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; FRAME_HEAD]);
    let written = postcard::serialize_with_flavor(record, Appending(buffer));
    let payload = &buffer[start + FRAME_HEAD..];
    let (len, crc) = match (written, u32::try_from(payload.len())) {
        (Ok(()), Ok(len)) if payload.len() <= MAX_PAYLOAD => (len, crc32c::crc32c(payload)),
        (Err(error), _) => {
            buffer.truncate(start);
            return Err(error);
        }
        _ => {
            buffer.truncate(start);
            return Err(postcard::Error::SerializeBufferFull);
        }
    };
    buffer[start..start + 4].copy_from_slice(&len.to_le_bytes());
    buffer[start + 4..start + FRAME_HEAD].copy_from_slice(&crc.to_le_bytes());
    Ok(())
}

/// What lies at the start of `bytes`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    /// A whole record; the next frame starts after its payload.
    Whole(&'a [u8]),
    /// The record needs at least this many bytes in all; fewer are here.
    Short(usize),
    /// Not a record.
    Torn,
}

/// Looks at the first frame of `bytes`.
pub(crate) fn decode(bytes: &[u8]) -> Frame<'_> {
    let (Some(len), Some(crc)) = (word(bytes, 0), word(bytes, 4)) else { return Frame::Short(FRAME_HEAD) };
    let len = len as usize;
    if len == 0 || len > MAX_PAYLOAD {
        return Frame::Torn;
    }
    match bytes.get(FRAME_HEAD..FRAME_HEAD + len) {
        None => Frame::Short(FRAME_HEAD + len),
        Some(payload) if crc32c::crc32c(payload) == crc => Frame::Whole(payload),
        Some(_) => Frame::Torn,
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).map(u32::from_le_bytes)
}

/// Writes behind what the buffer already holds; bodies are copied once, as slices.
struct Appending<'a>(&'a mut Vec<u8>);

impl Flavor for Appending<'_> {
    type Output = ();

    fn try_extend(&mut self, data: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(data);
        Ok(())
    }

    fn try_push(&mut self, data: u8) -> postcard::Result<()> {
        self.0.push(data);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Frame, decode, encode};

    #[test]
    fn a_frame_reads_back_and_every_flipped_bit_is_refused() {
        let mut buffer = b"before".to_vec();
        encode(&mut buffer, "a record").unwrap();
        let frame = &buffer[6..];
        assert_eq!(decode(frame), Frame::Whole(&frame[8..]));
        for bit in 0..frame.len() * 8 {
            let mut damaged = frame.to_vec();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(!matches!(decode(&damaged), Frame::Whole(_)), "bit {bit}");
        }
        for len in 0..frame.len() {
            assert!(matches!(decode(&frame[..len]), Frame::Short(_)), "cut at {len}");
        }
        assert_eq!(decode(&[0; 32]), Frame::Torn, "zeros are no record");
    }
}
