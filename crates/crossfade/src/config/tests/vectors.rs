//! Indexes that Pinecone's clients ask, and where they move.

use std::path::Path;

use super::{errors, right};

#[test]
fn an_index_that_moves_has_two_stores_and_a_file_beside_the_store() {
    let text = "store: sqlite:./gate.db\nvectors:\n  indexes:\n    docs:\n      store: \"sqlite-vec:a.db\"\n      moves_to: { store: \"sqlite-vec:b.db\", encoder: e.json, shadow: { reads: 50 } }\n";
    let vectors = right(text).vectors.unwrap();
    assert_eq!(vectors.moves.file_name(), Some("gate-moves.db".as_ref()));
    let moves_to = vectors.indexes["docs"].moves_to.clone().unwrap();
    assert_eq!((moves_to.shadow.n_reads, moves_to.shadow.k), (50, 10));
    assert_eq!(moves_to.target.encoder.as_deref().and_then(Path::file_name), Some("e.json".as_ref()));
    assert!(vectors.indexes["docs"].source.encoder.is_none());
}

#[test]
fn a_move_to_where_it_is_and_to_files_is_an_error() {
    let told = |moves_to: &str| {
        errors(&format!("vectors:\n  indexes:\n    docs: {{ store: \"sqlite-vec:a.db\", moves_to: {moves_to} }}\n"))
    };
    assert!(told("{ store: \"sqlite-vec:a.db\" }").contains("in already"));
    assert!(told("{ store: \"parquet:a\" }").contains("files have no index"));
    assert!(told("{ store: \"sqlite-vec:b.db\", shadow: { read: 5 } }").contains("did you mean `reads`?"));
    assert!(told("{}").contains("store"));
}
