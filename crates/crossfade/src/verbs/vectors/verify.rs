//! `crossfade vectors verify`: every row of two collections.

use vectors::reembed::Rest;
use vectors::store::Source;
use vectors::stores::Address;
use vectors::verify::{Comparison, Difference, Loose, What};

use super::runs::{self, Of, VERIFY};
use super::{address, stop_of};
use crate::out::{Exit, Out, Stop};
use crate::verbs::Place;

/// How many rows that differ are named in the text; JSON has all that were looked at.
const MAX_NAMED: usize = 20;

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The one collection: parquet:DIR, jsonl:PATH, sqlite-vec:FILE#TABLE, postgres://USER@HOST/DATABASE#TABLE, chroma:HOST:PORT#COLLECTION, milvus:HOST:PORT#COLLECTION, qdrant:HOST:PORT#COLLECTION or pinecone:HOST#NAMESPACE.
    source: String,
    /// The other.
    target: String,
    /// Leave a dense vector and the space out of it: what `vectors reembed` made anew.
    #[arg(long, value_name = "VECTOR")]
    without: Option<String>,
    /// Let each number of a dense vector be another by a millionth of it: what has been in a store that does not keep every bit, such as Chroma by the cosine; with `=half` by a two-thousandth, what has been
    /// in 16 bits. Of such a target that is so in any case.
    #[arg(long, value_name = "VECTOR[=half]", value_parser = loose)]
    tolerant: Vec<(String, Loose)>,
}

/// `VECTOR` or `VECTOR=half`, as it is typed.
fn loose(text: &str) -> Result<(String, Loose), String> {
    match text.split_once('=') {
        None => Ok((text.to_owned(), Loose::Norm)),
        Some((name, "half")) => Ok((name.to_owned(), Loose::Half)),
        Some((_, other)) => Err(format!("`{other}` is not `half`: write VECTOR, or VECTOR=half")),
    }
}

/// Verifies.
pub(super) fn run(place: &Place, args: &Args, out: &Out) -> Result<Exit, Stop> {
    let (source, target) = (address(&args.source)?, address(&args.target)?);
    let comparison = compare(&source, &target, args.without.as_deref(), &args.tolerant)?;
    keep(place, (&source, &target), args.without.as_deref(), &comparison, out);
    out.answer(&comparison, || text(&comparison));
    Ok(if comparison.is_same() { Exit::Ok } else { Exit::No })
}

/// Keeps what a comparison came to with the run that it is of.
pub(super) fn keep(
    place: &Place,
    (source, target): (&Address, &Address),
    without: Option<&str>,
    comparison: &Comparison,
    out: &Out,
) {
    let (source, target) = (source.to_string(), target.to_string());
    let of = Of { source: &source, target: &target, without };
    runs::proved(place, &of, (VERIFY, runs::passed(comparison.is_same()), text(comparison)), out);
}

/// Compares two collections, all of them or all but a vector and the space; `tolerant` vectors not to the bit.
pub(super) fn compare(
    source: &Address,
    target: &Address,
    without: Option<&str>,
    tolerant: &[(String, Loose)],
) -> Result<Comparison, Stop> {
    let side = |address: &Address| -> Box<dyn Source> {
        match without {
            Some(vector) => Box::new(Rest::new(address.source(), vector)),
            None => address.source(),
        }
    };
    vectors::verify::compare(&mut *side(source), &mut *side(target), &tolerant.iter().cloned().collect())
        .map_err(stop_of)
}

/// What was not compared bit by bit, in words.
fn near(comparison: &Comparison) -> String {
    let Comparison { loose, n_near, largest, .. } = comparison;
    if loose.is_empty() {
        return String::new();
    }
    let held: Vec<String> = loose
        .iter()
        .map(|(name, loose)| {
            let tolerance = loose.tolerance();
            format!("vector {name}: each number within {tolerance:.1e} of what it was, and not to the bit")
        })
        .collect();
    let held = held.join("; ");
    format!("{held}; {n_near} rows are others by at most {largest:.1e}; the digest is without it\n")
}

/// What a comparison came to, in words.
pub(super) fn text(comparison: &Comparison) -> String {
    let Comparison { n_source, n_target, n_unreadable, differences, .. } = comparison;
    if comparison.is_same() {
        let same = format!("the same: {n_source} rows on both sides, digest {}\n", comparison.digest_source);
        let unproved: String = comparison.unproved.iter().map(|why| format!("{why}\n")).collect();
        return same + &near(comparison) + &unproved;
    }
    let mut text = format!("not the same: {n_source} rows in the source, {n_target} in the target\n");
    if *n_unreadable > 0 {
        text += &format!("{n_unreadable} things in them are no rows; `crossfade vectors doctor` names them\n");
    }
    for Difference { namespace, id, what } in differences.iter().take(MAX_NAMED) {
        let what = match what {
            What::Missing => "the target does not have it".to_owned(),
            What::Extra => "only the target has it".to_owned(),
            What::Repeated(one, other) => format!("{one} times in the source, {other} times in the target"),
            What::Altered(parts) => format!("differs in {}", parts.join(", ")),
        };
        text += &format!("  row `{id}` of namespace `{namespace}`: {what}\n");
    }
    if differences.len() > MAX_NAMED {
        text += &format!("  and {} more\n", differences.len() - MAX_NAMED);
    }
    if !comparison.is_complete {
        text +=
            &format!("{} of 4096 buckets differ; not all were looked into, so there are more\n", comparison.n_buckets);
    }
    text
}
