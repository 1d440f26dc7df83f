//! Templates without logic, after Mustache (the tags of its manual page mustache(5), without partials, lambdas, other delimiters and HTML).
//!
//! `{{name}}` and `{{name.field}}` fill in a value, `{{.}}` the item at hand; `{{#name}}…{{/name}}` stands for each item of a list, or once when
//! a value is there and neither false nor empty; `{{^name}}…{{/name}}` stands when the other would not; `{{! words }}` is a comment. A section's tags
//! and comments that are alone on their lines take the lines with them. `\{{` is two braces. Values are filled in as they are: a prompt is no page,
//! so nothing is escaped, and a value that looks like a tag is not read as one.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::variables::{Field, Type, Variable, nearest};

/// A template that names no variable that is not declared.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Text(String),
    Value(Path),
    Section { path: Path, inverted: bool, parts: Vec<Part> },
}

/// A name with the field in it, or the item at hand.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Path {
    name: String,
    field: Option<String>,
}

/// What is wrong with a template, and at which tag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TemplateError {
    /// The tag as it is written.
    pub tag: String,
    /// The byte of the template it begins at.
    pub at: usize,
    /// What is wrong.
    pub message: String,
    /// What to write instead, when that is known.
    pub hint: Option<String>,
}

/// What can be named at a place of a template.
struct Scope<'s> {
    variables: &'s BTreeMap<String, Variable>,
    /// The fields of the items at hand, innermost last; `None` for items that are texts.
    items: Vec<Option<&'s BTreeMap<String, Field>>>,
}

/// What a name stands for.
enum Named<'s> {
    Variable(&'s Variable),
    Field,
    Item,
}

/// What a tag does.
enum Tag<'t> {
    Value(&'t str),
    Open { name: &'t str, inverted: bool },
    Close(&'t str),
    Comment,
}

struct Token<'t> {
    /// Where the tag begins and ends.
    at: (usize, usize),
    tag: Tag<'t>,
}

impl Template {
    /// Reads a template, and holds its names against the variables there are.
    ///
    /// # Errors
    /// Every tag that cannot be read or names what is not declared.
    pub fn parse(text: &str, variables: &BTreeMap<String, Variable>) -> Result<Template, Vec<TemplateError>> {
        let mut reader = Reader { text, errors: Vec::new() };
        let tokens = reader.tokens();
        let mut scope = Scope { variables, items: Vec::new() };
        let mut rest = tokens.iter().peekable();
        let mut from = 0;
        let parts = reader.parts(&mut rest, &mut scope, (&mut from, None));
        if reader.errors.is_empty() { Ok(Template { text: text.to_owned(), parts }) } else { Err(reader.errors) }
    }

    /// The text as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The variables it names, each as often as it names it.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        gather(&self.parts, &mut names);
        names
    }

    /// The text with these values, each as `shown` writes it.
    pub(super) fn fill(&self, values: &Map<String, Value>, shown: Shown<'_>) -> String {
        let mut text = String::with_capacity(self.text.len());
        fill(&self.parts, (values, shown), &mut Vec::new(), &mut text);
        text
    }
}

impl Serialize for Template {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

fn gather<'t>(parts: &'t [Part], names: &mut Vec<&'t str>) {
    for part in parts {
        match part {
            Part::Text(_) => {}
            Part::Value(path) => names.push(&path.name),
            Part::Section { path, parts, .. } => {
                names.push(&path.name);
                gather(parts, names);
            }
        }
    }
}

/// How a value of a variable is written.
type Shown<'s> = &'s dyn Fn(&str, &Value) -> String;

fn fill<'v>(
    parts: &[Part],
    (values, shown): (&'v Map<String, Value>, Shown<'_>),
    items: &mut Vec<&'v Value>,
    text: &mut String,
) {
    for part in parts {
        match part {
            Part::Text(words) => text.push_str(words),
            Part::Value(path) => {
                if let Some(value) = found(path, values, items) {
                    text.push_str(&shown(&path.name, value));
                }
            }
            Part::Section { path, inverted, parts } => {
                let value = found(path, values, items).filter(|value| is_there(value));
                match value {
                    None if *inverted => fill(parts, (values, shown), items, text),
                    Some(_) if *inverted => {}
                    None => {}
                    Some(Value::Array(list)) => {
                        for item in list {
                            items.push(item);
                            fill(parts, (values, shown), items, text);
                            items.pop();
                        }
                    }
                    Some(value @ Value::Object(_)) => {
                        items.push(value);
                        fill(parts, (values, shown), items, text);
                        items.pop();
                    }
                    Some(_) => fill(parts, (values, shown), items, text),
                }
            }
        }
    }
}

fn is_there(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => true,
    }
}

