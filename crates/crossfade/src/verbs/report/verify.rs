//! `crossfade report verify BUNDLE`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use report::{MOST_NAMED, Mismatch, verify};

use super::{BUNDLE, FORMS, PDF, engine};
use crate::out::{Exit, Out, Stop};

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A bundle.tar, a directory it was unpacked into, or the directory a report was written to.
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
    /// The evidence the bundle has to be of: the SHA-256 of its report's first page, or its beginning.
    #[arg(long, value_name = "SHA256")]
    evidence: Option<String>,
}

/// This version.
const OWN: &str = env!("CARGO_PKG_VERSION");

/// What to say of a bundle that another version made.
fn of_another(made_by: &str, own: &str) -> Option<String> {
    (made_by != own).then(|| {
        format!("warning: crossfade {made_by} made this bundle and {own} verifies it: what differs may be theirs and nobody's change; verify it with {made_by}")
    })
}

/// Files by their names, with `/` between directories.
type Files = BTreeMap<String, Vec<u8>>;

/// Verifies.
pub(super) fn run(args: &Args, out: &Out) -> Result<Exit, Stop> {
    let path = &args.bundle;
    let read = |path: &Path| std::fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    let beside = path.join(BUNDLE);
    let mut unchecked = None;
    let (found, outside) = if !path.is_dir() {
        let missing = |error: anyhow::Error| {
            Stop::from(error).exit(Exit::Usage).hint("`crossfade report --output DIR` writes DIR/bundle.tar")
        };
        let archive = read(path).map_err(missing)?;
        (verify(Ok(&archive), &engine::Rooms), Vec::new())
    } else if beside.is_file() && !path.join("rows").is_dir() {
        let outside = FORMS.iter().filter_map(|name| Some((*name, std::fs::read(path.join(name)).ok()?))).collect();
        unchecked = path.join(PDF).exists().then_some(PDF);
        (verify(Ok(&read(&beside)?), &engine::Rooms), outside)
    } else {
        let mut files = Files::new();
        gather(path, "", &mut files)?;
        unchecked = files.remove(PDF).map(|_| PDF);
        (verify(Err(files), &engine::Rooms), Vec::new())
    };
    let hint = "`crossfade report --output DIR` writes DIR/bundle.tar";
    let (mut wrong, made) = found.map_err(|error| Stop::usage(error).hint(hint))?;
    for (name, bytes) in outside {
        if made.as_ref().is_some_and(|made| made.files.get(name) != Some(&bytes)) {
            let what = "it lies beside the bundle and is not the one in it".to_owned();
            wrong.push(Mismatch { file: name.to_owned(), figure: None, what });
        }
    }
    let evidence = made.as_ref().map(|made| made.report.evidence.clone()).unwrap_or_default();
    if let Some(asked) =
        args.evidence.as_ref().filter(|asked| asked.len() < 8 || !evidence.starts_with(&asked.to_lowercase()))
    {
        let what = format!("the bundle is of the evidence {evidence}, not of {asked}");
        wrong.push(Mismatch { file: "rows".to_owned(), figure: None, what });
    }
    let other = made.as_ref().and_then(|made| of_another(&made.report.version, OWN));
    let facts = serde_json::json!({
        "verified": wrong.is_empty(),
        "made_by": made.as_ref().map(|made| &made.report.version),
        "verified_by": OWN,
        "evidence": evidence,
        "wrong": wrong.iter().map(|one| serde_json::json!({ "file": one.file, "figure": one.figure, "what": one.what })).collect::<Vec<_>>(),
        "not_checked": unchecked,
    });
    if let Some(words) = other {
        out.say(words);
    }
    out.answer(&facts, || match (&made, wrong.is_empty()) {
        (Some(made), true) => {
            let n = made.report.moves.iter().flat_map(report::MoveReport::figures).count();
            format!(
                "verified: {n} figures and {} files follow from the rows\n{}\nevidence {evidence}\n",
                made.files.len(),
                made.report.headline
            )
        }
        _ => listed(&wrong),
    });
    if let Some(name) = unchecked {
        out.say(format_args!(
            "{name} is not checked: it is no part of the bundle; print report.html for one that follows from the rows"
        ));
    }
    Ok(if wrong.is_empty() { Exit::Ok } else { Exit::No })
}

/// What differs, a line each, and how much that is.
fn listed(wrong: &[Mismatch]) -> String {
    let n = wrong.len();
    let words = match n {
        1 => "1 difference".to_owned(),
        n if n >= MOST_NAMED => format!("{n} differences named; there may be more"),
        n => format!("{n} differences"),
    };
    wrong.iter().map(|one| format!("{one}\n")).collect::<String>() + &format!("NOT verified: {words}\n")
}

fn gather(dir: &Path, prefix: &str, files: &mut Files) -> Result<(), Stop> {
    let doing = || format!("cannot read {}", dir.display());
    for entry in std::fs::read_dir(dir).with_context(doing)? {
        let entry = entry.with_context(doing)?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            gather(&entry.path(), &format!("{name}/"), files)?;
        } else {
            files.insert(name, std::fs::read(entry.path()).with_context(doing)?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_ends_with_how_much_it_is() {
        let one =
            Mismatch { file: "report.md".to_owned(), figure: None, what: "line 3 is not what the rows say".to_owned() };
        let text = listed(&vec![one.clone(); 2]);
        assert!(text.ends_with("line 3 is not what the rows say\nNOT verified: 2 differences\n"), "{text}");
        assert!(listed(&[one]).ends_with("NOT verified: 1 difference\n"));
    }

    #[test]
    fn a_bundle_of_another_version_is_told_as_one() {
        assert_eq!(of_another(OWN, OWN), None);
        assert!(of_another("0.0.9", OWN).is_some_and(|words| words.contains("verify it with 0.0.9")));
    }
}
