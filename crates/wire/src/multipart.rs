//! Forms with files in them (`multipart/form-data`, RFC 7578): where the few text fields are that Crossfade reads. The files
//! are stepped over, and a changed field is spliced in; nothing is encoded again.

use std::ops::Range;

use bytes::Bytes;
use memchr::memmem;

use crate::record::{Adaptation, AdaptationAction, Endpoint};
use crate::request::{RequestView, model_when_none_is_named};
use crate::scan::ScanError;
use crate::splice::{Edit, Pieces};

/// More parts than this are refused: no endpoint takes as many.
const MAX_PARTS: usize = 256;

/// A field of text longer than this is not one that Crossfade reads.
const MAX_TEXT: usize = 1024;

/// The boundary that a `content-type` names; `None` when it is not `multipart/form-data` or names none that is allowed
/// (RFC 2046 §5.1.1: 1 to 70 characters).
pub fn boundary(content_type: &str) -> Option<&str> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let value = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then_some(value.trim())
    })?;
    let boundary = value.strip_prefix('"').and_then(|quoted| quoted.strip_suffix('"')).unwrap_or(value);
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&byte);
    ((1..=70).contains(&boundary.len()) && boundary.bytes().all(allowed)).then_some(boundary)
}

/// Reads what routing needs of a form. The `model_range` of the view is the bare text, without quotation marks.
///
/// `in_path` is the model that the path named: it counts, whatever the form says.
pub fn parse(endpoint: Endpoint, boundary: &str, body: &[u8], in_path: Option<&str>) -> Result<RequestView, ScanError> {
    let mut view = RequestView::empty(endpoint);
    let mut has_model = false;
    each_part(boundary, body, |name, value| {
        match name {
            "model" if has_model => return Err(ScanError::new(value.start, "`model` is given twice").about("model")),
            "model" => {
                view.model = text(body, &value, "model")?;
                if view.model.is_empty() {
                    return Err(ScanError::new(value.start, "`model` is empty").about("model"));
                }
                view.model_range = value;
                has_model = true;
            }
            "stream" => view.stream = text(body, &value, "stream")?.eq_ignore_ascii_case("true"),
            "user" => view.user = Some(text(body, &value, "user")?),
            _ => {}
        }
        Ok(())
    })?;
    if let Some(model) = in_path {
        view.model = model.to_owned();
    } else if !has_model {
        let model = model_when_none_is_named(endpoint);
        view.model = model.ok_or_else(|| ScanError::new(0, "you must provide a `model`").about("model"))?.to_owned();
    }
    Ok(view)
}

/// The form with `model` in the place of the one in it, and what was changed.
pub fn with_model(
    body: &Bytes,
    boundary: &str,
    view: &RequestView,
    (model, target): (&str, &str),
) -> (Pieces, Option<Adaptation>) {
    if !view.model_range.is_empty() && &body[view.model_range.clone()] == model.as_bytes() {
        return (Pieces::from(body.clone()), None);
    }
    let (edit, action) = if view.model_range.is_empty() {
        let part = format!("--{boundary}\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\n{model}\r\n");
        let at = first_delimiter(boundary, body).unwrap_or(0);
        (Edit::new(at..at, part), AdaptationAction::Added)
    } else {
        (Edit::new(view.model_range.clone(), model.to_owned()), AdaptationAction::Replaced)
    };
    let change = Adaptation { field: "model".into(), action, target: target.to_owned() };
    (Pieces::of(body.clone(), &[edit]), Some(change))
}

/// Where the first `--boundary` begins: at the beginning of the body or of a line.
fn first_delimiter(boundary: &str, body: &[u8]) -> Option<usize> {
    let delimiter = format!("--{boundary}");
    if body.starts_with(delimiter.as_bytes()) {
        return Some(0);
    }
    memmem::find(body, format!("\r\n{delimiter}").as_bytes()).map(|at| at + 2)
}

/// Calls `visit` with the name and the place of the content of each part that is a text: files are stepped over.
///
/// # Errors
/// When the form cannot be read, or `visit` says so.
pub fn each_part(
    boundary: &str,
    body: &[u8],
    mut visit: impl FnMut(&str, Range<usize>) -> Result<(), ScanError>,
) -> Result<(), ScanError> {
    each_named(boundary, body, |part, value| if part.is_file { Ok(()) } else { visit(part.name, value) })
}

