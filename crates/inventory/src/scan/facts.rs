//! What a source file says, in one form for all languages: what it imports, what is bound to which name, and the chains of
//! members and calls in it. Small enough to be kept between runs.

use serde::{Deserialize, Serialize};

/// Everything of one file that a finding can be made of.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// Names that come from elsewhere.
    pub(crate) imports: Vec<Import>,
    /// Names and what they stand for.
    pub(crate) bindings: Vec<Binding>,
    /// Classes, and what they are derived from.
    pub(crate) classes: Vec<Class>,
    /// Every outermost expression with a call or a text in it, in the order of the file.
    pub(crate) values: Vec<Value>,
    /// Of each line of the source the line of the file; empty where they are the same.
    pub(crate) lines: Vec<u32>,
    /// First and last lines of tests that stand in the source of a program of Rust.
    pub(crate) tests: Vec<(u32, u32)>,
}

impl Facts {
    /// The line of the file where a line of the source stands.
    pub(crate) fn line_in_file(&self, line: u32) -> u32 {
        let idx = usize::try_from(line).unwrap_or(0).wrapping_sub(1);
        self.lines.get(idx).copied().unwrap_or(line)
    }

    /// Whether the line is of such a test.
    pub(crate) fn is_in_tests(&self, line: u32) -> bool {
        self.tests.iter().any(|(from, to)| (*from..=*to).contains(&line))
    }
}

/// A name that comes from another module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Import {
    /// The name in this file; `*` for everything in the module.
    pub(crate) local: String,
    /// The module, as it is written.
    pub(crate) module: String,
    /// What of the module, dotted; empty for the module itself or its default.
    pub(crate) symbol: String,
    /// Line, from 1.
    pub(crate) line: u32,
}

/// What a binding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum BindingKind {
    /// A variable of a function, or of the file.
    Local,
    /// A parameter.
    Parameter,
    /// A member of a class or struct.
    Field,
    /// What a function returns; the target is the function's name.
    Return,
    /// A type: what objects of it are, and the lines its members stand on.
    Type,
}

/// A name and what it stands for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Binding {
    /// The name, without `self.` and `$`.
    pub(crate) target: String,
    /// What it is.
    pub(crate) kind: BindingKind,
    /// What is bound to it.
    pub(crate) value: Option<Value>,
    /// Names in its declared type.
    pub(crate) types: Vec<String>,
    /// Line of the binding.
    pub(crate) line: u32,
    /// First line of its scope.
    pub(crate) from: u32,
    /// Last line of its scope.
    pub(crate) to: u32,
}

/// A class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Class {
    /// Its name.
    pub(crate) name: String,
    /// Simple names of what it is derived from: base classes, interfaces, traits.
    pub(crate) parents: Vec<String>,
    /// First line.
    pub(crate) from: u32,
    /// Last line.
    pub(crate) to: u32,
}

/// An expression.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Value {
    /// A literal text; what is filled in at run time is `{}`.
    Text(Text),
    /// `true` or `false`.
    Flag(bool),
    /// A number, as it is written.
    Number(String),
    /// Names, members and calls.
    Chain(Chain),
    /// Keys and values.
    Object(Vec<(String, Value)>),
    /// A list.
    List(Vec<Value>),
    /// Anything else.
    Other,
}

/// A literal text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Text {
    /// The text, at most [`TEXT_LIMIT`] bytes of it.
    pub(crate) value: String,
    /// Its first line.
    pub(crate) line: u32,
}

/// How much of a text is kept.
pub(crate) const TEXT_LIMIT: usize = 400;

/// A name and what is done with it: `client.chat.completions.create(…)`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Chain {
    /// Where it begins.
    pub(crate) root: Root,
    /// Line of the root.
    pub(crate) line: u32,
    /// What follows.
    pub(crate) steps: Vec<Step>,
}

/// Where a chain begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Root {
    /// A name.
    Name(String),
    /// `self` or `this`.
    Itself,
    /// Several expressions, one of which matters: operands, branches.
    Group(Vec<Value>),
}

/// A step of a chain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Step {
    /// `.name`
    Member(String, u32),
    /// `(…)`
    Call(Call),
}

/// A call, or an object made with its fields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Call {
    /// What it is called with.
    pub(crate) arguments: Vec<Argument>,
    /// First line of the call's own part: the line of the callee's last name.
    pub(crate) line: u32,
    /// Last line.
    pub(crate) end: u32,
}

/// An argument.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Argument {
    /// Its name, when it is given by name.
    pub(crate) name: Option<String>,
    /// Its value.
    pub(crate) value: Value,
}

impl Value {
    /// Whether a finding could come of it.
    pub(crate) fn matters(&self) -> bool {
        match self {
            Value::Text(_) => true,
            Value::Chain(chain) => {
                chain.steps.iter().any(|step| matches!(step, Step::Call(_)))
                    || matches!(&chain.root, Root::Group(values) if values.iter().any(Value::matters))
            }
            Value::Object(pairs) => pairs.iter().any(|(_, value)| value.matters()),
            Value::List(values) => values.iter().any(Value::matters),
            Value::Flag(_) | Value::Number(_) | Value::Other => false,
        }
    }

    /// The text, when it is one.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(&text.value),
            _ => None,
        }
    }
}
