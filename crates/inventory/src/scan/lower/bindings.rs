//! Names and what is bound to them: parameters, assignments, patterns.

use tree_sitter::Node;

use super::classes::named_new;
use super::{INTERFACE, Walk, line_of, line_of_end};
use crate::scan::facts::{Binding, BindingKind, Call, Chain, Root, Step, Value};
use crate::scan::language::Language;
use crate::scan::syntax::{Shape, child_of, shape};

impl Walk<'_> {
    pub(super) fn parameters(&mut self, node: Node<'_>, kind: BindingKind) {
        if matches!(node.kind(), "identifier" | "simple_identifier") {
            let name = self.name(node);
            return self.bind(name, kind, None, Vec::new(), line_of(node));
        }
        let mut cursor = node.walk();
        let parameters: Vec<Node<'_>> = node.named_children(&mut cursor).collect();
        for (idx, parameter) in parameters.into_iter().enumerate() {
            if matches!(parameter.kind(), "class_parameters" | "formal_parameters") {
                self.parameters(parameter, kind);
                continue;
            }
            self.parameter(parameter, kind);
            if self.language == Language::Ruby {
                self.given_to(idx);
            }
        }
    }

    fn parameter(&mut self, parameter: Node<'_>, kind: BindingKind) {
        if self.language.is_jvm() {
            self.annotations(parameter);
        }
        let name = parameter
            .child_by_field_name("name")
            .or_else(|| parameter.child_by_field_name("pattern"))
            .or_else(|| child_of(parameter, &["identifier", "simple_identifier", "variable_declarator"]))
            .unwrap_or(parameter);
        let declared = parameter
            .child_by_field_name("type")
            .or_else(|| child_of(parameter, &["user_type", "nullable_type", "type_identifier", "generic_type"]));
        let value = parameter.child_by_field_name("value").or_else(|| parameter.child_by_field_name("default_value"));
        // C#'s grammar gives a default no name of its own.
        let value = value.or_else(|| {
            let last = parameter.named_child(u32::try_from(parameter.named_child_count()).ok()?.checked_sub(1)?)?;
            (self.language == Language::CSharp && last.start_byte() > name.end_byte()).then_some(last)
        });
        let value = value.map(|value| self.value(value)).filter(|value| !matches!(value, Value::Other));
        if let Some(Value::Chain(_)) = &value {
            value.clone().into_iter().for_each(|value| self.keep(value));
        }
        let mut types = declared.map(|declared| self.types(declared)).unwrap_or_default();
        if self.language == Language::Rust {
            self.add_bounds(parameter, &mut types);
        }
        let is_property = parameter.child_by_field_name("accessibility_modifier").is_some()
            || child_of(parameter, &["accessibility_modifier"]).is_some()
            || parameter.kind() == "property_promotion_parameter";
        let name = self.name(name);
        if is_property {
            let class = self.scopes.iter().rev().find(|scope| scope.is_class).map(|scope| (scope.from, scope.to));
            let (from, to) = class.unwrap_or((1, u32::MAX));
            self.facts.bindings.push(Binding {
                target: name.clone(),
                kind: BindingKind::Field,
                value: value.clone(),
                types: types.clone(),
                line: line_of(parameter),
                from,
                to,
            });
        }
        self.bind(name, kind, value, types, line_of(parameter));
    }

    pub(super) fn bind(
        &mut self,
        target: String,
        kind: BindingKind,
        value: Option<Value>,
        types: Vec<String>,
        line: u32,
    ) {
        let in_class = kind == BindingKind::Field;
        let scope = self.scopes.iter().rev().find(|scope| !in_class || scope.is_class).or(self.scopes.first());
        let (from, to) = scope.map_or((1, u32::MAX), |scope| (scope.from, scope.to));
        self.facts.bindings.push(Binding { target, kind, value, types, line, from, to });
    }

    /// PHP's `define('NAME', value)`, which is known everywhere.
    pub(super) fn defined(&mut self, chain: &Chain, call: &Call) {
        let is_define = self.language == Language::Php
            && chain.steps.is_empty()
            && matches!(&chain.root, Root::Name(name) if name == "define");
        if let [name, value, ..] = call.arguments.as_slice()
            && is_define
            && let Some(target) = name.value.text().map(str::to_owned)
        {
            let (kind, value) = (BindingKind::Local, Some(value.value.clone()));
            let (line, from, to) = (call.line, 1, u32::MAX);
            self.facts.bindings.push(Binding { target, kind, value, types: Vec::new(), line, from, to });
        }
    }

    /// A type of Go: the lines its members stand on, and the members that have their type's name.
    pub(super) fn go_type(&mut self, node: Node<'_>) {
        self.children(node);
        let (Some(name), Some(body)) = (node.child_by_field_name("name"), node.child_by_field_name("type")) else {
            return;
        };
        let is_interface = body.kind() == "interface_type";
        if body.kind() != "struct_type" && !is_interface {
            return;
        }
        let (from, to) = (line_of(body), line_of_end(body));
        let target = self.name(name);
        let types = if is_interface { vec![INTERFACE.to_owned()] } else { Vec::new() };
        let (kind, line) = (BindingKind::Type, line_of(node));
        self.facts.bindings.push(Binding { target, kind, value: None, types, line, from, to });
        let Some(fields) = child_of(body, &["field_declaration_list"]) else { return };
        let mut cursor = fields.walk();
        let embedded: Vec<Node<'_>> = fields
            .named_children(&mut cursor)
            .filter(|field| field.kind() == "field_declaration" && field.child_by_field_name("name").is_none())
            .filter_map(|field| field.child_by_field_name("type"))
            .collect();
        for declared in embedded {
            let types = self.types(declared);
            let Some(target) = types.first().and_then(|name| name.rsplit('.').next()).map(str::to_owned) else {
                continue;
            };
            let (kind, line) = (BindingKind::Field, line_of(declared));
            self.facts.bindings.push(Binding { target, kind, value: None, types, line, from, to });
        }
    }

    /// Names in a type: of `Optional[openai.OpenAI]` both, outermost first.
    pub(super) fn types(&self, node: Node<'_>) -> Vec<String> {
        let mut names = Vec::new();
        let text = self.source(node);
        for name in text.split(|character: char| !(character.is_alphanumeric() || "_.:\\".contains(character))) {
            let name = name.replace("::", ".").replace('\\', ".");
            let name = name.trim_matches(['.', ':']);
            if name.starts_with(char::is_alphabetic) && name.len() < 120 && names.len() < 6 {
                names.push(name.to_owned());
            }
        }
        names
    }

    pub(super) fn assign(
        &mut self,
        node: Node<'_>,
        target: Node<'_>,
        value: Option<Node<'_>>,
        declared: Option<Node<'_>>,
        is_field: bool,
    ) -> Value {
        let mut types = declared.map(|declared| self.types(declared)).unwrap_or_default();
        if self.language == Language::Rust && node.kind() == "field_declaration" {
            self.add_bounds(node, &mut types);
        }
        // `const f = () => …`: a function with a name.
        if let Some(value) = value
            && let Shape::Function { parameters, result, body, .. } = shape(value, self.language)
        {
            let name = Some(self.name(target));
            self.function(value, name, parameters, result, body);
            return Value::Other;
        }
        let mut value = value.map_or(Value::Other, |value| self.value(value));
        // `Type name = new(…)`, or of a name that was declared before
        if let Some(class) = types.first().cloned().or_else(|| self.class_of(target)) {
            named_new(&mut value, &class);
        }
        self.bind_target(node, target, &value, &types, is_field);
        value
    }

    /// What a name was declared as that is given a `new(…)` now.
    fn class_of(&self, target: Node<'_>) -> Option<String> {
        if self.language != Language::CSharp {
            return None;
        }
        let name = match shape(target, self.language) {
            Shape::Member { name, .. } => self.name(name),
            _ => self.name(target),
        };
        let declared = |binding: &&Binding| binding.target == name && !binding.types.is_empty();
        self.facts.bindings.iter().rev().find(declared).and_then(|binding| binding.types.first().cloned())
    }

    pub(super) fn is_loop(&self, node: Node<'_>) -> bool {
        match node.kind() {
            "for_statement" => self.language == Language::Python,
            "for_in_statement" => self.language.is_script(),
            _ => false,
        }
    }

    /// `for name in values`: the name stands for any of the values.
    pub(super) fn looped(&mut self, node: Node<'_>) {
        let (left, right) = (node.child_by_field_name("left"), node.child_by_field_name("right"));
        let (Some(left), Some(right)) = (left, right) else { return self.children(node) };
        let value = self.value(right);
        let is_several = match &value {
            Value::List(_) => true,
            Value::Chain(chain) => !chain.steps.iter().any(|step| matches!(step, Step::Call(_))),
            _ => false,
        };
        if is_several && matches!(shape(left, self.language), Shape::Name) {
            let name = self.name(left);
            self.bind(name, BindingKind::Local, Some(value.clone()), Vec::new(), line_of(node));
        }
        self.keep(value);
        let mut cursor = node.walk();
        let rest: Vec<Node<'_>> =
            node.named_children(&mut cursor).filter(|child| *child != left && *child != right).collect();
        for child in rest {
            self.visit(child);
        }
    }

    fn bind_target(&mut self, node: Node<'_>, target: Node<'_>, value: &Value, types: &[String], is_field: bool) {
        let class_level = self.scopes.last().is_some_and(|scope| scope.is_class);
        let kept = (!matches!(value, Value::Other)).then(|| value.clone());
        match target.kind() {
            "object_pattern"
            | "tuple_pattern"
            | "pattern_list"
            | "expression_list"
            | "array_pattern"
            | "tuple"
            | "left_assignment_list" => self.bind_pattern(node, target, value),
            "tuple_struct_pattern" | "struct_pattern" | "ref_pattern" | "reference_pattern" | "captured_pattern" => {
                self.pattern(target, value);
            }
            _ => {
                let (is_member, name) = match shape(target, self.language) {
                    Shape::Member { object: Some(object), name } => {
                        let of_self = matches!(shape(object, self.language), Shape::Itself)
                            || matches!(self.source(object), "self" | "$this" | "this" | "cls");
                        (of_self || self.language == Language::Go, self.name(name))
                    }
                    Shape::Member { object: None, name } => (true, self.name(name)),
                    Shape::Index { object, key } => {
                        if self.language == Language::Ruby
                            && let Some(item) = kept.clone()
                        {
                            self.put_into(object, item);
                        }
                        return self.bind_key(node, object, key, kept);
                    }
                    _ => (target.kind() == "instance_variable", self.name(target)),
                };
                // `request.model = …` is known under the whole name too.
                if let Shape::Member { object: Some(object), name } = shape(target, self.language)
                    && matches!(shape(object, self.language), Shape::Name)
                {
                    let whole = format!("{}.{}", self.name(object), self.name(name));
                    self.bind(whole, BindingKind::Local, kept.clone(), Vec::new(), line_of(node));
                }
                if let (Shape::Member { object: Some(object), name }, Some(Value::Chain(_))) =
                    (shape(target, self.language), &kept)
                    && matches!(shape(object, self.language), Shape::Member { .. })
                {
                    let (store, name) = (self.chain_of(object), self.name(name));
                    self.bind_whole(&store, &name, kept.clone(), line_of(node));
                }
                let kind = if is_member || is_field || class_level { BindingKind::Field } else { BindingKind::Local };
                self.bind(name, kind, kept, types.to_vec(), line_of(node));
            }
        }
    }

    /// `session.state.chain = …`: known under the whole name, in the whole file.
    fn bind_whole(&mut self, chain: &Chain, name: &str, value: Option<Value>, line: u32) {
        let mut whole = match &chain.root {
            Root::Name(root) => root.clone(),
            Root::Itself | Root::Group(_) => return,
        };
        for step in &chain.steps {
            let Step::Member(member, _) = step else { return };
            whole.push('.');
            whole.push_str(member);
        }
        let (target, kind) = (format!("{whole}.{name}"), BindingKind::Local);
        self.facts.bindings.push(Binding { target, kind, value, types: Vec::new(), line, from: 1, to: u32::MAX });
    }

    /// `session.set("chain", …)`
    pub(super) fn bind_stored(&mut self, chain: &Chain, call: &Call) {
        let is_ours = self.language == Language::Python || self.language.is_script();
        if let [.., Step::Member(set, _)] = chain.steps.as_slice()
            && set == "set"
            && is_ours
            && let [key, stored] = call.arguments.as_slice()
            && let (Some(key), Value::Chain(_)) = (key.value.text(), &stored.value)
        {
            let mut store = chain.clone();
            store.steps.pop();
            self.bind_whole(&store, key, Some(stored.value.clone()), call.line);
        }
    }

    /// `request["model"] = …`
    fn bind_key(&mut self, node: Node<'_>, object: Node<'_>, key: Option<Node<'_>>, value: Option<Value>) {
        let key = key.map(|key| if key.kind() == "argument" { key.named_child(0).unwrap_or(key) } else { key });
        if let Some(key) = key.and_then(|key| self.literal_text(key))
            && matches!(shape(object, self.language), Shape::Name)
            && value.is_some()
        {
            let whole = format!("{}.{key}", self.name(object));
            self.bind(whole, BindingKind::Local, value, Vec::new(), line_of(node));
        } else if let Some(key) = key.and_then(|key| self.literal_text(key))
            && matches!(shape(object, self.language), Shape::Member { .. })
            && matches!(value, Some(Value::Chain(_)))
        {
            let store = self.chain_of(object);
            self.bind_whole(&store, &key, value, line_of(node));
        }
    }

    fn bind_pattern(&mut self, node: Node<'_>, target: Node<'_>, value: &Value) {
        let mut cursor = target.walk();
        let parts: Vec<Node<'_>> = target.named_children(&mut cursor).collect();
        for (idx, part) in parts.into_iter().enumerate() {
            let (key, local) = match part.kind() {
                "pair_pattern" => {
                    let key = part.child_by_field_name("key").map(|key| self.name(key)).unwrap_or_default();
                    let local = part.child_by_field_name("value").map(|local| self.name(local)).unwrap_or_default();
                    (Some(key), local)
                }
                "shorthand_property_identifier_pattern" => (Some(self.name(part)), self.name(part)),
                "object_assignment_pattern" => {
                    let name = part.named_child(0).map(|name| self.name(name)).unwrap_or_default();
                    (Some(name.clone()), name)
                }
                _ => (None, self.name(part)),
            };
            let bound = match (value, key) {
                (Value::Chain(chain), Some(key)) => {
                    let mut chain = chain.clone();
                    chain.steps.push(Step::Member(key, line_of(part)));
                    Some(Value::Chain(chain))
                }
                (Value::Object(pairs), Some(key)) => {
                    pairs.iter().find(|(name, _)| *name == key).map(|(_, value)| value.clone())
                }
                // `a, err := f()`, `a, b = x, y`
                (Value::Chain(Chain { root: Root::Group(values), steps, .. }), None) if steps.is_empty() => {
                    if values.len() == 1 && idx == 0 { values.first().cloned() } else { values.get(idx).cloned() }
                }
                (Value::List(values), None) => values.get(idx).cloned(),
                (_, None) if idx == 0 => Some(value.clone()),
                _ => None,
            };
            let kind = if part.kind() == "selector_expression" { BindingKind::Field } else { BindingKind::Local };
            // `request.Model = …` is known under the whole name too.
            if kind == BindingKind::Field && local.matches('.').count() == 1 && bound.is_some() {
                self.bind(local.clone(), BindingKind::Local, bound.clone(), Vec::new(), line_of(node));
            }
            let local = local.rsplit('.').next().unwrap_or_default().to_owned();
            self.bind(local, kind, bound, Vec::new(), line_of(node));
        }
    }
}
