//! Answers that were to have a form, counted by target: how many had it, and why some were not held against it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use wire::record::AttemptRecord;

/// A part of an answer that has a form of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    /// It is JSON where it should be, tool calls included.
    Format,
    /// Its text against the schema asked for.
    Schema,
    /// Its tool calls against what was offered.
    ToolCalls,
}

impl Part {
    const fn as_str(self) -> &'static str {
        match self {
            Part::Format => "format",
            Part::Schema => "schema",
            Part::ToolCalls => "tool_calls",
        }
    }
}

/// One thread's numbers. Locked: only answers that were to have a form are counted here, and only a reader locks it too.
#[derive(Debug, Default)]
pub(crate) struct Forms(Mutex<FormTotals>);

/// Answers that were to have a form.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct FormTotals {
    /// By target and part (`format`, `schema`, `tool_calls`).
    pub judged: BTreeMap<String, BTreeMap<&'static str, Judged>>,
    /// By target and reason: those with something that was not held against its schema.
    pub not_validated: BTreeMap<String, BTreeMap<String, u64>>,
    /// By policy and result (`valid`, `invalid`, `failed`): one more attempt for an invalid answer.
    pub rescues: BTreeMap<&'static str, BTreeMap<&'static str, u64>>,
}

/// How many parts were as they should be, and how many were not.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Judged {
    /// As they should be.
    pub valid: u64,
    /// Not.
    pub invalid: u64,
}

impl Forms {
    /// Counts an attempt that ended.
    pub(crate) fn count(&self, attempt: &AttemptRecord) {
        let validity = &attempt.validity;
        let parts = [
            (Part::Format, attempt.format_valid),
            (Part::Schema, validity.schema_valid),
            (Part::ToolCalls, validity.tool_calls_valid),
        ];
        if validity.not_validated.is_none() && parts.iter().all(|(_, valid)| valid.is_none()) {
            return;
        }
        let mut totals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let judged = totals.judged.entry(attempt.target.clone()).or_default();
        for (part, valid) in parts {
            let Some(valid) = valid else { continue };
            let judged = judged.entry(part.as_str()).or_default();
            *(if valid { &mut judged.valid } else { &mut judged.invalid }) += 1;
        }
        if let Some(why) = &validity.not_validated {
            let reasons = totals.not_validated.entry(attempt.target.clone()).or_default();
            *reasons.entry(why.to_string()).or_default() += 1;
        }
    }

    /// Counts one more attempt for an invalid answer, by what came of it.
    pub(crate) fn count_rescue(&self, policy: &'static str, result: &'static str) {
        let mut totals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *totals.rescues.entry(policy).or_default().entry(result).or_default() += 1;
    }

    pub(crate) fn add_to(&self, sum: &mut FormTotals) {
        let totals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (target, parts) in &totals.judged {
            let sum = sum.judged.entry(target.clone()).or_default();
            for (part, judged) in parts {
                let sum = sum.entry(part).or_default();
                *sum = Judged { valid: sum.valid + judged.valid, invalid: sum.invalid + judged.invalid };
            }
        }
        for (policy, results) in &totals.rescues {
            let sum = sum.rescues.entry(policy).or_default();
            results.iter().for_each(|(result, n)| *sum.entry(result).or_default() += n);
        }
        for (target, reasons) in &totals.not_validated {
            let sum = sum.not_validated.entry(target.clone()).or_default();
            reasons.iter().for_each(|(reason, n)| *sum.entry(reason.clone()).or_default() += n);
        }
    }
}
