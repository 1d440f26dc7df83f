//! Messages of Protocol Buffers, as far as Milvus's API needs them: written field by field, and read without a schema.

/// A message that is written.
#[derive(Default)]
pub(super) struct Message(Vec<u8>);

/// What stands behind a field's number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value<'a> {
    /// An integer, a truth or one of a list of names.
    Varint(u64),
    /// Four bytes, little end first.
    Fixed32([u8; 4]),
    /// Eight bytes, little end first.
    Fixed64([u8; 8]),
    /// A text, bytes, a message, or numbers one after the other.
    Bytes(&'a [u8]),
}

impl Message {
    pub(super) fn new() -> Message {
        Message::default()
    }

    /// An integer; 0 is what is not said.
    pub(super) fn int(mut self, field: u32, value: u64) -> Message {
        if value != 0 {
            self.tag(field, 0);
            self.varint(value);
        }
        self
    }

    /// A text, or bytes; an empty one is not said.
    pub(super) fn text(self, field: u32, value: &str) -> Message {
        if value.is_empty() { self } else { self.bytes(field, value.as_bytes()) }
    }

    /// Bytes, also where there are none: one of a list.
    pub(super) fn bytes(mut self, field: u32, value: &[u8]) -> Message {
        self.tag(field, 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    /// A message.
    pub(super) fn message(self, field: u32, value: &Message) -> Message {
        self.bytes(field, &value.0)
    }

    /// A key and its value, both texts.
    pub(super) fn pair(self, field: u32, key: &str, value: &str) -> Message {
        self.message(field, &Message::new().text(1, key).text(2, value))
    }

    /// Integers one after the other.
    pub(super) fn ints(self, field: u32, values: impl Iterator<Item = u64>) -> Message {
        let mut packed = Message::new();
        values.for_each(|value| packed.varint(value));
        self.message(field, &packed)
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn tag(&mut self, field: u32, kind: u32) {
        self.varint(u64::from(field << 3 | kind));
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.0.push(value.to_le_bytes()[0]);
    }
}

/// The fields of a message, in the order in which they stand.
pub(super) fn fields(mut rest: &[u8]) -> Result<Vec<(u32, Value<'_>)>, String> {
    let mut fields = Vec::new();
    while !rest.is_empty() {
        let tag = varint(&mut rest)?;
        let field = u32::try_from(tag >> 3).map_err(|_| BROKEN.to_owned())?;
        let value = match tag & 7 {
            0 => Value::Varint(varint(&mut rest)?),
            1 => Value::Fixed64(array(take(&mut rest, 8)?)?),
            2 => {
                let length = usize::try_from(varint(&mut rest)?).map_err(|_| BROKEN.to_owned())?;
                Value::Bytes(take(&mut rest, length)?)
            }
            5 => Value::Fixed32(array(take(&mut rest, 4)?)?),
            _ => return Err(BROKEN.to_owned()),
        };
        fields.push((field, value));
    }
    Ok(fields)
}

const BROKEN: &str = "the answer is no message of Protocol Buffers";

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], String> {
    let (taken, left) = rest.split_at_checked(length).ok_or(BROKEN)?;
    *rest = left;
    Ok(taken)
}

fn array<const N: usize>(bytes: &[u8]) -> Result<[u8; N], String> {
    bytes.try_into().map_err(|_| BROKEN.to_owned())
}

/// One integer off the front.
pub(super) fn varint(rest: &mut &[u8]) -> Result<u64, String> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(rest, 1)?[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(BROKEN.to_owned())
}

/// All integers of a field that is a list, however they are packed.
pub(super) fn ints(message: &[u8], wanted: u32) -> Result<Vec<u64>, String> {
    let mut ints = Vec::new();
    for (field, value) in fields(message)? {
        match value {
            Value::Varint(value) if field == wanted => ints.push(value),
            Value::Bytes(mut packed) if field == wanted => {
                while !packed.is_empty() {
                    ints.push(varint(&mut packed)?);
                }
            }
            _ => {}
        }
    }
    Ok(ints)
}

/// All floats of a field that is a list, however they are packed.
pub(super) fn floats(message: &[u8], wanted: u32) -> Result<Vec<f32>, String> {
    let mut floats = Vec::new();
    for (field, value) in fields(message)? {
        match value {
            Value::Fixed32(one) if field == wanted => floats.push(f32::from_le_bytes(one)),
            Value::Bytes(packed) if field == wanted => {
                floats.extend(crate::row::floats_of_bytes(packed).ok_or(BROKEN)?);
            }
            _ => {}
        }
    }
    Ok(floats)
}

/// All 64-bit floats of a field that is a list, however they are packed.
pub(super) fn doubles(message: &[u8], wanted: u32) -> Result<Vec<f64>, String> {
    let mut doubles = Vec::new();
    for (field, value) in fields(message)? {
        match value {
            Value::Fixed64(one) if field == wanted => doubles.push(f64::from_le_bytes(one)),
            Value::Bytes(packed) if field == wanted => {
                for eight in packed.chunks(8) {
                    doubles.push(f64::from_le_bytes(array(eight)?));
                }
            }
            _ => {}
        }
    }
    Ok(doubles)
}

/// All that a field of bytes, texts or messages says.
pub(super) fn all(message: &[u8], wanted: u32) -> Result<Vec<&[u8]>, String> {
    let fields = fields(message)?.into_iter();
    Ok(fields
        .filter_map(|(field, value)| match value {
            Value::Bytes(bytes) if field == wanted => Some(bytes),
            _ => None,
        })
        .collect())
}

/// The same of a field that stands there once; nothing where it does not.
pub(super) fn one(message: &[u8], wanted: u32) -> Result<&[u8], String> {
    Ok(all(message, wanted)?.pop().unwrap_or_default())
}

/// A text that stands there once.
pub(super) fn text(message: &[u8], wanted: u32) -> Result<String, String> {
    String::from_utf8(one(message, wanted)?.to_vec()).map_err(|_| "the answer has a text that is not UTF-8".to_owned())
}

/// An integer that stands there once; 0 where it does not.
pub(super) fn int(message: &[u8], wanted: u32) -> Result<u64, String> {
    Ok(ints(message, wanted)?.pop().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_those_of_the_specification() {
        // From "Encoding" of the language guide: `a = 150` is 08 96 01, `b = "testing"` 12 07 and the text, packed 3, 270 and 86942 are 06 03 8e 02 9e a7 05.
        let message = Message::new().int(1, 150).text(2, "testing").ints(4, [3, 270, 86942].into_iter());
        let bytes = message.into_bytes();
        assert_eq!(bytes, b"\x08\x96\x01\x12\x07testing\x22\x06\x03\x8e\x02\x9e\xa7\x05");
        assert_eq!(int(&bytes, 1), Ok(150));
        assert_eq!(text(&bytes, 2).as_deref(), Ok("testing"));
        assert_eq!(ints(&bytes, 4), Ok(vec![3, 270, 86942]));
        assert_eq!(int(&bytes, 9), Ok(0));
    }

    #[test]
    fn what_is_no_message_is_told() {
        for broken in
            [&b"\x08"[..], b"\x12\x07tes", b"\x0b", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"\x0d\x01"]
        {
            assert_eq!(fields(broken), Err(BROKEN.to_owned()), "{broken:?}");
        }
        assert!(floats(b"\x0a\x03abc", 1).is_err());
    }

    #[test]
    fn numbers_are_read_packed_or_one_by_one() {
        let packed = Message::new().bytes(1, &crate::row::floats_to_bytes(&[1.0, -0.5])).into_bytes();
        assert_eq!(floats(&packed, 1), Ok(vec![1.0, -0.5]));
        assert_eq!(floats(b"\x0d\x00\x00\x80\x3f", 1), Ok(vec![1.0]));
        assert_eq!(doubles(&[&b"\x0a\x08"[..], &2.5_f64.to_le_bytes()].concat(), 1), Ok(vec![2.5]));
        assert_eq!(ints(b"\x08\x01\x08\x02", 1), Ok(vec![1, 2]));
    }
}
