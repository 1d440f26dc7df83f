//! `crossfade exit verify`: an export, counted and hashed again.

use std::path::PathBuf;

use anyhow::Context;
use exit::signing::PublicKey;
use serde_json::json;

use crate::out::{Exit, Out, Stop};

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The directory of an export.
    directory: PathBuf,
    /// The public key that has to have signed it; without one the key beside it is taken, which only says that nobody changed a byte since.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
}

/// Verifies.
pub(super) fn run(args: &Args, out: &Out) -> Result<Exit, Stop> {
    let key = args.key.as_ref().map(|path| {
        let text = std::fs::read_to_string(path).with_context(|| format!("could not read {}", path.display()))?;
        PublicKey::from_pem(&text).map_err(|error| Stop::usage(format!("{}: {error}", path.display())))
    });
    let key = key.transpose()?;
    let found = exit::verify(&args.directory, key.as_ref()).map_err(Stop::failed)?;
    let Some((manifest, is_signed, problems)) = found else {
        let stop = Stop::usage(format!("{} holds no export: it has no {}", args.directory.display(), exit::MANIFEST));
        return Err(stop.hint("`crossfade exit export DIR` writes it when it is through, also when it was stopped"));
    };
    let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let n: u64 = manifest.collections.iter().map(|facts| facts.n_objects).sum();
    let facts = json!({
        "source": manifest.source, "complete": manifest.complete, "n_objects": n, "n_files": manifest.files.len(),
        "signed": is_signed, "problems": said,
    });
    out.answer(&facts, || {
        let mut text = verified(&manifest, n);
        text += match (problems.is_empty(), is_signed) {
            (true, true) => ": every one is as the manifest says, and the signature holds\n",
            (true, false) => ": every one is as the manifest says; nobody signed it\n",
            (false, _) => ", and not all is as the manifest says:\n",
        };
        if !manifest.complete {
            text += "the export was not complete: run it again\n";
        }
        said.iter().for_each(|problem| text += &format!("  {problem}\n"));
        text
    });
    Ok(if problems.is_empty() { Exit::Ok } else { Exit::No })
}

/// What was counted and hashed: objects of a vendor by collection, and files; an export of one's own record has files alone.
fn verified(manifest: &exit::Manifest, n_objects: u64) -> String {
    let bytes: u64 = manifest.files.values().map(|file| file.bytes).sum();
    let files = format!("{} files ({bytes} bytes), each counted and hashed again", manifest.files.len());
    if n_objects == 0 {
        return format!("{files}; the export is of {} and has no object of a vendor's", manifest.source);
    }
    let of = |facts: &exit::CollectionFacts| format!("{} {}", facts.n_objects, facts.name);
    let collections: Vec<String> = manifest.collections.iter().filter(|facts| facts.n_objects > 0).map(of).collect();
    format!("{n_objects} objects of {} ({}) in {files}", manifest.source, collections.join(", "))
}
