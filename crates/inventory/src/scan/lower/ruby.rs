//! What only Ruby has: classes that are known by their constants, blocks, `super`, and classes that are named by a text.

use tree_sitter::Node;

use super::{Walk, line_of, line_of_end};
use crate::scan::facts::{Binding, BindingKind, Call, Chain, Import, Root, Step, Value};
use crate::scan::language::Language;
use crate::scan::syntax::child_of;

/// Methods that give the items of what they are called on to their block, or that itself.
const GIVES: [&str; 16] = [
    "each",
    "map",
    "flat_map",
    "collect",
    "filter_map",
    "select",
    "reject",
    "find",
    "detect",
    "each_with_index",
    "each_value",
    "then",
    "yield_self",
    "tap",
    "with",
    "try",
];

/// How the type of a parameter begins that says whose it is.
pub(in crate::scan) const GIVEN: &str = "fn:";

/// The name of what a function gives to its block or closure.
pub(super) fn yielded(function: &str) -> String {
    format!("yield {function}")
}

/// Methods that return what their block does.
const RETURNS: [&str; 6] =
    ["synchronize", "compute_if_absent", "fetch", "fetch_or_store", "instrument", "fetch_or_create"];

/// Whether the value is a call that needs no parentheses: of a method, or of a constant's.
pub(super) fn is_call(value: &Value) -> bool {
    matches!(value, Value::Chain(chain) if !chain.steps.is_empty())
}

/// Whether it is what happens where an expression before it fails, or after it.
pub(super) fn is_rescue(node: Node<'_>) -> bool {
    matches!(node.kind(), "rescue" | "ensure")
}

