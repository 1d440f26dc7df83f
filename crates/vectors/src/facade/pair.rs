//! How far the move of an index from one store to another is: which store answers, which changes are kept for the other, and what may follow.

use std::fmt;

/// How far a move is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// The source alone.
    Source,
    /// The source answers; changes are kept for the target, which is being copied meanwhile.
    Collect,
    /// The source answers; changes are kept and written to the target.
    DualWrite,
    /// The same, and queries are asked of the target too and compared.
    Shadow,
    /// The target answers; changes are kept and written to the source.
    Target,
    /// The source answers again; changes are kept and written to the target.
    RolledBack,
}

/// One of the two stores of a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// What the index was served from before.
    Source,
    /// Where it goes.
    Target,
}

impl Which {
    /// The other one.
    #[must_use]
    pub fn other(self) -> Which {
        match self {
            Which::Source => Which::Target,
            Which::Target => Which::Source,
        }
    }
}

/// All of them, in the order of a move.
pub const MODES: [Mode; 6] =
    [Mode::Source, Mode::Collect, Mode::DualWrite, Mode::Shadow, Mode::Target, Mode::RolledBack];

impl Mode {
    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Mode::Source => "source",
            Mode::Collect => "collect",
            Mode::DualWrite => "dual-write",
            Mode::Shadow => "shadow",
            Mode::Target => "target",
            Mode::RolledBack => "rolled-back",
        }
    }

    /// The mode of a word.
    #[must_use]
    pub fn of(word: &str) -> Option<Mode> {
        MODES.into_iter().find(|mode| mode.word() == word)
    }

    /// Which store answers, and takes changes first.
    #[must_use]
    pub fn answers(self) -> Which {
        if self == Mode::Target { Which::Target } else { Which::Source }
    }

    /// Whether changes are kept for the other store.
    #[must_use]
    pub fn keeps(self) -> bool {
        self != Mode::Source
    }

    /// Whether what was kept is written to it.
    #[must_use]
    pub fn writes(self) -> bool {
        !matches!(self, Mode::Source | Mode::Collect)
    }

    /// Whether a query whose vector has the length of the other store's is answered from there: only after a switch, when an application may speak of either space.
    #[must_use]
    pub fn knows_both(self) -> bool {
        matches!(self, Mode::Target | Mode::RolledBack)
    }

    /// Whether the other store may lack nothing when this mode is left for `to`.
    #[must_use]
    pub fn has_to_be_even(self, to: Mode) -> bool {
        self.answers() != to.answers()
    }

    /// Whether `to` may follow. `rollback` leads back from the target, and nothing else does.
    ///
    /// # Errors
    /// Why not, and what may.
    pub fn may_turn(self, to: Mode) -> Result<(), String> {
        use Mode::{Collect, DualWrite, RolledBack, Shadow, Source, Target};
        let may = match self {
            Source => matches!(to, Collect),
            Collect => matches!(to, DualWrite | Source),
            DualWrite => matches!(to, Shadow | Target | Source),
            Shadow => matches!(to, DualWrite | Target | Source),
            Target => matches!(to, RolledBack),
            RolledBack => matches!(to, Shadow | Target | Source),
        };
        if may {
            return Ok(());
        }
        let what = match self {
            Source => "`collect` comes next: changes are kept from then on, and the target is copied",
            Collect => "`dual-write` comes next, once the target is copied",
            DualWrite | RolledBack => "`shadow` comes next, then `crossfade vectors switch`",
            Shadow => "`crossfade vectors switch` comes next",
            Target => "`crossfade vectors rollback` leads back",
        };
        Err(format!("from `{self}` there is no way to `{to}`: {what}"))
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_move_goes_step_by_step_and_back_from_each_of_them() {
        let way =
            [Mode::Source, Mode::Collect, Mode::DualWrite, Mode::Shadow, Mode::Target, Mode::RolledBack, Mode::Target];
        for pair in way.windows(2) {
            assert_eq!(pair[0].may_turn(pair[1]), Ok(()), "{pair:?}");
        }
        for given_up in [Mode::Collect, Mode::DualWrite, Mode::Shadow, Mode::RolledBack] {
            assert_eq!(given_up.may_turn(Mode::Source), Ok(()), "{given_up}");
        }
        assert!(Mode::Source.may_turn(Mode::Target).unwrap_err().contains("`collect` comes next"));
        assert!(Mode::Target.may_turn(Mode::Source).unwrap_err().contains("vectors rollback"));
        assert!(Mode::Collect.may_turn(Mode::Target).is_err(), "what was copied meanwhile may lack changes");
        for mode in MODES {
            assert_eq!(Mode::of(mode.word()), Some(mode));
            assert!(mode.may_turn(mode).is_err(), "{mode}");
        }
    }

    #[test]
    fn the_store_that_answers_changes_only_when_the_other_has_everything() {
        for (from, to) in MODES.into_iter().flat_map(|from| MODES.map(|to| (from, to))) {
            if from.may_turn(to).is_ok() && from.answers() != to.answers() {
                assert!(from.writes() && from.has_to_be_even(to), "{from} to {to}");
            }
        }
    }
}
