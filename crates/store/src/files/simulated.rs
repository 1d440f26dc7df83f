//! A disk in memory that fails on request: full, broken, or without power.
//!
//! It keeps apart what was written and what was synced. A failed sync takes the pages it should have written for clean, as
//! Linux does: a reader still sees them, and a later sync that succeeds does not bring them to the disk.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Files, SegmentFile};
use crate::journal::HEADER_LEN;

const SECTOR: usize = 512;
const MAX_SPARES: usize = 2;

/// What goes wrong now.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// Bytes left on the disk; `None` is plenty.
    pub space: Option<u64>,
    /// Every write fails with this.
    pub write_error: Option<io::ErrorKind>,
    /// Taking a failed write back fails too.
    pub truncate_fails: bool,
    /// So many syncs fail.
    pub n_failing_syncs: u32,
    /// A failed sync forgets the pages it should have written: a reader sees what the disk has.
    pub forgets_pages: bool,
    /// Writes take fewer bytes than offered, at random.
    pub short_writes: bool,
    /// How long a write takes.
    pub write_takes: std::time::Duration,
}

/// The simulated disk; clones are the same disk.
#[derive(Clone)]
pub struct SimulatedFiles {
    state: Arc<Mutex<State>>,
}

struct State {
    files: BTreeMap<u64, Stored>,
    /// Files kept for later segments, with the number each had.
    spares: Vec<(u64, Stored)>,
    faults: Faults,
    random: u64,
    /// Raised when the process dies: its open files are nobody's any more.
    generation: u64,
}

#[derive(Default)]
struct Stored {
    /// What a reader sees: behind `written`, what the file held in an older life.
    data: Vec<u8>,
    /// What survives a power loss for certain, on the same places.
    durable: Vec<u8>,
    /// Bytes appended in this life, and how many of them were synced.
    written: usize,
    synced: usize,
    /// Dropped by failed syncs.
    lost: Vec<Range<usize>>,
    in_directory: bool,
}

impl SimulatedFiles {
    /// An empty disk; `seed` decides what is random.
    pub fn new(seed: u64) -> SimulatedFiles {
        let state = State {
            files: BTreeMap::new(),
            spares: Vec::new(),
            faults: Faults::default(),
            random: seed,
            generation: 0,
        };
        SimulatedFiles { state: Arc::new(Mutex::new(state)) }
    }

