//! What only Rust has: macros, patterns, the variants of enumerations, closures that make one thing.

use tree_sitter::{Node, Range};

use super::ruby::yielded;
use super::texts::{part, shortened};
use super::{Scope, Walk, line_of, line_of_end};
use crate::scan::facts::{Argument, BindingKind, Call, Chain, Import, Root, Step, Text, Value};
use crate::scan::language::Language;
use crate::scan::syntax::{Shape, child_of, parse_within, shape};

/// Macros whose text is filled in with what follows it.
const FORMATS: [&str; 4] = ["format", "format_args", "concat", "formatcp"];

/// Macros of keys and values.
const OBJECTS: [&str; 8] =
    ["json", "object", "json_object", "hashmap", "btreemap", "prompt_args", "parameters", "jsonb"];

/// Macros of items.
const LISTS: [&str; 4] = ["vec", "smallvec", "array", "arr"];

/// Macros whose inside is code to be written elsewhere.
const QUOTES: [&str; 4] = ["quote", "parse_quote", "quote_spanned", "macro_rules"];

/// Methods that give the items of what they are called on, or what that holds, to a closure.
const GIVES: [&str; 14] = [
    "map",
    "and_then",
    "then",
    "for_each",
    "for_each_concurrent",
    "flat_map",
    "filter_map",
    "map_or",
    "map_or_else",
    "inspect",
    "is_some_and",
    "filter",
    "find_map",
    "try_for_each",
];

