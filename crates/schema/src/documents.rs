//! Schemas beside a schema that it may refer to.

use std::fmt;

use jsonschema::{draft202012, uri};
use serde_json::Value;

use crate::compile::Unvalidated;
use crate::flat::flat;
use crate::resources::Resources;

/// The longest that all documents are together, in bytes.
const MAX_BYTES: usize = 1 << 20;

/// Schemas that others may refer to, each by the URI it is given with and by its `$id`. They are of draft 2020-12, or of a
/// meta-schema that is one of them.
#[derive(Debug, Clone, Default)]
pub struct Documents {
    resources: Resources,
}

/// Why something is no document for others to refer to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoDocument {
    /// Its URI.
    pub uri: String,
    /// What is the matter, to be read after the URI.
    pub because: &'static str,
}

impl fmt::Display for NoDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.uri, self.because)
    }
}

impl std::error::Error for NoDocument {}

impl Documents {
    /// Reads documents: the URI of each, which has a scheme, and its text.
    ///
    /// # Errors
    /// When something is no URI or no schema, or all together are too long.
    pub fn new<'d>(documents: impl IntoIterator<Item = (&'d str, &'d [u8])>) -> Result<Documents, NoDocument> {
        let mut resources = Resources::default();
        let mut room = MAX_BYTES;
        for (uri, text) in documents {
            let because = |because| NoDocument { uri: uri.to_owned(), because };
            room = room.checked_sub(text.len()).ok_or_else(|| because("is too long: all documents may have 1 MiB"))?;
            if !jsonschema::Uri::parse(uri).is_ok_and(|uri| !uri.has_fragment()) {
                return Err(because("is no URI with a scheme and without a fragment"));
            }
            if resources.has(&uri::from_str(uri).map_err(|_| because("is no URI"))?) {
                return Err(because("is the name of two documents"));
            }
            let document: Value = serde_json::from_slice(text).map_err(|_| because("is no JSON"))?;
            if !draft202012::meta::is_valid(&document) {
                return Err(because("is no JSON Schema of draft 2020-12"));
            }
            resources.add(Some(uri), document).map_err(|_| because("has an `$id` or `$schema` that cannot be"))?;
        }
        Ok(Documents { resources })
    }

    /// The schema in one piece, with what it refers to.
    pub(crate) fn flat(&self, schema: Value) -> Result<Value, Unvalidated> {
        if !draft202012::meta::is_valid(&schema) {
            return Err(Unvalidated::Schema);
        }
        let mut resources = self.resources.clone();
        let root = resources.add(None, schema)?;
        flat(resources, &root)
    }
}

#[cfg(test)]
mod tests;
