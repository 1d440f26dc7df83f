//! What only Java and Kotlin have: types that a framework makes objects of, constants of enumerations, lambdas that fill in a builder.

use tree_sitter::Node;

use super::texts::{part, shortened};
use super::{Walk, line_of};
use crate::scan::facts::{Argument, Binding, BindingKind, Chain, Root, Step, Text, Value};
use crate::scan::language::Language;
use crate::scan::syntax::{Shape, child_of, shape};

/// What makes an object of an interface that is given to it.
const SERVICE_MAKERS: [&str; 2] = ["AiServices", "AgenticServices"];

impl Walk<'_> {
    /// A statement or a part of a declaration that only these have.
    pub(super) fn jvm(&mut self, node: Node<'_>) {
        match node.kind() {
            "annotation" => {
                if let Some(value) = self.jvm_value(node) {
                    self.keep(value);
                }
            }
            "enum_constant" | "enum_entry" => self.enum_constant(node),
            _ => self.children(node),
        }
    }

    /// What annotations say of a parameter: `@Value("${openai.url}") String url`.
    pub(super) fn annotations(&mut self, parameter: Node<'_>) {
        let Some(modifiers) = child_of(parameter, &["modifiers", "parameter_modifiers"]) else { return };
        let mut cursor = modifiers.walk();
        let annotations: Vec<Node<'_>> =
            modifiers.named_children(&mut cursor).filter(|child| child.kind() == "annotation").collect();
        annotations.into_iter().for_each(|annotation| self.jvm(annotation));
    }

    /// The same of an expression: an annotation is read as a call, a class as its name.
    pub(super) fn jvm_value(&mut self, node: Node<'_>) -> Option<Value> {
        if !self.language.is_jvm() {
            return None;
        }
        match node.kind() {
            "annotation" => match child_of(node, &["constructor_invocation"]) {
                Some(made) => self.jvm_value(made),
                None => self.called(node, node.child_by_field_name("name")?, node.child_by_field_name("arguments")),
            },
            "constructor_invocation" => {
                let class = child_of(node, &["user_type"])?;
                self.called(node, class, child_of(node, &["value_arguments"]))
            }
            "class_literal" | "callable_reference" => Some(self.root(node.named_child(0)?)),
            _ => None,
        }
    }

    fn called(&mut self, node: Node<'_>, callee: Node<'_>, arguments: Option<Node<'_>>) -> Option<Value> {
        let Value::Chain(mut chain) = self.root(callee) else { return None };
        let call = self.call(node, arguments, None, line_of(node));
        chain.steps.push(Step::Call(call));
        Some(Value::Chain(chain))
    }

    /// An interface with annotations: objects of it are what its annotations say.
    pub(super) fn declared(&mut self, node: Node<'_>, name: &str) {
        let mut cursor = node.walk();
        let is_interface = node.kind() == "interface_declaration"
            || node.kind() == "class_declaration"
                && node.children(&mut cursor).any(|child| child.kind() == "interface");
        let Some(modifiers) = child_of(node, &["modifiers"]).filter(|_| is_interface && self.language.is_jvm()) else {
            return;
        };
        let mut cursor = modifiers.walk();
        let annotations: Vec<Node<'_>> = modifiers
            .named_children(&mut cursor)
            .filter(|child| matches!(child.kind(), "annotation" | "marker_annotation"))
            .collect();
        let types: Vec<String> =
            annotations.into_iter().filter_map(|annotation| self.types(annotation).into_iter().next()).collect();
        if !types.is_empty() {
            self.made_type(name.to_owned(), None, types, line_of(node));
        }
    }

    /// `AiServices.create(Assistant.class, model)`: objects of the interface are what comes of it.
    pub(super) fn service(&mut self, value: &Value) {
        let Value::Chain(chain) = value else { return };
        let Root::Name(root) = &chain.root else { return };
        if !SERVICE_MAKERS.contains(&root.as_str()) {
            return;
        }
        let call = chain.steps.iter().find_map(|step| match step {
            Step::Call(call) => Some(call),
            Step::Member(..) => None,
        });
        if let Some(Argument { value: Value::Chain(Chain { root: Root::Name(made), line, .. }), .. }) =
            call.and_then(|call| call.arguments.first())
        {
            self.made_type(made.clone(), Some(value.clone()), Vec::new(), *line);
        }
    }

    fn made_type(&mut self, target: String, value: Option<Value>, types: Vec<String>, line: u32) {
        let kind = BindingKind::Type;
        self.facts.bindings.push(Binding { target, kind, value, types, line, from: 1, to: u32::MAX });
    }

    /// A constant of an enumeration that is made with the text it stands for.
    pub(super) fn enum_constant(&mut self, node: Node<'_>) {
        let name = node.child_by_field_name("name").or_else(|| child_of(node, &["identifier"]));
        let arguments = node.child_by_field_name("arguments").or_else(|| child_of(node, &["value_arguments"]));
        let (Some(name), Some(arguments)) = (name, arguments) else { return self.children(node) };
        let call = self.call(node, Some(arguments), None, line_of(node));
        let (texts, others): (Vec<Value>, Vec<Value>) =
            call.arguments.into_iter().map(|argument| argument.value).partition(|value| value.text().is_some());
        let is_id = |value: &Value| value.text().is_some_and(|text| !text.contains([' ', '/']) && text.len() > 1);
        // Of a title and an id the id.
        let is_lower = |value: &Value| value.text().is_some_and(|text| !text.contains(char::is_uppercase));
        let chosen = texts
            .iter()
            .find(|value| is_id(value) && is_lower(value))
            .or_else(|| texts.iter().find(|value| is_id(value)));
        if let Some(value) = chosen.cloned() {
            self.bind(self.name(name), BindingKind::Field, Some(value), Vec::new(), line_of(node));
        }
        if let Some(body) = child_of(node, &["class_body"]) {
            self.children(body);
        }
        texts.into_iter().chain(others).for_each(|value| self.keep(value));
    }

    /// `new StringBuilder().append(base).append("/path").toString()` is one text.
    pub(super) fn appended(&mut self, chain: &Chain) -> Option<Value> {
        let is_builder = matches!(&chain.root, Root::Name(name) if name == "StringBuilder" || name == "StringBuffer");
        let [Step::Call(made), between @ .., Step::Member(last, _), Step::Call(_)] = chain.steps.as_slice() else {
            return None;
        };
        if !self.language.is_jvm() || !is_builder || last != "toString" {
            return None;
        }
        let mut given: Vec<&Value> = made.arguments.iter().map(|argument| &argument.value).collect();
        for pair in between.chunks(2) {
            match pair {
                [Step::Member(name, _), Step::Call(call)] if name == "append" && call.arguments.len() == 1 => {
                    given.push(&call.arguments[0].value);
                }
                _ => return None,
            }
        }
        let whole: String = given.iter().map(|value| part(value)).collect();
        given.into_iter().filter(|value| value.matters() && value.text().is_none()).for_each(|value| {
            self.keep(value.clone());
        });
        Some(Value::Text(Text { value: shortened(&whole), line: chain.line }))
    }

    /// What a lambda sets on the builder that it is given: `{ model = ModelId("…") }`, `b -> b.modelId("…")`.
    pub(super) fn settings(&mut self, lambda: Node<'_>) -> Vec<Argument> {
        match self.language {
            Language::Kotlin => self.kotlin_settings(lambda),
            Language::Java => self.java_setting(lambda).into_iter().collect(),
            _ => Vec::new(),
        }
    }

    fn kotlin_settings(&mut self, lambda: Node<'_>) -> Vec<Argument> {
        let Some(literal) =
            (if lambda.kind() == "lambda_literal" { Some(lambda) } else { child_of(lambda, &["lambda_literal"]) })
        else {
            return Vec::new();
        };
        let mut cursor = literal.walk();
        let statements: Vec<Node<'_>> = literal.named_children(&mut cursor).collect();
        let mut settings = Vec::new();
        for statement in statements {
            let Shape::Assign { target, value: Some(value), .. } = shape(statement, self.language) else { continue };
            if statement.kind() == "assignment" && matches!(target.kind(), "identifier" | "simple_identifier") {
                let value = self.quietly(value);
                settings.push(Argument { name: Some(self.name(target)), value });
            }
        }
        settings
    }

    fn java_setting(&mut self, lambda: Node<'_>) -> Option<Argument> {
        let parameter = lambda.child_by_field_name("parameters").filter(|of| of.kind() == "identifier")?;
        let body = lambda.child_by_field_name("body").filter(|body| body.kind() == "method_invocation")?;
        let name = self.name(parameter);
        let value = self.quietly(body);
        let is_on_it = matches!(&value, Value::Chain(Chain { root: Root::Name(root), .. }) if *root == name);
        is_on_it.then_some(Argument { name: None, value })
    }

    /// The value of what is also visited as a statement: nothing of it is kept twice.
    fn quietly(&mut self, node: Node<'_>) -> Value {
        let (n_values, n_bindings) = (self.facts.values.len(), self.facts.bindings.len());
        let value = self.value(node);
        self.facts.values.truncate(n_values);
        self.facts.bindings.truncate(n_bindings);
        value
    }
}