impl Walk<'_> {
    /// What a node stands for that only Rust has; none where the node, or what is left of it, is read like any other.
    pub(super) fn rust(&mut self, node: Node<'_>) -> Option<Value> {
        match node.kind() {
            "macro_invocation" => return self.macro_of(node),
            "let_condition" => {
                let value = node.child_by_field_name("value").map_or(Value::Other, |value| self.value(value));
                if let Some(pattern) = node.child_by_field_name("pattern") {
                    self.pattern(pattern, &value);
                }
                self.keep(value);
                return Some(Value::Other);
            }
            "closure_expression" => return self.thunk(node),
            "tuple_expression" => {
                let mut cursor = node.walk();
                let parts: Vec<Node<'_>> = node.named_children(&mut cursor).collect();
                return Some(Value::List(parts.into_iter().map(|part| self.value(part)).collect()));
            }
            "for_expression" => self.item(node),
            "match_arm" => self.arm(node),
            "enum_variant" => self.variant(node),
            "type_item" => self.alias(node),
            "attribute_item" => self.test_below(node),
            _ => {}
        }
        None
    }

    /// `#[cfg(test)]`, `#[tokio::test]`: what stands below is a test.
    fn test_below(&mut self, attribute: Node<'_>) {
        let said: String = self.source(attribute).chars().filter(|letter| !letter.is_whitespace()).collect();
        let is_test =
            said == "#[test]" || ["cfg(test", "cfg(all(test", "::test"].iter().any(|word| said.contains(word));
        let mut below = attribute.next_named_sibling();
        while let Some(next) = below.filter(|_| is_test) {
            if !matches!(next.kind(), "attribute_item" | "line_comment" | "block_comment") {
                return self.facts.tests.push((line_of(next), line_of_end(next)));
            }
            below = next.next_named_sibling();
        }
    }

    /// A closure without parameters is what it returns.
    fn thunk(&mut self, node: Node<'_>) -> Option<Value> {
        let parameters = node.child_by_field_name("parameters")?;
        let body = node.child_by_field_name("body").filter(|_| parameters.named_child_count() == 0)?;
        self.scopes.push(Scope {
            name: None,
            from: line_of(node),
            to: line_of_end(node),
            is_class: false,
            result: None,
        });
        let value = self.value(body);
        self.scopes.pop();
        Some(value)
    }

    /// `for name in values`: the name stands for any of the values.
    fn item(&mut self, node: Node<'_>) {
        let (Some(pattern), Some(values)) = (node.child_by_field_name("pattern"), node.child_by_field_name("value"))
        else {
            return;
        };
        if let Some(value) = self.stands_for(values)
            && pattern.kind() == "identifier"
        {
            self.bind_within(node, pattern, value);
        }
    }

    /// What an expression is called, without reading it: it is read where it stands.
    fn stands_for(&mut self, node: Node<'_>) -> Option<Chain> {
        let (bindings, values) = (self.facts.bindings.len(), self.facts.values.len());
        let value = self.value(node);
        self.facts.bindings.truncate(bindings);
        self.facts.values.truncate(values);
        match value {
            Value::Chain(chain) => Some(chain),
            _ => None,
        }
    }

    /// The parameter of a closure is an item of what the method is called on that it is given to.
    pub(super) fn items_of_closure(&mut self, called: &Chain, arguments: Option<Node<'_>>) {
        let Some(closure) = arguments.and_then(|given| child_of(given, &["closure_expression"])) else {
            return self.given_on(called, arguments);
        };
        let parameter = closure.child_by_field_name("parameters").and_then(|parameters| parameters.named_child(0));
        let parameter = parameter.map(|parameter| match parameter.kind() {
            "reference_pattern" | "mut_pattern" => parameter.named_child(0).unwrap_or(parameter),
            _ => parameter,
        });
        let Some(parameter) = parameter.filter(|parameter| parameter.kind() == "identifier") else { return };
        let value = match (called.steps.split_last(), &called.root) {
            (Some((Step::Member(method, _), before)), _) if GIVES.contains(&method.as_str()) => {
                Chain { steps: before.to_vec(), ..called.clone() }
            }
            (Some((Step::Member(method, _), _)), _) | (None, Root::Name(method)) => {
                Chain { root: Root::Name(yielded(method)), line: called.line, steps: Vec::new() }
            }
            _ => return,
        };
        self.bind_within(closure, parameter, value);
    }

    /// `f(client)` of a parameter: what the function gives to a closure.
    fn given_on(&mut self, called: &Chain, arguments: Option<Node<'_>>) {
        let (Root::Name(name), []) = (&called.root, called.steps.as_slice()) else { return };
        let is_own = self.facts.bindings.iter().rev().take(60).any(|binding| {
            binding.kind == BindingKind::Parameter && &binding.target == name && called.line <= binding.to
        });
        if let Some(given) = arguments.filter(|_| is_own).and_then(|arguments| arguments.named_child(0))
            && let Some(value) = self.stands_for(given)
        {
            self.yields(Value::Chain(value), called.line);
        }
    }

    /// The traits that a type is bound to which a parameter is declared with: `<P: Prompt>`, `where P: Prompt`.
    pub(super) fn add_bounds(&self, parameter: Node<'_>, types: &mut Vec<String>) {
        let is_generic = |name: &&String| name.len() < 3 && name.starts_with(char::is_uppercase);
        let Some(name) = types.iter().find(is_generic).cloned() else { return };
        let mut inner = parameter;
        for _ in 0..8 {
            let Some(around) = inner.parent() else { return };
            for part in ["type_parameters", "where_clause"] {
                let Some(said) = child_of(around, &[part]) else { continue };
                let mut cursor = said.walk();
                let bounds: Vec<Node<'_>> = said.named_children(&mut cursor).collect();
                let bound = bounds.into_iter().map(|bound| self.source(bound)).find_map(|text| {
                    let (own, bound) = text.split_once(':')?;
                    (own.trim() == name).then_some(bound)
                });
                let words = bound.unwrap_or_default().split(|letter: char| !letter.is_alphanumeric() && letter != '_');
                types.extend(words.filter(|word| word.starts_with(char::is_uppercase)).take(4).map(str::to_owned));
            }
            inner = around;
        }
    }

    /// `select! { pattern = future => what then, … }`
    fn select(&mut self, tree: Node<'_>) {
        let mut cursor = tree.walk();
        let all: Vec<Node<'_>> = tree.children(&mut cursor).collect();
        let mut rest = all.get(1..all.len().saturating_sub(1)).unwrap_or_default();
        while let Some(arrow) = rest.iter().position(|token| token.kind() == "=>") {
            let (head, after) = (&rest[..arrow], &rest[arrow + 1..]);
            if let Some(equals) = head.iter().position(|token| token.kind() == "=") {
                let future = &head[equals + 1..];
                let is_guard = |pair: &[Node<'_>]| pair[0].kind() == "," && self.source(pair[1]) == "if";
                let end = future.windows(2).position(is_guard).unwrap_or(future.len());
                let value = self.tokens(&future[..end]);
                if let Some(name) = named_in(&head[..equals]) {
                    let kept = (!matches!(value, Value::Other)).then(|| value.clone());
                    self.bind(self.name(name), BindingKind::Local, kept, Vec::new(), line_of(name));
                }
                self.keep(value);
            }
            let is_block = after.first().is_some_and(|first| self.source(*first).starts_with('{'));
            let end =
                if is_block { 1 } else { after.iter().position(|token| token.kind() == ",").unwrap_or(after.len()) };
            if is_block {
                self.inside(after[0], |walk, root| walk.children(root));
            } else {
                let value = self.tokens(&after[..end]);
                self.keep(value);
            }
            rest = &after[end..];
        }
    }

    /// `use` by another name: `type Api = Client<Config>;`
    fn alias(&mut self, node: Node<'_>) {
        let (Some(name), Some(of)) = (node.child_by_field_name("name"), node.child_by_field_name("type")) else {
            return;
        };
        let (name, of) = (self.name(name), self.name(of));
        let (first, rest) = of.split_once('.').unwrap_or((&of, ""));
        let found = self.facts.imports.iter().find(|import| import.local == first);
        let (module, mut symbol) = match found {
            Some(import) => (import.module.clone(), import.symbol.clone()),
            None if !rest.is_empty() => (first.to_owned(), String::new()),
            None => return,
        };
        if !rest.is_empty() {
            symbol = if symbol.is_empty() { rest.to_owned() } else { format!("{symbol}.{rest}") };
        }
        self.facts.imports.push(Import { local: name, module, symbol, line: line_of(node) });
    }

    /// What a variant holds is known as a member of that name.
    fn variant(&mut self, node: Node<'_>) {
        let class = self.scopes.iter().rev().find(|scope| scope.is_class).and_then(|scope| scope.name.clone());
        let (Some(class), Some(name), Some(body)) =
            (class, node.child_by_field_name("name"), child_of(node, &["ordered_field_declaration_list"]))
        else {
            return;
        };
        let types = self.types(body);
        if !types.is_empty() {
            let target = format!("{class}.{}", self.name(name));
            self.bind(target, BindingKind::Field, None, types, line_of(node));
        }
    }

    /// Names in the pattern of a branch are parts of what is matched.
    fn arm(&mut self, node: Node<'_>) {
        let pattern = node.child_by_field_name("pattern").and_then(|pattern| pattern.named_child(0));
        let matched = node.parent().and_then(|block| block.parent()).and_then(|of| of.child_by_field_name("value"));
        let (Some(pattern), Some(matched)) = (pattern, matched) else { return };
        if !matches!(pattern.kind(), "tuple_struct_pattern" | "struct_pattern" | "reference_pattern" | "ref_pattern") {
            return;
        }
        // What is matched is read where it stands; here only what it is called is of interest.
        let (bindings, values) = (self.facts.bindings.len(), self.facts.values.len());
        let value = self.value(matched);
        self.facts.bindings.truncate(bindings);
        self.facts.values.truncate(values);
        self.pattern(pattern, &value);
    }

    /// Binds the names in a pattern.
    pub(super) fn pattern(&mut self, pattern: Node<'_>, value: &Value) {
        match pattern.kind() {
            "identifier" => {
                let kept = (!matches!(value, Value::Other)).then(|| value.clone());
                self.bind(self.name(pattern), BindingKind::Local, kept, Vec::new(), line_of(pattern));
            }
            "ref_pattern" | "mut_pattern" | "reference_pattern" | "captured_pattern" => {
                let last = u32::try_from(pattern.named_child_count()).ok().and_then(|count| count.checked_sub(1));
                if let Some(inner) = last.and_then(|last| pattern.named_child(last)) {
                    self.pattern(inner, value);
                }
            }
            "tuple_struct_pattern" => self.tuple_pattern(pattern, value),
            "struct_pattern" => {
                let mut cursor = pattern.walk();
                let fields: Vec<Node<'_>> =
                    pattern.named_children(&mut cursor).filter(|part| part.kind() == "field_pattern").collect();
                for field in fields {
                    let Some(name) = field.child_by_field_name("name") else { continue };
                    let member = member_of_itself(self.name(name), line_of(name));
                    match field.child_by_field_name("pattern") {
                        Some(inner) => self.pattern(inner, &member),
                        None => {
                            self.bind(self.name(name), BindingKind::Local, Some(member), Vec::new(), line_of(name));
                        }
                    }
                }
            }
            _ => {}
        }
    }

    /// `Some(x)`, `Ok(x)`: what is inside; `Kind::Variant(x)`: what the variant holds.
    fn tuple_pattern(&mut self, pattern: Node<'_>, value: &Value) {
        let Some(of) = pattern.child_by_field_name("type") else { return };
        let mut name = self.name(of);
        let mut cursor = pattern.walk();
        let inner: Vec<Node<'_>> =
            pattern.named_children(&mut cursor).filter(|part| part.start_byte() >= of.end_byte()).collect();
        let [inner] = inner.as_slice() else { return };
        if let Some(rest) = name.strip_prefix("Self.") {
            let class = self.scopes.iter().rev().find(|scope| scope.is_class).and_then(|scope| scope.name.clone());
            name = format!("{}.{rest}", class.unwrap_or_default());
        }
        match name.rsplit('.').next().unwrap_or_default() {
            "Some" | "Ok" => self.pattern(*inner, value),
            "Err" | "None" => {}
            _ => {
                let parts: Vec<&str> = name.rsplitn(3, '.').take(2).collect();
                let whole = parts.into_iter().rev().collect::<Vec<_>>().join(".");
                self.pattern(*inner, &member_of_itself(whole, line_of(of)));
            }
        }
    }

    /// A macro: a text, an object, a list, or a call with a name that ends in `!`.
    fn macro_of(&mut self, node: Node<'_>) -> Option<Value> {
        let path = self.name(node.child_by_field_name("macro")?);
        let tree = child_of(node, &["token_tree"])?;
        let name = path.rsplit('.').next().unwrap_or(&path);
        if QUOTES.contains(&name) {
            return None;
        }
        if OBJECTS.contains(&name) {
            return Some(self.keys_and_values(tree));
        }
        if name == "env" || name == "option_env" {
            return Some(Value::Chain(Chain {
                root: Root::Name("env".to_owned()),
                line: line_of(node),
                steps: Vec::new(),
            }));
        }
        let is_block = self.source(tree).starts_with('{');
        if is_block && matches!(name, "select" | "select_biased") {
            self.select(tree);
            return Some(Value::Other);
        }
        if is_block {
            self.inside(tree, |walk, root| walk.children(root));
            return Some(Value::Other);
        }
        if LISTS.contains(&name) {
            return Some(Value::List(self.inside(tree, Walk::given)));
        }
        let values = self.inside(tree, Walk::given);
        if FORMATS.contains(&name) {
            return Some(self.formatted(name, values, line_of(node)));
        }
        let arguments = values.into_iter().map(|value| Argument { name: None, value }).collect();
        let call = Call { arguments, line: line_of(node), end: line_of_end(node) };
        let mut steps: Vec<Step> =
            path.split('.').skip(1).map(|part| Step::Member(part.to_owned(), line_of(node))).collect();
        let mut root = path.split('.').next().unwrap_or_default().to_owned();
        match steps.last_mut() {
            Some(Step::Member(last, _)) => last.push('!'),
            _ => root.push('!'),
        }
        steps.push(Step::Call(call));
        Some(Value::Chain(Chain { root: Root::Name(root), line: line_of(node), steps }))
    }

    /// Reads what stands inside a macro as source of its own, at the same lines.
    fn inside<T: Default>(&mut self, tree: Node<'_>, read: impl FnOnce(&mut Self, Node<'_>) -> T) -> T {
        let Some(inner) = parse_within(Language::Rust, self.text, &[tree.range()]) else { return T::default() };
        read(self, inner.root_node())
    }

    /// The values of `(a, b, c)` or `[a, b, c]`.
    fn given(&mut self, root: Node<'_>) -> Vec<Value> {
        let mut items = Vec::new();
        leaves(root, 0, &mut items);
        items.into_iter().map(|item| self.value(item)).collect()
    }

    /// `format!("{}/x", base)`: the places are filled with the names of what is given.
    fn formatted(&mut self, name: &str, values: Vec<Value>, line: u32) -> Value {
        if name == "concat" {
            let joined: String = values.iter().map(part).collect();
            return Value::Text(Text { value: shortened(&joined), line });
        }
        let mut values = values.into_iter();
        let Some(Value::Text(text)) = values.next() else { return Value::Other };
        let given: Vec<Value> = values.collect();
        let filled = fill(&text.value, &given);
        given.into_iter().filter(|value| !matches!(value, Value::Text(_))).for_each(|value| self.keep(value));
        Value::Text(Text { value: shortened(&filled), line: text.line })
    }

    /// `{ "model": m, "messages": [ … ] }` of a macro, by its tokens.
    fn keys_and_values(&mut self, tree: Node<'_>) -> Value {
        self.depth += 1;
        let value = if self.depth > super::DEPTH_LIMIT { Value::Other } else { self.tokens_of(tree) };
        self.depth -= 1;
        value
    }

    fn tokens_of(&mut self, tree: Node<'_>) -> Value {
        let mut cursor = tree.walk();
        let all: Vec<Node<'_>> = tree.children(&mut cursor).collect();
        let Some(tokens) = all.get(1..all.len().saturating_sub(1)) else { return Value::Other };
        let open = self.source(tree).chars().next();
        // `json!({ … })`: the object is the one thing inside.
        if let ([one], Some('(')) = (tokens, open)
            && one.kind() == "token_tree"
        {
            return self.keys_and_values(*one);
        }
        let items = tokens.split(|token| token.kind() == ",").filter(|item| !item.is_empty());
        if open == Some('[') {
            return Value::List(items.map(|item| self.tokens(item)).collect());
        }
        let mut pairs = Vec::new();
        for item in items {
            let colon = item.iter().position(|token| matches!(token.kind(), ":" | "=>"));
            match colon {
                Some(at) if at > 0 => {
                    let key = self.literal_text(item[0]);
                    let key = key.unwrap_or_else(|| self.source(item[0]).trim_matches(['(', ')']).to_owned());
                    pairs.push((key, self.tokens(&item[at + 1..])));
                }
                _ => pairs.push((String::new(), self.tokens(item))),
            }
        }
        Value::Object(pairs)
    }

    /// What tokens come to: an object or list inside, or an expression.
    fn tokens(&mut self, tokens: &[Node<'_>]) -> Value {
        match tokens {
            [] => Value::Other,
            [one] if one.kind() == "token_tree" && !self.source(*one).starts_with('(') => self.keys_and_values(*one),
            [one] if !matches!(shape(*one, self.language), Shape::Other) => self.value(*one),
            [first, .., last] => {
                let range = Range {
                    start_byte: first.start_byte(),
                    end_byte: last.end_byte(),
                    start_point: first.start_position(),
                    end_point: last.end_position(),
                };
                let Some(tree) = parse_within(Language::Rust, self.text, &[range]) else { return Value::Other };
                self.given(tree.root_node()).into_iter().next().unwrap_or(Value::Other)
            }
            [_] => Value::Other,
        }
    }

    /// What is written into the members of one's own type, where it is a text.
    pub(super) fn own_fields(&mut self, made: &Chain) {
        let Some(Step::Call(call)) = made.steps.last() else { return };
        let (Root::Name(class), [_]) = (&made.root, made.steps.as_slice()) else { return };
        let own = self.scopes.iter().rev().find(|scope| scope.is_class).and_then(|scope| scope.name.clone());
        let is_own = class == "Self" || own.as_ref() == Some(class);
        let of: Vec<String> = if class == "Self" { own.into_iter().collect() } else { vec![class.clone()] };
        let texts: Vec<(String, Value, u32)> = call
            .arguments
            .iter()
            .filter_map(|argument| Some((argument.name.clone()?, self.text_put(&argument.value, is_own)?, call.line)))
            .collect();
        for (name, value, line) in texts {
            self.bind(name, BindingKind::Field, Some(value), of.clone(), line);
        }
    }
}

