//! What a node of a grammar is, in one form for all languages. The grammars call most things differently, and few things by
//! one name that differ, so one table of kinds does for all of them.

use tree_sitter::{Node, Parser, Range, Tree};

use super::language::Language;

/// What a node is.
pub(crate) enum Shape<'t> {
    /// A name.
    Name,
    /// `self` or `this`.
    Itself,
    /// `object.name`; without an object the name of one that is meant (`?.name`).
    Member { object: Option<Node<'t>>, name: Node<'t> },
    /// `callee(…)`
    Call { callee: Node<'t>, arguments: Option<Node<'t>> },
    /// `object.name(…)`, where the grammar has it in one node.
    Method { object: Option<Node<'t>>, name: Node<'t>, arguments: Option<Node<'t>> },
    /// `new Class(…) { … }`
    New { class: Option<Node<'t>>, arguments: Option<Node<'t>>, fields: Option<Node<'t>> },
    /// `object[key]`
    Index { object: Node<'t>, key: Option<Node<'t>> },
    /// A literal text.
    Text,
    /// `true` or `false`.
    Flag,
    /// A number.
    Number,
    /// Something around one expression that changes nothing here: `await`, parentheses, casts.
    Inner(Node<'t>),
    /// Operands or branches.
    Group,
    /// Keys and values.
    Object,
    /// A list.
    List,
    /// A function or lambda.
    Function { name: Option<Node<'t>>, parameters: Option<Node<'t>>, result: Option<Node<'t>>, body: Option<Node<'t>> },
    /// A class, struct or the like.
    Class,
    /// `target = value`, `let target: declared = value`, a field.
    Assign { target: Node<'t>, value: Option<Node<'t>>, declared: Option<Node<'t>>, is_field: bool },
    /// `return value`
    Return(Option<Node<'t>>),
    /// An import.
    Import,
    /// C#'s `namespace name;`: what is in it and in those around it is known there.
    Namespace(Node<'t>),
    /// Comments and what else is not looked into.
    Skip,
    /// Looked into, and nothing by itself.
    Other,
}

/// The grammar of a language. Making a parser fails only where a grammar is of another version than the library.
pub(crate) fn parse(language: Language, text: &str) -> Option<Tree> {
    parse_within(language, text, &[])
}

/// The same of parts of the text alone; lines are those of the whole.
pub(crate) fn parse_within(language: Language, text: &str, parts: &[Range]) -> Option<Tree> {
    let grammar: tree_sitter::Language = match language {
        Language::Python => tree_sitter_python::LANGUAGE.into(),
        Language::JavaScript => tree_sitter_javascript::LANGUAGE.into(),
        Language::TypeScript => tree_sitter_typescript::LANGUAGE_TYPESCRIPT.into(),
        Language::Tsx => tree_sitter_typescript::LANGUAGE_TSX.into(),
        Language::Go => tree_sitter_go::LANGUAGE.into(),
        Language::Java => tree_sitter_java::LANGUAGE.into(),
        Language::Kotlin => tree_sitter_kotlin_ng::LANGUAGE.into(),
        Language::CSharp => tree_sitter_c_sharp::LANGUAGE.into(),
        Language::Rust => tree_sitter_rust::LANGUAGE.into(),
        Language::Ruby => tree_sitter_ruby::LANGUAGE.into(),
        Language::Php => tree_sitter_php::LANGUAGE_PHP.into(),
    };
    let mut parser = Parser::new();
    parser.set_language(&grammar).ok()?;
    parser.set_included_ranges(parts).ok()?;
    parser.parse(text, None)
}

fn field<'t>(node: Node<'t>, names: &[&str]) -> Option<Node<'t>> {
    names.iter().find_map(|name| node.child_by_field_name(name))
}

fn named(node: Node<'_>, idx: u32) -> Option<Node<'_>> {
    node.named_child(idx)
}

fn last_named(node: Node<'_>) -> Option<Node<'_>> {
    named(node, u32::try_from(node.named_child_count()).ok()?.checked_sub(1)?)
}

/// The first child of one of the kinds.
pub(crate) fn child_of<'t>(node: Node<'t>, kinds: &[&str]) -> Option<Node<'t>> {
    let mut cursor = node.walk();
    node.named_children(&mut cursor).find(|child| kinds.contains(&child.kind()))
}

/// What the node is.
pub(crate) fn shape(node: Node<'_>, language: Language) -> Shape<'_> {
    expression(node, language).or_else(|| declaration(node, language)).unwrap_or(Shape::Other)
}

/// Kinds that are a name.
const NAMES: [&str; 15] = [
    "identifier",
    "type_identifier",
    "constant",
    "name",
    "simple_identifier",
    "package_identifier",
    "field_identifier",
    "property_identifier",
    "instance_variable",
    "global_variable",
    "variable_name",
    "qualified_name",
    "namespace_identifier",
    "dotted_name",
    "shorthand_property_identifier",
];

/// An object and a name in it.
const MEMBERS: [&str; 15] = [
    "attribute",
    "member_expression",
    "selector_expression",
    "field_access",
    "member_access_expression",
    "nullsafe_member_access_expression",
    "field_expression",
    "scoped_identifier",
    "scope_resolution",
    "class_constant_access_expression",
    "scoped_property_access_expression",
    "qualified_type",
    "scoped_type_identifier",
    "nested_type_identifier",
    "nested_identifier",
];

/// Calls that name object and method in one node.
const METHODS: [&str; 5] = [
    "call",
    "method_invocation",
    "member_call_expression",
    "nullsafe_member_call_expression",
    "scoped_call_expression",
];

/// What makes an object.
const MAKES: [&str; 5] = [
    "new_expression",
    "object_creation_expression",
    "composite_literal",
    "struct_expression",
    "implicit_object_creation_expression",
];

/// A key into an object.
const INDEXES: [&str; 5] =
    ["subscript", "subscript_expression", "index_expression", "element_access_expression", "element_reference"];

/// Literal texts.
const TEXTS: [&str; 16] = [
    "string",
    "string_literal",
    "template_string",
    "interpreted_string_literal",
    "raw_string_literal",
    "encapsed_string",
    "interpolated_string_expression",
    "verbatim_string_literal",
    "heredoc",
    "nowdoc",
    "concatenated_string",
    "multiline_string_literal",
    "line_string_literal",
    "heredoc_body",
    "simple_symbol",
    "delimited_symbol",
];

/// Numbers.
const NUMBERS: [&str; 10] = [
    "integer",
    "float",
    "number",
    "int_literal",
    "float_literal",
    "integer_literal",
    "real_literal",
    "decimal_integer_literal",
    "decimal_floating_point_literal",
    "number_literal",
];

/// What is around one expression and changes nothing here.
const INNERS: [&str; 17] = [
    "arrow_expression_clause",
    "type_conversion_expression",
    "await",
    "await_expression",
    "parenthesized_expression",
    "as_expression",
    "satisfies_expression",
    "non_null_expression",
    "try_expression",
    "reference_expression",
    "unary_expression",
    "postfix_unary_expression",
    "postfix_expression",
    "as_pattern",
    "parenthesized_statements",
    "literal_element",
    "instantiation_expression",
];

/// Operands and branches.
const GROUPS: [&str; 14] = [
    "binary_expression",
    "binary_operator",
    "boolean_operator",
    "ternary_expression",
    "conditional_expression",
    "conditional",
    "elvis_expression",
    "infix_expression",
    "null_coalescing_expression",
    "expression_list",
    "switch_expression",
    "if_expression",
    "when_expression",
    "binary",
];

/// Lists.
const LISTS: [&str; 10] = [
    "list",
    "array",
    "tuple",
    "array_expression",
    "array_literal",
    "collection_literal",
    "array_initializer",
    "collection_expression",
    "initializer_expression",
    "set",
];

/// Imports.
const IMPORTS: [&str; 8] = [
    "import_statement",
    "import_from_statement",
    "import_spec",
    "import",
    "import_declaration",
    "using_directive",
    "use_declaration",
    "namespace_use_declaration",
];

/// What is not looked into.
const SKIPS: [&str; 9] = [
    "comment",
    "line_comment",
    "block_comment",
    "multiline_comment",
    "decorator",
    "marker_annotation",
    "package_clause",
    "package_header",
    "package_declaration",
];

/// Functions and lambdas.
const FUNCTIONS: [&str; 21] = [
    "function_definition",
    "function_declaration",
    "method_declaration",
    "method_definition",
    "method",
    "singleton_method",
    "function_item",
    "arrow_function",
    "function_expression",
    "lambda",
    "func_literal",
    "lambda_expression",
    "lambda_literal",
    "closure_expression",
    "anonymous_function",
    "constructor_declaration",
    "local_function_statement",
    "generator_function_declaration",
    "anonymous_function_creation_expression",
    "anonymous_method_expression",
    "secondary_constructor",
];

/// Classes and the like.
const CLASSES: [&str; 15] = [
    "class_definition",
    "class_declaration",
    "class",
    "struct_item",
    "impl_item",
    "record_declaration",
    "module",
    "interface_declaration",
    "object_declaration",
    "trait_item",
    "trait_declaration",
    "abstract_class_declaration",
    "struct_type",
    "enum_declaration",
    "enum_item",
];

/// Assignments.
const ASSIGNS: [&str; 9] = [
    "assignment",
    "assignment_expression",
    "assignment_statement",
    "short_var_declaration",
    "let_declaration",
    "operator_assignment",
    "augmented_assignment_expression",
    "named_expression",
    "augmented_assignment",
];

/// Variables that are declared.
const VARIABLES: [&str; 12] = [
    "variable_declarator",
    "var_spec",
    "const_spec",
    "const_item",
    "static_item",
    "public_field_definition",
    "property_signature",
    "property_declaration",
    "field_declaration",
    "property_element",
    "field_definition",
    "const_element",
];

fn expression(node: Node<'_>, language: Language) -> Option<Shape<'_>> {
    Some(match node.kind() {
        kind if NAMES.contains(&kind) => Shape::Name,
        "this" | "this_expression" | "super" | "super_expression" | "base" => Shape::Itself,
        "import" if language.is_script() && node.named_child_count() == 0 => Shape::Name,
        "self" if matches!(language, Language::Rust | Language::Ruby) => Shape::Itself,
        // PHP's `self::`, `static::` and `parent::`.
        "relative_scope" => Shape::Itself,
        kind if MEMBERS.contains(&kind) && (language != Language::CSharp || node.kind() != "attribute") => {
            member(node)?
        }
        "navigation_expression" => Shape::Member { object: named(node, 0), name: last_named(node)? },
        "conditional_access_expression" => {
            let binding = last_named(node)?;
            conditional(field(node, &["condition"])?, binding)?
        }
        "call_expression" | "function_call_expression" | "invocation_expression" => call(node)?,
        "call" if language == Language::Python => call(node)?,
        kind if METHODS.contains(&kind) => Shape::Method {
            object: field(node, &["receiver", "object", "scope"]),
            name: field(node, &["method", "name"])?,
            arguments: field(node, &["arguments"]),
        },
        "macro_invocation" => Shape::Other,
        kind if MAKES.contains(&kind) => made(node),
        kind if INDEXES.contains(&kind) => {
            let object = field(node, &["value", "object", "operand", "expression"]).or_else(|| named(node, 0))?;
            Shape::Index { object, key: field(node, &["subscript", "index"]).or_else(|| named(node, 1)) }
        }
        kind if TEXTS.contains(&kind) => Shape::Text,
        "true" | "false" | "boolean_literal" | "boolean" => Shape::Flag,
        kind if NUMBERS.contains(&kind) => Shape::Number,
        kind if INNERS.contains(&kind) => {
            Shape::Inner(field(node, &["operand", "argument", "value"]).or_else(|| named(node, 0))?)
        }
        "generic_type" | "generic_function" | "generic_type_with_turbofish" => {
            Shape::Inner(field(node, &["type", "function"]).or_else(|| named(node, 0))?)
        }
        "cast_expression" | "type_assertion_expression" | "type_assertion" | "type_cast_expression" => {
            Shape::Inner(field(node, &["value", "operand"]).or_else(|| last_named(node))?)
        }
        kind if GROUPS.contains(&kind) => Shape::Group,
        "object"
        | "dictionary"
        | "hash"
        | "literal_value"
        | "anonymous_object_creation_expression"
        | "array_creation_expression"
        | "field_initializer_list" => Shape::Object,
        kind if LISTS.contains(&kind) => Shape::List,
        _ => return None,
    })
}

fn member(node: Node<'_>) -> Option<Shape<'_>> {
    // `::Name` is the name itself.
    if node.kind() == "scope_resolution" && field(node, &["scope"]).is_none() {
        return Some(Shape::Inner(field(node, &["name"])?));
    }
    let name = field(node, &["attribute", "property", "field", "name"]).or_else(|| last_named(node))?;
    let object = field(node, &["object", "operand", "expression", "value", "path", "scope", "package", "module"])
        .or_else(|| named(node, 0))
        .filter(|object| object.id() != name.id());
    Some(Shape::Member { object, name })
}

/// C#'s `a?.b`: the grammar keeps `.b` apart.
fn conditional<'t>(object: Node<'t>, binding: Node<'t>) -> Option<Shape<'t>> {
    match binding.kind() {
        "member_binding_expression" => Some(Shape::Member { object: Some(object), name: field(binding, &["name"])? }),
        "invocation_expression" => {
            let callee = field(binding, &["function"])?;
            let name = field(callee, &["name"])?;
            Some(Shape::Method { object: Some(object), name, arguments: field(binding, &["arguments"]) })
        }
        _ => Some(Shape::Inner(object)),
    }
}

fn call(node: Node<'_>) -> Option<Shape<'_>> {
    let callee = field(node, &["function"]).or_else(|| named(node, 0))?;
    let arguments = field(node, &["arguments"]).or_else(|| child_of(node, &["value_arguments", "annotated_lambda"]));
    Some(Shape::Call { callee, arguments })
}

fn made(node: Node<'_>) -> Shape<'_> {
    let class = field(node, &["constructor", "type", "name"])
        .or_else(|| child_of(node, &["name", "qualified_name", "variable_name"]));
    let is_literal = matches!(node.kind(), "composite_literal" | "struct_expression");
    let arguments = field(node, &["arguments"]).or_else(|| child_of(node, &["arguments", "argument_list"]));
    let fields = if is_literal { field(node, &["body"]) } else { child_of(node, &["initializer_expression"]) };
    Shape::New { class, arguments, fields: fields.or_else(|| field(node, &["initializer"])) }
}

fn declaration(node: Node<'_>, language: Language) -> Option<Shape<'_>> {
    Some(match node.kind() {
        kind if IMPORTS.contains(&kind) && (!(language == Language::Go && node.kind() == "import_declaration")) => {
            Shape::Import
        }
        "namespace_declaration" | "file_scoped_namespace_declaration" if language == Language::CSharp => {
            Shape::Namespace(field(node, &["name"])?)
        }
        "namespace_definition" if language == Language::Php && field(node, &["name"]).is_some() => {
            Shape::Namespace(field(node, &["name"])?)
        }
        kind if SKIPS.contains(&kind) => Shape::Skip,
        kind if FUNCTIONS.contains(&kind) => function(node, language),
        kind if CLASSES.contains(&kind) && (node.parent().is_some()) => Shape::Class,
        kind if ASSIGNS.contains(&kind) => Shape::Assign {
            target: field(node, &["left", "pattern", "name"]).or_else(|| named(node, 0))?,
            value: field(node, &["right", "value"]),
            declared: field(node, &["type"]),
            is_field: false,
        },
        kind if VARIABLES.contains(&kind) => variable(node, language)?,
        // `return@label value`
        "return_expression" if language == Language::Kotlin => Shape::Return(last_named(node)),
        "return_statement" | "return_expression" | "return" => Shape::Return(named(node, 0)),
        // `try (Client client = Client.create())`
        "resource" if field(node, &["value"]).is_some() => Shape::Assign {
            target: field(node, &["name"])?,
            value: field(node, &["value"]),
            declared: field(node, &["type"]),
            is_field: false,
        },
        _ => return None,
    })
}

fn function(node: Node<'_>, language: Language) -> Shape<'_> {
    let mut result = field(node, &["return_type", "returns", "result"]);
    if language == Language::Java {
        result = field(node, &["type"]);
    }
    if language == Language::Kotlin && node.kind() == "function_declaration" {
        result = child_of(node, &["user_type", "nullable_type"]);
    }
    Shape::Function {
        name: field(node, &["name"]),
        parameters: field(node, &["parameters", "parameter"])
            .or_else(|| child_of(node, &["function_value_parameters"])),
        result,
        body: field(node, &["body"]).or_else(|| child_of(node, &["function_body"])),
    }
}

/// A variable that is declared. Where the type stands beside several declarators it is the parent's.
fn variable(node: Node<'_>, language: Language) -> Option<Shape<'_>> {
    let is_field = matches!(
        node.kind(),
        "public_field_definition" | "property_signature" | "field_definition" | "property_element"
    );
    Some(match (language, node.kind()) {
        (Language::Kotlin, "property_declaration") => {
            let variable = child_of(node, &["variable_declaration", "multi_variable_declaration"])?;
            let mut cursor = node.walk();
            let value = node
                .named_children(&mut cursor)
                .filter(|child| child.start_byte() >= variable.end_byte())
                .find(|child| !matches!(child.kind(), "type_constraints" | "getter" | "setter"));
            let value = value.or_else(|| child_of(node, &["getter"]));
            let is_field = node.parent().is_some_and(|parent| parent.kind() == "class_body");
            Shape::Assign { target: named(variable, 0)?, value, declared: named(variable, 1), is_field }
        }
        (Language::CSharp, "property_declaration") => Shape::Assign {
            target: field(node, &["name"])?,
            value: field(node, &["value"]),
            declared: field(node, &["type"]),
            is_field: true,
        },
        (Language::Go | Language::Rust, "field_declaration") => Shape::Assign {
            target: field(node, &["name"])?,
            value: None,
            declared: field(node, &["type"]),
            is_field: true,
        },
        (_, "property_declaration" | "field_declaration") => return None,
        (_, "variable_declarator") => {
            let parent = node.parent()?;
            let is_in_class = matches!(parent.kind(), "field_declaration")
                || parent.parent().is_some_and(|above| above.kind() == "field_declaration");
            let name = field(node, &["name"]).or_else(|| named(node, 0))?;
            let value = field(node, &["value"]).or_else(|| last_named(node).filter(|last| last.id() != name.id()));
            let value = value.filter(|value| value.kind() != "type_annotation");
            let declared = field(node, &["type"]).or_else(|| field(parent, &["type"]));
            Shape::Assign { target: name, value, declared, is_field: is_in_class }
        }
        (Language::Php, "property_element") => {
            let parent = node.parent()?;
            Shape::Assign {
                target: field(node, &["name"])?,
                value: field(node, &["default_value"]),
                declared: field(parent, &["type"]),
                is_field: true,
            }
        }
        _ => Shape::Assign {
            target: field(node, &["name", "property"]).or_else(|| named(node, 0))?,
            value: field(node, &["value"]).or_else(|| last_named(node).filter(|_| node.kind() == "const_element")),
            declared: field(node, &["type"]),
            is_field,
        },
    })
}
