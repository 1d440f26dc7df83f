//! The changes Crossfade makes to a request, each one reported.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;

use super::{Edit, Pieces, json_string};
use crate::record::{Adaptation, AdaptationAction};
use crate::request::{RequestView, Value};
use crate::scan::Kind;

/// Gathers changes to one request for one target.
#[derive(Debug)]
pub struct Patch<'a> {
    body: &'a Bytes,
    view: &'a RequestView,
    target: &'a str,
    /// What happens to each field of the view.
    fates: Vec<Fate>,
    /// Fields to add at the end: key and JSON.
    added: Vec<(String, Bytes)>,
    /// Changes below the top level.
    nested: Vec<Edit>,
    adaptations: Vec<Adaptation>,
}

/// What happens to a field.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fate {
    Keep,
    Remove,
    /// Another value.
    Replace(Bytes),
    /// Another key.
    Rename(String),
}

/// How the text of a prompt variant meets the system message of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SystemPrompt {
    /// It takes its place.
    Replace(String),
    /// It comes before it, with a blank line between.
    Prepend(String),
}

impl<'a> Patch<'a> {
    /// No changes yet to `body`, which was read as `view`, on its way to `target`.
    pub fn new(body: &'a Bytes, view: &'a RequestView, target: &'a str) -> Patch<'a> {
        Patch { body, view, target, fates: Vec::new(), added: Vec::new(), nested: Vec::new(), adaptations: Vec::new() }
    }

    /// Makes `name` the model.
    pub fn model(&mut self, name: &str) {
        if self.view.model_range.is_empty() {
            return self.put("model", json_string(name).into(), "model");
        }
        let range = &self.view.model_range;
        // The path may have named the route, and the body another model.
        if &self.body[range.start + 1..range.end - 1] != name.as_bytes() {
            self.nested.push(Edit::new(self.view.model_range.clone(), json_string(name)));
            self.report("model", AdaptationAction::Replaced);
        }
    }

    /// Has a stream end with its usage: Crossfade needs it whether or not the caller asked.
    pub fn include_usage(&mut self) {
        const FIELD: &str = "stream_options.include_usage";
        if self.view.wants_usage() {
            return;
        }
        match (&self.view.stream_options, &self.view.include_usage) {
            (Some(_), Some(value)) => {
                self.nested.push(Edit::new(value.range.clone(), Bytes::from_static(b"true")));
                self.report(FIELD, AdaptationAction::Replaced);
            }
            (Some(Value { range, kind: Kind::Object }), None) => {
                let text: &[u8] = if self.is_empty_container(range) {
                    br#""include_usage":true"#
                } else {
                    br#""include_usage":true,"#
                };
                self.nested.push(Edit::new(range.start + 1..range.start + 1, text));
                self.report(FIELD, AdaptationAction::Added);
            }
            _ => self.put("stream_options", Bytes::from_static(br#"{"include_usage":true}"#), FIELD),
        }
    }

    /// Has the provider keep nothing.
    pub fn store_false(&mut self) {
        if self.view.store != Some(false) {
            self.put("store", Bytes::from_static(b"false"), "store");
        }
    }

    /// Takes the field `name` away, if it is there.
    pub fn remove(&mut self, name: &str) {
        let mut found = false;
        for idx in self.indices(name) {
            found |= *self.fate(idx) != Fate::Remove;
            *self.fate(idx) = Fate::Remove;
        }
        let n_added = self.added.len();
        self.added.retain(|(key, _)| key != name);
        if found || self.added.len() < n_added {
            self.report(name.to_owned(), AdaptationAction::Removed);
        }
    }

    /// Gives the field `name` the value `json`, which must be well-formed; adds it when it is not there.
    pub fn set(&mut self, name: &str, json: impl Into<Bytes>) {
        self.put(name, json.into(), name.to_owned());
    }

    /// Adds the field `name` with the value `json`, which must be well-formed, when nothing is called so by now.
    pub fn set_default(&mut self, name: &str, json: &str) {
        let fates = &self.fates;
        let fate = |idx: usize| fates.get(idx).unwrap_or(&Fate::Keep);
        let kept = self.view.named(self.body, name).any(|(idx, _)| matches!(fate(idx), Fate::Keep | Fate::Replace(_)));
        let renamed = fates.contains(&Fate::Rename(json_string(name)));
        if !kept && !renamed && !self.added.iter().any(|(key, _)| key == name) {
            self.added.push((name.to_owned(), Bytes::copy_from_slice(json.as_bytes())));
            self.report(name.to_owned(), AdaptationAction::Added);
        }
    }

    /// Calls the field `from` by the name `to`, if it is there; a field already called so is taken away.
    pub fn rename(&mut self, from: &str, to: &str) {
        let indices = self.indices(from);
        let Some((&first, rest)) = indices.split_first() else { return };
        for idx in self.indices(to) {
            *self.fate(idx) = Fate::Remove;
        }
        for &idx in rest {
            *self.fate(idx) = Fate::Remove;
        }
        *self.fate(first) = Fate::Rename(json_string(to));
        self.report(from.to_owned(), AdaptationAction::Renamed);
    }

    /// Puts the text of a prompt variant into or before the system message; makes one when there is none.
    pub fn system_prompt(&mut self, prompt: &SystemPrompt) {
        let Some(messages) = self.view.messages.clone() else { return };
        let (text, replace) = match prompt {
            SystemPrompt::Replace(text) => (text, true),
            SystemPrompt::Prepend(text) => (text, false),
        };
        let action = match &self.view.system {
            None => {
                let comma = if self.is_empty_container(&messages) { "" } else { "," };
                let message = format!(r#"{{"role":"system","content":{}}}{comma}"#, json_string(text));
                self.nested.push(Edit::new(messages.start + 1..messages.start + 1, message));
                AdaptationAction::Added
            }
            Some(system) => {
                let edit = match &system.content {
                    None => {
                        let at = system.message.start + 1;
                        Edit::new(at..at, format!(r#""content":{},"#, json_string(text)))
                    }
                    Some(content) if replace => Edit::new(content.range.clone(), json_string(text)),
                    Some(content) => self.prepended(content, text),
                };
                self.nested.push(edit);
                AdaptationAction::Replaced
            }
        };
        self.report("messages.system", action);
    }

    /// Makes changes below the top level. What they were for is told with [`Patch::note`].
    pub fn edit(&mut self, edits: Vec<Edit>) {
        self.nested.extend(edits);
    }

    /// Reports something about `field` that is no change of this patch, or the reason of a change below the top level.
    pub fn note(&mut self, field: &'static str, action: AdaptationAction) {
        self.report(field, action);
    }

    /// The changed body and what was changed.
    pub fn finish(mut self) -> (Pieces, Vec<Adaptation>) {
        if self.fates.is_empty() && self.added.is_empty() && self.nested.is_empty() {
            return (Pieces::from(self.body.clone()), self.adaptations);
        }
        let mut edits = self.top_level_edits();
        edits.append(&mut self.nested);
        (Pieces::of(self.body.clone(), &edits), self.adaptations)
    }

    /// The text before the content of the system message.
    fn prepended(&self, content: &Value, text: &str) -> Edit {
        let at = content.range.start + 1;
        match content.kind {
            Kind::String => {
                let literal = json_string(&format!("{text}\n\n"));
                Edit::new(at..at, literal[1..literal.len() - 1].to_owned())
            }
            Kind::Array => {
                let comma = if self.is_empty_container(&content.range) { "" } else { "," };
                Edit::new(at..at, format!(r#"{{"type":"text","text":{}}}{comma}"#, json_string(text)))
            }
            _ => Edit::new(content.range.clone(), json_string(text)),
        }
    }

    fn put(&mut self, name: &str, json: Bytes, field: impl Into<Cow<'static, str>>) {
        if let Some((_, value)) = self.added.iter_mut().find(|(key, _)| key == name) {
            *value = json;
            return;
        }
        let indices = self.indices(name);
        let Some((&first, rest)) = indices.split_first() else {
            self.added.push((name.to_owned(), json));
            return self.report(field, AdaptationAction::Added);
        };
        for &idx in rest {
            *self.fate(idx) = Fate::Remove;
        }
        if self.body[self.view.fields[first].value.clone()] != json || *self.fate(first) != Fate::Keep {
            *self.fate(first) = Fate::Replace(json);
            self.report(field, AdaptationAction::Replaced);
        }
    }

    fn indices(&self, name: &str) -> Vec<usize> {
        self.view.named(self.body, name).map(|(idx, _)| idx).collect()
    }

    fn fate(&mut self, idx: usize) -> &mut Fate {
        if self.fates.is_empty() {
            self.fates = vec![Fate::Keep; self.view.fields.len()];
        }
        &mut self.fates[idx]
    }

    fn report(&mut self, field: impl Into<Cow<'static, str>>, action: AdaptationAction) {
        self.adaptations.push(Adaptation { field: field.into(), action, target: self.target.to_owned() });
    }

    fn is_empty_container(&self, range: &Range<usize>) -> bool {
        self.body[range.start + 1..range.end - 1].trim_ascii().is_empty()
    }

    /// Removal takes the comma before a field when a field before it stays, else the comma after it.
    fn top_level_edits(&self) -> Vec<Edit> {
        let fields = &self.view.fields;
        let mut edits = Vec::with_capacity(self.added.len() + 2);
        let mut any_kept = self.fates.is_empty() && !fields.is_empty();
        for (idx, fate) in self.fates.iter().enumerate() {
            let field = &fields[idx];
            match fate {
                Fate::Keep => {}
                Fate::Replace(json) => edits.push(Edit::new(field.value.clone(), json.clone())),
                Fate::Rename(key) => edits.push(Edit::new(field.key.clone(), key.clone())),
                Fate::Remove if any_kept => {
                    edits.push(Edit::new(fields[idx - 1].value.end..field.value.end, Bytes::new()));
                }
                Fate::Remove => {
                    let end = fields.get(idx + 1).map_or(field.value.end, |next| next.key.start);
                    edits.push(Edit::new(field.key.start..end, Bytes::new()));
                }
            }
            any_kept |= *fate != Fate::Remove;
        }
        if let Some(last) = fields.last() {
            let at = last.value.end;
            for (key, json) in &self.added {
                let comma = if any_kept { "," } else { "" };
                let mut text = format!("{comma}{}:", json_string(key)).into_bytes();
                text.extend_from_slice(json);
                edits.push(Edit::new(at..at, text));
                any_kept = true;
            }
        }
        edits
    }
}
