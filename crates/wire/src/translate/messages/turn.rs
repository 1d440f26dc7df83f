//! A conversation between the two dialects: turns of parts, calls and results. Everything that is text is kept as it stands
//! inside a JSON string, so that nothing is unescaped only to be escaped again.

use std::borrow::Cow;

use super::json::{Json, escaped};

/// Text as it stands inside a JSON string.
pub(super) type Escaped<'a> = Cow<'a, [u8]>;

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    System,
    User,
    Assistant,
}

/// What one side says before the other answers.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    pub(super) role: Role,
    /// Results of the calls of the turn before.
    pub(super) results: Vec<ToolResult<'a>>,
    pub(super) parts: Vec<Part<'a>>,
    pub(super) calls: Vec<Call<'a>>,
}

impl<'a> Turn<'a> {
    pub(super) fn new(role: Role) -> Turn<'a> {
        Turn { role, results: Vec::new(), parts: Vec::new(), calls: Vec::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.results.is_empty() && self.parts.is_empty() && self.calls.is_empty()
    }
}

/// Something said or shown.
#[derive(Debug, Clone)]
pub(super) enum Part<'a> {
    Text(Escaped<'a>),
    Image(Image<'a>),
    Document(Document<'a>),
}

/// An image, by value or by address.
#[derive(Debug, Clone)]
pub(super) enum Image<'a> {
    Base64 { media_type: Escaped<'a>, data: Escaped<'a> },
    Url(Escaped<'a>),
}

/// A document by value.
#[derive(Debug, Clone)]
pub(super) struct Document<'a> {
    pub(super) name: Option<Escaped<'a>>,
    pub(super) media_type: Escaped<'a>,
    pub(super) data: Escaped<'a>,
}

/// A call of a tool.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub(super) id: Escaped<'a>,
    pub(super) name: Escaped<'a>,
    /// A JSON object.
    pub(super) input: Cow<'a, [u8]>,
}

/// What a tool answered.
#[derive(Debug)]
pub(super) struct ToolResult<'a> {
    pub(super) id: Escaped<'a>,
    pub(super) parts: Vec<Part<'a>>,
    pub(super) is_error: bool,
}

/// The texts among `parts`.
pub(super) fn texts<'p, 'a>(parts: &'p [Part<'a>]) -> impl Iterator<Item = &'p Escaped<'a>> {
    parts.iter().filter_map(|part| match part {
        Part::Text(text) => Some(text),
        Part::Image(_) | Part::Document(_) => None,
    })
}

/// Writes texts one after the other, as one string.
pub(super) fn write_joined<'p, 'a: 'p>(json: &mut Json, texts: impl Iterator<Item = &'p Escaped<'a>>) {
    let pieces: Vec<&[u8]> = texts.map(|text| text.as_ref()).collect();
    json.escaped(&pieces);
}

/// The longest id Messages takes for a tool call is not documented; what it is made of is: letters, digits, `_` and `-`.
pub(super) fn messages_id(id: &[u8]) -> Escaped<'_> {
    let fits = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    if !id.is_empty() && id.iter().all(fits) {
        return Cow::Borrowed(id);
    }
    // FNV-1a keeps two ids apart that differ only in what does not fit. The same id always becomes the same.
    let hash = id.iter().fold(0x811c_9dc5_u32, |hash, &b| (hash ^ u32::from(b)).wrapping_mul(0x0100_0193));
    let mut made: Vec<u8> = id.iter().map(|b| if fits(b) { *b } else { b'_' }).collect();
    made.extend_from_slice(format!("_{hash:08x}").as_bytes());
    Cow::Owned(made)
}

/// `text` as it stands inside a JSON string.
pub(super) fn owned(text: &str) -> Escaped<'static> {
    Cow::Owned(escaped(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_messages_does_not_take_becomes_one_that_it_does_and_stays_its_own() {
        assert_eq!(messages_id(b"call_9aZ-").as_ref(), b"call_9aZ-");
        let made = ["functions.get:0", "functions_get:0", "functions.get:1", ""].map(|id| messages_id(id.as_bytes()));
        for (idx, id) in made.iter().enumerate() {
            assert!(id.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-')), "{id:?}");
            assert!(!made[..idx].contains(id));
        }
        assert_eq!(made[0].as_ref(), messages_id(b"functions.get:0").as_ref());
    }
}