    /// Changes what goes wrong.
    pub fn set(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.lock().faults);
    }

    /// The process dies: what it wrote stays, its open files do nothing more.
    pub fn kill(&self) {
        self.lock().generation += 1;
    }

    /// The power goes: of what was not synced, some sectors are there, some are not, and the last one is torn.
    pub fn power_loss(&self) {
        let mut state = self.lock();
        state.generation += 1;
        let mut files = std::mem::take(&mut state.files);
        files.retain(|_, file| file.in_directory || state.below(2) == 0);
        // A renaming that was not synced may not have happened.
        for (seq, file) in std::mem::take(&mut state.spares) {
            if file.in_directory || state.below(2) == 0 {
                state.spares.push((seq, file));
            } else {
                files.insert(seq, file);
            }
        }
        for file in files.values_mut() {
            file.lose_power(&mut state);
        }
        state.files = files;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// SplitMix64, reduced.
    fn below(&mut self, n: usize) -> usize {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) >> 1).unwrap_or(0) % n.max(1)
    }

    fn alive(&mut self, generation: u64, seq: u64) -> io::Result<&mut Stored> {
        if self.generation != generation {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.files.get_mut(&seq).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn fail_sync(&mut self) -> bool {
        let fails = self.faults.n_failing_syncs > 0;
        self.faults.n_failing_syncs = self.faults.n_failing_syncs.saturating_sub(1);
        fails
    }
}

impl Stored {
    /// The first `len` bytes as a disk has them that got everything but what failed syncs dropped: that is as it was.
    fn on_disk(&self, len: usize) -> Vec<u8> {
        let mut disk = self.durable.clone();
        disk.resize(disk.len().max(len), 0);
        let is_lost = |at: usize| self.lost.iter().any(|range| range.contains(&at));
        for at in (self.synced..len).filter(|at| !is_lost(*at)) {
            disk[at] = self.data[at];
        }
        disk
    }

    fn sync(&mut self) {
        self.durable = self.on_disk(self.written);
        self.synced = self.written;
    }

    fn lose_power(&mut self, state: &mut State) {
        let kept = self.synced + state.below(self.written - self.synced + 1);
        let mut disk = self.on_disk(kept);
        let mut sector = self.synced;
        while sector < kept {
            let end = ((sector / SECTOR + 1) * SECTOR).min(kept);
            match state.below(8) {
                0 => {
                    for (at, byte) in (sector..end).zip(&mut disk[sector..end]) {
                        *byte = self.durable.get(at).copied().unwrap_or(0);
                    }
                }
                1 => {
                    let flipped = sector + state.below(end - sector);
                    disk[flipped] ^= 0x55;
                }
                _ => {}
            }
            sector = end;
        }
        self.durable.clone_from(&disk);
        (self.written, self.synced) = (disk.len(), disk.len());
        self.data = disk;
        self.lost.clear();
        self.in_directory = true;
    }

    fn truncate(&mut self, len: usize) {
        self.data.truncate(len);
        self.durable.truncate(len);
        self.written = self.written.min(len);
        self.synced = self.synced.min(len);
        for range in &mut self.lost {
            range.end = range.end.min(len);
            range.start = range.start.min(range.end);
        }
    }

    fn append(&mut self, bytes: &[u8]) {
        let end = self.written + bytes.len();
        self.data.resize(self.data.len().max(end), 0);
        self.data[self.written..end].copy_from_slice(bytes);
        self.written = end;
    }
}

impl Files for SimulatedFiles {
    fn create(&self, seq: u64) -> io::Result<Arc<dyn SegmentFile>> {
        let mut state = self.lock();
        if state.faults.space == Some(0) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if let Some(kind) = state.faults.write_error {
            return Err(kind.into());
        }
        if state.files.contains_key(&seq) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let spare = state.spares.pop().map(|(_, spare)| spare).unwrap_or_default();
        state.files.insert(seq, Stored { written: 0, synced: 0, lost: Vec::new(), in_directory: false, ..spare });
        Ok(Arc::new(SimulatedSegment { files: self.clone(), seq, generation: state.generation }))
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut state = self.lock();
        if state.fail_sync() {
            return Err(io::ErrorKind::Other.into());
        }
        state.files.values_mut().for_each(|file| file.in_directory = true);
        state.spares.iter_mut().for_each(|(_, file)| file.in_directory = true);
        Ok(())
    }

    fn read(&self, seq: u64, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let state = self.lock();
        let file = state.files.get(&seq).ok_or(io::ErrorKind::NotFound)?;
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(file.data.len());
        let n = into.len().min(file.data.len() - start);
        into[..n].copy_from_slice(&file.data[start..start + n]);
        Ok(n)
    }

    fn list(&self) -> io::Result<Vec<(u64, u64)>> {
        Ok(self.lock().files.iter().map(|(seq, file)| (*seq, file.data.len() as u64)).collect())
    }

    fn truncate(&self, seq: u64, len: u64) -> io::Result<()> {
        let mut state = self.lock();
        let file = state.files.get_mut(&seq).ok_or(io::ErrorKind::NotFound)?;
        file.truncate(usize::try_from(len).unwrap_or(usize::MAX));
        Ok(())
    }

    fn sync(&self, seq: u64) -> io::Result<()> {
        let mut state = self.lock();
        let generation = state.generation;
        state.alive(generation, seq)?.sync();
        Ok(())
    }

    fn delete(&self, seq: u64) -> io::Result<()> {
        let mut state = self.lock();
        let mut file = state.files.remove(&seq).ok_or(io::ErrorKind::NotFound)?;
        if state.spares.len() < MAX_SPARES {
            for bytes in [&mut file.data, &mut file.durable] {
                let end = bytes.len().min(HEADER_LEN);
                bytes[..end].fill(0);
            }
            file.in_directory = false;
            state.spares.push((seq, file));
        }
        Ok(())
    }
}

struct SimulatedSegment {
    files: SimulatedFiles,
    seq: u64,
    generation: u64,
}

impl SegmentFile for SimulatedSegment {
    fn append(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        let takes = self.files.lock().faults.write_takes;
        if !takes.is_zero() {
            std::thread::sleep(takes);
        }
        let mut state = self.files.lock();
        if let Some(kind) = state.faults.write_error {
            // What a failed write leaves behind is anybody's guess.
            let n = state.below(bytes.len() + 1);
            state.alive(self.generation, self.seq)?.append(&bytes[..n]);
            return Err(kind.into());
        }
        let mut n = bytes.len();
        if state.faults.short_writes {
            n = 1 + state.below(n);
        }
        if let Some(space) = state.faults.space {
            n = n.min(usize::try_from(space).unwrap_or(usize::MAX));
            if n == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
        }
        state.alive(self.generation, self.seq)?.append(&bytes[..n]);
        if let Some(space) = &mut state.faults.space {
            *space -= n as u64;
        }
        Ok(n)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.files.lock();
        let fails = state.fail_sync();
        let forgets = state.faults.forgets_pages;
        let file = state.alive(self.generation, self.seq)?;
        if fails {
            let range = file.synced..file.written;
            if forgets {
                let disk = file.on_disk(file.synced);
                for at in range.clone() {
                    file.data[at] = disk.get(at).copied().unwrap_or(0);
                }
            }
            file.lost.push(range);
            return Err(io::ErrorKind::Other.into());
        }
        file.sync();
        Ok(())
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        let mut state = self.files.lock();
        if state.faults.truncate_fails {
            return Err(io::ErrorKind::Other.into());
        }
        let file = state.alive(self.generation, self.seq)?;
        file.truncate(usize::try_from(len).unwrap_or(usize::MAX));
        Ok(())
    }
}
