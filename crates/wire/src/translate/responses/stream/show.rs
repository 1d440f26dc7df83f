//! What the caller has been shown of the current item, and the events that show the rest.

use super::super::super::json::Writer;
use super::super::object::{Body, Call, LogProbability, Part, Status, reasoning_part, summary_part};
use super::Stream;

/// The events made and not yet handed over.
#[derive(Debug, Default)]
pub(super) struct Events {
    bytes: Vec<u8>,
    next: u64,
}

impl Events {
    pub(super) fn emit(&mut self, kind: &str, fill: impl FnOnce(&mut Writer)) {
        let mut data = Writer::with_capacity(192);
        data.member("type", kind);
        data.member("sequence_number", &self.next);
        fill(&mut data);
        self.next += 1;
        for piece in ["event: ", kind, "\ndata: ", &data.finish(), "\n\n"] {
            self.bytes.extend_from_slice(piece.as_bytes());
        }
    }

    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }
}

/// How far the caller has seen the current item.
#[derive(Debug, Default)]
pub(super) struct Shown {
    item: bool,
    /// Parts begun.
    n_parts: usize,
    /// Of the part begun last: bytes, log probabilities, annotations.
    n_bytes: usize,
    n_logprobs: usize,
    n_annotations: usize,
}

impl Shown {
    /// Another part begins.
    fn begin_part(&mut self) {
        *self = Shown { item: true, n_parts: self.n_parts + 1, ..Shown::default() };
    }

    /// What of `text` is new; from now on it is shown.
    fn new_of<'t>(&mut self, text: &'t str) -> Option<&'t str> {
        let new = text.get(self.n_bytes..).filter(|new| !new.is_empty());
        self.n_bytes = text.len();
        new
    }
}

/// Where in the output an event belongs.
#[derive(Clone, Copy)]
struct Place<'a> {
    id: &'a str,
    idx: usize,
}

impl Place<'_> {
    fn write(self, data: &mut Writer) {
        data.member("item_id", self.id);
        data.member("output_index", &self.idx);
    }

    fn write_part(self, data: &mut Writer, part_idx: usize) {
        self.write(data);
        data.member("content_index", &part_idx);
    }

    /// A summary has one part.
    fn write_summary(self, data: &mut Writer) {
        self.write(data);
        data.raw("summary_index", "0");
    }
}

impl Stream {
    /// Shows what is new in the current item.
    pub(super) fn show(&mut self) {
        let Stream { head, events, items, current, shown, .. } = self;
        let (idx, item) = (*current, &items[*current]);
        if !shown.item {
            shown.item = true;
            let begun = head.item_begun(item, idx);
            events.emit("response.output_item.added", |data| {
                data.member("output_index", &idx);
                data.raw("item", &begun);
            });
        }
        let id = head.item_id(item, idx);
        let place = Place { id: &id, idx };
        match &item.body {
            Body::Reasoning { text } if head.shows_summary => show_summary(text, place, shown, events),
            Body::Reasoning { text } => show_reasoning(text, place, shown, events),
            Body::Message { parts } => {
                for (part_idx, part) in parts.iter().enumerate().skip(shown.n_parts.saturating_sub(1)) {
                    if part_idx == shown.n_parts {
                        if let Some(before) = part_idx.checked_sub(1) {
                            close_part(&parts[before], place, before, events);
                        }
                        shown.begin_part();
                        events.emit("response.content_part.added", |data| {
                            place.write_part(data, part_idx);
                            data.raw("part", &part.begun().to_json());
                        });
                    }
                    show_part(part, place, part_idx, shown, events);
                }
            }
            Body::Call(call) => {
                if let Some(new) = shown.new_of(&call.input) {
                    let kind = if call.custom {
                        "response.custom_tool_call_input.delta"
                    } else {
                        "response.function_call_arguments.delta"
                    };
                    events.emit(kind, |data| {
                        place.write(data);
                        data.member("delta", new);
                    });
                }
            }
        }
    }

    /// The current item is done; the next one is current.
    pub(super) fn close(&mut self, status: Status) {
        let Stream { head, events, items, current, shown, .. } = self;
        let (idx, item) = (*current, &mut items[*current]);
        item.status = status;
        let id = head.item_id(item, idx);
        let place = Place { id: &id, idx };
        match &item.body {
            Body::Reasoning { text } if head.shows_summary => close_summary(text, place, events),
            Body::Reasoning { text } => close_reasoning(text, place, events),
            Body::Message { parts } => {
                if let Some(last) = parts.last() {
                    close_part(last, place, parts.len() - 1, events);
                }
            }
            Body::Call(call) => close_call(call, place, events),
        }
        let whole = head.item(item, idx);
        events.emit("response.output_item.done", |data| {
            data.member("output_index", &idx);
            data.raw("item", &whole);
        });
        *shown = Shown::default();
        *current += 1;
    }
}

