//! Where an index of Pinecone is, as it is written.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::retry::Trouble;
use crate::stores::http::Http;

/// The namespace that has no name, as clients call it.
pub(super) const DEFAULT: &str = "__default__";

/// Where the key is, where the address does not say.
const KEY: &str = "PINECONE_API_KEY";

/// Where an index is, and which part of it is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    written: String,
    /// `https://HOST`.
    pub(super) base: String,
    /// What stands before every path.
    pub(super) path: String,
    /// The one namespace that is meant; none is all of them.
    pub(super) namespace: Option<String>,
    /// A file with the identifiers, for an index that cannot list them.
    pub(super) ids_from: Option<PathBuf>,
    /// The variable of the environment that has the key.
    pub(super) key_from: String,
    /// Fields of metadata whose numbers stay floats.
    pub(super) floats: BTreeSet<String>,
    /// Whether the index is one of documents.
    pub(super) is_of_documents: bool,
}

impl Place {
    /// Reads what stands after `pinecone:`: `HOST?ids-from=FILE&key-from=VARIABLE&floats=FIELD,FIELD#NAMESPACE`, the host as a client is told it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(written: &str) -> Result<Place, String> {
        let (place, namespace) = match written.split_once('#') {
            Some((place, namespace)) => (place, Some(namespace)),
            None => (written, None),
        };
        let (url, settings) = place.split_once('?').unwrap_or((place, ""));
        let (scheme, rest) = match url.split_once("://") {
            Some((scheme, rest)) => (scheme, rest),
            None => ("https", url),
        };
        let (host, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        if !matches!(scheme, "https" | "http") || host.is_empty() || host.contains('@') || url.contains(' ') {
            return Err(format!(
                "`pinecone:{url}` is no index of Pinecone: write pinecone:HOST#NAMESPACE, the host as `describe_index` tells it; http://HOST where there is no TLS"
            ));
        }
        let mut parsed = Place {
            written: written.to_owned(),
            base: format!("{scheme}://{host}"),
            path: path.trim_end_matches('/').to_owned(),
            namespace: namespace.map(|name| if name == DEFAULT { String::new() } else { name.to_owned() }),
            ids_from: None,
            key_from: KEY.to_owned(),
            floats: BTreeSet::new(),
            is_of_documents: false,
        };
        for setting in settings.split('&').filter(|setting| !setting.is_empty()) {
            match setting.split_once('=').filter(|(_, value)| !value.is_empty()) {
                Some(("ids-from", file)) => parsed.ids_from = Some(file.into()),
                Some(("key-from", variable)) => variable.clone_into(&mut parsed.key_from),
                Some(("floats", fields)) => parsed.floats = fields.split(',').map(str::to_owned).collect(),
                Some(("api", "documents")) => parsed.is_of_documents = true,
                Some(("api", "vectors")) => parsed.is_of_documents = false,
                _ => {
                    return Err(format!(
                        "`{setting}` is none of ids-from=FILE, key-from=VARIABLE, floats=FIELD,FIELD and api=documents"
                    ));
                }
            }
        }
        if parsed.is_of_documents && parsed.ids_from.is_some() {
            return Err("`ids-from` is for an index that lists nothing; one of documents lists them".to_owned());
        }
        Ok(parsed)
    }

    /// Whether the index is one of documents.
    #[must_use]
    pub fn is_of_documents(&self) -> bool {
        self.is_of_documents
    }

    /// The way there, by a version of the API.
    pub(super) fn http(&self, doing: &str, version: &str) -> Result<Http, Trouble> {
        let variable = &self.key_from;
        let key = std::env::var(variable)
            .map_err(|_| Trouble::permanent(doing, format!("the key is taken from {variable}, which is not set")))?;
        Http::new(&self.base, &[("api-key", &key), ("x-pinecone-api-version", version)])
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.written)
    }
}
