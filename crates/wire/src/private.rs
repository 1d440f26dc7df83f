//! What must not be printed: prompts, completions and keys.

use std::fmt;

use bytes::Bytes;

/// Holds something that reaches no log: `Debug` and `Display` print a length. It has no `Serialize`; a record that keeps
/// a body says so with `#[serde(with = "wire::private::body")]`.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Private<T>(T);

/// The bytes of a request or an answer as they are kept in a record. Cloning it copies nothing.
pub type Body = Private<Bytes>;

impl<T> Private<T> {
    /// Puts `value` where it cannot be printed.
    pub const fn new(value: T) -> Private<T> {
        Private(value)
    }

    /// The value itself. Whoever calls this answers for where it goes.
    pub const fn expose(&self) -> &T {
        &self.0
    }

    /// The value itself, owned.
    pub fn into_exposed(self) -> T {
        self.0
    }
}

impl<T: AsRef<[u8]>> fmt::Debug for Private<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<private {} bytes>", self.0.as_ref().len())
    }
}

impl<T: AsRef<[u8]>> fmt::Display for Private<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl<T> From<T> for Private<T> {
    fn from(value: T) -> Private<T> {
        Private(value)
    }
}

impl From<Vec<u8>> for Private<Bytes> {
    fn from(value: Vec<u8>) -> Private<Bytes> {
        Private(Bytes::from(value))
    }
}

/// Serialises a [`Body`]: as bytes where the format is binary (the journal), as its length where a person could read it.
pub mod body {
    use std::fmt;

    use bytes::Bytes;
    use serde::de::{Error, Visitor};
    use serde::{Deserializer, Serializer};

    use super::{Body, Private};

    /// Writes the bytes, or `<private N bytes>` in a human-readable format.
    pub fn serialize<S: Serializer>(body: &Body, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(body)
        } else {
            serializer.serialize_bytes(body.expose())
        }
    }

    /// Reads the bytes back. A human-readable format never held them, so it is refused.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Body, D::Error> {
        if deserializer.is_human_readable() {
            return Err(D::Error::custom("a body is not kept in a format for people to read"));
        }
        deserializer.deserialize_byte_buf(BodyVisitor)
    }

    struct BodyVisitor;

    impl Visitor<'_> for BodyVisitor {
        type Value = Body;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the bytes of a body")
        }

        fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Body, E> {
            Ok(Private(Bytes::copy_from_slice(bytes)))
        }

        fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Body, E> {
            Ok(Private(Bytes::from(bytes)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_value_prints_its_length_only() {
        let key = Private::new("sk-canary".to_owned());
        assert_eq!(format!("{key:?} {key}"), "<private 9 bytes> <private 9 bytes>");
        assert_eq!(format!("{:?}", Some(Private::new(Bytes::from_static(b"abc")))), "Some(<private 3 bytes>)");
        assert_eq!(key.expose(), "sk-canary");
    }
}
