//! What may leave the house. One pure decision, asked before every call that goes out, whatever it is made for: a target, one that
//! takes over, a candidate, a copy, a check. Who asks says how far the request may go and on which side the place is that it
//! would go to; nothing else counts.

use std::fmt;

/// How far a request may go. The stricter of what its route, its workload and its tenant say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Residency {
    /// To every target of its route.
    #[default]
    Anywhere,
    /// Nowhere but to targets in the house.
    Internal,
}

impl Residency {
    /// Every word.
    pub const ALL: [Residency; 2] = [Residency::Anywhere, Residency::Internal];

    /// The word in the config.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Residency::Anywhere => "anywhere",
            Residency::Internal => "internal",
        }
    }

    /// The stricter of the two.
    #[must_use]
    pub fn and(self, other: Residency) -> Residency {
        self.max(other)
    }
}

/// On which side of the wall a place is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// In the house: one's own machines, or this process.
    Inside,
    /// Somebody else's.
    Outside,
}

impl Side {
    /// Of a place that is external, or not.
    #[must_use]
    pub const fn of(is_external: bool) -> Side {
        if is_external { Side::Outside } else { Side::Inside }
    }
}

/// A call that is not made, because what it carries would leave the house.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WouldLeave;

impl fmt::Display for WouldLeave {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("internal traffic may not go to an external provider")
    }
}

impl std::error::Error for WouldLeave {}

/// Whether a request that may go this far may go to a place on this side.
///
/// # Errors
/// When it would leave the house.
pub const fn may_go(residency: Residency, to: Side) -> Result<(), WouldLeave> {
    match (residency, to) {
        (Residency::Internal, Side::Outside) => Err(WouldLeave),
        (Residency::Anywhere, _) | (Residency::Internal, Side::Inside) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn internal_traffic_goes_nowhere_but_inside() {
        let goes = |residency| [Side::Inside, Side::Outside].map(|side| may_go(residency, side).is_ok());
        assert_eq!(goes(Residency::Anywhere), [true, true]);
        assert_eq!(goes(Residency::Internal), [true, false]);
        assert_eq!(Side::of(true), Side::Outside);
    }

    #[test]
    fn whoever_is_stricter_wins_in_any_order() {
        use Residency::{Anywhere, Internal};
        for (a, b, both) in [
            (Anywhere, Anywhere, Anywhere),
            (Anywhere, Internal, Internal),
            (Internal, Anywhere, Internal),
            (Internal, Internal, Internal),
        ] {
            assert_eq!(a.and(b), both);
        }
        assert_eq!(Residency::default(), Anywhere);
    }
}
