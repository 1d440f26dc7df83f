//! Runs of `vectors copy` and `vectors reembed` as the console shows them: the store knows their directories, and their journals how far they are.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use operations::vectors::{ProofView, RunStanding};
use store::Database;
use vectors::standing::{Proof, Standing, State, prove, standing};
use vectors::stores::Address;

use super::copy::usual_directory;
use crate::load;
use crate::out::Out;
use crate::verbs::Place;

/// How many rows that were put aside are shown.
const MAX_NAMED: u32 = 20;
/// How many of the newest runs are looked through for the one that a proof is of.
const MAX_LOOKED: u32 = 200;

/// The kinds of proofs.
pub(super) const VERIFY: &str = "verify";
pub(super) const EVAL: &str = "eval";

/// The verdicts.
pub(super) const fn passed(is_same: bool) -> &'static str {
    if is_same { "pass" } else { "fail" }
}

/// Notes where a run keeps its journal, so that the console of the config's gateway shows it. Where there is no config nobody is told.
pub(super) fn note(place: &Place, directory: &Path, kind: &str, out: &Out) {
    let Some(store) = store_of(place) else { return };
    let whole = std::fs::canonicalize(directory).unwrap_or_else(|_| directory.to_owned());
    let noted =
        Database::open(store).and_then(|database| database.note_vector_run(&whole.to_string_lossy(), kind, now_us()));
    if let Err(error) = noted {
        out.say(format_args!("the console does not show this run: {error}"));
    }
}

fn store_of(place: &Place) -> Option<PathBuf> {
    place.config.exists().then(|| load::places(&place.config).ok()).flatten().map(|places| places.store)
}

fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// What a proof is of: the addresses, and the vector that was left out.
pub(super) struct Of<'a> {
    pub(super) source: &'a str,
    pub(super) target: &'a str,
    /// `None` is all of the rows; the run may be of either kind where it is a comparison of what is found.
    pub(super) without: Option<&'a str>,
}

impl Of<'_> {
    fn is_of(&self, begun_source: &str, kind: &str) -> bool {
        let made_anew = |vector: &str| format!("{} with `{vector}` made anew", self.source);
        match self.without {
            Some(vector) => begun_source == made_anew(vector),
            None if begun_source == self.source => true,
            None => {
                kind == EVAL && begun_source.strip_prefix(self.source).is_some_and(|rest| rest.starts_with(" with `"))
            }
        }
    }
}

/// Keeps what was proved in the journals of the runs that it is of. Where there is none, it stays with whoever asked.
pub(super) fn proved(place: &Place, of: &Of<'_>, (kind, verdict, words): (&str, &str, String), out: &Out) {
    let database =
        store_of(place).filter(|store| store.exists()).and_then(|store| Database::open_read_only(store).ok());
    let noted = database.and_then(|database| database.vector_runs(None, MAX_LOOKED).ok()).unwrap_or_default();
    let mut directories: BTreeSet<PathBuf> = noted.into_iter().map(|row| row.directory.into()).collect();
    directories.extend(std::fs::canonicalize(usual(of)));
    let proof = Proof { kind: kind.to_owned(), at_us: now_us(), verdict: verdict.to_owned(), words };
    for directory in directories {
        let Ok(Some(Standing { begun, .. })) = standing(&directory, 0) else { continue };
        if begun.target == of.target
            && of.is_of(&begun.source, kind)
            && let Err(error) = prove(&directory, &proof)
        {
            out.say(format_args!("the journal in {} does not have this proof: {error}", directory.display()));
        }
    }
}

fn usual(of: &Of<'_>) -> PathBuf {
    let source = match of.without {
        Some(vector) => format!("{} with `{vector}` made anew", of.source),
        None => of.source.to_owned(),
    };
    usual_directory(&source, of.target)
}

/// How far the run of a directory is.
pub(crate) fn standing_of(directory: &str) -> Result<RunStanding, String> {
    let found = standing(Path::new(directory), MAX_NAMED).map_err(|error| anyhow::Error::new(error).to_string())?;
    let Standing { begun, state, n_done, n_aside, partitions, digest, asides, proofs } =
        found.ok_or("nothing was begun in it")?;
    let proof =
        |proof: Proof| ProofView { kind: proof.kind, at_us: proof.at_us, verdict: proof.verdict, words: proof.words };
    Ok(RunStanding {
        target_at: whole(&begun.target, Path::new(directory)),
        source: begun.source,
        target: begun.target,
        state: match state {
            State::Running => "running",
            State::Stopped => "stopped",
            State::Through => "through",
        }
        .to_owned(),
        n_rows: begun.n_rows,
        n_done,
        n_aside,
        partitions,
        digest: format!("{digest:032x}"),
        asides: asides.into_iter().map(|aside| (aside.place, aside.why)).collect(),
        proofs: proofs.into_iter().map(proof).collect(),
    })
}

/// The address of a target with the whole path of its file, where it was typed from the directory that the run's own lies in; as it is otherwise.
fn whole(address: &str, directory: &Path) -> String {
    let joined =
        |file: PathBuf| directory.parent().map(|from| from.join(&file)).filter(|whole| whole.exists()).unwrap_or(file);
    match Address::parse(address) {
        Ok(Address::SqliteVec { file, table }) => Address::SqliteVec { file: joined(file), table }.to_string(),
        Ok(Address::Parquet(root)) => Address::Parquet(joined(root)).to_string(),
        Ok(Address::Jsonl(path)) => Address::Jsonl(joined(path)).to_string(),
        _ => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_beside_the_run_has_its_whole_path() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("kb.db"), "").unwrap();
        let check = |address: &str| whole(address, &dir.path().join("vectors-1"));
        assert_eq!(check("sqlite-vec:kb.db#docs"), format!("sqlite-vec:{}#docs", dir.path().join("kb.db").display()));
        for elsewhere in ["sqlite-vec:gone.db#docs", "postgres://me@localhost/app#docs", "what is that"] {
            assert_eq!(check(elsewhere), elsewhere);
        }
    }

    #[test]
    fn a_proof_is_of_the_run_that_it_looked_at() {
        let check = |without, begun: &str, kind| Of { source: "jsonl:a", target: "b", without }.is_of(begun, kind);
        let anew = "jsonl:a with `dense` made anew";
        assert!(check(None, "jsonl:a", VERIFY) && check(None, "jsonl:a", EVAL));
        assert!(check(Some("dense"), anew, VERIFY) && check(None, anew, EVAL));
        assert!(
            !check(None, anew, VERIFY)
                && !check(Some("dense"), "jsonl:a", VERIFY)
                && !check(Some("other"), anew, VERIFY)
        );
        assert!(!check(None, "jsonl:ab", EVAL));
    }
}
