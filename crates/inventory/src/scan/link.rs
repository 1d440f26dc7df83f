//! Follows names: from a chain to the import, the assignment or the function it comes from, in the file and, by one hop, in
//! other files of the repository.

mod branches;
mod callers;
mod crates;
mod derived;
mod given;
mod golang;
mod handed;
mod index;
mod loose;
mod made;
mod named;
pub(super) mod quick;
mod repository;
mod texts;
mod walk;

pub(super) use branches::Branches;
pub(super) use index::{Index, SourceFile};
pub(super) use repository::Repository;
pub(super) use texts::{text_in, text_of_branch};

use super::facts::Call;
use super::finding::{Confidence, Kind};

/// What a name or expression stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing is known of it.
    Unknown,
    /// Something of another package, no library of the rules.
    Foreign,
    /// An object of a library that calls no vendor: a model on a machine of one's own.
    Local,
    /// `self` of the file's class.
    Own,
    /// A file of the repository; of Go its package.
    File(usize),
    /// An object of a type that the repository declares: the file and the binding.
    Typed(usize, usize),
    /// A function of the repository, and what it returns.
    Returns(Box<State>),
    /// Something a library exports.
    Symbol { sdks: Vec<usize>, path: String },
    /// An object of a library.
    Object(Object),
}

/// An object of a library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Object {
    pub(super) of: &'static str,
    pub(super) sdk: usize,
    pub(super) vendor: &'static str,
    pub(super) path: String,
    /// Known by a field's name in another file, not by following names.
    pub(super) is_guess: bool,
    /// How sure it is whose service it calls.
    pub(super) confidence: Confidence,
    /// What the model that it was made with is for.
    pub(super) does: &'static str,
}

impl Object {
    /// An object of a type, followed from its library.
    fn new(of: &'static str, sdk: usize, vendor: &'static str) -> Object {
        let (path, confidence) = (String::new(), Confidence::Certain);
        Object { of, sdk, vendor, path, is_guess: false, confidence, does: "" }
    }
}

/// A place where a rule fits.
#[derive(Debug, Clone)]
pub(super) struct Hit<'f> {
    pub(super) kind: Kind,
    pub(super) operation: &'static str,
    pub(super) sdk: usize,
    pub(super) vendor: &'static str,
    pub(super) line: u32,
    pub(super) confidence: Confidence,
    pub(super) call: &'f Call,
    pub(super) seen: String,
    /// What comes before in the same chain: the settings of a request that is written as one.
    pub(super) before: &'f [super::facts::Step],
    /// Calls that follow in the same chain: a builder's.
    pub(super) chain: &'f [super::facts::Step],
    /// Whether it is one only where a client or a model is made beside it.
    pub(super) is_near: bool,
}
