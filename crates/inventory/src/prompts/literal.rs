//! What a literal text says: escapes are read, what is filled in stands apart.

use tree_sitter::Node;

use super::said::Said;
use super::shape::Reader;
use crate::scan::Language;

/// A part of a literal while it is read.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Part {
    Text(String),
    Hole(Said),
}

/// Nodes whose own text counts.
const CONTENTS: [&str; 12] = [
    "string_content",
    "string_fragment",
    "interpreted_string_literal_content",
    "raw_string_literal_content",
    "string_literal_content",
    "heredoc_content",
    "multiline_string_fragment",
    "line_str_text",
    "raw_string_content",
    "nowdoc_string",
    "string_value",
    "nowdoc_body",
];
/// Nodes that hold an expression.
const HOLES: [&str; 4] = ["interpolation", "template_substitution", "interpolated_expression", "dynamic_variable_name"];

/// The parts of a literal.
pub(super) fn parts(reader: &Reader<'_>, node: Node<'_>) -> Vec<Part> {
    let mut parts = Vec::new();
    match reader.heredoc(node) {
        Some(body) => collect(reader, body, &mut parts),
        None => collect(reader, node, &mut parts),
    }
    if parts.is_empty() && node.named_child_count() == 0 {
        parts.push(Part::Text(bare(reader.source(node))));
    }
    let parts = joined(parts);
    let source = reader.source(node);
    let is_block = match reader.language {
        Language::Java => source.starts_with("\"\"\""),
        Language::CSharp => source.trim_start_matches('$').starts_with("\"\"\""),
        Language::Ruby => source.starts_with("<<~"),
        Language::Php => source.starts_with("<<<"),
        _ => false,
    };
    let parts = if reader.language == Language::Kotlin { named_by_dollar(parts) } else { parts };
    if is_block { dedented(parts, reader.language != Language::Ruby) } else { parts }
}

fn collect(reader: &Reader<'_>, node: Node<'_>, parts: &mut Vec<Part>) {
    let mut cursor = node.walk();
    let children: Vec<Node<'_>> = node.named_children(&mut cursor).collect();
    for child in children {
        match child.kind() {
            kind if CONTENTS.contains(&kind) => content(reader, child, parts),
            "escape_sequence" => parts.push(Part::Text(unescaped(reader.source(child)))),
            kind if HOLES.contains(&kind) => {
                let inner = first_expression(child);
                parts.push(Part::Hole(
                    inner.map_or(Said::Other(reader.source(child).to_owned()), |inner| reader.said(inner)),
                ));
            }
            // PHP fills in without a node around it.
            "variable_name" | "member_access_expression" | "subscript_expression" | "member_call_expression" => {
                parts.push(Part::Hole(reader.said(child)));
            }
            "string" | "string_literal" | "heredoc_body" | "concatenated_string" | "nowdoc_body" => {
                collect(reader, child, parts);
            }
            _ => {}
        }
    }
}

