//! A disk in memory that fails on request: full, broken, or without power.
//!
//! It keeps apart what was written and what was synced. A failed sync drops the pages it should have written, as Linux
//! does: a later sync that succeeds does not bring them back.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Files, SegmentFile};

const SECTOR: usize = 512;

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
    /// Writes take fewer bytes than offered, at random.
    pub short_writes: bool,
}

/// The simulated disk; clones are the same disk.
#[derive(Clone)]
pub struct SimulatedFiles {
    state: Arc<Mutex<State>>,
}

struct State {
    files: BTreeMap<u64, Stored>,
    faults: Faults,
    random: u64,
    /// Raised when the process dies: its open files are nobody's any more.
    generation: u64,
}

#[derive(Default)]
struct Stored {
    /// What a reader sees.
    data: Vec<u8>,
    /// What survives a power loss for certain.
    durable: Vec<u8>,
    /// Dropped by failed syncs.
    lost: Vec<Range<usize>>,
    in_directory: bool,
}

impl SimulatedFiles {
    /// An empty disk; `seed` decides what is random.
    pub fn new(seed: u64) -> SimulatedFiles {
        let state = State { files: BTreeMap::new(), faults: Faults::default(), random: seed, generation: 0 };
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
    fn sync(&mut self) {
        let from = self.durable.len().min(self.data.len());
        self.durable.truncate(from);
        self.durable.extend_from_slice(&self.data[from..]);
        for range in &self.lost {
            let end = range.end.min(self.durable.len());
            self.durable[range.start.min(end)..end].fill(0);
        }
    }

    fn lose_power(&mut self, state: &mut State) {
        let synced = self.durable.len().min(self.data.len());
        let kept = synced + state.below(self.data.len() - synced + 1);
        let mut data = self.durable[..synced].to_vec();
        data.extend_from_slice(&self.data[synced..kept]);
        for range in &self.lost {
            let (start, end) = (range.start.max(synced).min(kept), range.end.min(kept));
            data[start..end.max(start)].fill(0);
        }
        let mut sector = synced;
        while sector < kept {
            let end = ((sector / SECTOR + 1) * SECTOR).min(kept);
            match state.below(8) {
                0 => data[sector..end].fill(0),
                1 => {
                    let flipped = sector + state.below(end - sector);
                    data[flipped] ^= 0x55;
                }
                _ => {}
            }
            sector = end;
        }
        self.durable.clone_from(&data);
        self.data = data;
        self.lost.clear();
        self.in_directory = true;
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
        state.files.insert(seq, Stored::default());
        Ok(Arc::new(SimulatedSegment { files: self.clone(), seq, generation: state.generation }))
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut state = self.lock();
        if state.fail_sync() {
            return Err(io::ErrorKind::Other.into());
        }
        state.files.values_mut().for_each(|file| file.in_directory = true);
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
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        file.data.truncate(len);
        file.durable.truncate(len);
        Ok(())
    }

    fn sync(&self, seq: u64) -> io::Result<()> {
        let mut state = self.lock();
        let generation = state.generation;
        state.alive(generation, seq)?.sync();
        Ok(())
    }

    fn delete(&self, seq: u64) -> io::Result<()> {
        self.lock().files.remove(&seq).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
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
        let mut state = self.files.lock();
        if let Some(kind) = state.faults.write_error {
            // What a failed write leaves behind is anybody's guess.
            let n = state.below(bytes.len() + 1);
            state.alive(self.generation, self.seq)?.data.extend_from_slice(&bytes[..n]);
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
        state.alive(self.generation, self.seq)?.data.extend_from_slice(&bytes[..n]);
        if let Some(space) = &mut state.faults.space {
            *space -= n as u64;
        }
        Ok(n)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.files.lock();
        let fails = state.fail_sync();
        let file = state.alive(self.generation, self.seq)?;
        if fails {
            let range = file.durable.len()..file.data.len();
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
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        file.data.truncate(len);
        file.durable.truncate(len);
        for range in &mut file.lost {
            range.end = range.end.min(len);
            range.start = range.start.min(range.end);
        }
        Ok(())
    }
}
