//! What Crossfade itself recorded, in open files: a file of JSON lines for each table of the store.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::Context;
use operations::ExchangeFilter;
use store::{BodyKind, Database};

use crate::out::Stop;

/// Writes the tables below `root/own` and says how many rows each has. A file is there whole, or as it was.
pub(super) fn write(database: &Database, root: &Path) -> Result<BTreeMap<String, u64>, Stop> {
    let dir = root.join("own");
    fs::create_dir_all(&dir).with_context(|| format!("could not make {}", dir.display()))?;
    let mut open: Option<(String, BufWriter<File>)> = None;
    let mut failed = None;
    let counts = database.dump(|table, line| {
        let written = (|| {
            if open.as_ref().is_none_or(|(name, _)| name != table) {
                if let Some((_, mut file)) = open.take() {
                    file.flush()?;
                }
                let file = File::create(dir.join(format!("{table}.part")))?;
                open = Some((table.to_owned(), BufWriter::new(file)));
            }
            let Some((_, file)) = &mut open else { return Ok(()) };
            file.write_all(line.as_bytes())?;
            file.write_all(b"\n")
        })();
        failed = written.err();
        failed.is_none()
    });
    let counts = counts.map_err(Stop::failed)?;
    if let Some(error) = failed {
        return Err(Stop::failed(
            anyhow::Error::new(error).context(format!("could not write below {}", dir.display())),
        ));
    }
    if let Some((_, mut file)) = open.take() {
        file.flush().with_context(|| format!("could not write below {}", dir.display()))?;
    }
    for table in counts.iter().filter(|(_, n)| **n > 0).map(|(table, _)| table) {
        let (part, whole) = (dir.join(format!("{table}.part")), dir.join(format!("{table}.jsonl")));
        fs::rename(&part, &whole).with_context(|| format!("could not write {}", whole.display()))?;
    }
    Ok(counts)
}

/// The ids of the vendor's objects that occur in recorded answers, by what they begin with.
pub(super) fn ids(database: &Database, beginning: &str) -> Result<BTreeSet<String>, Stop> {
    let (mut found, mut filter) = (BTreeSet::new(), ExchangeFilter { limit: Some(500), ..ExchangeFilter::default() });
    loop {
        let rows = database.list(&filter).map_err(Stop::failed)?;
        for row in rows.iter().filter(|row| row.endpoint.as_deref() == Some("responses")) {
            for kind in [BodyKind::Request, BodyKind::Answer] {
                if let Some(body) = database.body(row.id, kind).map_err(Stop::failed)? {
                    occurring(body.expose(), beginning, &mut found);
                }
            }
        }
        let Some(last) = rows.last() else { return Ok(found) };
        filter.before = Some(last.id);
    }
}

/// Ids stand between quotation marks.
fn occurring(body: &[u8], beginning: &str, found: &mut BTreeSet<String>) {
    for text in body.split(|byte| *byte == b'"').filter(|text| text.starts_with(beginning.as_bytes())) {
        let is_id =
            text.len() > beginning.len() && text.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
        if is_id && let Ok(id) = std::str::from_utf8(text) {
            found.insert(id.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_in_bodies() {
        let mut found = BTreeSet::new();
        let body =
            br#"{"id":"resp_1a","previous_response_id":"resp_0b","text":"resp_ is no id, nor resp_c","x":"resp_"}"#;
        occurring(body, "resp_", &mut found);
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["resp_0b", "resp_1a"]);
    }
}
