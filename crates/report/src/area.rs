//! The five areas of the scorecard, and what was found in each.

use serde::Serialize;

use crate::figure::Figure;

/// What is asked of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Area {
    /// Task quality.
    Quality,
    /// Latency at the target load.
    Latency,
    /// Throughput at the peak.
    Throughput,
    /// Critical failures.
    Safety,
    /// What a successful task costs.
    Tco,
}

impl Area {
    /// Every area, in the order of the scorecard.
    pub const ALL: [Area; 5] = [Area::Quality, Area::Latency, Area::Throughput, Area::Safety, Area::Tco];

    /// The word in rules and config.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Area::Quality => "quality",
            Area::Latency => "latency",
            Area::Throughput => "throughput",
            Area::Safety => "safety",
            Area::Tco => "tco",
        }
    }

    /// The word within a sentence.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Area::Quality => "task quality",
            Area::Latency => "latency",
            Area::Throughput => "throughput",
            Area::Safety => "safety",
            Area::Tco => "cost",
        }
    }

    /// The word for people.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Area::Quality => "Task quality",
            Area::Latency => "Latency",
            Area::Throughput => "Throughput",
            Area::Safety => "Safety",
            Area::Tco => "Cost (TCO)",
        }
    }
}

/// Where an area stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// What is demanded is proven.
    Pass,
    /// The contrary is.
    Fail,
    /// Neither is; never a pass.
    Undecided,
    /// Nothing was measured; never a pass.
    NotRun,
}

impl Standing {
    /// The word in rules.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Standing::Pass => "pass",
            Standing::Fail => "fail",
            Standing::Undecided => "undecided",
            Standing::NotRun => "not_run",
        }
    }

    /// The word for people.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Standing::NotRun => "not run",
            other => other.as_str(),
        }
    }
}

/// What was found in an area.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Found {
    /// Which.
    pub area: Area,
    /// Whether nothing moves without it.
    pub required: bool,
    /// What is demanded, in words.
    pub asks: String,
    /// The same in a few signs, for tables: `≥ 90.0 %`.
    pub target: String,
    /// Where it stands.
    pub standing: Standing,
    /// Why, in words.
    pub because: String,
    /// What would settle it, where it is open.
    pub settle: Option<String>,
    /// How it is measured once more, where a benchmark does that.
    #[serde(skip)]
    pub again: Option<String>,
    /// Its figures.
    pub figures: Vec<Figure>,
    /// The id of the one that was held against the target.
    pub decides: Option<String>,
    /// Whether any of it is made up.
    pub simulated: bool,
}

impl Found {
    /// An area in which nothing was measured.
    pub(crate) fn not_run(
        area: Area,
        (required, asks, target): (bool, String, String),
        because: &str,
        settle: &str,
    ) -> Found {
        Found {
            area,
            required,
            asks,
            target,
            standing: Standing::NotRun,
            because: because.to_owned(),
            settle: Some(settle.to_owned()),
            again: None,
            figures: Vec::new(),
            decides: None,
            simulated: false,
        }
    }

    /// The figure that was held against the target.
    #[must_use]
    pub fn measured(&self) -> Option<&Figure> {
        let id = self.decides.as_ref()?;
        self.figures.iter().find(|figure| figure.id == *id && figure.value.is_some())
    }

    /// Whether it keeps a move open.
    pub(crate) fn is_open(&self) -> bool {
        self.required && matches!(self.standing, Standing::Undecided | Standing::NotRun)
    }
}
