//! A place in a tree, read as something, or noted as a problem.

use std::cell::RefCell;

use super::super::{SheetError, Step};
use crate::date::Date;
use crate::decimal::Decimal;
use crate::json::Json;

/// What was found wrong so far.
#[derive(Default)]
pub(super) struct Problems(RefCell<Vec<SheetError>>);

impl Problems {
    pub(super) fn into_errors(self) -> Vec<SheetError> {
        self.0.into_inner()
    }
}

/// A place in the tree.
#[derive(Clone)]
pub(super) struct At<'a> {
    value: &'a Json,
    path: Vec<Step>,
    problems: &'a Problems,
}

/// A map whose keys are known.
pub(super) struct Map<'a>(At<'a>);

impl<'a> At<'a> {
    pub(super) fn root(value: &'a Json, problems: &'a Problems) -> At<'a> {
        At { value, path: Vec::new(), problems }
    }

    pub(super) fn value(&self) -> &'a Json {
        self.value
    }

    pub(super) fn wrong(&self, message: impl Into<String>) {
        self.unknown(message.into(), &[]);
    }

    pub(super) fn unknown(&self, message: String, known: &'static [&'static str]) {
        self.problems.0.borrow_mut().push(SheetError { path: self.path.clone(), message, known });
    }

    pub(super) fn expected<T>(&self, what: &str) -> Option<T> {
        self.wrong(format!("expected {what}, found {}", self.value.describe()));
        None
    }

    fn inside(&self, step: Step, value: &'a Json) -> At<'a> {
        let mut path = self.path.clone();
        path.push(step);
        At { value, path, problems: self.problems }
    }

    /// The members, keys of the writer's choice; what is written twice is a problem.
    pub(super) fn entries(&self) -> Option<Vec<(&'a str, At<'a>)>> {
        let Json::Object(members) = self.value else { return self.expected("a map") };
        let mut seen = std::collections::BTreeSet::new();
        let mut entries: Vec<(&str, At<'a>)> = Vec::with_capacity(members.len());
        for (key, value) in members {
            let item = self.inside(Step::Key(key.clone()), value);
            if seen.insert(key) {
                entries.push((key, item));
            } else {
                item.wrong("written twice");
            }
        }
        Some(entries)
    }

    pub(super) fn map(self, known: &'static [&'static str]) -> Option<Map<'a>> {
        for (_, item) in self.entries()?.into_iter().filter(|(key, _)| !known.contains(key)) {
            item.unknown(format!("unknown key; known here: {}", known.join(", ")), known);
        }
        Some(Map(self))
    }

    pub(super) fn list(&self) -> Option<Vec<At<'a>>> {
        let Json::Array(items) = self.value else { return self.expected("a list") };
        Some(items.iter().enumerate().map(|(idx, item)| self.inside(Step::Idx(idx), item)).collect())
    }

    pub(super) fn text(&self) -> Option<String> {
        match self.value.as_str().filter(|text| !text.is_empty()) {
            Some(text) => Some(text.to_owned()),
            None => self.expected("a text"),
        }
    }

    pub(super) fn parsed<T>(&self, what: &str, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        match self.value.as_number().and_then(read) {
            Some(value) => Some(value),
            None => self.expected(what),
        }
    }

    pub(super) fn date(&self) -> Option<Date> {
        self.parsed("a date such as `2026-11-25`", Date::parse)
    }

    pub(super) fn decimal(&self) -> Option<Decimal> {
        self.parsed("a decimal of at most 19 digits, not negative", Decimal::parse)
    }

    pub(super) fn positive(&self) -> Option<Decimal> {
        self.parsed("a decimal above 0", |text| Decimal::parse(text).filter(|decimal| !decimal.is_zero()))
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        match self.value {
            Json::Bool(value) => Some(*value),
            _ => self.expected("`true` or `false`"),
        }
    }

    pub(super) fn word<T: Copy>(&self, words: &[(&str, T)]) -> Option<T> {
        let found = self.value.as_str().and_then(|text| words.iter().find(|(word, _)| *word == text));
        match found {
            Some((_, value)) => Some(*value),
            None => self.expected(&words.iter().map(|(word, _)| format!("`{word}`")).collect::<Vec<_>>().join(" or ")),
        }
    }
}

impl<'a> Map<'a> {
    pub(super) fn wrong(&self, message: impl Into<String>) {
        self.0.wrong(message);
    }

    pub(super) fn get(&self, key: &str) -> Option<At<'a>> {
        self.0.value.get(key).map(|value| self.0.inside(Step::Key(key.to_owned()), value))
    }

    pub(super) fn need(&self, key: &str) -> Option<At<'a>> {
        let found = self.get(key);
        if found.is_none() {
            self.wrong(format!("`{key}` is missing"));
        }
        found
    }

    pub(super) fn texts(&self, key: &str) -> Vec<String> {
        let items = self.get(key).and_then(|item| item.list()).unwrap_or_default();
        items.iter().filter_map(At::text).collect()
    }
}
