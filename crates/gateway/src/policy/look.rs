//! What a check finds in a request or an answer.

use std::borrow::Cow;

use bytes::Bytes;
use govern::policy::{Check, Kind, Patterns, REDACTED, is_listed};
use wire::multipart;
use wire::record::{Service, Verdict};
use wire::scan::{self, Next, ScanError};
use wire::splice::{Edit, Pieces, json_string};
use wire::texts::{Gathered, each_text, replaced};

use crate::parse::Parsed;

/// What a check found.
#[derive(Debug)]
pub(super) enum Found {
    Nothing,
    /// This, in words that quote nothing.
    This(Cow<'static, str>),
    /// The body without it.
    Redacted(Bytes),
    /// The data of each event of a stream, without it.
    RedactedStream(Vec<Bytes>),
    /// It cannot be taken out where it is.
    CannotRedact(Cow<'static, str>),
    /// It could not be looked at.
    Unknown(&'static str),
}

/// What an answer says.
#[derive(Debug)]
pub(super) enum Said {
    /// A body of JSON.
    Body(Bytes),
    /// The texts of a stream, and its length. The data of its events, where nobody has seen them and something may be taken out.
    Stream(Gathered, u64, Option<Vec<Bytes>>),
    /// More than is looked at.
    TooLong,
}

impl Said {
    /// All of it as one text; `None` when it cannot be had.
    pub(super) fn text(&self) -> Option<String> {
        match self {
            Said::Body(body) => joined(body),
            Said::Stream(gathered, ..) => {
                let texts = gathered.texts()?.map(String::from_utf8_lossy);
                Some(texts.collect::<Vec<_>>().join("\n"))
            }
            Said::TooLong => None,
        }
    }
}

/// What a check that needs nobody else finds in a request.
pub(super) fn at_request(check: &Check, request: &Parsed) -> Found {
    match &check.kind {
        Kind::Deny(patterns) => match &request.boundary {
            Some(boundary) => in_form(check, patterns, boundary, &request.body),
            // What a provider keeps is not looked into.
            None if request.endpoint.service() == Service::Provider => Found::Nothing,
            None => in_json(check, patterns, &request.body),
        },
        Kind::MaxBytes(most) => longer(*most, request.body.len()),
        Kind::Tools(list) => unlisted(list, request),
        Kind::Always => Found::This(Cow::Borrowed("always")),
        Kind::Moderation(_) => Found::Nothing,
    }
}

/// What a check that needs nobody else finds in an answer.
pub(super) fn at_answer(check: &Check, said: &Said) -> Found {
    match (&check.kind, said) {
        (Kind::Always | Kind::Tools(_) | Kind::Moderation(_), _) => Found::Nothing,
        (_, Said::TooLong) => Found::Unknown("too_long"),
        (Kind::MaxBytes(most), Said::Body(body)) => longer(*most, body.len()),
        (Kind::MaxBytes(most), Said::Stream(_, n_bytes, _)) => {
            longer(*most, usize::try_from(*n_bytes).unwrap_or(usize::MAX))
        }
        // What is no JSON, speech say, has no texts.
        (Kind::Deny(_), Said::Body(body)) if body.first() != Some(&b'{') => Found::Nothing,
        (Kind::Deny(patterns), Said::Body(body)) => match in_json(check, patterns, body) {
            // Beside the text, its tokens spell it out once more.
            Found::Redacted(_) if has_tokens(body) => Found::CannotRedact(Cow::Borrowed("log probabilities")),
            found => found,
        },
        (Kind::Deny(patterns), Said::Stream(gathered, _, datas)) => {
            let Some(texts) = gathered.texts() else { return Found::Unknown("too_long") };
            let found = texts.filter_map(|text| patterns.found_in(text)).next();
            match found.map(which) {
                None => Found::Nothing,
                Some(which) if check.then == Verdict::Redact => match datas {
                    Some(datas) if !datas.iter().any(|data| has_tokens(data)) => {
                        Found::RedactedStream(replaced(datas, REDACTED, |text| patterns.places(text)))
                    }
                    _ => Found::CannotRedact(which),
                },
                Some(which) => Found::This(which),
            }
        }
    }
}

/// Whether an answer, or an event of one, tells its tokens.
fn has_tokens(data: &[u8]) -> bool {
    let mut found = false;
    let read = each_text(data, &mut |name, _| {
        found |= name == b"token";
        Ok(())
    });
    found || read.is_err() && data.first() == Some(&b'{')
}

/// The texts of a request as one; `None` when it has none that could be looked at.
pub(super) fn said_in_request(request: &Parsed) -> Option<String> {
    match &request.boundary {
        None => joined(&request.body),
        Some(boundary) => {
            let mut texts = Vec::new();
            let read = multipart::each_part(boundary, &request.body, |_, part| {
                texts.push(String::from_utf8_lossy(&request.body[part]).into_owned());
                Ok(())
            });
            read.ok().map(|()| texts.join("\n"))
        }
    }
}

fn joined(body: &[u8]) -> Option<String> {
    let mut texts = Vec::new();
    let read = each_text(body, &mut |_, literal| {
        let mut text = Vec::new();
        scan::unescape_lossy(body, literal, &mut text);
        texts.push(String::from_utf8_lossy(&text).into_owned());
        Ok(())
    });
    read.ok().map(|()| texts.join("\n"))
}

fn which(idx: usize) -> Cow<'static, str> {
    Cow::Owned(format!("pattern {}", idx + 1))
}

fn longer(most: usize, n_bytes: usize) -> Found {
    if n_bytes > most { Found::This(Cow::Owned(format!("{n_bytes} bytes"))) } else { Found::Nothing }
}

fn in_json(check: &Check, patterns: &Patterns, body: &Bytes) -> Found {
    let (mut edits, mut found, mut text) = (Vec::new(), None, Vec::new());
    let read = each_text(body, &mut |_, literal| {
        text.clear();
        scan::unescape_lossy(body, literal.clone(), &mut text);
        if check.then == Verdict::Redact {
            if let Some(left) = patterns.redacted(&text) {
                edits.push(Edit::new(literal, json_string(&String::from_utf8_lossy(&left))));
            }
        } else if found.is_none() {
            found = patterns.found_in(&text);
        }
        Ok(())
    });
    told(read, found, edits, body)
}

fn in_form(check: &Check, patterns: &Patterns, boundary: &str, body: &Bytes) -> Found {
    let (mut edits, mut found) = (Vec::new(), None);
    let read = multipart::each_part(boundary, body, |_, part| {
        let text = &body[part.clone()];
        if check.then == Verdict::Redact {
            edits.extend(patterns.redacted(text).map(|left| Edit::new(part, left)));
        } else if found.is_none() {
            found = patterns.found_in(text);
        }
        Ok(())
    });
    told(read, found, edits, body)
}

fn told(read: Result<(), ScanError>, found: Option<usize>, edits: Vec<Edit>, body: &Bytes) -> Found {
    match (read, found) {
        (Err(_), _) => Found::Unknown("unreadable"),
        (Ok(()), Some(idx)) => Found::This(which(idx)),
        (Ok(()), None) if edits.is_empty() => Found::Nothing,
        (Ok(()), None) => Found::Redacted(Pieces::of(body.clone(), &edits).to_bytes()),
    }
}

/// The first tool on offer that is not on the list. What is offered without a name, a tool of the provider's own, goes by its type.
fn unlisted(list: &[String], request: &Parsed) -> Found {
    let Some(tools) = request.view.tools.clone() else { return Found::Nothing };
    let (mut idx, mut found) = (0, None);
    let body = &request.body;
    let read = scan::each_element(body, tools, |tool| {
        let mut names = (None, None, None);
        let text = |value: std::ops::Range<usize>| scan::unescape(body, value).ok().map(Cow::into_owned);
        scan::each_member(body, tool.value, |member| {
            match &*member.key {
                "name" => names.0 = text(member.value),
                "type" => names.2 = text(member.value),
                "function" | "custom" if member.kind == scan::Kind::Object => {
                    scan::each_member(body, member.value, |inner| {
                        if inner.key == "name" {
                            names.1 = text(inner.value);
                        }
                        Ok(())
                    })?;
                }
                _ => {}
            }
            Ok(())
        })?;
        // Every name it goes by must be on the list.
        let named: Vec<String> = [names.0, names.1].into_iter().flatten().collect();
        let goes_by = if named.is_empty() { names.2.into_iter().collect() } else { named };
        let is_fine = !goes_by.is_empty() && goes_by.iter().all(|name| is_listed(list, name));
        if !is_fine {
            found = Some(idx);
            return Ok(Next::Stop);
        }
        idx += 1;
        Ok(Next::Go)
    });
    match (read, found) {
        (_, Some(idx)) => Found::This(Cow::Owned(format!("tool {}", idx + 1))),
        (Err(_), None) => Found::Unknown("unreadable"),
        (Ok(()), None) => Found::Nothing,
    }
}
