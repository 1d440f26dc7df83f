//! Looking into a body where it lies: a value is a place in it, and what is inside is found when it is asked for.

use std::borrow::Cow;
use std::ops::Range;

use crate::scan::{self, Kind, Next, ScanError};

/// A value of a body.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    body: &'a [u8],
    start: usize,
    end: usize,
    /// What it is.
    pub(super) kind: Kind,
}

impl<'a> View<'a> {
    fn new(body: &'a [u8], range: Range<usize>, kind: Kind) -> View<'a> {
        View { body, start: range.start, end: range.end, kind }
    }

    /// Its bytes.
    pub(super) fn raw(self) -> &'a [u8] {
        &self.body[self.start..self.end]
    }

    /// What stands between the quotation marks of a string, escapes as they are.
    pub(super) fn inner(self) -> Option<&'a [u8]> {
        match (self.kind, self.raw()) {
            (Kind::String, [b'"', inner @ .., b'"']) => Some(inner),
            _ => None,
        }
    }

    /// The text of a string; `None` for other values and for escapes and bytes that are no text.
    pub(super) fn text(self) -> Option<Cow<'a, str>> {
        if self.kind != Kind::String {
            return None;
        }
        scan::unescape(self.body, self.start..self.end).ok()
    }

    /// The text of a string, with replacement characters for what is none.
    pub(super) fn lossy(self) -> Vec<u8> {
        let mut text = Vec::with_capacity(self.end - self.start);
        scan::unescape_lossy(self.body, self.start..self.end, &mut text);
        text
    }

    /// True for the string `text`.
    pub(super) fn is(self, text: &str) -> bool {
        self.text().is_some_and(|own| own == text)
    }

    pub(super) fn is_true(self) -> bool {
        self.kind == Kind::True
    }

    /// A whole number.
    pub(super) fn unsigned(self) -> Option<u64> {
        scan::unsigned(self.raw())
    }

    /// The number it is, as nearly as 64 bits can say.
    pub(super) fn number(self) -> Option<f64> {
        if self.kind != Kind::Number {
            return None;
        }
        std::str::from_utf8(self.raw()).ok()?.parse().ok()
    }

    /// The elements of an array.
    pub(super) fn elements(self) -> Result<Vec<View<'a>>, ScanError> {
        let mut elements = Vec::new();
        scan::each_element(self.body, self.start..self.end, |element| {
            elements.push(View::new(self.body, element.value, element.kind));
            Ok(Next::Go)
        })?;
        Ok(elements)
    }

    /// The members of an object.
    pub(super) fn members(self) -> Result<Members<'a>, ScanError> {
        Members::of(self.body, self.start..self.end)
    }

    /// The member `name` of an object; `None` when there is none, when it is null or when this is no object.
    pub(super) fn get(self, name: &str) -> Option<View<'a>> {
        self.members().ok()?.take(name)
    }
}

/// The members of an object, to be taken out one by one: what is left is what nobody asked for.
#[derive(Debug)]
pub(super) struct Members<'a>(Vec<(Cow<'a, str>, View<'a>)>);

impl<'a> Members<'a> {
    /// The members of the one object that `body` is.
    pub(super) fn whole(body: &'a [u8]) -> Result<Members<'a>, ScanError> {
        Members::of(body, 0..body.len())
    }

    fn of(body: &'a [u8], object: Range<usize>) -> Result<Members<'a>, ScanError> {
        let mut members = Vec::new();
        scan::each_member(body, object, |member| {
            members.push((member.key, View::new(body, member.value, member.kind)));
            Ok(())
        })?;
        Ok(Members(members))
    }

    /// Takes out the member `name`: the last one, as most servers read it. `None` when it is null, as both dialects do.
    pub(super) fn take(&mut self, name: &str) -> Option<View<'a>> {
        let found = self.0.iter().rfind(|(key, _)| key == name).map(|(_, value)| *value);
        if found.is_some() {
            self.0.retain(|(key, _)| key != name);
        }
        found.filter(|value| value.kind != Kind::Null)
    }

    /// Takes out the member `name` when it is a string.
    pub(super) fn take_inner(&mut self, name: &str) -> Option<&'a [u8]> {
        self.take(name)?.inner()
    }

    /// What was not taken, nulls included.
    pub(super) fn rest(self) -> impl Iterator<Item = (Cow<'a, str>, View<'a>)> {
        self.0.into_iter()
    }

    /// Whether anything is left that is not null.
    pub(super) fn has_rest(&self) -> bool {
        self.0.iter().any(|(_, value)| value.kind != Kind::Null)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_taken_out_and_the_rest_is_left() {
        let mut members = Members::whole(br#"{"a":"x\n","b":null,"a":[1, {"c":2}],"d":true}"#).unwrap();
        let elements = members.take("a").unwrap().elements().unwrap();
        assert_eq!(elements[0].unsigned(), Some(1));
        assert_eq!(elements[1].get("c").unwrap().raw(), b"2");
        assert!(members.take("a").is_none());
        assert!(members.take("b").is_none());
        assert!(members.has_rest());
        assert_eq!(members.rest().map(|(key, _)| key.into_owned()).collect::<Vec<_>>(), ["d"]);
    }

    #[test]
    fn a_string_is_read_as_it_stands_or_as_text() {
        let mut members = Members::whole(br#"{"a":"x\n","b":3,"c":""}"#).unwrap();
        let text = members.take("a").unwrap();
        assert_eq!((text.inner(), text.text().as_deref()), (Some(&br"x\n"[..]), Some("x\n")));
        assert!(text.is("x\n") && text.lossy() == b"x\n");
        assert!(members.take("c").unwrap().lossy().is_empty());
        let number = members.take("b").unwrap();
        assert_eq!((number.inner(), number.text(), number.number()), (None, None, Some(3.0)));
    }
}