/// A part of a form.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// The field it is for.
    pub name: &'a str,
    /// Whether it has a file name: such a part is a file, whatever it is called.
    pub is_file: bool,
}

/// Calls `visit` with each part that has a name, files too, and the place of its content.
///
/// # Errors
/// When the form cannot be read, or `visit` says so.
pub fn each_named(
    boundary: &str,
    body: &[u8],
    mut visit: impl FnMut(Part<'_>, Range<usize>) -> Result<(), ScanError>,
) -> Result<(), ScanError> {
    let delimiter = format!("\r\n--{boundary}");
    let finder = memmem::Finder::new(delimiter.as_bytes());
    let broken = |at: usize, what: &'static str| ScanError::new(at, what);
    let mut at = first_delimiter(boundary, body)
        .map(|at| at + delimiter.len() - 2)
        .ok_or_else(|| broken(0, "the form does not begin with its boundary"))?;
    for _ in 0..MAX_PARTS {
        let rest = &body[at..];
        if rest.starts_with(b"--") {
            return Ok(());
        }
        // White space may follow a boundary on its line.
        let padding = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        if !rest[padding..].starts_with(b"\r\n") {
            return Err(broken(at, "the form has a part without headers"));
        }
        // A part without any header begins with its empty line.
        let head_at = at + padding;
        let head_end = memmem::find(&body[head_at..], b"\r\n\r\n")
            .map(|end| head_at + end)
            .ok_or_else(|| broken(at, "the form ends inside the headers of a part"))?;
        let content = head_end + 4;
        // An empty part's delimiter may begin with the line break that ends its headers.
        let end = finder
            .find(&body[content - 2..])
            .map(|end| (content - 2 + end).max(content))
            .ok_or_else(|| broken(content, "the form ends inside a part"))?;
        let next = if end == content && body[content - 2..].starts_with(delimiter.as_bytes()) {
            content - 2 + delimiter.len()
        } else {
            end + delimiter.len()
        };
        if let Some(part) = part_of(&body[head_at..head_end]) {
            visit(part, content..end)?;
        }
        at = next;
    }
    Err(broken(at, "the form has too many parts"))
}

/// The part whose headers these are; `None` when it has no name.
fn part_of(head: &[u8]) -> Option<Part<'_>> {
    let head = std::str::from_utf8(head).ok()?;
    let disposition = head.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("content-disposition").then_some(value)
    })?;
    let (mut field, mut is_file) = (None, false);
    for (name, value) in parameters(disposition) {
        is_file |= name.eq_ignore_ascii_case("filename") || name.eq_ignore_ascii_case("filename*");
        if name.eq_ignore_ascii_case("name") {
            field = Some(value);
        }
    }
    field.map(|name| Part { name, is_file })
}

/// The parameters after the first `;`. A quoted value ends at the next quotation mark: a name with an escaped one is none
/// that Crossfade reads.
fn parameters(disposition: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = disposition.split_once(';').map_or("", |(_, rest)| rest);
    std::iter::from_fn(move || {
        let (name, after) = rest.split_once('=')?;
        let (value, next) = match after.trim_start().strip_prefix('"') {
            Some(quoted) => {
                let (value, next) = quoted.split_once('"')?;
                (value, next.trim_start().strip_prefix(';').unwrap_or(""))
            }
            None => {
                let (value, next) = after.split_once(';').unwrap_or((after, ""));
                (value.trim(), next)
            }
        };
        rest = next;
        Some((name.trim(), value))
    })
}

fn text(body: &[u8], value: &Range<usize>, param: &'static str) -> Result<String, ScanError> {
    let bytes = &body[value.clone()];
    match std::str::from_utf8(bytes) {
        Ok(text) if bytes.len() <= MAX_TEXT && !text.contains(['\r', '\n']) => Ok(text.to_owned()),
        _ => Err(ScanError::new(value.start, format!("`{param}` is not a short text")).about(param)),
    }
}

#[cfg(test)]
mod tests;
