//! Numbers and texts that are the same bytes each time they are written, whoever read them before.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number of a row, written as text: the shortest that reads back as the same 64 bits. Readers of JSON differ in the last bit of a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Real(pub f64);

impl fmt::Display for Real {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl Serialize for Real {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Real {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Real, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Real).map_err(|_| D::Error::custom(format!("`{text}` is no number")))
    }
}

/// A file of JSON.
pub(crate) fn json<T: Serialize>(value: &T) -> Vec<u8> {
    // Structs, texts, whole numbers and lists always serialise.
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text.into_bytes()
}

/// A figure as reports say it: six significant digits. What the mathematics of two machines differ in is beyond them.
pub(crate) fn rounded(value: f64) -> f64 {
    if value.is_finite() { format!("{value:.5e}").parse().unwrap_or(value) } else { value }
}

/// Lower-case hexadecimal of a SHA-256.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_reads_back_as_the_same_bits() {
        for value in [0.1 + 0.2, 1.0 / 3.0, f64::INFINITY, -0.0, 5e-324, 1e300] {
            let text = serde_json::to_string(&Real(value)).unwrap();
            let back: Real = serde_json::from_str(&text).unwrap();
            assert_eq!(back.0.to_bits(), value.to_bits(), "{text}");
        }
        assert!(serde_json::from_str::<Real>("\"many\"").is_err());
    }

    #[test]
    fn figures_have_six_digits() {
        assert_eq!(rounded(0.123_456_789), 0.123_457);
        assert_eq!(rounded(1_234_567.0), 1_234_570.0);
        assert_eq!(rounded(0.0), 0.0);
    }
}
