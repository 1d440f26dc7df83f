//! The narrow door between the journal and the disk, so that a test can stand in for the disk.

pub mod simulated;

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::journal::HEADER_LEN;

/// A directory of segment files, addressed by sequence number.
pub trait Files: Send + Sync {
    /// Creates a new segment; an existing one is an error. Behind what is appended to it there may be zeros, or what the file
    /// held in an older life, but no header that could be read.
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

/// Zeros are written ahead of the records in pieces of this size. The kernel keeps what was written in one piece in one piece of
/// memory where it can (large folios, ext4 since Linux 6.16), and writing and syncing 98 KB over pieces of 64 KiB and more cost 8 + 5 us,
/// over pieces of 98 KB 11 + 8 us, over the single pages that small records leave behind 19 + 14 us. In larger ones ext4 looks at
/// every block of the piece for each write, which takes back what they save.
const PAVED: usize = 256 << 10;
static ZEROS: [u8; PAVED] = [0; PAVED];

/// Segments as `<seq>.seg` files in a directory, and beside them `<seq>.spare` for later ones.
#[derive(Debug)]
pub struct RealFiles {
    dir: PathBuf,
    spares: std::sync::Mutex<Vec<Spare>>,
    /// The segment read last, kept open: a reader walks one segment at a time.
    reading: std::sync::Mutex<Option<(u64, File)>>,
}

#[derive(Debug)]
struct Spare {
    path: PathBuf,
    /// Up to where this process has written it, so that it is in memory, in large pieces.
    paved: u64,
}

impl RealFiles {
    /// Opens the directory, creating it if needed.
    pub fn open(dir: impl Into<PathBuf>) -> io::Result<RealFiles> {
        let dir = dir.into();
        crate::private::make_directory(&dir)?;
        let mut spares = Vec::new();
        for entry in std::fs::read_dir(&dir)? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "spare") {
                continue;
            }
            if spares.len() < MAX_SPARES {
                spares.push(Spare { path, paved: 0 });
            } else {
                std::fs::remove_file(path)?;
            }
        }
        Ok(RealFiles { dir, spares: std::sync::Mutex::new(spares), reading: std::sync::Mutex::new(None) })
    }

    fn spares(&self) -> std::sync::MutexGuard<'_, Vec<Spare>> {
        self.spares.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Keeps the file of a segment for a later one. Its header goes first, and durably: under a new name, after a power
    /// loss, the old records must not read as the new segment's.
    fn keep(&self, seq: u64) -> io::Result<()> {
        let path = self.path(seq);
        let file = OpenOptions::new().write(true).open(&path)?;
        file.write_all_at(&[0; HEADER_LEN], 0)?;
        file.sync_data()?;
        let paved = file.metadata()?.len();
        let spare = path.with_extension("spare");
        std::fs::rename(path, &spare)?;
        self.spares().push(Spare { path: spare, paved });
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
        let paved = match spare {
            Some(spare) if !path.try_exists()? => std::fs::rename(&spare.path, &path).is_ok().then_some(spare.paved),
            Some(spare) => {
                self.spares().push(spare);
                None
            }
            None => None,
        };
        let file = OpenOptions::new().write(true).create_new(paved.is_none()).mode(crate::private::FILE).open(path)?;
        reserve(&file);
        Ok(Arc::new(RealSegment { file, end: AtomicU64::new(0), paved: AtomicU64::new(paved.unwrap_or(0)) }))
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

struct RealSegment {
    file: File,
    /// Where the next append goes.
    end: AtomicU64,
    /// Up to where there are zeros, or bytes of an older life, in large pieces of memory.
    paved: AtomicU64,
}

impl RealSegment {
    /// Writes zeros from `end` on, to have room for `len` bytes. A disk that takes none is asked no more: the append says what is
    /// wrong with it.
    fn pave(&self, end: u64, len: u64) {
        let mut at = self.paved.load(Ordering::Relaxed).max(end);
        while at < end + len {
            // Up to the next boundary: after a cut the first piece is a smaller one.
            let n_bytes = PAVED - usize::try_from(at % PAVED as u64).unwrap_or(0);
            at = match self.file.write_all_at(&ZEROS[..n_bytes], at) {
                Ok(()) => at + n_bytes as u64,
                Err(_) => u64::MAX,
            };
            self.paved.store(at, Ordering::Relaxed);
        }
    }
}

impl SegmentFile for RealSegment {
    fn append(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let end = self.end.load(Ordering::Relaxed);
        self.pave(end, slices.iter().map(|slice| slice.len() as u64).sum());
        let n_bytes = (&self.file).write_vectored(slices)?;
        self.end.store(end + n_bytes as u64, Ordering::Relaxed);
        Ok(n_bytes)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)?;
        self.end.store(len, Ordering::Relaxed);
        self.paved.fetch_min(len, Ordering::Relaxed);
        (&self.file).seek(SeekFrom::Start(len)).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;

    use super::{Files, MAX_SPARES, PAVED, RealFiles};

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
        assert_eq!(files.read(2, 0, &mut held).unwrap(), 100);
        assert_eq!((held[29], held[30], held[49], held[50], held[53], held[54]), (8, 9, 9, 6, 6, 0));
        assert!(files.create(2).is_err(), "a segment is never written over");
    }

    #[test]
    fn a_file_is_paved_ahead_and_a_cut_leaves_what_was_appended() {
        let dir = tempfile::tempdir().unwrap();
        let files = RealFiles::open(dir.path()).unwrap();
        let segment = files.create(1).unwrap();
        let len = || files.list().unwrap()[0].1;
        segment.append(&[IoSlice::new(&[7; 100])]).unwrap();
        assert_eq!(len(), PAVED as u64);
        segment.append(&[IoSlice::new(&vec![8; PAVED])]).unwrap();
        assert_eq!(len(), 2 * PAVED as u64);
        segment.truncate(PAVED as u64 + 100).unwrap();
        assert_eq!(len(), PAVED as u64 + 100);
        segment.append(&[IoSlice::new(&[9; 10])]).unwrap();
        assert_eq!(len(), 2 * PAVED as u64);
        let mut held = [1; 12];
        files.read(1, PAVED as u64 + 99, &mut held).unwrap();
        assert_eq!(held, [8, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 0]);
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