impl Walk<'_> {
    /// The text that is put into a member: as it is written there, or by the name that it was given above in the function.
    fn text_put(&self, value: &Value, is_own: bool) -> Option<Value> {
        if is_text(value, is_own) {
            return Some(value.clone());
        }
        let Value::Chain(Chain { root: Root::Name(name), steps, .. }) = value else { return None };
        let from = self.scopes.last().filter(|scope| is_own && !scope.is_class && steps.is_empty())?.from;
        let mut above = self.facts.bindings.iter().rev().take_while(|own| own.line >= from);
        let bound = above.find(|own| &own.target == name && own.kind == BindingKind::Local)?.value.as_ref()?;
        matches!(bound, Value::Text(text) if text.value.contains('/')).then(|| bound.clone())
    }
}

/// The one name that a pattern binds: `name`, `mut name`, `Some(name)`.
fn named_in<'t>(pattern: &[Node<'t>]) -> Option<Node<'t>> {
    let last = *pattern.last()?;
    match last.kind() {
        "identifier" => Some(last),
        "token_tree" if last.named_child_count() == 1 => {
            last.named_child(0).filter(|inner| inner.kind() == "identifier")
        }
        _ => None,
    }
}

/// `self.name`
fn member_of_itself(name: String, line: u32) -> Value {
    Value::Chain(Chain { root: Root::Itself, line, steps: vec![Step::Member(name, line)] })
}

