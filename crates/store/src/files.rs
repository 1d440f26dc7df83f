//! The narrow door between the journal and the disk, so that a test can stand in for the disk.

pub mod simulated;

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::journal::HEADER_LEN;

/// A directory of segment files, addressed by sequence number.
pub trait Files: Send + Sync {
    /// Creates a new segment; an existing one is an error. Behind what is appended to it there may be what the file held
    /// in an older life, but no header that could be read.
    fn create(&self, seq: u64) -> io::Result<Arc<dyn SegmentFile>>;
    /// Makes the directory's entries durable.
    fn sync_dir(&self) -> io::Result<()>;
    /// Reads at `offset`; 0 bytes means the end of the segment.
    fn read(&self, seq: u64, offset: u64, into: &mut [u8]) -> io::Result<usize>;
    /// Every segment and its length, in order.
    fn list(&self) -> io::Result<Vec<(u64, u64)>>;
    /// Cuts a segment to `len` bytes and makes the cut durable.
    fn truncate(&self, seq: u64, len: u64) -> io::Result<()>;
    /// Makes a segment durable that another process may have written.
    fn sync(&self, seq: u64) -> io::Result<()>;
    /// Deletes a segment; its file may be kept for a later one.
    fn delete(&self, seq: u64) -> io::Result<()>;
}

/// One open segment that is being appended to.
pub trait SegmentFile: Send + Sync {
    /// One gathering write at the end; may take fewer bytes than offered.
    fn append(&self, slices: &[IoSlice<'_>]) -> io::Result<usize>;
    /// Makes everything appended before the call durable.
    fn sync_data(&self) -> io::Result<()>;
    /// Cuts the segment: takes a failed append back, or what an older life left behind the last one.
    fn truncate(&self, len: u64) -> io::Result<()>;
}

/// Blocks reserved for a new segment: the default length of one.
#[cfg(target_os = "linux")]
const RESERVED: u64 = 64 << 20;

/// Files kept for later segments. Writing over a file costs less than half of writing a new one, because its blocks are
/// found and its pages are in memory: 8 against 17 us for 98 KB on ext4. Four are what 200 MB/s need while the shipper is
/// a second behind, and at most 256 MB of disk.
const MAX_SPARES: usize = 4;

/// Segments as `<seq>.seg` files in a directory, and beside them `<seq>.spare` for later ones.
#[derive(Debug)]
pub struct RealFiles {
    dir: PathBuf,
    spares: std::sync::Mutex<Vec<PathBuf>>,
    /// The segment read last, kept open: a reader walks one segment at a time.
    reading: std::sync::Mutex<Option<(u64, File)>>,
}

impl RealFiles {
    /// Opens the directory, creating it if needed.
    pub fn open(dir: impl Into<PathBuf>) -> io::Result<RealFiles> {
        let dir = dir.into();
        std::fs::create_dir_all(&dir)?;
        let mut spares = Vec::new();
        for entry in std::fs::read_dir(&dir)? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "spare") {
                continue;
            }
            if spares.len() < MAX_SPARES {
                spares.push(path);
            } else {
                std::fs::remove_file(path)?;
            }
        }
        Ok(RealFiles { dir, spares: std::sync::Mutex::new(spares), reading: std::sync::Mutex::new(None) })
    }

    fn spares(&self) -> std::sync::MutexGuard<'_, Vec<PathBuf>> {
        self.spares.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Keeps the file of a segment for a later one. Its header goes first, and durably: under a new name, after a power
    /// loss, the old records must not read as the new segment's.
    fn keep(&self, seq: u64) -> io::Result<()> {
        let path = self.path(seq);
        let file = OpenOptions::new().write(true).open(&path)?;
        file.write_all_at(&[0; HEADER_LEN], 0)?;
        file.sync_data()?;
        let spare = path.with_extension("spare");
        std::fs::rename(path, &spare)?;
        self.spares().push(spare);
        Ok(())
    }

    fn path(&self, seq: u64) -> PathBuf {
        self.dir.join(format!("{seq:016}.seg"))
    }
}

