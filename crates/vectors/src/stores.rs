//! The stores, and how one is named.

mod beside;
mod chroma;
mod http;
mod jsonl;
mod line;
mod milvus;
mod parquet;
mod parts;
mod pinecone;
mod postgres;
mod qdrant;
mod scan;
#[cfg(test)]
mod served;
mod sqlite_vec;

use std::fmt;
use std::path::PathBuf;

use crate::facade::backend::Backend;
use crate::store::{Search, Source, Target};

pub(crate) use self::beside::own_vector;
pub(crate) use self::chroma::declared as declared_to_chroma;
pub use self::chroma::{Chroma, Place as ChromaPlace};
pub use self::jsonl::JsonLines;
pub use self::line::{from_line, to_line};
pub(crate) use self::milvus::declared as declared_to_milvus;
pub use self::milvus::{Milvus, Place as MilvusPlace};
pub use self::parquet::ParquetDirectory;
pub use self::parts::{MANIFEST, Manifest, differences, manifest};
pub use self::pinecone::{Documents, Pinecone, Place as PineconePlace};
pub(crate) use self::pinecone::{
    OwnVector, declared as declared_to_pinecone, fields_of_documents, own_of_pinecone,
    write_units as write_units_of_pinecone,
};
pub use self::postgres::Postgres;
pub(crate) use self::postgres::{Kept, declared as declared_to_pgvector};
pub use self::qdrant::{Alias, Place as QdrantPlace, Qdrant, Shown};
pub(crate) use self::qdrant::{declared as declared_to_qdrant, is_loose as is_loose_in_qdrant};
pub use self::scan::{pages, rows};
pub use self::sqlite_vec::SqliteVec;
pub(crate) use self::sqlite_vec::declared as declared_to_sqlite_vec;

/// The table where an address names none.
const USUAL_TABLE: &str = "rows";

/// A collection, by the words it is named with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// `parquet:DIR`.
    Parquet(PathBuf),
    /// `jsonl:PATH`.
    Jsonl(PathBuf),
    /// `sqlite-vec:FILE#TABLE`.
    SqliteVec {
        /// The database.
        file: PathBuf,
        /// The table.
        table: String,
    },
    /// `postgres://USER@HOST/DATABASE#TABLE`.
    Postgres {
        /// The URL, without the table.
        url: String,
        /// The table.
        table: String,
    },
    /// `chroma:HOST:PORT#COLLECTION`.
    Chroma(ChromaPlace),
    /// `milvus:HOST:PORT#COLLECTION`.
    Milvus(MilvusPlace),
    /// `qdrant:HOST:PORT#COLLECTION`.
    Qdrant(QdrantPlace),
    /// `pinecone:HOST#NAMESPACE`.
    Pinecone(PineconePlace),
}

