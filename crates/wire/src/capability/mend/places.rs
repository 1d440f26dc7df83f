//! Where the parts of an answer, or of a chunk of one, are.

use std::ops::Range;

use crate::scan::cursor::{Array, Object, begins_with};
use crate::scan::{self, Kind, ScanError};

/// The parts of an answer that may have to be put right.
#[derive(Debug, Default)]
pub(super) struct Places {
    pub(super) id: Option<Range<usize>>,
    pub(super) has_fingerprint: bool,
    pub(super) usage: Option<Range<usize>>,
    /// The value of `usage` where it is null.
    pub(super) usage_null: Option<Range<usize>>,
    /// The whole array.
    pub(super) choices_range: Option<Range<usize>>,
    pub(super) choices: Vec<ChoicePlaces>,
}

/// The parts of one choice.
#[derive(Debug, Default)]
pub(super) struct ChoicePlaces {
    pub(super) range: Range<usize>,
    pub(super) index: usize,
    /// The literal, quotation marks included; `None` when it is null or missing.
    pub(super) finish: Option<Range<usize>>,
    pub(super) logprobs: Option<Kind>,
    /// `message`, or `delta` of a chunk.
    pub(super) message: Option<Range<usize>>,
    /// The literal of `content` when it is a text.
    pub(super) content: Option<Range<usize>>,
    /// Any `content` member.
    pub(super) content_value: Option<Range<usize>>,
    pub(super) has_refusal: bool,
    /// What is in `tool_calls`.
    pub(super) calls: Vec<CallPlaces>,
}

/// The parts of a tool call, or of a part of one.
#[derive(Debug, Default)]
pub(super) struct CallPlaces {
    pub(super) start: usize,
    pub(super) index: Option<usize>,
    pub(super) id: Option<String>,
    /// Where `function` begins.
    pub(super) function: Option<usize>,
    pub(super) name: Option<String>,
}

/// Reads `body`.
pub(super) fn read(body: &[u8]) -> Result<Places, ScanError> {
    let mut places = Places::default();
    let mut top = Object::open_top(body)?;
    while let Some(key) = top.next_key()? {
        if key.name.as_ref() == b"choices" && begins_with(body, top.at(), b'[') {
            let start = top.at();
            let mut walk = Array::open(body, start)?;
            while walk.next_value()? {
                if begins_with(body, walk.at(), b'{') {
                    let choice = choice(body, walk.at(), places.choices.len())?;
                    walk.resume(choice.range.end);
                    places.choices.push(choice);
                } else {
                    walk.skip()?;
                }
            }
            places.choices_range = Some(start..walk.at());
            top.resume(walk.at());
            continue;
        }
        let (kind, value) = top.skip()?;
        match (key.name.as_ref(), kind) {
            (b"id", Kind::String) => places.id = Some(value),
            (b"system_fingerprint", Kind::String) => places.has_fingerprint = true,
            (b"usage", Kind::Object) => places.usage = Some(value),
            (b"usage", Kind::Null) => places.usage_null = Some(value),
            _ => {}
        }
    }
    top.close_top()?;
    Ok(places)
}

fn choice(body: &[u8], at: usize, place: usize) -> Result<ChoicePlaces, ScanError> {
    let mut choice = ChoicePlaces { index: place, ..ChoicePlaces::default() };
    let mut walk = Object::open(body, at)?;
    while let Some(key) = walk.next_key()? {
        let name = key.name.as_ref();
        if (name == b"message" || name == b"delta") && begins_with(body, walk.at(), b'{') {
            let start = walk.at();
            let end = message(body, start, &mut choice)?;
            choice.message = Some(start..end);
            walk.resume(end);
            continue;
        }
        let (kind, value) = walk.skip()?;
        match (name, kind) {
            (b"index", Kind::Number) => choice.index = index(&body[value]),
            (b"finish_reason", Kind::String) => choice.finish = Some(value),
            (b"logprobs", kind) => choice.logprobs = Some(kind),
            _ => {}
        }
    }
    choice.range = at..walk.at();
    Ok(choice)
}

/// More choices than this are not told apart.
const MAX_CHOICES: usize = 128;

fn index(number: &[u8]) -> usize {
    scan::unsigned(number).and_then(|n| usize::try_from(n).ok()).map_or(MAX_CHOICES, |n| n.min(MAX_CHOICES))
}

fn message(body: &[u8], at: usize, choice: &mut ChoicePlaces) -> Result<usize, ScanError> {
    let mut walk = Object::open(body, at)?;
    while let Some(key) = walk.next_key()? {
        let (kind, value) = walk.skip()?;
        match (key.name.as_ref(), kind) {
            (b"content", kind) => {
                choice.content_value = Some(value.clone());
                choice.content = (kind == Kind::String).then_some(value);
            }
            (b"refusal", _) => choice.has_refusal = true,
            (b"tool_calls", Kind::Array) => calls(body, value.start, &mut choice.calls)?,
            _ => {}
        }
    }
    Ok(walk.at())
}

fn calls(body: &[u8], at: usize, calls: &mut Vec<CallPlaces>) -> Result<(), ScanError> {
    let text = |kind, value| if kind == Kind::String { scan::unescape(body, value).ok() } else { None };
    let mut walk = Array::open(body, at)?;
    while walk.next_value()? {
        let (kind, call) = walk.skip()?;
        let mut places = CallPlaces { start: call.start, ..CallPlaces::default() };
        if kind == Kind::Object {
            let mut members = Object::open(body, call.start)?;
            while let Some(key) = members.next_key()? {
                let (kind, value) = members.skip()?;
                match (key.name.as_ref(), kind) {
                    (b"index", Kind::Number) => places.index = Some(index(&body[value])),
                    (b"id", kind) => places.id = text(kind, value).map(|id| id.into_owned()),
                    (b"function", Kind::Object) => {
                        places.function = Some(value.start);
                        let mut function = Object::open(body, value.start)?;
                        while let Some(key) = function.next_key()? {
                            let (kind, value) = function.skip()?;
                            if key.name.as_ref() == b"name" {
                                places.name = text(kind, value).map(|name| name.into_owned());
                            }
                        }
                    }
                    _ => {}
                }
            }
        }
        calls.push(places);
    }
    Ok(())
}

/// Whether the object at `range` has all of these members, each an object.
pub(super) fn has_members(body: &[u8], range: &Range<usize>, names: &[&str]) -> Result<bool, ScanError> {
    let mut n_found = 0;
    let mut walk = Object::open(body, range.start)?;
    while let Some(key) = walk.next_key()? {
        let (kind, _) = walk.skip()?;
        n_found += usize::from(kind == Kind::Object && names.iter().any(|name| name.as_bytes() == key.name.as_ref()));
    }
    Ok(n_found >= names.len())
}
