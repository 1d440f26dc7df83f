//! From a syntax tree to [`Facts`]: one walk for all languages.

mod bindings;
mod classes;
pub(super) mod imports;
mod jvm;
mod ruby;
mod rust;
#[cfg(test)]
mod tests;
mod texts;

pub(super) use self::ruby::GIVEN;
use tree_sitter::Node;

use self::texts::{of_joined, part, shortened};
use super::facts::{Argument, Binding, BindingKind, Call, Chain, Facts, Root, Step, Text, Value};
use super::language::Language;
use super::syntax::{Shape, child_of, parse, shape};

/// How deep expressions and blocks are followed; what is nested deeper is machine-made.
const DEPTH_LIMIT: u32 = 220;

/// What the source says; nothing where it cannot be read at all.
pub(super) fn facts_of(language: Language, text: &str) -> Facts {
    let Some(tree) = parse(language, text) else { return Facts::default() };
    let mut walk = Walk { language, text, facts: Facts::default(), scopes: Vec::new(), depth: 0 };
    let root = tree.root_node();
    walk.scopes.push(Scope { name: None, from: 1, to: line_of_end(root), is_class: false, result: None });
    walk.children(root);
    walk.facts
}

/// Where names are known.
struct Scope {
    name: Option<String>,
    from: u32,
    to: u32,
    is_class: bool,
    /// What a function is declared to return.
    result: Option<String>,
}

struct Walk<'s> {
    language: Language,
    text: &'s str,
    facts: Facts,
    scopes: Vec<Scope>,
    depth: u32,
}

fn line_of(node: Node<'_>) -> u32 {
    u32::try_from(node.start_position().row).unwrap_or(u32::MAX - 1) + 1
}

fn line_of_end(node: Node<'_>) -> u32 {
    u32::try_from(node.end_position().row).unwrap_or(u32::MAX - 1) + 1
}