fn show_reasoning(text: &str, place: Place<'_>, shown: &mut Shown, events: &mut Events) {
    if shown.n_parts == 0 {
        shown.begin_part();
        events.emit("response.content_part.added", |data| {
            place.write_part(data, 0);
            data.raw("part", &reasoning_part(""));
        });
    }
    if let Some(new) = shown.new_of(text) {
        events.emit("response.reasoning_text.delta", |data| {
            place.write_part(data, 0);
            data.member("delta", new);
        });
    }
}

fn close_reasoning(text: &str, place: Place<'_>, events: &mut Events) {
    events.emit("response.reasoning_text.done", |data| {
        place.write_part(data, 0);
        data.member("text", text);
    });
    events.emit("response.content_part.done", |data| {
        place.write_part(data, 0);
        data.raw("part", &reasoning_part(text));
    });
}

fn show_summary(text: &str, place: Place<'_>, shown: &mut Shown, events: &mut Events) {
    if shown.n_parts == 0 {
        shown.begin_part();
        events.emit("response.reasoning_summary_part.added", |data| {
            place.write_summary(data);
            data.raw("part", &summary_part(""));
        });
    }
    if let Some(new) = shown.new_of(text) {
        events.emit("response.reasoning_summary_text.delta", |data| {
            place.write_summary(data);
            data.member("delta", new);
        });
    }
}

fn close_summary(text: &str, place: Place<'_>, events: &mut Events) {
    events.emit("response.reasoning_summary_text.done", |data| {
        place.write_summary(data);
        data.member("text", text);
    });
    events.emit("response.reasoning_summary_part.done", |data| {
        place.write_summary(data);
        data.raw("part", &summary_part(text));
    });
}

fn show_part(part: &Part, place: Place<'_>, part_idx: usize, shown: &mut Shown, events: &mut Events) {
    match part {
        Part::Text { text, annotations, logprobs } => {
            if let Some(new) = shown.new_of(text) {
                let new_logprobs = LogProbability::in_event(logprobs.get(shown.n_logprobs..).unwrap_or_default());
                shown.n_logprobs = logprobs.len();
                events.emit("response.output_text.delta", |data| {
                    place.write_part(data, part_idx);
                    data.member("delta", new);
                    data.raw("logprobs", &new_logprobs);
                });
            }
            for (annotation_idx, annotation) in annotations.iter().enumerate().skip(shown.n_annotations) {
                events.emit("response.output_text.annotation.added", |data| {
                    place.write_part(data, part_idx);
                    data.member("annotation_index", &annotation_idx);
                    data.raw("annotation", annotation);
                });
            }
            shown.n_annotations = annotations.len();
        }
        Part::Refusal { refusal } => {
            if let Some(new) = shown.new_of(refusal) {
                events.emit("response.refusal.delta", |data| {
                    place.write_part(data, part_idx);
                    data.member("delta", new);
                });
            }
        }
    }
}

fn close_part(part: &Part, place: Place<'_>, part_idx: usize, events: &mut Events) {
    match part {
        Part::Text { text, logprobs, .. } => events.emit("response.output_text.done", |data| {
            place.write_part(data, part_idx);
            data.member("text", text);
            data.raw("logprobs", &LogProbability::in_event(logprobs));
        }),
        Part::Refusal { refusal } => events.emit("response.refusal.done", |data| {
            place.write_part(data, part_idx);
            data.member("refusal", refusal);
        }),
    }
    events.emit("response.content_part.done", |data| {
        place.write_part(data, part_idx);
        data.raw("part", &part.to_json());
    });
}

fn close_call(call: &Call, place: Place<'_>, events: &mut Events) {
    if call.custom {
        events.emit("response.custom_tool_call_input.done", |data| {
            place.write(data);
            data.member("input", &call.input);
        });
    } else {
        events.emit("response.function_call_arguments.done", |data| {
            place.write(data);
            data.member("name", &call.name);
            data.member("arguments", &call.input);
        });
    }
}
