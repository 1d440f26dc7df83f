//! `vectors`: indexes that are served to applications by Pinecone's API.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use ::vectors::facade::IndexSettings;
use ::vectors::schema::Metric;
use ::vectors::stores::{Address, Kind};

use super::reader::Section;
use super::value;

/// The longest name of an index.
const MAX_NAME: usize = 45;

/// What is served, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Vectors {
    /// Where it listens.
    pub listen: SocketAddr,
    /// How clients reach it, where that is not the address it listens on.
    pub url: Option<String>,
    /// The indexes by name.
    pub indexes: BTreeMap<String, IndexSettings>,
}

/// Reads it; none where no index is served.
pub(crate) fn read(root: &Section<'_>, may_leave_loopback: bool, taken: [SocketAddr; 2]) -> Option<Vectors> {
    let section = root.get("vectors")?.section()?;
    let item = section.get("listen");
    let listen = item.as_ref().and_then(|item| item.parsed("an address such as `127.0.0.1:4002`", value::address));
    if let (Some(item), Some(listen)) = (&item, listen) {
        if listen.port() != 0 && taken.contains(&listen) {
            item.note(
                format!("{listen} is taken by `listen` or `admin.listen`"),
                Some("give it a port of its own".into()),
            );
        }
        if !listen.ip().is_loopback() && !may_leave_loopback {
            let hint =
                "write `auth: { required: true }` and make keys with `crossfade keys create`, or listen on 127.0.0.1";
            item.note(
                format!("{listen} can be reached from other machines and asks nobody for a key"),
                Some(hint.into()),
            );
        }
    }
    let url = section.get("url").and_then(|item| {
        let url = item.string()?.value;
        if !url.starts_with("http://") && !url.starts_with("https://") {
            item.note("expected a URL such as `https://vectors.example`", None);
        }
        Some(url)
    });
    let mut indexes = BTreeMap::new();
    for (name, item) in section.named("indexes") {
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.value.is_empty() || name.value.len() > MAX_NAME || !name.value.bytes().all(is_plain) {
            item.note(format!("an index is called by small letters, digits and `-`, {MAX_NAME} at most"), None);
        }
        if let Some(settings) = item.section().and_then(|section| index(&section)) {
            indexes.insert(name.value, settings);
        }
    }
    section.finish();
    Some(Vectors { listen: listen.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 4002))), url, indexes })
}

fn index(section: &Section<'_>) -> Option<IndexSettings> {
    let store = section.need("store").and_then(|item| {
        let written = item.string()?.value;
        match Address::parse(&written) {
            Ok(store) if matches!(store.kind(), Kind::Parquet | Kind::Jsonl) => {
                let hint = "`crossfade vectors copy` takes them into sqlite-vec or pgvector";
                item.note("files have no index to answer from", Some(hint.into()));
                None
            }
            Ok(store) if store.kind() == Kind::Chroma => {
                let hint = "`crossfade vectors copy` takes it into sqlite-vec or pgvector";
                item.note("Chroma is copied from and into, and answers no application here", Some(hint.into()));
                None
            }
            // A file counts from the directory of the config, as every path in it.
            Ok(Address::SqliteVec { file, table }) => {
                Some(Address::SqliteVec { file: item.beside(&file.to_string_lossy()), table })
            }
            Ok(store) => Some(store),
            Err(why) => {
                item.note(why, None);
                None
            }
        }
    });
    let metrics = [("cosine", Metric::Cosine), ("euclidean", Metric::L2), ("dotproduct", Metric::Dot)];
    let metric = section.get("metric").and_then(|item| item.word(&metrics));
    let vector = section.get("vector").and_then(|item| Some(item.string()?.value));
    section.unknown_keys();
    Some(IndexSettings { store: store?, vector, metric })
}