/// The outermost expressions below what holds several: the parentheses of a macro are a tuple.
fn leaves<'t>(node: Node<'t>, depth: u32, items: &mut Vec<Node<'t>>) {
    let holds = matches!(
        node.kind(),
        "source_file" | "expression_statement" | "ERROR" | "tuple_expression" | "array_expression"
    ) || node.kind() == "parenthesized_expression" && depth < 3;
    if node.kind() == "unit_expression" && depth < 3 {
        return;
    }
    if !holds || depth > 4 {
        return items.push(node);
    }
    let mut cursor = node.walk();
    for child in node.named_children(&mut cursor) {
        leaves(child, if node.kind().ends_with("_expression") { 5 } else { depth + 1 }, items);
    }
}

/// Whether it is a text, or an address whosoever's member it is.
fn is_text(value: &Value, is_own: bool) -> bool {
    let fits = |text: &Text| is_own || text.value.contains("://");
    match value {
        Value::Text(text) => fits(text),
        Value::Chain(Chain { root: Root::Group(values), .. }) => {
            matches!(values.as_slice(), [Value::Text(text)] if fits(text))
        }
        Value::Chain(Chain { root: Root::Name(name), steps, .. }) if name == "String" => {
            matches!(steps.last(), Some(Step::Call(call))
                if matches!(call.arguments.first().map(|argument| &argument.value), Some(Value::Text(text)) if fits(text)))
        }
        _ => false,
    }
}

/// The text with what is given in the places for it.
fn fill(text: &str, given: &[Value]) -> String {
    let mut filled = String::with_capacity(text.len());
    let (mut rest, mut next) = (text, 0);
    while let Some(open) = rest.find('{') {
        filled += &rest[..open];
        rest = &rest[open + 1..];
        if let Some(escaped) = rest.strip_prefix('{') {
            filled.push('{');
            rest = escaped;
            continue;
        }
        let Some(close) = rest.find('}') else { break };
        let name = rest[..close].split(':').next().unwrap_or_default().trim();
        if name.is_empty() {
            match given.get(next) {
                Some(Value::Text(text)) => filled += &text.value,
                Some(value) => filled += &part(value),
                None => filled += "{}",
            }
            next += 1;
        } else if let Ok(idx) = name.parse::<usize>() {
            filled += &given.get(idx).map_or_else(|| "{}".to_owned(), part);
        } else {
            filled += &format!("{{{name}}}");
        }
        rest = &rest[close + 1..];
    }
    filled + rest
}
