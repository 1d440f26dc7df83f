//! Classes, what they are derived from, and objects whose class is said elsewhere.

use tree_sitter::Node;

use super::{Scope, Walk, line_of, line_of_end};
use crate::scan::facts::{BindingKind, Class, Root, Step, Value};
use crate::scan::language::Language;
use crate::scan::syntax::child_of;

impl Walk<'_> {
    pub(super) fn class(&mut self, node: Node<'_>) {
        let name = node.child_by_field_name("name").map(|name| self.name(name));
        if let Some(name) = &name {
            self.declared(node, name);
        }
        let own = node.child_by_field_name("type").filter(|_| self.language == Language::Rust).map(|of| self.name(of));
        let (from, to) = (line_of(node), line_of_end(node));
        if let Some(name) = name.clone().filter(|_| self.facts.classes.len() < CLASSES_KEPT) {
            let mut parents = Vec::new();
            for kind in ["base_list", "base_clause", "class_interface_clause"] {
                parents.extend(child_of(node, &[kind]).map(|names| self.types(names)).unwrap_or_default());
            }
            parents.extend(self.base_class(node));
            parents.retain(|parent| !matches!(parent.as_str(), "extends" | "implements"));
            let parents = parents.into_iter().map(|parent| last_part(&parent).to_owned()).collect();
            self.facts.classes.push(Class { name, parents, from, to });
        }
        if self.language == Language::Ruby
            && let Some(name) = &name
            && let Some(of) = node.child_by_field_name("superclass").and_then(|of| of.named_child(0))
        {
            self.inherits(name.clone(), of);
        }
        self.scopes.push(Scope { name: name.or(own), from, to, is_class: true, result: None });
        for kind in ["parameter_list", "primary_constructor"] {
            if let Some(parameters) = child_of(node, &[kind]) {
                self.parameters(parameters, BindingKind::Field);
            }
        }
        self.children(node);
        self.scopes.pop();
    }

    /// What a class extends, where the language does not write it as a list of types.
    fn base_class(&self, node: Node<'_>) -> Option<String> {
        let base = match self.language {
            Language::Python => node.child_by_field_name("superclasses")?.named_child(0)?,
            Language::Java => node.child_by_field_name("superclass")?.named_child(0)?,
            Language::Kotlin => {
                let given = child_of(node, &["delegation_specifiers", "delegation_specifier"])?;
                let given = child_of(given, &["delegation_specifier"]).unwrap_or(given);
                child_of(given, &["constructor_invocation"])?.named_child(0)?
            }
            _ if self.language.is_script() => {
                let heritage = child_of(node, &["class_heritage"])?;
                let extends = child_of(heritage, &["extends_clause"]).unwrap_or(heritage);
                extends.child_by_field_name("value").or_else(|| extends.named_child(0))?
            }
            _ => return None,
        };
        (!base.kind().contains("keyword")).then(|| self.name(base))
    }

    /// PHP's `use Trait;` inside a class.
    pub(super) fn is_trait_use(&self, node: Node<'_>) -> bool {
        node.kind() == "use_declaration" && self.language == Language::Php
    }

    pub(super) fn uses_trait(&mut self, node: Node<'_>) {
        let line = line_of(node);
        let mut traits = self.types(node);
        traits.retain(|name| name != "use");
        let class = self.facts.classes.iter_mut().rfind(|class| class.from <= line && line <= class.to);
        if let Some(class) = class {
            class.parents.extend(traits.iter().map(|name| last_part(name).to_owned()));
        }
    }

    /// `return new(…)` is of the class that the function is declared to return.
    pub(super) fn name_of_result(&self, value: &mut Value) {
        let function = self.scopes.iter().rev().find(|scope| !scope.is_class);
        if let Some(result) = function.and_then(|scope| scope.result.as_deref()) {
            named_new(value, result);
        }
    }
}

/// Types around what a function returns in the end.
pub(super) const WRAPPERS: [&str; 6] =
    ["Task", "ValueTask", "Lazy", "IEnumerable", "IAsyncEnumerable", "System.Threading.Tasks.Task"];

/// C#'s `new(…)` made to name the class.
pub(super) fn named_new(value: &mut Value, class: &str) {
    if let Value::Chain(chain) = value
        && chain.root == Root::Name("new".to_owned())
    {
        let mut parts = class.split('.');
        chain.root = Root::Name(parts.next().unwrap_or_default().to_owned());
        let line = chain.line;
        let members: Vec<Step> = parts.map(|part| Step::Member(part.to_owned(), line)).collect();
        chain.steps.splice(0..0, members);
    }
}

/// How many classes of a file are kept.
const CLASSES_KEPT: usize = 400;

fn last_part(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}