impl<'s> Walk<'s> {
    fn source(&self, node: Node<'_>) -> &'s str {
        self.text.get(node.byte_range()).unwrap_or("")
    }

    /// A name without sigils, `self.`, generics and the separators of languages.
    fn name(&self, node: Node<'_>) -> String {
        let mut text = self.source(node);
        if let Some(at) = text.find('<') {
            text = &text[..at];
        }
        let text = text.trim_start_matches(['$', '@', '\\', '*', '&']).trim_end_matches(['?', '!']);
        text.replace("::", ".").replace('\\', ".")
    }

    fn children(&mut self, node: Node<'_>) {
        let mut cursor = node.walk();
        let children: Vec<Node<'_>> = node.named_children(&mut cursor).collect();
        for child in children {
            self.visit(child);
        }
    }

    /// A statement, or whatever is not inside an expression.
    fn visit(&mut self, node: Node<'_>) {
        if self.depth >= DEPTH_LIMIT {
            return;
        }
        self.depth += 1;
        if self.language == Language::Rust
            && let Some(value) = self.rust(node)
        {
            self.tail(node, &value);
            self.keep(value);
            self.depth -= 1;
            return;
        }
        match shape(node, self.language) {
            Shape::Skip => {}
            Shape::Other if self.language.is_jvm() => self.jvm(node),
            Shape::Other if self.language == Language::Go && node.kind() == "type_spec" => self.go_type(node),
            Shape::Other if self.is_loop(node) => self.looped(node),
            Shape::Other if node.kind() == "yield" && self.language == Language::Ruby => {
                let value = self.value(node);
                self.keep(value);
            }
            Shape::Other => self.children(node),
            Shape::Import if self.is_trait_use(node) => self.uses_trait(node),
            Shape::Import => imports::of(self.language, node, self.text, &mut self.facts.imports),
            Shape::Namespace(name) => {
                imports::of_namespace(self.language, self.source(name), line_of(node), &mut self.facts.imports);
                self.children(node);
            }
            Shape::Class => self.class(node),
            Shape::Function { name, parameters, result, body } => {
                let name = name.map(|name| self.name(name));
                self.function(node, name, parameters, result, body);
            }
            Shape::Assign { target, value, declared, is_field } => {
                let value = self.assign(node, target, value, declared, is_field);
                // `@client ||= …` as the last line of a method
                if self.language == Language::Ruby {
                    self.tail(node, &value);
                }
                self.keep(value);
            }
            Shape::Return(value) => {
                let mut value = value.map(|value| self.value(value));
                if let Some(value) = &mut value {
                    self.name_of_result(value);
                }
                self.returns(node, value.as_ref());
                if let Some(value) = value {
                    self.keep(value);
                }
            }
            _ => {
                let value = self.value(node);
                if self.language == Language::Rust || self.language == Language::Ruby {
                    self.tail(node, &value);
                }
                self.keep(value);
            }
        }
        self.depth -= 1;
    }

    fn keep(&mut self, value: Value) {
        if self.language.is_jvm() {
            self.service(&value);
        }
        // Ruby's calls need no parentheses.
        let is_bare = self.language == Language::Ruby && ruby::is_call(&value);
        if is_bare || value.matters() {
            self.facts.values.push(value);
        }
    }

    fn function(
        &mut self,
        node: Node<'_>,
        name: Option<String>,
        parameters: Option<Node<'_>>,
        result: Option<Node<'_>>,
        body: Option<Node<'_>>,
    ) {
        let types = result.map(|result| self.types(result)).unwrap_or_default();
        if let Some(name) = name.as_ref().filter(|_| !types.is_empty()) {
            self.bind(name.clone(), BindingKind::Return, None, types.clone(), line_of(node));
        }
        let is_lambda = name.is_none();
        let result = types.iter().find(|name| !classes::WRAPPERS.contains(&name.as_str())).cloned();
        self.scopes.push(Scope { name, from: line_of(node), to: line_of_end(node), is_class: false, result });
        if let Some(parameters) = parameters {
            self.parameters(parameters, BindingKind::Parameter);
        }
        if let Some(receiver) = node.child_by_field_name("receiver") {
            self.parameters(receiver, BindingKind::Parameter);
        }
        match body {
            // A body that is one expression is what the function returns.
            Some(body) if !matches!(shape(body, self.language), Shape::Other) => {
                let mut value = self.value(body);
                self.name_of_result(&mut value);
                if !is_lambda {
                    self.returns(body, Some(&value));
                }
                self.keep(value);
            }
            Some(body) => self.body(body),
            None => self.children(node),
        }
        self.scopes.pop();
    }

    fn body(&mut self, body: Node<'_>) {
        let arrow = matches!(body.kind(), "arrow_expression_clause" | "function_body")
            .then(|| body.named_child(0))
            .flatten()
            .filter(|inner| !matches!(shape(*inner, self.language), Shape::Other));
        let Some(inner) = arrow else { return self.children(body) };
        let mut value = self.value(inner);
        self.name_of_result(&mut value);
        self.returns(inner, Some(&value));
        self.keep(value);
    }

    /// The last expression of a block is its value, also through branches at the end of a function.
    fn tail(&mut self, node: Node<'_>, value: &Value) {
        let mut inner = node;
        while let Some(block) = inner.parent() {
            let is_last = inner.next_named_sibling().is_none_or(ruby::is_rescue);
            match block.kind() {
                "block" | "body_statement" if is_last => {
                    let is_body = block
                        .parent()
                        .is_some_and(|parent| matches!(parent.kind(), "function_item" | "method" | "singleton_method"));
                    if is_body {
                        return self.returns(node, Some(value));
                    }
                }
                "then" | "else" | "begin" | "expression_statement" | "match_arm" | "match_block" | "else_clause"
                    if is_last || matches!(block.kind(), "match_block") => {}
                "if" | "unless" | "elsif" | "case" | "when" | "if_expression" | "match_expression"
                    if ["condition", "value"].iter().all(|what| block.child_by_field_name(what) != Some(inner)) => {}
                "assignment" | "operator_assignment" if self.language == Language::Ruby => {}
                _ => return,
            }
            inner = block;
        }
    }

    fn returns(&mut self, node: Node<'_>, value: Option<&Value>) {
        let named = self.scopes.iter().rev().find(|scope| !scope.is_class).and_then(|scope| scope.name.clone());
        if let (Some(name), Some(value)) = (named, value)
            && matches!(value, Value::Chain(_) | Value::Text(_) | Value::Object(_))
        {
            // Known where the function is, not only inside it.
            let outer = self.scopes.iter().rposition(|scope| scope.is_class).unwrap_or(0);
            let (from, to) = self.scopes.get(outer).map_or((1, u32::MAX), |scope| (scope.from, scope.to));
            let value = Some(value.clone());
            let kind = BindingKind::Return;
            self.facts.bindings.push(Binding {
                target: name,
                kind,
                value,
                types: Vec::new(),
                line: line_of(node),
                from,
                to,
            });
        }
    }

    /// An expression.
    fn value(&mut self, node: Node<'_>) -> Value {
        if self.depth >= DEPTH_LIMIT {
            return Value::Other;
        }
        self.depth += 1;
        let value = self.value_of(node);
        self.depth -= 1;
        value
    }

    fn value_of(&mut self, node: Node<'_>) -> Value {
        let own = match self.language {
            Language::Rust => self.rust(node),
            Language::Ruby => self.ruby(node),
            _ => None,
        };
        if let Some(value) = own {
            return value;
        }
        match shape(node, self.language) {
            Shape::Name => self.root(node),
            Shape::Itself => chain(Root::Itself, node),
            Shape::Member { object, name } => self.member(node, object, name),
            Shape::Call { callee, arguments } => {
                let mut chain = self.chain_of(callee);
                let line = last_line(&chain);
                if self.language == Language::Rust {
                    self.items_of_closure(&chain, arguments);
                }
                let call = self.call(node, arguments, None, line);
                if let Some(member) = self.member_by_text(&chain, &call) {
                    return member;
                }
                self.defined(&chain, &call);
                self.bind_stored(&chain, &call);
                chain.steps.push(Step::Call(call));
                Value::Chain(chain)
            }
            Shape::Method { object, name, arguments } => self.method(node, object, name, arguments),
            Shape::New { class, arguments, fields } => self.made(node, class, arguments, fields),
            Shape::Index { object, key } => self.index(node, object, key),
            Shape::Text => self.literal(node),
            Shape::Flag => Value::Flag(self.source(node).eq_ignore_ascii_case("true")),
            Shape::Number => Value::Number(self.source(node).chars().take(24).collect()),
            Shape::Inner(inner) => {
                let value = self.value(inner);
                // `with … as name`
                if let Some(alias) = node.child_by_field_name("alias").filter(|_| node.kind() == "as_pattern") {
                    let name = self.name(alias);
                    self.bind(name, BindingKind::Local, Some(value.clone()), Vec::new(), line_of(node));
                }
                value
            }
            Shape::Group => self.group(node),
            Shape::Object => self.object(node),
            Shape::List => {
                let mut cursor = node.walk();
                let items: Vec<Node<'_>> = node.named_children(&mut cursor).collect();
                Value::List(items.into_iter().map(|item| self.value(item)).collect())
            }
            Shape::Assign { target, value, declared, is_field } => self.assign(node, target, value, declared, is_field),
            Shape::Skip => Value::Other,
            Shape::Function { parameters, result, body, .. } => {
                self.function(node, None, parameters, result, body);
                Value::Other
            }
            Shape::Class | Shape::Import | Shape::Namespace(_) | Shape::Return(_) => {
                self.visit(node);
                Value::Other
            }
            Shape::Other => match self.jvm_value(node) {
                Some(value) => value,
                None => self.branches(node),
            },
        }
    }

    /// What blocks and branches come to: the last expression of each.
    fn branches(&mut self, node: Node<'_>) -> Value {
        let is_block = matches!(
            node.kind(),
            "block"
                | "then"
                | "else"
                | "begin"
                | "else_clause"
                | "match_arm"
                | "control_structure_body"
                | "when_entry"
                | "elsif"
                | "when"
                | "expression_statement"
                | "switch_expression_arm"
                | "switch_rule"
        );
        let is_branch = matches!(
            node.kind(),
            "if" | "unless"
                | "case"
                | "match_expression"
                | "match_block"
                | "match_expression_arm"
                | "match_conditional_expression"
                | "if_modifier"
                | "when_expression"
                | "try_expression"
                | "begin_block"
                | "switch_block"
        );
        if !is_block && !is_branch {
            self.children(node);
            return Value::Other;
        }
        let mut cursor = node.walk();
        let children: Vec<Node<'_>> = node.named_children(&mut cursor).collect();
        let Some((last, before)) = children.split_last() else { return Value::Other };
        if node.kind() == "begin" && ruby::is_rescue(*last) {
            return self.rescued(&children);
        }
        if is_block {
            for child in before {
                self.visit(*child);
            }
            return self.value(*last);
        }
        let values: Vec<Value> = children.iter().map(|child| self.value(*child)).collect();
        Value::Chain(Chain { root: Root::Group(values), line: line_of(node), steps: Vec::new() })
    }

    fn root(&mut self, node: Node<'_>) -> Value {
        let name = self.name(node);
        if self.language == Language::Ruby && node.kind() == "constant" {
            self.brings(&name, line_of(node));
        }
        let is_this = node.kind() == "variable_name" && name == "this";
        let is_self = self.language == Language::Python && (name == "self" || name == "cls");
        if is_this || is_self {
            return chain(Root::Itself, node);
        }
        if node.kind() == "instance_variable" {
            let steps = vec![Step::Member(name, line_of(node))];
            return Value::Chain(Chain { root: Root::Itself, line: line_of(node), steps });
        }
        // PHP's `\OpenAI` is not what the file imports under the name.
        let is_global = self.language == Language::Php && self.source(node).starts_with('\\') && !name.contains('.');
        if is_global && self.facts.imports.iter().any(|import| import.local == name && !import.module.is_empty()) {
            return chain(Root::Name(format!("\\{name}")), node);
        }
        let mut parts = name.split('.').map(str::trim).filter(|part| !part.is_empty());
        let first = parts.next().unwrap_or_default().to_owned();
        let steps = parts.map(|part| Step::Member(part.to_owned(), line_of(node))).collect();
        Value::Chain(Chain { root: Root::Name(first), line: line_of(node), steps })
    }

    fn member(&mut self, node: Node<'_>, object: Option<Node<'_>>, name: Node<'_>) -> Value {
        let Some(object) = object else { return chain(Root::Itself, node) };
        let mut chain = self.chain_of(object);
        chain.steps.push(Step::Member(self.name(name), line_of(name)));
        Value::Chain(chain)
    }

    fn method(
        &mut self,
        node: Node<'_>,
        object: Option<Node<'_>>,
        name: Node<'_>,
        arguments: Option<Node<'_>>,
    ) -> Value {
        let mut chain = match object {
            Some(object) => {
                let mut chain = self.chain_of(object);
                chain.steps.push(Step::Member(self.name(name), line_of(name)));
                chain
            }
            None => Chain { root: Root::Name(self.name(name)), line: line_of(node), steps: Vec::new() },
        };
        // Ruby's `a.b` is a call without arguments; it is taken as a member until something is given to it.
        let is_bare =
            self.language == Language::Ruby && arguments.is_none() && node.child_by_field_name("block").is_none();
        let mut call = self.call(node, arguments, None, line_of(name));
        if let Some(block) = node.child_by_field_name("block") {
            self.items_of_block(&chain, block);
            if let Some(last) = self.block(&chain, &call, block) {
                chain.steps.push(Step::Call(call));
                let values = vec![last, Value::Chain(chain)];
                return Value::Chain(Chain { root: Root::Group(values), line: line_of(node), steps: Vec::new() });
            }
        }
        // `client.send(:chat, …)` is `client.chat(…)`.
        if self.language == Language::Ruby
            && let Some(Step::Member(member, _)) = chain.steps.last_mut()
            && matches!(member.as_str(), "send" | "public_send" | "__send__" | "method")
            && let Some(Value::Text(text)) = call.arguments.first().map(|argument| &argument.value)
        {
            text.value.clone_into(member);
            call.arguments.remove(0);
        }
        if !is_bare || matches!(chain.steps.last(), Some(Step::Member(name, _)) if name == "new") {
            chain.steps.push(Step::Call(call));
        }
        self.appended(&chain).unwrap_or(Value::Chain(chain))
    }

    fn made(
        &mut self,
        node: Node<'_>,
        class: Option<Node<'_>>,
        arguments: Option<Node<'_>>,
        fields: Option<Node<'_>>,
    ) -> Value {
        let mut chain = match class {
            Some(class) => match self.class_name(class) {
                Some(chain) => chain,
                None => return self.elements(fields),
            },
            None => Chain { root: Root::Name("new".to_owned()), line: line_of(node), steps: Vec::new() },
        };
        chain.line = line_of(node);
        let line = line_of(node);
        let call = self.call(node, arguments, fields, line);
        chain.steps.push(Step::Call(call));
        if self.language == Language::Rust {
            self.own_fields(&chain);
        }
        Value::Chain(chain)
    }

    /// The class that is made; none for lists and maps of Go.
    fn class_name(&mut self, class: Node<'_>) -> Option<Chain> {
        match class.kind() {
            "slice_type" | "array_type" | "map_type" | "implicit_length_array_type" | "struct_type" => None,
            "generic_type" | "generic_name" => self.class_name(class.named_child(0)?),
            _ => Some(self.chain_of(class)),
        }
    }

    fn elements(&mut self, fields: Option<Node<'_>>) -> Value {
        let Some(fields) = fields else { return Value::Other };
        let Value::Object(pairs) = self.object(fields) else { return Value::Other };
        if pairs.iter().all(|(key, _)| key.is_empty()) {
            Value::List(pairs.into_iter().map(|(_, value)| value).collect())
        } else {
            Value::Object(pairs)
        }
    }

    fn index(&mut self, node: Node<'_>, object: Node<'_>, key: Option<Node<'_>>) -> Value {
        let mut chain = self.chain_of(object);
        let key = key.map(|key| first_within(first_within(key, "bracketed_argument_list"), "argument"));
        match key.map(|key| self.value(key)) {
            Some(Value::Text(text)) => chain.steps.push(Step::Member(text.value, line_of(node))),
            Some(value) => self.keep(value),
            None => {}
        }
        Value::Chain(chain)
    }

    fn group(&mut self, node: Node<'_>) -> Value {
        let mut cursor = node.walk();
        let parts: Vec<Node<'_>> = node.named_children(&mut cursor).collect();
        let mut values: Vec<Value> = parts.into_iter().map(|part| self.value(part)).collect();
        // What something is compared with is not used.
        let operator = node.child_by_field_name("operator").map_or("", |operator| self.source(operator));
        if matches!(operator, "==" | "===" | "!=" | "!==" | "=~" | "<>" | "in") {
            values.retain(|value| value.text().is_none());
        }
        if let Some(text) = self.filled_in(operator, &values) {
            return Value::Text(Text { value: text, line: line_of(node) });
        }
        // Texts that are joined are one text.
        let joins = values.iter().any(|value| matches!(value, Value::Text(_)))
            && node
                .child_by_field_name("operator")
                .is_none_or(|operator| matches!(self.source(operator), "+" | "." | "%"));
        if joins && matches!(node.kind(), "binary_expression" | "binary_operator" | "binary") {
            let joined = match values.as_slice() {
                // `"%s/path" % base`
                [Value::Text(text), given] if self.language == Language::Ruby && operator == "%" => {
                    text.value.replacen("%s", &part(given), 1)
                }
                [first, rest @ ..] if self.is_joined(node) => {
                    let mut joined = of_joined(first);
                    joined.extend(rest.iter().map(part));
                    joined
                }
                _ => values.iter().map(part).collect(),
            };
            let has_calls = values.iter().any(|value| value.matters() && value.text().is_none());
            for value in values {
                if has_calls && value.text().is_none() {
                    self.keep(value);
                }
            }
            return Value::Text(Text { value: shortened(&joined), line: line_of(node) });
        }
        Value::Chain(Chain { root: Root::Group(values), line: line_of(node), steps: Vec::new() })
    }

    /// Whether what stands first in a join is joined itself: `$base . $model . ':generateContent'`.
    fn is_joined(&self, node: Node<'_>) -> bool {
        let operator =
            |of: Node<'_>| of.child_by_field_name("operator").map(|operator| self.source(operator).to_owned());
        let first = node.named_child(0).filter(|first| first.kind() == node.kind());
        first.is_some_and(|first| operator(first) == operator(node))
    }

    /// The expression as a chain; literals and the like become a group of themselves.
    fn chain_of(&mut self, node: Node<'_>) -> Chain {
        match self.value(node) {
            Value::Chain(chain) => chain,
            other => Chain { root: Root::Group(vec![other]), line: line_of(node), steps: Vec::new() },
        }
    }

    fn call(&mut self, node: Node<'_>, arguments: Option<Node<'_>>, fields: Option<Node<'_>>, line: u32) -> Call {
        let mut call = Call { arguments: Vec::new(), line, end: line_of_end(node) };
        // What a container of services is asked for is said by a type.
        if self.language == Language::CSharp
            && let Some(generic) = node.child_by_field_name("function").and_then(generic_name)
        {
            let types = self.types(generic);
            let text = types.get(1).cloned().unwrap_or_default();
            let value = Value::Text(Text { value: text, line });
            call.arguments.push(Argument { name: Some(SERVICE.to_owned()), value });
        }
        if self.language == Language::Kotlin
            && let Some(generic) = child_of(node, &["type_arguments"])
            && let Some(text) = self.types(generic).into_iter().next()
        {
            let value = Value::Text(Text { value: text, line });
            call.arguments.push(Argument { name: Some(SERVICE.to_owned()), value });
        }
        for part in [arguments, fields].into_iter().flatten() {
            let mut cursor = part.walk();
            let children: Vec<Node<'_>> = part.named_children(&mut cursor).collect();
            for child in children {
                if self.language == Language::Java && child.kind() == "lambda_expression" {
                    call.arguments.extend(self.settings(child));
                }
                if let Some(argument) = self.argument(child) {
                    call.arguments.push(argument);
                }
            }
        }
        if let Some(lambda) = child_of(node, &["annotated_lambda"]) {
            call.arguments.extend(self.settings(lambda));
            if Some(lambda) != arguments {
                self.children(lambda);
            }
        }
        call
    }

    fn argument(&mut self, node: Node<'_>) -> Option<Argument> {
        if matches!(node.kind(), "comment" | "line_comment" | "block_comment") {
            return None;
        }
        if let Some((name, value)) = self.pair(node) {
            return Some(Argument { name: Some(name), value });
        }
        let inner = match node.kind() {
            "argument" | "value_argument" | "element_initializer" => {
                let mut cursor = node.walk();
                let last = node.named_children(&mut cursor).last();
                last.unwrap_or(node)
            }
            // `create(**parameters)`
            "dictionary_splat" | "hash_splat_argument" => node.named_child(0).unwrap_or(node),
            _ => node,
        };
        Some(Argument { name: None, value: self.value(inner) })
    }

    /// A key and a value, in any of the languages' forms.
    fn pair(&mut self, node: Node<'_>) -> Option<(String, Value)> {
        let (key, value) = match node.kind() {
            "keyword_argument" => (node.child_by_field_name("name")?, node.child_by_field_name("value")?),
            "pair" | "element_value_pair" if node.child_by_field_name("value").is_some() => {
                (node.child_by_field_name("key")?, node.child_by_field_name("value")?)
            }
            "keyed_element" | "array_element_initializer" | "value_argument" | "argument"
                if node.named_child_count() == 2 =>
            {
                if node.kind() == "argument" && node.child_by_field_name("name").is_none() {
                    return None;
                }
                (node.named_child(0)?, node.named_child(1)?)
            }
            "field_initializer" => (node.child_by_field_name("field")?, node.child_by_field_name("value")?),
            // Ruby's `chat(parameters:)`
            "pair" => {
                let key = node.child_by_field_name("key")?;
                let name = self.source(key).trim_matches([':', '"', ' ']).to_owned();
                let root = Root::Name(name.clone());
                return Some((name, chain(root, node)));
            }
            "shorthand_property_identifier" | "shorthand_field_initializer" => {
                let name = self.name(node);
                return Some((name, self.root(node)));
            }
            "assignment_expression" if self.language == Language::CSharp => {
                (node.child_by_field_name("left")?, node.child_by_field_name("right")?)
            }
            _ => return None,
        };
        let key = match self.literal_text(key) {
            Some(text) => text,
            None => self.source(key).trim_matches(['"', '\'', ':', ' ', '`']).chars().take(80).collect(),
        };
        Some((key, self.value(value)))
    }

    /// C#'s `new { model = "…", … }`, whose members the grammar keeps flat.
    fn anonymous(&mut self, node: Node<'_>) -> Value {
        let mut cursor = node.walk();
        let children: Vec<Node<'_>> = node.children(&mut cursor).collect();
        let mut pairs = Vec::new();
        for part in children.windows(3) {
            if let [key, sign, value] = part
                && sign.kind() == "="
            {
                pairs.push((self.name(*key), self.value(*value)));
            }
        }
        Value::Object(pairs)
    }

    fn object(&mut self, node: Node<'_>) -> Value {
        if node.kind() == "anonymous_object_creation_expression" {
            return self.anonymous(node);
        }
        let mut cursor = node.walk();
        let children: Vec<Node<'_>> = node.named_children(&mut cursor).collect();
        let mut pairs = Vec::new();
        for child in children {
            if let Some(pair) = self.pair(child) {
                pairs.push(pair);
            } else {
                let inner = match child.kind() {
                    "spread_element" | "dictionary_splat" | "array_element_initializer" | "hash_splat_argument" => {
                        child.named_child(0).unwrap_or(child)
                    }
                    "method_definition" => {
                        self.visit(child);
                        continue;
                    }
                    _ => child,
                };
                pairs.push((String::new(), self.value(inner)));
            }
        }
        Value::Object(pairs)
    }
}

/// What a type that is an interface is declared as.
pub(super) const INTERFACE: &str = "interface";

/// The name of the argument that says which type is asked for: `GetService<T>()`.
pub(super) const SERVICE: &str = "<>";

/// The generic name that is called, where it asks a container for a service.
fn generic_name(callee: Node<'_>) -> Option<Node<'_>> {
    let name = callee.child_by_field_name("name").unwrap_or(callee);
    (name.kind() == "generic_name").then_some(name)
}

fn chain(root: Root, node: Node<'_>) -> Value {
    Value::Chain(Chain { root, line: line_of(node), steps: Vec::new() })
}

/// The line of the last name in a chain.
fn last_line(chain: &Chain) -> u32 {
    match chain.steps.last() {
        Some(Step::Member(_, line)) => *line,
        Some(Step::Call(call)) => call.end,
        None => chain.line,
    }
}

/// What is in a node of the kind, else the node.
fn first_within<'t>(node: Node<'t>, kind: &str) -> Node<'t> {
    if node.kind() == kind { node.named_child(0).unwrap_or(node) } else { node }
}
