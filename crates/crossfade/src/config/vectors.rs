//! `vectors`: indexes that are served to applications by Pinecone's API.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use ::vectors::facade::shadow::ShadowSettings;
use ::vectors::facade::{IndexSettings, MoveSettings, StoreSettings};
use ::vectors::schema::Metric;
use ::vectors::stores::{Address, Kind};

use super::reader::Section;
use super::value;

/// The longest name of an index.
const MAX_NAME: usize = 45;

/// How many different queries are asked of both stores before a switch, how many of each list count, and which part may differ, where nobody says.
const READS: u64 = 300;
const K: u64 = 10;
const MARGIN: f64 = 0.02;

/// What is served, and where.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Vectors {
    /// Where it listens.
    pub listen: SocketAddr,
    /// How clients reach it, where that is not the address it listens on.
    pub url: Option<String>,
    /// The indexes by name.
    pub indexes: BTreeMap<String, IndexSettings>,
    /// The file in which moves between stores stand.
    pub moves: PathBuf,
}

/// Reads it; none where no index is served.
pub(crate) fn read(
    root: &Section<'_>,
    may_leave_loopback: bool,
    taken: [SocketAddr; 2],
    store: &Path,
) -> Option<Vectors> {
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
    let moves = section.get("moves").and_then(|item| item.path()).unwrap_or_else(|| beside(store));
    section.finish();
    let listen = listen.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 4002)));
    Some(Vectors { listen, url, indexes, moves })
}

/// `crossfade-moves.db` of `crossfade.db`.
fn beside(store: &Path) -> PathBuf {
    let mut name = store.file_stem().unwrap_or_default().to_owned();
    name.push("-moves.db");
    store.with_file_name(name)
}

fn index(section: &Section<'_>) -> Option<IndexSettings> {
    let source = side(section);
    let moves_to = section.get("moves_to").and_then(|item| {
        let section = item.section()?;
        let target = side(&section);
        if let (Some(source), Some(target)) = (&source, &target)
            && source.store == target.store
        {
            item.note("it is the store that the index is in already", None);
        }
        let shadow = shadow(&section.section("shadow"));
        section.unknown_keys();
        Some(MoveSettings { target: target?, shadow })
    });
    section.unknown_keys();
    Some(IndexSettings { source: source?, moves_to })
}

fn shadow(section: &Section<'_>) -> ShadowSettings {
    let count = |key, usual, least, most| section.get(key).and_then(|item| item.count(least, most)).unwrap_or(usual);
    let margin = section.get("margin").and_then(|item| item.number(0.001, 0.5)).unwrap_or(MARGIN);
    let (n_reads, k) = (count("reads", READS, 10, 100_000), count("k", K, 1, 1000));
    section.unknown_keys();
    ShadowSettings {
        n_reads: u32::try_from(n_reads).unwrap_or(u32::MAX),
        k: usize::try_from(k).unwrap_or(usize::MAX),
        margin,
    }
}

/// A store of an index.
fn side(section: &Section<'_>) -> Option<StoreSettings> {
    let store = section.need("store").and_then(|item| {
        let written = item.string()?.value;
        match Address::parse(&written) {
            Ok(store) if matches!(store.kind(), Kind::Parquet | Kind::Jsonl) => {
                let hint = "`crossfade vectors copy` takes them into sqlite-vec, pgvector, Chroma, Milvus or Qdrant";
                item.note("files have no index to answer from", Some(hint.into()));
                None
            }
            Ok(store) if store.kind() == Kind::Pinecone => {
                let hint = "`crossfade vectors copy` takes it into sqlite-vec, pgvector, Chroma, Milvus or Qdrant";
                item.note("Pinecone is copied from and into, and answers no application here", Some(hint.into()));
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
    let text = |key| section.get(key).and_then(|item| Some(item.string()?.value));
    let (vector, text_field) = (text("vector"), text("text_field"));
    let encoder = section.get("encoder").and_then(|item| item.path());
    Some(StoreSettings { store: store?, vector, metric, encoder, text_field })
}
