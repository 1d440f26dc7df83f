//! Which gateway one is, and whether it is the one that a config means.

use std::path::{Path, PathBuf};

use operations::Identity;

/// The gateway that writes `store` and reads `config`. Two paths to one file are one identity.
pub(crate) fn of(store: &Path, config: &Path) -> Identity {
    Identity {
        store: whole(store).display().to_string(),
        store_file: file(store),
        config: whole(config).display().to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        config_hash: None,
    }
}

/// Whether both write one store: by its path, or by its file where one of them sees it by another path, as in a container.
pub(crate) fn is_same_store(one: &Identity, other: &Identity) -> bool {
    one.store == other.store || (one.store_file.is_some() && one.store_file == other.store_file)
}

/// From the root and without links, as far as it exists.
fn whole(path: &Path) -> PathBuf {
    if let Ok(found) = path.canonicalize() {
        return found;
    }
    let from_root = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    match (from_root.parent().map(Path::canonicalize), from_root.file_name()) {
        (Some(Ok(directory)), Some(name)) => directory.join(name),
        _ => from_root,
    }
}

#[cfg(unix)]
fn file(path: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(path).ok()?;
    Some(format!("{}:{}", metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn file(_: &Path) -> Option<String> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_the_same_by_whatever_path_and_another_where_the_file_is_another() {
        let room = tempfile::TempDir::new().unwrap();
        let at = |path: &str| room.path().join(path);
        std::fs::create_dir(at("data")).unwrap();
        std::fs::write(at("data/one.db"), "").unwrap();
        std::fs::hard_link(at("data/one.db"), at("data/mounted.db")).unwrap();
        let check =
            |one: &str, other: &str| is_same_store(&of(&at(one), Path::new("a")), &of(&at(other), Path::new("b")));
        assert!(check("data/one.db", "data/../data/one.db"));
        assert!(check("data/one.db", "data/mounted.db"), "one file by two paths");
        assert!(check("data/later.db", "data/../data/later.db"), "not there yet");
        assert!(!check("data/one.db", "data/later.db"));
        assert!(!check("data/later.db", "later.db"));
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(at("data"), at("linked")).unwrap();
            assert!(check("data/later.db", "linked/later.db"));
        }
    }
}