fn first_expression(node: Node<'_>) -> Option<Node<'_>> {
    let mut cursor = node.walk();
    let mut children = node.named_children(&mut cursor);
    children.find(|child| {
        !matches!(
            child.kind(),
            "interpolation_brace" | "type_conversion" | "format_specifier" | "interpolation_format_clause"
        )
    })
}

/// Text with escapes in it.
fn content(reader: &Reader<'_>, node: Node<'_>, parts: &mut Vec<Part>) {
    let mut cursor = node.walk();
    let mut from = node.start_byte();
    let escapes: Vec<Node<'_>> = node.named_children(&mut cursor).collect();
    let mut text = String::new();
    for escape in escapes {
        text += reader.between(from, escape.start_byte());
        from = escape.end_byte();
        match escape.kind() {
            "escape_sequence" => text += &unescaped(reader.source(escape)),
            "escape_interpolation" => text.push_str(&reader.source(escape)[..1]),
            _ => text += reader.source(escape),
        }
    }
    text += reader.between(from, node.end_byte());
    // C#'s `{{` in a text that fills in.
    let is_filled = node.parent().is_some_and(|parent| parent.kind() == "interpolated_string_expression");
    parts.push(Part::Text(if is_filled { text.replace("{{", "{").replace("}}", "}") } else { text }));
}

/// One after the other: texts that touch are one.
pub(super) fn joined(parts: Vec<Part>) -> Vec<Part> {
    let mut whole: Vec<Part> = Vec::new();
    for part in parts {
        match (whole.last_mut(), part) {
            (Some(Part::Text(before)), Part::Text(text)) => *before += &text,
            (_, Part::Text(text)) if text.is_empty() => {}
            (_, part) => whole.push(part),
        }
    }
    whole
}

/// Kotlin's `$name`, which its grammar leaves in the text.
fn named_by_dollar(parts: Vec<Part>) -> Vec<Part> {
    let mut whole = Vec::new();
    for part in parts {
        let Part::Text(text) = part else {
            whole.push(part);
            continue;
        };
        let mut rest = text.as_str();
        while let Some(at) = rest.find('$') {
            let name: String = rest[at + 1..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if name.starts_with(|c: char| c.is_alphabetic() || c == '_') {
                whole.push(Part::Text(rest[..at].to_owned()));
                rest = &rest[at + 1 + name.len()..];
                whole.push(Part::Hole(Said::Name(name)));
            } else {
                whole.push(Part::Text(rest[..=at].to_owned()));
                rest = &rest[at + 1..];
            }
        }
        whole.push(Part::Text(rest.to_owned()));
    }
    joined(whole)
}

/// Stands for what is filled in while lines are counted; a text that has it itself stays as it is.
const HOLE: char = '\u{e000}';

/// Without the indentation that all lines share and the line break at the beginning. `closes` is whether the last line is that of the closing
/// mark, whose indentation counts too.
pub(super) fn dedented(parts: Vec<Part>, closes: bool) -> Vec<Part> {
    let is_marked = parts.iter().any(|part| matches!(part, Part::Text(text) if text.contains(HOLE)));
    if is_marked {
        return parts;
    }
    let mut holes = Vec::new();
    let mut whole = String::new();
    for part in parts {
        match part {
            Part::Text(text) => whole += &text,
            Part::Hole(said) => {
                whole.push(HOLE);
                holes.push(said);
            }
        }
    }
    let whole = whole.strip_prefix("\r\n").or_else(|| whole.strip_prefix('\n')).unwrap_or(&whole);
    let lines: Vec<&str> = whole.split('\n').collect();
    let indent = |line: &str| line.len() - line.trim_start_matches([' ', '\t']).len();
    let counts = |(n, line): &(usize, &&str)| !line.trim().is_empty() || closes && n + 1 == lines.len() && *n > 0;
    let shared = lines.iter().enumerate().filter(counts).map(|(_, line)| indent(line)).min().unwrap_or(0);
    let lines = lines.iter().map(|line| if line.trim().is_empty() { "" } else { &line[shared.min(indent(line))..] });
    let text = lines.collect::<Vec<_>>().join("\n");
    let mut holes = holes.into_iter();
    let mut parts = Vec::new();
    for (n, piece) in text.split(HOLE).enumerate() {
        if n > 0 {
            parts.extend(holes.next().map(Part::Hole));
        }
        parts.push(Part::Text(piece.to_owned()));
    }
    joined(parts)
}

/// What an escape stands for; as it is written where it stands for nothing known.
fn unescaped(escape: &str) -> String {
    let code = |digits: &str, radix: u32| {
        let digits = digits.trim_matches(['{', '}']);
        u32::from_str_radix(digits, radix).ok().and_then(char::from_u32).map(String::from)
    };
    let Some(rest) = escape.strip_prefix('\\') else {
        // C# and PHP: a mark that is doubled.
        return escape.chars().next().map(String::from).unwrap_or_default();
    };
    let known = match rest.chars().next() {
        Some('n') => Some("\n".to_owned()),
        Some('t') => Some("\t".to_owned()),
        Some('r') => Some("\r".to_owned()),
        Some('0') if rest.len() == 1 => Some("\0".to_owned()),
        Some('u' | 'U' | 'x') => code(&rest[1..], 16),
        // A line that goes on.
        Some('\n' | '\r') => Some(String::new()),
        Some('s') => Some(" ".to_owned()),
        Some(mark @ ('"' | '\'' | '`' | '\\' | '$' | '{' | '}' | '#' | '/')) => Some(mark.to_string()),
        _ => None,
    };
    known.unwrap_or_else(|| escape.to_owned())
}

/// A literal whose grammar does not look inside it, without its marks.
fn bare(text: &str) -> String {
    if let Some(verbatim) = text.strip_prefix("@\"").and_then(|text| text.strip_suffix('"')) {
        return verbatim.replace("\"\"", "\"");
    }
    let text = text.trim_start_matches(['f', 'r', 'b', 'u', '$', '@', ':']).trim_matches('#');
    for mark in ["\"\"\"", "'''", "\"", "'", "`"] {
        if let Some(inner) = text.strip_prefix(mark).and_then(|text| text.strip_suffix(mark)) {
            return inner.to_owned();
        }
    }
    text.to_owned()
}