fn found<'v>(path: &Path, values: &'v Map<String, Value>, items: &[&'v Value]) -> Option<&'v Value> {
    if path.name == "." {
        return items.last().copied();
    }
    let of_item = items.iter().rev().find_map(|item| item.get(&path.name));
    let value = of_item.or_else(|| values.get(&path.name))?;
    match &path.field {
        None => Some(value),
        Some(field) => value.get(field),
    }
}

struct Reader<'t> {
    text: &'t str,
    errors: Vec<TemplateError>,
}

impl<'t> Reader<'t> {
    fn error(&mut self, (from, to): (usize, usize), message: String, hint: Option<String>) {
        let tag = self.text.get(from..to).unwrap_or_default().to_owned();
        self.errors.push(TemplateError { tag, at: from, message, hint });
    }

    fn tokens(&mut self) -> Vec<Token<'t>> {
        let mut tokens = Vec::new();
        let mut from = 0;
        while let Some(open) = self.text[from..].find("{{").map(|at| from + at) {
            if self.text[..open].ends_with('\\') {
                from = open + 2;
                continue;
            }
            let Some(close) = self.text[open + 2..].find("}}").map(|at| open + 2 + at) else {
                let line = self.text[open..].lines().next().map_or(open + 2, |line| open + line.len());
                let hint = "end the tag with `}}`, or write `\\{{` for two braces".to_owned();
                self.error((open, line), "this tag has no end".to_owned(), Some(hint));
                break;
            };
            let inner = self.text[open + 2..close].trim();
            let at = (open, close + 2);
            from = close + 2;
            let mark = inner.chars().next();
            let rest = || inner[1..].trim();
            let tag = match mark {
                Some('!') => Tag::Comment,
                Some('#') => Tag::Open { name: rest(), inverted: false },
                Some('^') => Tag::Open { name: rest(), inverted: true },
                Some('/') => Tag::Close(rest()),
                Some('>') => {
                    self.error(at, "templates include no others".to_owned(), Some("put its text here".to_owned()));
                    continue;
                }
                Some('{' | '&') => {
                    let hint = format!("write `{{{{{}}}}}`", rest().trim_end_matches('}').trim());
                    self.error(at, "nothing is escaped here, so there is one way to fill in".to_owned(), Some(hint));
                    continue;
                }
                Some('=') => {
                    self.error(
                        at,
                        "the braces of tags are fixed".to_owned(),
                        Some("write `\\{{` for two braces".to_owned()),
                    );
                    continue;
                }
                _ => Tag::Value(inner),
            };
            tokens.push(Token { at, tag });
        }
        tokens
    }

    /// The parts up to the end, or to the end of the section that began with `open`.
    fn parts<'k>(
        &mut self,
        tokens: &mut std::iter::Peekable<std::slice::Iter<'k, Token<'t>>>,
        scope: &mut Scope<'_>,
        (from, open): (&mut usize, Option<&Token<'t>>),
    ) -> Vec<Part> {
        let mut parts = Vec::new();
        while let Some(token) = tokens.next() {
            let (start, end) = self.extent(token);
            push(&mut parts, self.text.get(*from..start).unwrap_or_default());
            *from = end;
            match token.tag {
                Tag::Comment => {}
                Tag::Value(name) => {
                    if let Some(path) = self.value(name, token.at, scope) {
                        parts.push(Part::Value(path));
                    }
                }
                Tag::Close(name) => {
                    let opened = open.and_then(|open| match open.tag {
                        Tag::Open { name, .. } => Some(name),
                        _ => None,
                    });
                    match opened {
                        Some(opened) if opened == name => return parts,
                        Some(opened) => {
                            let hint = format!("write `{{{{/{opened}}}}}`");
                            self.error(token.at, format!("the section `{opened}` is open here"), Some(hint));
                            return parts;
                        }
                        None => self.error(token.at, "no section is open here".to_owned(), None),
                    }
                }
                Tag::Open { name, inverted } => {
                    let entered = self.section(name, (token.at, inverted), scope);
                    let depth = scope.items.len();
                    if let Some((_, Some(items))) = &entered {
                        scope.items.push(*items);
                    }
                    let inner = self.parts(tokens, scope, (from, Some(token)));
                    scope.items.truncate(depth);
                    if let Some((path, _)) = entered {
                        parts.push(Part::Section { path, inverted, parts: inner });
                    }
                }
            }
        }
        push(&mut parts, self.text.get(*from..).unwrap_or_default());
        *from = self.text.len();
        if let Some(open) = open {
            self.error(open.at, "this section has no end".to_owned(), None);
        }
        parts
    }

    /// What a tag takes of the text: its line, when it is a section's or a comment and alone on it.
    fn extent(&self, token: &Token<'_>) -> (usize, usize) {
        let (start, end) = token.at;
        if matches!(token.tag, Tag::Value(_)) {
            return (start, end);
        }
        let line_start = self.text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = self.text[end..].find('\n').map_or(self.text.len(), |at| end + at + 1);
        let alone = self.text[line_start..start].trim().is_empty() && self.text[end..line_end].trim().is_empty();
        if alone { (line_start, line_end) } else { (start, end) }
    }

    fn value(&mut self, name: &str, at: (usize, usize), scope: &Scope<'_>) -> Option<Path> {
        let path = self.path(name, at)?;
        let named = self.named(&path, at, scope)?;
        let cannot = match named {
            Named::Variable(variable) => match (&variable.of, &path.field) {
                (Type::Object { fields }, Some(field)) => {
                    return self.field(fields, (&path, field), at).then_some(path);
                }
                (_, Some(_)) => Some(format!("`{}` is {} and has no fields", path.name, variable.of)),
                (Type::List { .. }, None) => Some(format!("`{}` is {}", path.name, variable.of)),
                (Type::Object { .. }, None) => Some(format!("`{}` is an object", path.name)),
                _ => None,
            },
            Named::Field if path.field.is_some() => Some(format!("`{}` has no fields", path.name)),
            Named::Field | Named::Item => None,
        };
        match cannot {
            None => Some(path),
            Some(message) => {
                let hint = format!("write `{{{{#{0}}}}}…{{{{/{0}}}}}`, or name a field of it", path.name);
                self.error(at, message, Some(hint));
                None
            }
        }
    }

    /// The path of a section, and the fields of its items where it goes into them.
    #[expect(clippy::type_complexity, reason = "used in one place")]
    fn section<'s>(
        &mut self,
        name: &str,
        (at, inverted): ((usize, usize), bool),
        scope: &Scope<'s>,
    ) -> Option<(Path, Option<Option<&'s BTreeMap<String, Field>>>)> {
        let path = self.path(name, at)?;
        let entered = match self.named(&path, at, scope)? {
            Named::Variable(Variable { of: Type::List { fields }, .. }) if path.field.is_none() => {
                Some((!fields.is_empty()).then_some(fields))
            }
            Named::Variable(Variable { of: Type::Object { fields }, .. }) => match &path.field {
                None => Some(Some(fields)),
                Some(field) => return self.field(fields, (&path, field), at).then_some((path, None)),
            },
            Named::Variable(variable) => {
                let has_both = variable.optional || matches!(variable.of, Type::Boolean | Type::String | Type::Json);
                if !has_both {
                    let message = format!("`{}` is always there: the section decides nothing", path.name);
                    self.error(at, message, Some("declare it `optional: true`, or take the section away".to_owned()));
                    return None;
                }
                None
            }
            Named::Field | Named::Item => None,
        };
        Some((path, entered.filter(|_| !inverted)))
    }

    fn field(&mut self, fields: &BTreeMap<String, Field>, (path, field): (&Path, &str), at: (usize, usize)) -> bool {
        if fields.contains_key(field) {
            return true;
        }
        let hint = nearest(field, fields.keys()).map(|near| format!("did you mean `{}.{near}`?", path.name));
        self.error(at, format!("`{}` has no field `{field}`", path.name), hint);
        false
    }

    fn path(&mut self, name: &str, at: (usize, usize)) -> Option<Path> {
        if name == "." {
            return Some(Path { name: name.to_owned(), field: None });
        }
        let is_word =
            |part: &str| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
        let (name, field) = name.split_once('.').map_or((name, None), |(name, field)| (name, Some(field)));
        if !is_word(name) || !field.is_none_or(is_word) {
            let hint =
                "a tag holds the name of a variable, such as `{{question}}`; write `\\{{` for two braces".to_owned();
            self.error(at, "this is no name of a variable".to_owned(), Some(hint));
            return None;
        }
        Some(Path { name: name.to_owned(), field: field.map(str::to_owned) })
    }

    fn named<'s>(&mut self, path: &Path, at: (usize, usize), scope: &Scope<'s>) -> Option<Named<'s>> {
        if path.name == "." {
            if scope.items.last().is_some_and(Option::is_none) {
                return Some(Named::Item);
            }
            self.error(
                at,
                "there is no text at hand here".to_owned(),
                Some("`{{.}}` is an item of a list of texts".to_owned()),
            );
            return None;
        }
        let fields = scope.items.iter().rev().flatten();
        if fields.clone().any(|fields| fields.contains_key(&path.name)) {
            return Some(Named::Field);
        }
        if let Some(variable) = scope.variables.get(&path.name) {
            return Some(Named::Variable(variable));
        }
        let known = fields.flat_map(|fields| fields.keys()).chain(scope.variables.keys());
        let hint = match nearest(&path.name, known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("declare it: `variables: {{ {}: string }}`", path.name),
        };
        self.error(at, format!("there is no variable `{}`", path.name), Some(hint));
        None
    }
}

fn push(parts: &mut Vec<Part>, text: &str) {
    if !text.is_empty() {
        parts.push(Part::Text(text.replace("\\{{", "{{")));
    }
}