impl Walk<'_> {
    /// `begin … rescue … end`: what comes before the rescue, where nothing fails.
    pub(super) fn rescued(&mut self, children: &[Node<'_>]) -> Value {
        let tried = children.iter().take_while(|child| !is_rescue(**child)).count();
        let (tried, after) = children.split_at(tried);
        let value = match tried.split_last() {
            Some((last, before)) => {
                before.iter().for_each(|child| self.visit(*child));
                self.value(*last)
            }
            None => Value::Other,
        };
        after.iter().for_each(|child| self.visit(*child));
        value
    }

    /// What a node stands for that only Ruby has; none where it is read like any other.
    pub(super) fn ruby(&mut self, node: Node<'_>) -> Option<Value> {
        match node.kind() {
            "super" => self.above(node),
            "yield" => {
                if let Some(given) = node.named_child(0).and_then(|arguments| arguments.named_child(0)) {
                    let value = self.value(given);
                    self.yields(value.clone(), line_of(node));
                    return Some(value);
                }
                None
            }
            "lambda" if node.child_by_field_name("parameters").is_none() => self.thunk_of_ruby(node),
            "identifier" => {
                self.acts_as(node, node);
                None
            }
            "call" => {
                self.acts_as(node, node.child_by_field_name("method")?);
                self.class_by_text(node)
            }
            "binary" => {
                let (left, right) = (node.child_by_field_name("left")?, node.child_by_field_name("right")?);
                if self.source(node.child_by_field_name("operator")?) != "<<" {
                    return None;
                }
                let item = self.value(right);
                self.put_into(left, item.clone());
                Some(item)
            }
            _ => None,
        }
    }

    /// `@clients[name] = client`, `@clients << client`: the name stands for any of what is in it.
    pub(super) fn put_into(&mut self, store: Node<'_>, item: Value) {
        let kind = match store.kind() {
            "instance_variable" => BindingKind::Field,
            "identifier" => BindingKind::Local,
            _ => return,
        };
        if matches!(item, Value::Chain(_)) {
            self.bind(self.name(store), kind, Some(item), Vec::new(), line_of(store));
        }
    }

    /// `super`: the method of the class above.
    fn above(&mut self, node: Node<'_>) -> Option<Value> {
        let line = line_of(node);
        let method = self.scopes.iter().rev().find(|scope| !scope.is_class).and_then(|scope| scope.name.clone())?;
        let class = self.scopes.iter().rev().find(|scope| scope.is_class).and_then(|scope| scope.name.as_deref())?;
        let class = class.rsplit('.').next().unwrap_or(class);
        let import = self.facts.imports.iter().rev().find(|import| import.local == class)?;
        let mut names = import.symbol.split('.');
        let root = Root::Name(names.next().filter(|name| !name.is_empty())?.to_owned());
        let mut steps: Vec<Step> = names.map(|name| Step::Member(name.to_owned(), line)).collect();
        steps.push(Step::Member(method, line));
        steps.push(Step::Call(Call { arguments: Vec::new(), line, end: line_of_end(node) }));
        Some(Value::Chain(Chain { root, line, steps }))
    }

    /// A lambda without parameters is what it returns.
    fn thunk_of_ruby(&mut self, node: Node<'_>) -> Option<Value> {
        let body = node.child_by_field_name("body")?;
        self.last_of(body)
    }

    /// `"A::B".constantize`, `Object.const_get("A::B")`: the class of that name; what is filled in is any below.
    fn class_by_text(&mut self, node: Node<'_>) -> Option<Value> {
        let (method, receiver) = (node.child_by_field_name("method")?, node.child_by_field_name("receiver")?);
        let text = match self.source(method) {
            "constantize" | "safe_constantize" => self.literal_text(receiver)?,
            "const_get" if matches!(self.source(receiver), "Object" | "Kernel") => {
                let arguments = node.child_by_field_name("arguments")?;
                self.literal_text(arguments.named_child(0)?)?
            }
            _ => return None,
        };
        let line = line_of(node);
        let (said, is_open) = text.split_once("#{").map_or((text.as_str(), false), |(said, _)| (said, true));
        let mut parts = said.split("::").filter(|part| !part.is_empty());
        let first = parts.next().filter(|first| first.starts_with(char::is_uppercase))?;
        self.brings(first, line);
        let parts = parts.chain(is_open.then_some("const_get"));
        let steps = parts.map(|part| Step::Member(part.to_owned(), line)).collect();
        Some(Value::Chain(Chain { root: Root::Name(first.to_owned()), line, steps }))
    }

    /// The parameter of a block is an item of what the block's method is called on.
    pub(super) fn items_of_block(&mut self, called: &Chain, block: Node<'_>) {
        let parameter = block.child_by_field_name("parameters").and_then(|parameters| parameters.named_child(0));
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
        self.bind_within(block, parameter, value);
    }

    /// What the function around gives to its block.
    pub(super) fn yields(&mut self, value: Value, line: u32) {
        let function = self.scopes.iter().rev().find(|scope| !scope.is_class).and_then(|scope| scope.name.clone());
        if let (Some(function), Value::Chain(_)) = (function, &value) {
            let kind = if self.language == Language::Ruby { BindingKind::Return } else { BindingKind::Local };
            let target = yielded(&function);
            let (types, from, to) = (Vec::new(), 1, u32::MAX);
            self.facts.bindings.push(Binding { target, kind, value: Some(value), types, line, from, to });
        }
    }

    /// Says of the last parameter whose it is: `fn:name#0`, of a constructor `fn:Class.new#0`.
    pub(super) fn given_to(&mut self, idx: usize) {
        let function = self.scopes.last().filter(|scope| !scope.is_class).and_then(|scope| scope.name.as_deref());
        let class = self.scopes.iter().rev().find(|scope| scope.is_class).and_then(|scope| scope.name.as_deref());
        let name = match (function, class) {
            (Some("initialize"), Some(class)) => format!("{}.new", class.rsplit('.').next().unwrap_or(class)),
            (Some(function), _) => function.to_owned(),
            (None, _) => return,
        };
        if let Some(last) = self.facts.bindings.last_mut().filter(|last| last.kind == BindingKind::Parameter) {
            last.types = vec![format!("{GIVEN}{name}#{idx}")];
        }
    }

    /// Binds a name in a part of a function alone.
    pub(super) fn bind_within(&mut self, within: Node<'_>, name: Node<'_>, value: Chain) {
        let (from, to) = (line_of(within), line_of_end(within));
        self.facts.bindings.push(Binding {
            target: self.name(name),
            kind: BindingKind::Local,
            value: Some(Value::Chain(value)),
            types: Vec::new(),
            line: from,
            from,
            to,
        });
    }

    /// `acts_as_chat`: the class is a record of a chat.
    fn acts_as(&mut self, node: Node<'_>, name: Node<'_>) {
        if self.source(name) != "acts_as_chat" {
            return;
        }
        let class = self.scopes.iter().rev().find(|scope| scope.is_class).and_then(|scope| scope.name.clone());
        if let Some(class) = class {
            let local = class.rsplit('.').next().unwrap_or_default().to_owned();
            let (module, symbol) = ("RubyLLM".to_owned(), "RubyLLM.Record".to_owned());
            self.facts.imports.push(Import { local, module, symbol, line: line_of(node) });
        }
    }

    /// A class of Ruby is known by what it inherits from: `class Support < RubyLLM::Agent`.
    pub(super) fn inherits(&mut self, name: String, of: Node<'_>) {
        let symbol = self.name(of);
        let module = symbol.split('.').next().unwrap_or_default().to_owned();
        let local = name.rsplit('.').next().unwrap_or_default().to_owned();
        self.facts.imports.push(Import { local, module, symbol, line: line_of(of) });
    }

    /// A library that needs no import is known by its constant.
    pub(super) fn brings(&mut self, module: &str, line: u32) {
        if self.facts.imports.len() < 200 && !self.facts.imports.iter().any(|import| import.module == module) {
            let (local, symbol) = (String::new(), String::new());
            self.facts.imports.push(Import { local, module: module.to_owned(), symbol, line });
        }
    }

    /// What stands in a block; `let(:name) { … }` of a test binds the name to it.
    pub(super) fn block(&mut self, chain: &Chain, call: &Call, block: Node<'_>) -> Option<Value> {
        if matches!(chain.steps.last(), Some(Step::Member(name, _)) if RETURNS.contains(&name.as_str())) {
            return self.last_of(block);
        }
        let named = match &chain.root {
            Root::Name(name)
                if chain.steps.is_empty() && matches!(name.as_str(), "let" | "let!" | "subject" | "memoize") =>
            {
                call.arguments.first().and_then(|argument| argument.value.text()).map(str::to_owned)
            }
            _ => None,
        };
        let Some(name) = named.filter(|_| child_of(block, &["block_body", "body_statement"]).is_some()) else {
            self.children(block);
            return None;
        };
        let value = self.last_of(block)?;
        let (from, to) = self.scopes.first().map_or((1, u32::MAX), |scope| (scope.from, scope.to));
        let kept = Some(value.clone());
        self.facts.bindings.push(Binding {
            target: name,
            kind: BindingKind::Field,
            value: kept,
            types: Vec::new(),
            line: line_of(block),
            from,
            to,
        });
        self.keep(value);
        None
    }

    /// What the last line of a block comes to.
    fn last_of(&mut self, block: Node<'_>) -> Option<Value> {
        let Some(body) = child_of(block, &["block_body", "body_statement"]) else {
            self.children(block);
            return None;
        };
        let mut cursor = body.walk();
        let children: Vec<Node<'_>> = body.named_children(&mut cursor).collect();
        let (last, before) = children.split_last()?;
        for child in before {
            self.visit(*child);
        }
        Some(self.value(*last))
    }
}
