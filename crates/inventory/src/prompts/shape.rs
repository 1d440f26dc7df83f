//! From a syntax tree to what it says ([`Said`]), in one form for all languages.

use std::collections::HashMap;

use tree_sitter::Node;

use super::literal::{self, Part};
use super::said::{Call, Said, Text};
use crate::scan::Language;
use crate::scan::syntax::{Shape, child_of, shape};

/// How deep expressions are followed.
const DEPTH: usize = 60;

/// A file that is being read.
pub(super) struct Reader<'s> {
    pub(super) language: Language,
    text: &'s str,
    /// Where Ruby's heredocs have their bodies, by where they are begun.
    heredocs: HashMap<usize, Node<'s>>,
    depth: std::cell::Cell<usize>,
}

pub(super) fn line_of(node: Node<'_>) -> u32 {
    u32::try_from(node.start_position().row).unwrap_or(u32::MAX - 1) + 1
}

impl<'s> Reader<'s> {
    pub(super) fn new(language: Language, text: &'s str, root: Node<'s>) -> Reader<'s> {
        let mut heredocs = HashMap::new();
        if language == Language::Ruby {
            let (mut begun, mut bodies) = (Vec::new(), Vec::new());
            heredocs_of(root, &mut begun, &mut bodies, 0);
            heredocs.extend(begun.into_iter().zip(bodies));
        }
        Reader { language, text, heredocs, depth: std::cell::Cell::new(0) }
    }

    pub(super) fn source(&self, node: Node<'_>) -> &'s str {
        self.text.get(node.byte_range()).unwrap_or("")
    }

    pub(super) fn between(&self, from: usize, to: usize) -> &'s str {
        self.text.get(from..to).unwrap_or("")
    }

    pub(super) fn heredoc(&self, node: Node<'_>) -> Option<Node<'s>> {
        self.heredocs.get(&node.start_byte()).copied()
    }

    /// What an expression says.
    pub(super) fn said(&self, node: Node<'_>) -> Said {
        if self.depth.get() >= DEPTH {
            return Said::Other(String::new());
        }
        self.depth.set(self.depth.get() + 1);
        let said = self.said_of(node);
        self.depth.set(self.depth.get() - 1);
        said
    }

    fn said_of(&self, node: Node<'_>) -> Said {
        if node.kind() == "heredoc_beginning" {
            return self.literal(node);
        }
        if node.kind() == "macro_invocation" {
            return self.macro_of(node);
        }
        match shape(node, self.language) {
            Shape::Name | Shape::Itself => Said::Name(self.name(node)),
            Shape::Member { object, name } => self.member(object, name),
            Shape::Call { callee, arguments } => self.call(node, self.said(callee), arguments, None),
            Shape::Method { object, name, arguments } => {
                let callee = self.member(object, name);
                // Ruby's `a.b` asks for a member.
                if self.language == Language::Ruby && arguments.is_none() {
                    callee
                } else {
                    self.call(node, callee, arguments, None)
                }
            }
            Shape::New { class, arguments, fields } => {
                if class.is_some_and(|class| {
                    matches!(class.kind(), "slice_type" | "array_type" | "map_type" | "implicit_length_array_type")
                }) {
                    return fields.map_or_else(|| self.other(node), |fields| self.elements(fields));
                }
                let callee = class.map_or_else(|| Said::Name("new".to_owned()), |class| Said::Name(self.name(class)));
                self.call(node, callee, arguments, fields)
            }
            Shape::Text => self.literal(node),
            Shape::Number => Said::Number(self.source(node).to_owned()),
            Shape::Inner(inner) => self.said(inner),
            Shape::Group => self.group(node),
            Shape::Object => self.elements(node),
            Shape::List => Said::List(self.items(node), line_of(node)),
            Shape::Assign { value: Some(value), .. } => self.said(value),
            _ if matches!(node.kind(), "spread_element" | "list_splat" | "splat_argument" | "variadic_unpacking") => {
                node.named_child(0).map_or_else(|| self.other(node), |inner| Said::Spread(Box::new(self.said(inner))))
            }
            _ => self.other(node),
        }
    }

    fn other(&self, node: Node<'_>) -> Said {
        Said::Other(self.source(node).chars().take(120).collect())
    }

    /// A name without sigils and generics, with dots.
    pub(super) fn name(&self, node: Node<'_>) -> String {
        let text = self.source(node);
        let text = text.split('<').next().unwrap_or(text);
        text.trim_start_matches(['$', '@', '\\', '*', '&', ':'])
            .replace("::", ".")
            .replace("->", ".")
            .replace('\\', ".")
    }

    fn member(&self, object: Option<Node<'_>>, name: Node<'_>) -> Said {
        let name = self.name(name);
        match object.map(|object| self.said(object)) {
            None => Said::Name(name),
            Some(Said::Name(object)) => Said::Name(format!("{object}.{name}")),
            Some(object) => Said::Member(Box::new(object), name),
        }
    }

    fn call(&self, node: Node<'_>, callee: Said, arguments: Option<Node<'_>>, fields: Option<Node<'_>>) -> Said {
        let mut given = Vec::new();
        // A template with a tag in front of it is a call with one text.
        if let Some(tagged) = arguments.filter(|arguments| arguments.kind() == "template_string") {
            given.push((None, self.literal(tagged)));
        } else {
            for part in [arguments, fields].into_iter().flatten() {
                given.extend(self.given(part));
            }
        }
        let (receiver, name) = match callee {
            Said::Name(name) => (None, name),
            Said::Member(object, name) => (Some(object), name),
            other => (Some(Box::new(other)), String::new()),
        };
        let line = node.child_by_field_name("name").map_or(line_of(node), line_of);
        Said::Call(Box::new(Call { receiver: receiver.map(|receiver| *receiver), name, arguments: given, line }))
    }

    fn given(&self, part: Node<'_>) -> Vec<(Option<String>, Said)> {
        let mut cursor = part.walk();
        let children: Vec<Node<'_>> = part.named_children(&mut cursor).filter(|child| !is_comment(*child)).collect();
        let argument = |child: Node<'_>| match self.pair(child) {
            Some((name, said)) => (Some(name), said),
            None => (None, self.said(unwrapped(child))),
        };
        children.into_iter().map(argument).collect()
    }

    /// A map or a list, whatever the grammar calls it.
    fn elements(&self, node: Node<'_>) -> Said {
        let given = self.given(node);
        if !given.is_empty() && given.iter().all(|(name, _)| name.is_none()) {
            return Said::List(given.into_iter().map(|(_, said)| said).collect(), line_of(node));
        }
        Said::Object(given.into_iter().map(|(name, said)| (name.unwrap_or_default(), said)).collect(), line_of(node))
    }

    fn items(&self, node: Node<'_>) -> Vec<Said> {
        self.given(node).into_iter().map(|(_, said)| said).collect()
    }

    /// A key and a value.
    fn pair(&self, node: Node<'_>) -> Option<(String, Said)> {
        let field = |names: [&str; 2]| names.iter().find_map(|name| node.child_by_field_name(name));
        let (key, value) = match node.kind() {
            "keyword_argument" | "pair" => (field(["name", "key"])?, field(["value", "value"])?),
            "keyed_element" | "array_element_initializer" => (node.named_child(0)?, node.named_child(1)?),
            "value_argument" if node.named_child_count() == 2 => (node.named_child(0)?, node.named_child(1)?),
            "argument" => (field(["name", "name"])?, node.named_child(1)?),
            "field_initializer" => (field(["field", "name"])?, field(["value", "value"])?),
            "shorthand_property_identifier" | "shorthand_field_initializer" => {
                let name = self.name(node);
                return Some((name.clone(), Said::Name(name)));
            }
            "assignment_expression" if self.language == Language::CSharp => {
                (field(["left", "left"])?, field(["right", "right"])?)
            }
            _ => return None,
        };
        let key = unwrapped(key);
        let key = match self.said(key) {
            Said::Text(text) => text.plain().unwrap_or_default(),
            _ => self.source(key).trim_matches(['"', '\'', ':', ' ', '[', ']']).to_owned(),
        };
        Some((key, self.said(unwrapped(value))))
    }

    fn literal(&self, node: Node<'_>) -> Said {
        Said::Text(Text { parts: literal::parts(self, node), line: line_of(node) })
    }

    /// Operands: texts that are put together are one, branches are several.
    fn group(&self, node: Node<'_>) -> Said {
        let mut cursor = node.walk();
        let operands: Vec<Node<'_>> = node.named_children(&mut cursor).filter(|child| !is_comment(*child)).collect();
        let operator = node.child_by_field_name("operator").map(|operator| self.source(operator));
        if let ([left, right], Some("%"), Language::Python | Language::Ruby) =
            (operands.as_slice(), operator, self.language)
        {
            let callee = Said::Member(Box::new(self.said(*left)), "%".to_owned());
            let values = match self.said(*right) {
                Said::List(values, _) => values.into_iter().map(|said| (None, said)).collect(),
                Said::Object(pairs, _) => pairs.into_iter().map(|(name, said)| (Some(name), said)).collect(),
                one => vec![(None, one)],
            };
            let Said::Member(receiver, name) = callee else { return self.other(node) };
            return Said::Call(Box::new(Call {
                receiver: Some(*receiver),
                name,
                arguments: values,
                line: line_of(node),
            }));
        }
        let is_sum = matches!(node.kind(), "binary_expression" | "binary_operator" | "binary" | "additive_expression")
            && operator.is_none_or(|operator| matches!(operator, "+" | "." | "<<"));
        let said: Vec<Said> = operands.iter().map(|operand| self.said(*operand)).collect();
        if !is_sum {
            return Said::Either(said, self.source(node).chars().take(120).collect());
        }
        let mut parts = Vec::new();
        let mut lists = Vec::new();
        let mut has_text = false;
        for one in said {
            match one {
                Said::Text(text) => {
                    has_text = true;
                    parts.extend(text.parts);
                }
                Said::List(items, _) => lists.extend(items),
                other => {
                    lists.push(Said::Spread(Box::new(other.clone())));
                    parts.push(Part::Hole(other));
                }
            }
        }
        if has_text {
            Said::Text(Text { parts: literal::joined(parts), line: line_of(node) })
        } else if lists.iter().any(|item| !matches!(item, Said::Spread(_))) {
            Said::List(lists, line_of(node))
        } else {
            Said::Text(Text { parts, line: line_of(node) })
        }
    }

    /// Rust's `format!`, `indoc!`, `vec!` and the like: tokens, of which texts and what stands between commas count.
    fn macro_of(&self, node: Node<'_>) -> Said {
        let name = node
            .child_by_field_name("macro")
            .or_else(|| node.named_child(0))
            .map(|name| self.name(name))
            .unwrap_or_default();
        let Some(tokens) = child_of(node, &["token_tree"]) else { return self.other(node) };
        let mut cursor = tokens.walk();
        let mut given: Vec<(Option<String>, Said)> = Vec::new();
        let mut from = tokens.start_byte() + 1;
        let mut text = None;
        for child in tokens.children(&mut cursor) {
            if matches!(child.kind(), "string_literal" | "raw_string_literal")
                && self.between(from, child.start_byte()).trim().is_empty()
            {
                text = Some(self.literal(child));
            }
            if child.kind() == "," || child.end_byte() == tokens.end_byte() {
                let source = self.between(from, child.start_byte()).trim();
                from = child.end_byte();
                let named = source
                    .split_once('=')
                    .filter(|(name, _)| name.trim().chars().all(|c| c.is_alphanumeric() || c == '_'));
                match (text.take(), named) {
                    (Some(text), _) => given.push((None, text)),
                    (None, Some((name, value))) => {
                        given.push((Some(name.trim().to_owned()), Said::Name(value.trim().to_owned())))
                    }
                    (None, None) if !source.is_empty() => given.push((None, Said::Name(source.to_owned()))),
                    _ => {}
                }
            }
        }
        Said::Call(Box::new(Call { receiver: None, name: format!("{name}!"), arguments: given, line: line_of(node) }))
    }
}

fn is_comment(node: Node<'_>) -> bool {
    matches!(node.kind(), "comment" | "line_comment" | "block_comment" | "multiline_comment")
}

/// An element without what only stands around it.
fn unwrapped(node: Node<'_>) -> Node<'_> {
    match node.kind() {
        "argument" | "value_argument" | "element_initializer" | "literal_element" | "array_element_initializer" => {
            let mut cursor = node.walk();
            let last = node.named_children(&mut cursor).last();
            last.unwrap_or(node)
        }
        _ => node,
    }
}

fn heredocs_of<'t>(node: Node<'t>, begun: &mut Vec<usize>, bodies: &mut Vec<Node<'t>>, depth: usize) {
    match node.kind() {
        "heredoc_beginning" => begun.push(node.start_byte()),
        "heredoc_body" => bodies.push(node),
        _ if depth > 200 => {}
        _ => {
            let mut cursor = node.walk();
            let children: Vec<Node<'t>> = node.named_children(&mut cursor).collect();
            children.into_iter().for_each(|child| heredocs_of(child, begun, bodies, depth + 1));
        }
    }
}
