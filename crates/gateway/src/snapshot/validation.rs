//! What is done about answers that have not the form they were asked for.

/// The policy of a route.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Validation {
    /// What is done about an answer that nobody has seen yet.
    pub on_invalid: OnInvalid,
    /// What is done about streams, so that there is something to be done.
    pub streams: StreamValidation,
}

/// What is done about an invalid answer. At most one more answer is asked for; when it is no better the caller gets the first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnInvalid {
    /// It is counted, as it always is.
    #[default]
    Count,
    /// The same target is asked once more and told what was wrong.
    Repair,
    /// The same target is asked the same once more.
    Retry,
    /// The next target is asked.
    FailOver,
}

impl OnInvalid {
    /// Every policy.
    pub const ALL: [OnInvalid; 4] = [OnInvalid::Count, OnInvalid::Repair, OnInvalid::Retry, OnInvalid::FailOver];

    /// The word in the config and the metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            OnInvalid::Count => "count",
            OnInvalid::Repair => "repair",
            OnInvalid::Retry => "retry",
            OnInvalid::FailOver => "fail_over",
        }
    }
}

/// What is done about a stream that is to have a form.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StreamValidation {
    /// It is passed on as it comes and judged at its end: nothing can be done any more.
    #[default]
    Count,
    /// It is held back until it is whole and judged.
    Hold,
}

impl StreamValidation {
    /// Every policy.
    pub const ALL: [StreamValidation; 2] = [StreamValidation::Count, StreamValidation::Hold];

    /// The word in the config.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            StreamValidation::Count => "count",
            StreamValidation::Hold => "hold",
        }
    }
}
