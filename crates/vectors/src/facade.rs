//! Pinecone's API in front of the stores: an application keeps its client, and what answers is another store.
//!
//! [`Facade::answer`] takes a request as plain values and gives an answer as JSON; who listens, and who may come in, is the caller's affair. The paths of the
//! control plane are as they are there (`/indexes`); an index's own begin with `/data/NAME`, which is what `describe_index` gives as its host. Two generations
//! are spoken: vectors (`vectors.rs`) and, in a namespace, documents (`documents.rs`). Requests are JSON over HTTP; there is no gRPC.

pub mod backend;
pub mod filter;

mod answers;
mod control;
mod documents;
mod index;
mod vectors;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use self::answers::{Failure, Form};
use self::index::Index;
use crate::schema::Metric;
use crate::stores::Address;

/// What an index is served from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexSettings {
    /// The collection.
    pub store: Address,
    /// Which of its dense vectors the index is of, where it has several.
    pub vector: Option<String>,
    /// How it is compared, where the collection does not say.
    pub metric: Option<Metric>,
}

/// A request, read whole.
pub struct Request<'a> {
    /// Its method.
    pub method: &'a str,
    /// Its path, as it stands on the wire.
    pub path: &'a str,
    /// What stands behind the question mark.
    pub query: &'a str,
    /// The version of the API that the client speaks, if it says one.
    pub version: Option<&'a str>,
    /// Its body.
    pub body: &'a [u8],
    /// Whether the caller may reach the index of a name.
    pub may_reach: &'a dyn Fn(&str) -> bool,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// JSON.
    pub body: String,
    /// What the log should say and the caller should not read.
    pub trouble: Option<String>,
}

impl Response {
    /// A refusal of somebody who does not come in, as clients understand it.
    #[must_use]
    pub fn refused(status: u16, message: &str) -> Response {
        let code = if status == 401 { "UNAUTHENTICATED" } else { "INVALID_ARGUMENT" };
        answers::failed(&Failure::new(status, code, message), Form::Control)
    }
}

/// The indexes that are served.
pub struct Facade {
    /// How clients reach it, without a slash at the end.
    url: String,
    indexes: BTreeMap<String, Index>,
}

impl Facade {
    /// Serves these; nothing is opened before it is asked for.
    #[must_use]
    pub fn new(url: &str, indexes: &BTreeMap<String, IndexSettings>) -> Facade {
        let indexes = indexes.iter().map(|(name, settings)| (name.clone(), Index::new(name, settings)));
        Facade { url: url.trim_end_matches('/').to_owned(), indexes: indexes.collect() }
    }

    /// Answers a request. Waits for the store.
    #[must_use]
    pub fn answer(&self, request: &Request<'_>) -> Response {
        let steps: Option<Vec<String>> = request.path.split('/').skip(1).map(|step| decoded(step, false)).collect();
        let steps = steps.unwrap_or_default();
        let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
        let (form, done) = match steps.as_slice() {
            ["indexes", rest @ ..] => (Form::Control, self.control(request, rest)),
            ["data", name, "namespaces", namespace, "documents", verb] => {
                let done =
                    self.reach(request, name).and_then(|index| documents::answer(index, request, namespace, verb));
                (Form::Control, done)
            }
            ["data", name, rest @ ..] => {
                (Form::Data, self.reach(request, name).and_then(|index| vectors::answer(index, request, rest)))
            }
            _ => (Form::Control, Err(Failure::no_such_path(request))),
        };
        match done {
            Ok(body) => Response { status: 200, body, trouble: None },
            Err(failure) => answers::failed(&failure, form),
        }
    }

    /// The index of a name, for somebody who may reach it. To others it is not there.
    fn reach(&self, request: &Request<'_>, name: &str) -> Result<&Index, Failure> {
        let index = self.indexes.get(name).filter(|_| (request.may_reach)(name));
        index.ok_or_else(|| Failure::not_found(format!("Resource {name} not found")))
    }
}

/// What was percent-encoded; none of what is no UTF-8 then. In a query a plus is a blank.
fn decoded(text: &str, is_query: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            b'+' if is_query => b' ',
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

/// The pairs of a query, in order.
fn pairs(query: &str) -> Result<Vec<(String, String)>, Failure> {
    let read = |pair: &str| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some((decoded(key, true)?, decoded(value, true)?))
    };
    let pairs: Option<Vec<_>> = query.split('&').filter(|pair| !pair.is_empty()).map(read).collect();
    pairs.ok_or_else(|| Failure::invalid("the query of the address is not UTF-8"))
}
