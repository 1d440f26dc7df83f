//! The narrow door between the journal and the disk, so that a test can stand in for the disk.

pub mod simulated;

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

/// A directory of segment files, addressed by sequence number.
pub trait Files: Send + Sync {
    /// Creates a new, empty segment; an existing one is an error.
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
    /// Deletes a segment.
    fn delete(&self, seq: u64) -> io::Result<()>;
}

/// One open segment that is being appended to.
pub trait SegmentFile: Send + Sync {
    /// One gathering write at the end; may take fewer bytes than offered.
    fn append(&self, slices: &[IoSlice<'_>]) -> io::Result<usize>;
    /// Makes everything appended before the call durable.
    fn sync_data(&self) -> io::Result<()>;
    /// Takes a failed append back.
    fn truncate(&self, len: u64) -> io::Result<()>;
}

/// Blocks reserved for a new segment: the default length of one.
#[cfg(target_os = "linux")]
const RESERVED: u64 = 64 << 20;

/// Segments as `<seq>.seg` files in a directory.
#[derive(Debug)]
pub struct RealFiles {
    dir: PathBuf,
    /// The segment read last, kept open: a reader walks one segment at a time.
    reading: std::sync::Mutex<Option<(u64, File)>>,
}

impl RealFiles {
    /// Opens the directory, creating it if needed.
    pub fn open(dir: impl Into<PathBuf>) -> io::Result<RealFiles> {
        let dir = dir.into();
        std::fs::create_dir_all(&dir)?;
        Ok(RealFiles { dir, reading: std::sync::Mutex::new(None) })
    }

    fn path(&self, seq: u64) -> PathBuf {
        self.dir.join(format!("{seq:016}.seg"))
    }
}

impl Files for RealFiles {
    fn create(&self, seq: u64) -> io::Result<Arc<dyn SegmentFile>> {
        let file = OpenOptions::new().append(true).create_new(true).open(self.path(seq))?;
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
        self.0.set_len(len)
    }
}
