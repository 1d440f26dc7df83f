//! How a record lies in a segment: `[len u32 LE][check u32 LE][payload]` after a header of twenty bytes, which is
//! `XFJL`, the format version (u32 LE), a number no other segment has (u64 LE) and the CRC32C of these sixteen bytes.
//!
//! The check is the payload's CRC32C, exclusive-or a salt made of the segment's number: a file is used again for a later
//! segment, and what an older life left behind the last record must not read as one.

/// The header's length.
pub(crate) const HEADER_LEN: usize = 20;
const MAGIC_AND_VERSION: [u8; 8] = *b"XFJL\x02\0\0\0";
/// Length and checksum before each payload.
pub(crate) const FRAME_HEAD: usize = 8;
/// No record is larger; a length above it is a torn or foreign one.
pub(crate) const MAX_PAYLOAD: usize = 256 << 20;

/// What stands before a payload, without the salt.
pub(crate) fn head(len: u32, crc: u32) -> [u8; FRAME_HEAD] {
    let mut head = [0; FRAME_HEAD];
    head[..4].copy_from_slice(&len.to_le_bytes());
    head[4..].copy_from_slice(&crc.to_le_bytes());
    head
}

/// What the checks in the segment with this nonce are mixed with.
pub(crate) const fn salt(nonce: u64) -> [u8; 4] {
    let [a, b, c, d, e, f, g, h] = nonce.to_le_bytes();
    [a ^ e, b ^ f, c ^ g, d ^ h]
}

/// Mixes the check of a head with a salt, or takes the salt out again.
pub(crate) fn mix(head: &mut [u8], salt: [u8; 4]) {
    for (byte, salt) in head[4..FRAME_HEAD].iter_mut().zip(salt) {
        *byte ^= salt;
    }
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

/// Looks at the first frame of `bytes`, which are from the segment with this nonce.
pub(crate) fn decode(bytes: &[u8], nonce: u64) -> Frame<'_> {
    let (Some(len), Some(check)) = (word(bytes, 0), word(bytes, 4)) else { return Frame::Short(FRAME_HEAD) };
    let crc = check ^ u32::from_le_bytes(salt(nonce));
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

/// What a segment begins with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Header {
    /// A header of this version, with the segment's nonce.
    Ours(u64),
    /// An undamaged header of another version.
    OtherVersion,
    /// Not a header.
    Damaged,
}

/// The header of a new segment.
pub(crate) fn header(nonce: u64) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    header[..8].copy_from_slice(&MAGIC_AND_VERSION);
    header[8..16].copy_from_slice(&nonce.to_le_bytes());
    let crc = crc32c::crc32c(&header[..16]);
    header[16..].copy_from_slice(&crc.to_le_bytes());
    header
}

/// Reads the header at the start of `bytes`; `None` when there are too few.
pub(crate) fn read_header(bytes: &[u8]) -> Option<Header> {
    let header = bytes.get(..HEADER_LEN)?;
    let (low, high) = (word(header, 8)?, word(header, 12)?);
    Some(if word(header, 16) != Some(crc32c::crc32c(&header[..16])) {
        Header::Damaged
    } else if header.starts_with(&MAGIC_AND_VERSION) {
        Header::Ours(u64::from(high) << 32 | u64::from(low))
    } else if header.starts_with(&MAGIC_AND_VERSION[..4]) {
        Header::OtherVersion
    } else {
        Header::Damaged
    })
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).map(u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::{Frame, Header, decode, head, header, mix, read_header, salt};

    #[test]
    fn a_newer_version_is_told_from_a_damaged_header() {
        let ours = header(0x0123_4567_89ab_cdef);
        assert_eq!(read_header(&ours), Some(Header::Ours(0x0123_4567_89ab_cdef)));
        assert_eq!(read_header(&ours[..19]), None);
        let mut newer = ours;
        newer[4] = 3;
        assert_eq!(read_header(&newer), Some(Header::Damaged));
        let crc = crc32c::crc32c(&newer[..16]);
        newer[16..].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(read_header(&newer), Some(Header::OtherVersion));
    }

    #[test]
    fn a_frame_reads_back_and_every_flipped_bit_is_refused() {
        let nonce = 0x0123_4567_89ab_cdef;
        let mut frame = [&head(8, crc32c::crc32c(b"a record"))[..], b"a record"].concat();
        mix(&mut frame, salt(nonce));
        assert_eq!(decode(&frame, nonce), Frame::Whole(b"a record"));
        assert_eq!(decode(&frame, nonce + 1), Frame::Torn, "a record of another segment");
        for bit in 0..frame.len() * 8 {
            let mut damaged = frame.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(!matches!(decode(&damaged, nonce), Frame::Whole(_)), "bit {bit}");
        }
        for len in 0..frame.len() {
            assert!(matches!(decode(&frame[..len], nonce), Frame::Short(_)), "cut at {len}");
        }
        assert_eq!(decode(&[0; 32], nonce), Frame::Torn, "zeros are no record");
    }
}
