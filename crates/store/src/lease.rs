//! The lease: an exclusive file lock beside the database. Its holder is the one writer of stages.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

/// Held for as long as the value lives; the operating system frees it when the process dies.
#[derive(Debug)]
pub struct Lease {
    file: File,
    path: PathBuf,
}

/// Why the lease was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Another process holds it.
    #[error("{path} is held by process {holder}: another gateway uses this store", path = path.display())]
    Held {
        /// The lock file.
        path: PathBuf,
        /// The process id written in the lock file, or "unknown".
        holder: String,
    },
    /// The lock file could not be used.
    #[error("lock file {path} cannot be used", path = path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

impl Lease {
    /// Takes the lease of the database at `database`: the lock file is `<database>.lock`.
    pub fn acquire(database: &Path) -> Result<Lease, LeaseError> {
        let path = lock_path(database);
        let io = |source| LeaseError::Io { path: path.clone(), source };
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LeaseError::Held { holder: holder_of(&mut file), path }),
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
        file.set_len(0).map_err(io)?;
        file.rewind().map_err(io)?;
        writeln!(file, "{}", std::process::id()).map_err(io)?;
        Ok(Lease { file, path })
    }

    /// Takes one of `n` places beside the database, the first that is free: its lock file is `<database>.<what>-<place>.lock`. Returns the place,
    /// and the places before and after it that somebody had once and nobody has now.
    pub fn acquire_place(
        database: &Path,
        what: &str,
        n: usize,
    ) -> Result<Option<(Lease, usize, Vec<usize>)>, LeaseError> {
        let beside = |place: usize| {
            let mut name = database.as_os_str().to_owned();
            name.push(format!(".{what}-{place}"));
            PathBuf::from(name)
        };
        let mut found = None;
        for place in 0..n {
            match Lease::acquire(&beside(place)) {
                Ok(lease) => {
                    found = Some((lease, place));
                    break;
                }
                Err(LeaseError::Held { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let Some((lease, own)) = found else { return Ok(None) };
        let others = (0..n).filter(|place| *place != own && lock_path(&beside(*place)).exists());
        let free = others.filter(|place| Lease::holder(&beside(*place)).is_none());
        let dead = std::iter::once(own).chain(free).collect();
        Ok(Some((lease, own, dead)))
    }

    /// The process that holds the lease of `database` now, if any.
    pub fn holder(database: &Path) -> Option<String> {
        let mut file = OpenOptions::new().read(true).write(true).open(lock_path(database)).ok()?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => Some(holder_of(&mut file)),
            _ => None,
        }
    }

    /// The lock file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // The lock goes with the file; an empty file says that nobody is here.
        if self.file.set_len(0).is_err() {
            tracing::debug!("lock file not emptied");
        }
    }
}

fn lock_path(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

fn holder_of(file: &mut File) -> String {
    let mut text = String::new();
    match file.read_to_string(&mut text) {
        Ok(_) if !text.trim().is_empty() => text.trim().to_owned(),
        _ => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Lease, LeaseError};

    #[test]
    fn second_lease_names_the_holder() {
        let dir = tempfile::tempdir().unwrap();
        let database = dir.path().join("crossfade.db");
        let lease = Lease::acquire(&database).unwrap();
        match Lease::acquire(&database) {
            Err(LeaseError::Held { holder, .. }) => assert_eq!(holder, std::process::id().to_string()),
            other => panic!("{other:?}"),
        }
        assert_eq!(Lease::holder(&database), Some(std::process::id().to_string()));
        drop(lease);
        assert_eq!(Lease::holder(&database), None);
        Lease::acquire(&database).unwrap();
    }
}