impl Address {
    /// Reads one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(written: &str) -> Result<Address, String> {
        let (kind, place) = written.split_once(':').unwrap_or((written, ""));
        if place.is_empty() {
            return Err(format!(
                "`{written}` names no store: write parquet:DIR, jsonl:PATH, sqlite-vec:FILE#TABLE, postgres://HOST/DATABASE#TABLE, chroma:HOST:PORT#COLLECTION, milvus:HOST:PORT#COLLECTION, qdrant:HOST:PORT#COLLECTION or pinecone:HOST#NAMESPACE"
            ));
        }
        match kind {
            "parquet" => Ok(Address::Parquet(place.into())),
            "jsonl" => Ok(Address::Jsonl(place.into())),
            "sqlite-vec" => {
                let (file, table) = place.split_once('#').unwrap_or((place, USUAL_TABLE));
                check_name(table)?;
                Ok(Address::SqliteVec { file: file.into(), table: table.to_owned() })
            }
            "postgres" | "postgresql" => {
                let (url, table) = written.split_once('#').unwrap_or((written, USUAL_TABLE));
                check_name(table)?;
                postgres::config(url)?;
                Ok(Address::Postgres { url: url.to_owned(), table: table.to_owned() })
            }
            "chroma" => ChromaPlace::parse(place).map(Address::Chroma),
            "milvus" => MilvusPlace::parse(place).map(Address::Milvus),
            "qdrant" => QdrantPlace::parse(place).map(Address::Qdrant),
            "pinecone" => PineconePlace::parse(place).map(Address::Pinecone),
            _ => Err(format!(
                "`{kind}` is no store that is known here: parquet, jsonl, sqlite-vec, postgres, chroma, milvus, qdrant and pinecone are"
            )),
        }
    }

    /// What kind of store it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Address::Parquet(_) => Kind::Parquet,
            Address::Jsonl(_) => Kind::Jsonl,
            Address::SqliteVec { .. } => Kind::SqliteVec,
            Address::Postgres { .. } => Kind::Pgvector,
            Address::Chroma(_) => Kind::Chroma,
            Address::Milvus(_) => Kind::Milvus,
            Address::Qdrant(_) => Kind::Qdrant,
            Address::Pinecone(_) => Kind::Pinecone,
        }
    }

    /// The collection, to read.
    #[must_use]
    pub fn source(&self) -> Box<dyn Source> {
        match self {
            Address::Parquet(root) => Box::new(ParquetDirectory::new(root)),
            Address::Jsonl(path) => Box::new(JsonLines::new(path)),
            Address::SqliteVec { file, table } => Box::new(SqliteVec::new(file, table)),
            Address::Postgres { url, table } => Box::new(Postgres::new(url, table)),
            Address::Chroma(place) => Box::new(Chroma::new(place)),
            Address::Milvus(place) => Box::new(Milvus::new(place)),
            Address::Qdrant(place) => Box::new(Qdrant::new(place)),
            Address::Pinecone(place) if place.is_of_documents() => Box::new(Documents::new(place)),
            Address::Pinecone(place) => Box::new(Pinecone::new(place)),
        }
    }

    /// The collection, to ask; none of files, which have no index.
    #[must_use]
    pub fn search(&self) -> Option<Box<dyn Search>> {
        match self {
            Address::Parquet(_) | Address::Jsonl(_) => None,
            Address::SqliteVec { file, table } => Some(Box::new(SqliteVec::new(file, table))),
            Address::Postgres { url, table } => Some(Box::new(Postgres::new(url, table))),
            Address::Chroma(place) => Some(Box::new(Chroma::new(place))),
            Address::Milvus(place) => Some(Box::new(Milvus::new(place))),
            Address::Qdrant(place) => Some(Box::new(Qdrant::new(place))),
            Address::Pinecone(place) if place.is_of_documents() => Some(Box::new(Documents::new(place))),
            Address::Pinecone(place) => Some(Box::new(Pinecone::new(place))),
        }
    }

    /// The collection, to answer an application from; none of files, which have no index, nor of Pinecone.
    #[must_use]
    pub fn backend(&self) -> Option<Box<dyn Backend>> {
        match self {
            Address::Parquet(_) | Address::Jsonl(_) | Address::Pinecone(_) => None,
            Address::SqliteVec { file, table } => Some(Box::new(SqliteVec::new(file, table))),
            Address::Postgres { url, table } => Some(Box::new(Postgres::new(url, table))),
            Address::Chroma(place) => Some(Box::new(Chroma::new(place))),
            Address::Milvus(place) => Some(Box::new(Milvus::served(place))),
            Address::Qdrant(place) => Some(Box::new(Qdrant::new(place))),
        }
    }

    /// How a table of PostgreSQL keeps vectors, where the address says otherwise than usual.
    pub(crate) fn kept(&self) -> Kept {
        match self {
            // An address was read when it was made.
            Address::Postgres { url, .. } => Kept::split(url).map(|(_, kept)| kept).unwrap_or_default(),
            _ => Kept::default(),
        }
    }

    /// The name as one that stands for a collection, where the store has such.
    #[must_use]
    pub fn alias(&self) -> Option<Alias> {
        match self {
            Address::Qdrant(place) => Some(Alias::new(place)),
            _ => None,
        }
    }

    /// The collection, to write.
    #[must_use]
    pub fn target(&self) -> Box<dyn Target> {
        match self {
            Address::Parquet(root) => Box::new(ParquetDirectory::new(root)),
            Address::Jsonl(path) => Box::new(JsonLines::new(path)),
            Address::SqliteVec { file, table } => Box::new(SqliteVec::new(file, table)),
            Address::Postgres { url, table } => Box::new(Postgres::new(url, table)),
            Address::Chroma(place) => Box::new(Chroma::new(place)),
            Address::Milvus(place) => Box::new(Milvus::new(place)),
            Address::Qdrant(place) => Box::new(Qdrant::new(place)),
            Address::Pinecone(place) if place.is_of_documents() => Box::new(Documents::new(place)),
            Address::Pinecone(place) => Box::new(Pinecone::new(place)),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Parquet(root) => write!(formatter, "parquet:{}", root.display()),
            Address::Jsonl(path) => write!(formatter, "jsonl:{}", path.display()),
            Address::Postgres { url, table } => write!(formatter, "{url}#{table}"),
            Address::Chroma(place) => write!(formatter, "chroma:{place}"),
            Address::Milvus(place) => write!(formatter, "milvus:{place}"),
            Address::Qdrant(place) => write!(formatter, "qdrant:{place}"),
            Address::Pinecone(place) => write!(formatter, "pinecone:{place}"),
            Address::SqliteVec { file, table } => write!(formatter, "sqlite-vec:{}#{table}", file.display()),
        }
    }
}

/// The kinds of stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A directory of Parquet files.
    Parquet,
    /// Lines of JSON.
    Jsonl,
    /// SQLite with sqlite-vec.
    SqliteVec,
    /// PostgreSQL with pgvector.
    Pgvector,
    /// Chroma.
    Chroma,
    /// Milvus.
    Milvus,
    /// Qdrant.
    Qdrant,
    /// Pinecone.
    Pinecone,
}

/// The longest name of a table or a vector within a database.
const MAX_NAME: usize = 40;

/// Whether a name can be part of the name of a table everywhere.
///
/// # Errors
/// What it may be.
pub fn check_name(name: &str) -> Result<(), String> {
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let begins = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    if is_plain && begins && name.len() <= MAX_NAME {
        Ok(())
    } else {
        Err(format!("`{name}` cannot name a table: letters, digits and _ can, {MAX_NAME} at most, the first no digit"))
    }
}

#[cfg(test)]
mod tests;
