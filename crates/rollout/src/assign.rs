//! Which arm a unit is on: one hash, one threshold.
//!
//! `position = the first 8 bytes, big-endian, of sha256(salt : purpose, 0x1f, key)`, and the unit is the candidate's if
//! `position / 2^64 < share`. One threshold makes a ramp monotone: raising the share only adds units, lowering it returns to
//! the very same ones. SHA-256, so that an auditor can recompute an assignment in SQL.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The purpose of the hash that assigns a unit to an arm.
pub const ASSIGN: &str = "assign";
/// The purpose of the hash that samples requests for the shadow.
pub const SHADOW: &str = "shadow";

const SEPARATOR: [u8; 1] = [0x1f];

/// Which of the two targets answers a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arm {
    /// The target in production today.
    Baseline,
    /// The target on trial.
    Candidate,
}

impl Arm {
    /// The word used in metrics, records and pages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Candidate => "candidate",
        }
    }

    pub(crate) fn idx(self) -> usize {
        match self {
            Self::Baseline => 0,
            Self::Candidate => 1,
        }
    }
}

/// Where `key` falls on the interval, for one rollout's `salt` and one purpose (`assign`, `shadow`).
#[must_use]
pub fn position(salt: &str, purpose: &str, key: &[u8]) -> u64 {
    finish(Sha256::new().chain_update(salt).chain_update(":").chain_update(purpose), key)
}

/// The same with the salt and purpose already joined, as the published vectors have it.
#[must_use]
pub fn position_with(salt_and_purpose: &str, key: &[u8]) -> u64 {
    finish(Sha256::new().chain_update(salt_and_purpose), key)
}

/// The arm at `position`: the candidate below `share`, but never in the top `holdback` of the interval.
#[must_use]
pub fn arm(position: u64, share: f64, holdback: f64) -> Arm {
    if is_below(position, share) && is_below(position, 1.0 - holdback) { Arm::Candidate } else { Arm::Baseline }
}

/// Whether `position / 2^64 < fraction`. Nothing is below 0, everything is below 1.
#[must_use]
pub fn is_below(position: u64, fraction: f64) -> bool {
    const INTERVAL: f64 = 18_446_744_073_709_551_616.0;
    if fraction >= 1.0 {
        return true;
    }
    // A product below 2^64 converts exactly; NaN and negative fractions convert to 0.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range by the test above")]
    let threshold = (fraction * INTERVAL) as u64;
    position < threshold
}

fn finish(hash: Sha256, key: &[u8]) -> u64 {
    let digest = hash.chain_update(SEPARATOR).chain_update(key).finalize();
    digest.iter().take(8).fold(0, |position, byte| (position << 8) | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_agree_with_the_published_vectors() {
        let vectors = [
            ("rollout-1:assign", "user-42", 0x086c_f130_2430_7ab2),
            ("rollout-1:assign", "conv-0001", 0x2ba2_c382_c5c5_08e6),
            ("rollout-1:shadow", "conv-0001", 0x58e8_66bd_62b9_bd57),
            ("", "", 0xffe6_79bb_831c_95b6),
            ("rollout-1:assign", "日本", 0xd26a_5da0_e979_af00),
        ];
        for (salt, key, expected) in vectors {
            assert_eq!(position_with(salt, key.as_bytes()), expected, "{salt} {key}");
        }
        assert_eq!(position("rollout-1", ASSIGN, b"user-42"), 0x086c_f130_2430_7ab2);
        assert_eq!(position("rollout-1", SHADOW, b"conv-0001"), 0x58e8_66bd_62b9_bd57);
        let fraction = 0x086c_f130_2430_7ab2_u64 as f64 / 2_f64.powi(64);
        assert!((fraction - 0.032912325147).abs() < 1e-12);
    }

    #[test]
    fn the_ends_of_the_interval() {
        assert_eq!(arm(u64::MAX, 1.0, 0.0), Arm::Candidate);
        assert_eq!(arm(u64::MAX, 1.0, 0.02), Arm::Baseline);
        assert_eq!(arm(0, 0.0, 0.0), Arm::Baseline);
        assert_eq!(arm(0, 1e-9, 0.0), Arm::Candidate);
        assert_eq!(arm(0, f64::NAN, 0.0), Arm::Baseline);
        assert_eq!(arm(0, -1.0, 0.0), Arm::Baseline);
        assert_eq!(arm(1 << 63, 0.5, 0.0), Arm::Baseline);
        assert_eq!(arm((1 << 63) - 1, 0.5, 0.0), Arm::Candidate);
    }
}
