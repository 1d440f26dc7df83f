//! The name of an exchange: a UUID of version 7, so that names sort by time.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::{Builder, Uuid};

/// Names one exchange. Ordered by the millisecond it was made in, then by random bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId(u128);

/// The text is not an exchange id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an exchange id: expected a UUID such as 0192f0c1-7a2b-7c3d-8e4f-5a6b7c8d9e0f")]
pub struct ExchangeIdError {
    text: String,
}

impl ExchangeId {
    /// Makes a version 7 UUID from a Unix time in milliseconds and 80 random bits, 74 of which are kept.
    pub fn new(unix_ms: u64, random: [u8; 10]) -> ExchangeId {
        ExchangeId(Builder::from_unix_timestamp_millis(unix_ms, &random).into_uuid().as_u128())
    }

    /// The id with these bits, whatever they are.
    pub const fn from_u128(bits: u128) -> ExchangeId {
        ExchangeId(bits)
    }

    /// All 128 bits.
    pub const fn as_u128(self) -> u128 {
        self.0
    }

    /// The 16 bytes, most significant first: they sort as the id does.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// The id of 16 bytes made by [`ExchangeId::to_bytes`].
    pub const fn from_bytes(bytes: [u8; 16]) -> ExchangeId {
        ExchangeId(u128::from_be_bytes(bytes))
    }

    /// The Unix time in milliseconds the id was made with.
    pub const fn unix_ms(self) -> u64 {
        (self.0 >> 80) as u64
    }
}

impl fmt::Display for ExchangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 36];
        f.write_str(Uuid::from_u128(self.0).hyphenated().encode_lower(&mut text))
    }
}

impl fmt::Debug for ExchangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ExchangeId {
    type Err = ExchangeIdError;

    fn from_str(text: &str) -> Result<ExchangeId, ExchangeIdError> {
        match Uuid::try_parse(text) {
            Ok(uuid) => Ok(ExchangeId(uuid.as_u128())),
            Err(_) => Err(ExchangeIdError { text: text.chars().take(64).collect() }),
        }
    }
}

impl Serialize for ExchangeId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_bytes(&self.to_bytes())
        }
    }
}

impl<'de> Deserialize<'de> for ExchangeId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ExchangeId, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_str(IdVisitor)
        } else {
            deserializer.deserialize_bytes(IdVisitor)
        }
    }
}

struct IdVisitor;

impl Visitor<'_> for IdVisitor {
    type Value = ExchangeId;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an exchange id")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<ExchangeId, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<ExchangeId, E> {
        match <[u8; 16]>::try_from(bytes) {
            Ok(bytes) => Ok(ExchangeId::from_bytes(bytes)),
            Err(_) => Err(E::invalid_length(bytes.len(), &self)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_version_7_uuid_that_keeps_its_time() {
        let id = ExchangeId::new(1_700_000_000_123, [0xff; 10]);
        assert_eq!(id.to_string(), "018bcfe5-687b-7fff-bfff-ffffffffffff");
        assert_eq!(id.unix_ms(), 1_700_000_000_123);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(ExchangeId::from_bytes(id.to_bytes()), id);
    }

    #[test]
    fn ids_sort_by_time_whatever_the_random_bits_are() {
        assert!(ExchangeId::new(5, [0xff; 10]) < ExchangeId::new(6, [0; 10]));
    }

    #[test]
    fn an_id_is_text_in_json_and_bytes_in_the_journal() {
        let id = ExchangeId::new(1_700_000_000_123, [7; 10]);
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, format!("\"{id}\""));
        assert_eq!(serde_json::from_str::<ExchangeId>(&json).unwrap(), id);
        let bytes = postcard::to_stdvec(&id).unwrap();
        assert_eq!(bytes.len(), 17);
        assert_eq!(postcard::from_bytes::<ExchangeId>(&bytes).unwrap(), id);
    }

    #[test]
    fn what_is_no_id_is_refused() {
        assert!("".parse::<ExchangeId>().is_err());
        assert!("018bcfe5-687b-7fff-bfff".parse::<ExchangeId>().is_err());
        assert!(serde_json::from_str::<ExchangeId>("3").is_err());
    }
}
