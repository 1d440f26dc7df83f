//! Literal texts, and texts that are joined.

use tree_sitter::Node;

use super::{Walk, line_of};
use crate::scan::facts::{Call, Chain, Root, Step, TEXT_LIMIT, Text, Value};
use crate::scan::language::Language;
use crate::scan::syntax::{Shape, shape};

impl Walk<'_> {
    pub(super) fn literal_text(&self, node: Node<'_>) -> Option<String> {
        matches!(shape(node, self.language), Shape::Text).then(|| unquoted(self.source(node)))
    }

    pub(super) fn literal(&mut self, node: Node<'_>) -> Value {
        let mut text = String::new();
        self.text_parts(node, &mut text);
        if text.is_empty() {
            text = unquoted(self.source(node));
        }
        if self.language == Language::Kotlin && text.contains('$') {
            text = named_in_braces(&text);
        }
        Value::Text(Text { value: shortened(&text), line: line_of(node) })
    }

    /// The parts of a text; what is filled in is `{}`, and is looked into for itself.
    pub(super) fn text_parts(&mut self, node: Node<'_>, text: &mut String) {
        let mut cursor = node.walk();
        let children: Vec<Node<'_>> = node.named_children(&mut cursor).collect();
        for child in children {
            match child.kind() {
                "string_content"
                | "string_fragment"
                | "interpreted_string_literal_content"
                | "raw_string_literal_content"
                | "string_literal_content"
                | "heredoc_content"
                | "multiline_string_fragment"
                | "line_str_text" => {
                    text.push_str(self.source(child));
                }
                "escape_sequence" => text.push(' '),
                "interpolation"
                | "template_substitution"
                | "interpolated_expression"
                | "variable_name"
                | "member_access_expression"
                | "nullsafe_member_access_expression"
                | "subscript_expression"
                | "scoped_property_access_expression"
                | "member_call_expression"
                | "scoped_call_expression" => {
                    let inside = self.source(child).trim_start_matches(['$', '#', '{']).trim_end_matches('}').trim();
                    let inside = said_alone(inside);
                    let is_name =
                        inside.len() < 60 && !inside.contains(|character: char| "(){}\"' ".contains(character));
                    text.push_str(&if is_name { format!("{{{inside}}}") } else { "{}".to_owned() });
                    if child.kind() != "variable_name" {
                        self.children(child);
                    }
                }
                "string" | "string_literal" | "heredoc_body" | "concatenated_string" | "nowdoc_body" => {
                    self.text_parts(child, text);
                }
                _ => {}
            }
        }
    }
}

impl Walk<'_> {
    /// Python's `"%s/models" % base`: what is filled in by names.
    pub(super) fn filled_in(&self, operator: &str, values: &[Value]) -> Option<String> {
        let [Value::Text(text), given] = values else { return None };
        if operator != "%" || self.language != Language::Python || !text.value.contains("%s") {
            return None;
        }
        let given = match given {
            Value::List(given) => given.iter().collect(),
            one => vec![one],
        };
        let mut rest = given.into_iter();
        let mut parts = text.value.split("%s");
        let first = parts.next()?.to_owned();
        let whole = parts.fold(first, |whole, next| whole + &rest.next().map_or_else(|| "{}".to_owned(), part) + next);
        Some(shortened(&whole))
    }

    /// Python's `getattr(client, "chat")` is `client.chat`.
    pub(super) fn member_by_text(&self, callee: &Chain, call: &Call) -> Option<Value> {
        let is_getattr = matches!(&callee.root, Root::Name(name) if name == "getattr") && callee.steps.is_empty();
        let [of, name, ..] = call.arguments.as_slice() else { return None };
        let (Value::Chain(of), Value::Text(name)) = (&of.value, &name.value) else { return None };
        if !is_getattr || self.language != Language::Python {
            return None;
        }
        let mut member = of.clone();
        member.steps.push(Step::Member(name.value.clone(), call.line));
        Some(Value::Chain(member))
    }
}

/// A text of Kotlin with the names in it in braces: `$base/models`.
fn named_in_braces(source: &str) -> String {
    let is_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let mut parts = source.split('$');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|character| !is_name(character)).unwrap_or(part.len());
        if part.starts_with(|character: char| is_name(character) && !character.is_ascii_digit()) {
            text.extend(["{", &part[..end], "}", &part[end..]]);
        } else {
            text.extend(["$", part]);
        }
    }
    text
}

/// Methods after which a text is about the same text.
const SAME: [&str; 22] = [
    "rstrip",
    "strip",
    "removesuffix",
    "Trim",
    "TrimEnd",
    "ToString",
    "toString",
    "replace",
    "trim_end_matches",
    "trim_end",
    "trim",
    "as_str",
    "as_ref",
    "as_deref",
    "clone",
    "to_string",
    "to_owned",
    "unwrap",
    "unwrap_or_default",
    "display",
    "chomp",
    "freeze",
];

/// Functions around a text after which it is about the same text.
const AROUND: [&str; 9] =
    ["rtrim", "trim", "ltrim", "untrailingslashit", "trailingslashit", "esc_url", "esc_url_raw", "strval", "str"];

/// What is filled in without a call that changes little: `base.rstrip('/')`, `$this->baseUrl()`.
fn said_alone(inside: &str) -> &str {
    let Some((before, given)) = inside.split_once('(').filter(|_| inside.ends_with(')')) else { return inside };
    match before.rsplit_once('.') {
        Some((of, last)) if SAME.contains(&last) => of,
        _ if given == ")" => before,
        _ => inside,
    }
}

/// A part of a joined text: a text, or a name in braces.
pub(super) fn part(value: &Value) -> String {
    match value {
        Value::Text(text) => text.value.clone(),
        Value::Chain(Chain { root: Root::Name(name), steps, .. }) if AROUND.contains(&name.as_str()) => {
            match steps.first() {
                Some(Step::Call(call)) => {
                    call.arguments.first().map_or_else(|| "{}".to_owned(), |first| part(&first.value))
                }
                _ => format!("{{{name}}}"),
            }
        }
        Value::Chain(Chain { root, steps, .. }) => {
            let last = steps.iter().rev().find_map(|step| match step {
                Step::Member(name, _) if !SAME.contains(&name.as_str()) => Some(name.as_str()),
                Step::Member(..) | Step::Call(_) => None,
            });
            match (last, root) {
                (Some(name), _) => format!("{{{name}}}"),
                (None, Root::Name(name)) => format!("{{{name}}}"),
                (None, _) => "{}".to_owned(),
            }
        }
        _ => "{}".to_owned(),
    }
}

/// The same of names that are joined.
pub(super) fn of_joined(value: &Value) -> String {
    match value {
        Value::Chain(Chain { root: Root::Group(values), steps, .. }) if steps.is_empty() && values.len() > 1 => {
            values.iter().map(of_joined).collect()
        }
        value => part(value),
    }
}

pub(super) fn unquoted(text: &str) -> String {
    let text = text.trim_start_matches(['f', 'r', 'b', 'u', '$', '@', '#', ':']);
    shortened(text.trim_matches(['"', '\'', '`', '#']))
}

pub(super) fn shortened(text: &str) -> String {
    text.chars().take(TEXT_LIMIT).collect()
}
