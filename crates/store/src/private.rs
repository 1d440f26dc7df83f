//! Files that hold what people said: nobody but the owner reads them.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// The mode of a file.
pub(crate) const FILE: u32 = 0o600;
const DIRECTORY: u32 = 0o700;

/// Makes a directory and those above it, for the owner alone; those that are there stay as they are.
///
/// # Errors
/// When one cannot be made.
pub fn make_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(DIRECTORY).create(path)
}

/// Makes an empty file for the owner alone, where there is none: SQLite gives the files beside it the same mode. What fails here is said by whoever
/// opens it.
pub(crate) fn make_file(path: &Path) {
    let made = OpenOptions::new().write(true).create_new(true).mode(FILE).open(path);
    drop(made);
}

/// Whether others than the owner may read a file that is there.
#[must_use]
pub fn is_readable_by_others(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o044 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Database;
    use crate::files::{Files as _, RealFiles};

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn what_is_made_is_for_the_owner_alone_and_what_is_there_is_left() {
        let directory = tempfile::tempdir().unwrap();
        let record = directory.path().join("deep/record");
        let files = RealFiles::open(&record).unwrap();
        drop(files.create(1).unwrap());
        assert_eq!((mode(&record), mode(&record.join("0000000000000001.seg"))), (0o700, 0o600));
        let path = directory.path().join("a.db");
        let database = Database::open(&path).unwrap();
        assert!(!is_readable_by_others(&path));
        for beside in ["a.db", "a.db-wal", "a.db-shm"] {
            assert_eq!(mode(&directory.path().join(beside)), 0o600, "{beside}");
        }
        drop(database);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        drop(Database::open(&path).unwrap());
        assert!(is_readable_by_others(&path), "the owner's choice stays");
    }
}