impl Files for RealFiles {
    fn create(&self, seq: u64) -> io::Result<Arc<dyn SegmentFile>> {
        let path = self.path(seq);
        let spare = self.spares().pop();
        // The lock on the store keeps other processes out, so nobody makes the file between the look and the renaming.
        let renamed = match spare {
            Some(spare) if !path.try_exists()? => std::fs::rename(spare, &path).is_ok(),
            Some(spare) => {
                self.spares().push(spare);
                false
            }
            None => false,
        };
        let file = OpenOptions::new().write(true).create_new(!renamed).open(path)?;
        reserve(&file);
        Ok(Arc::new(RealSegment(file)))
    }

    fn sync_dir(&self) -> io::Result<()> {
        File::open(&self.dir)?.sync_all()
    }

    fn read(&self, seq: u64, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut reading = self.reading.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let file = match reading.take() {
            Some((open, file)) if open == seq => file,
            _ => File::open(self.path(seq))?,
        };
        let n = file.read_at(into, offset);
        *reading = Some((seq, file));
        n
    }

    fn list(&self) -> io::Result<Vec<(u64, u64)>> {
        let mut segments = Vec::new();
        for entry in std::fs::read_dir(&self.dir)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(seq) = name.to_str().and_then(|name| name.strip_suffix(".seg")).and_then(|seq| seq.parse().ok())
            else {
                continue;
            };
            segments.push((seq, entry.metadata()?.len()));
        }
        segments.sort_unstable();
        Ok(segments)
    }

    fn truncate(&self, seq: u64, len: u64) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(self.path(seq))?;
        file.set_len(len)?;
        file.sync_data()
    }

    fn sync(&self, seq: u64) -> io::Result<()> {
        File::open(self.path(seq))?.sync_data()
    }

    fn delete(&self, seq: u64) -> io::Result<()> {
        let mut reading = self.reading.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if reading.as_ref().is_some_and(|(open, _)| *open == seq) {
            *reading = None;
        }
        drop(reading);
        if self.spares().len() < MAX_SPARES && self.keep(seq).is_ok() {
            return Ok(());
        }
        std::fs::remove_file(self.path(seq))
    }
}

/// Asks for the blocks of a segment ahead, so that no sync has to find them. The length stays what was written. A file
/// system that cannot, or has no room left, is no reason to stop: the blocks are found one by one then.
fn reserve(file: &File) {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::fs::fallocate(file, rustix::fs::FallocateFlags::KEEP_SIZE, 0, RESERVED) {
        tracing::debug!(%error, "no blocks reserved for a journal segment");
    }
    #[cfg(not(target_os = "linux"))]
    drop(file);
}

struct RealSegment(File);

impl SegmentFile for RealSegment {
    fn append(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        (&self.0).write_vectored(slices)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)?;
        (&self.0).seek(SeekFrom::Start(len)).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;

    use super::{Files, MAX_SPARES, RealFiles};

    fn names(dir: &std::path::Path) -> Vec<String> {
        let entries = std::fs::read_dir(dir).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_deleted_segment_is_used_again_without_its_header() {
        let dir = tempfile::tempdir().unwrap();
        let files = RealFiles::open(dir.path()).unwrap();
        let segment = files.create(1).unwrap();
        segment.append(&[IoSlice::new(&[7; 100])]).unwrap();
        files.delete(1).unwrap();
        assert_eq!(names(dir.path()), ["0000000000000001.spare"]);
        // Another process finds the spare file too.
        let files = RealFiles::open(dir.path()).unwrap();
        assert_eq!(files.list().unwrap(), []);
        let segment = files.create(2).unwrap();
        let mut held = [1; 100];
        assert_eq!(files.read(2, 0, &mut held).unwrap(), 100);
        assert_eq!(held[..20], [0; 20], "no header");
        segment.append(&[IoSlice::new(&[8; 30])]).unwrap();
        segment.append(&[IoSlice::new(&[9; 30])]).unwrap();
        segment.truncate(50).unwrap();
        segment.append(&[IoSlice::new(&[6; 4])]).unwrap();
        assert_eq!(files.read(2, 0, &mut held).unwrap(), 54);
        assert_eq!((held[29], held[30], held[49], held[50], held[53]), (8, 9, 9, 6, 6));
        assert!(files.create(2).is_err(), "a segment is never written over");
    }

    #[test]
    fn few_files_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let files = RealFiles::open(dir.path()).unwrap();
        for seq in 1..10 {
            drop(files.create(seq).unwrap());
        }
        (1..10).for_each(|seq| files.delete(seq).unwrap());
        assert_eq!(names(dir.path()).len(), MAX_SPARES);
    }
}
