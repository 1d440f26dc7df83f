//! One replica. All requests at work share one progress `v`, in tokens since the beginning: one that began at `v0` is done when `v` reaches `v0`
//! and its tokens, so that an event costs a step in a heap. When memory is full, the youngest goes back to the head of the line with what it has,
//! and its tokens are read anew when its turn comes, as serving engines do.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};

use super::{Arrival, End, Machine, Reading, Served};

/// A request that waits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting {
    pub(super) arrival: Arrival,
    /// Since when it is in this line.
    pub(super) since_s: f64,
    /// How often it was begun before and came to nothing, or was answered and asked again.
    pub(super) tries: u32,
    /// Tokens it had when it was put back.
    pub(super) written: f64,
    /// When work on it began first, and when its first token was there.
    pub(super) first: Option<(f64, f64)>,
}

impl Waiting {
    pub(super) fn new(arrival: Arrival, since_s: f64, tries: u32) -> Waiting {
        Waiting { arrival, since_s, tries, written: 0.0, first: None }
    }

    fn holds(&self) -> f64 {
        self.arrival.input + self.written
    }
}

/// A request at work.
#[derive(Debug, Clone, Copy)]
struct Active {
    waiting: Waiting,
    began_at: f64,
    began_s: f64,
    first_s: f64,
}

/// A request whose prompt is read in pieces.
#[derive(Debug, Clone, Copy)]
struct Read {
    waiting: Waiting,
    began_s: f64,
    /// Tokens that are not read yet.
    left: f64,
}

/// When a request is done, by progress, and where it stands in `slots`.
#[derive(Debug, Clone, Copy)]
struct Due {
    done_at: f64,
    slot: usize,
}

impl PartialEq for Due {
    fn eq(&self, other: &Due) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Due) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    /// The one that is done first is the greatest: the top of the heap.
    fn cmp(&self, other: &Due) -> Ordering {
        other.done_at.total_cmp(&self.done_at).then(other.slot.cmp(&self.slot))
    }
}

/// What comes next at a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Done,
    Full,
    WasRead,
}

/// A replica at a moment.
pub(super) struct Replica<'a> {
    machine: &'a Machine,
    /// Seconds for a token by how many are at work.
    speeds: &'a [f64],
    now_s: f64,
    /// Until then a prompt is read and nobody gets further.
    stalled_until_s: f64,
    progress: f64,
    /// Tokens in memory.
    used: f64,
    due: BinaryHeap<Due>,
    slots: Vec<Active>,
    free: Vec<usize>,
    reading: VecDeque<Read>,
    line: VecDeque<Waiting>,
}

impl<'a> Replica<'a> {
    pub(super) fn new(machine: &'a Machine, speeds: &'a [f64]) -> Replica<'a> {
        Replica {
            machine,
            speeds,
            now_s: 0.0,
            stalled_until_s: 0.0,
            progress: 0.0,
            used: 0.0,
            due: BinaryHeap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            reading: VecDeque::new(),
            line: VecDeque::new(),
        }
    }

    /// Requests at work, being read or in line.
    pub(super) fn outstanding(&self) -> usize {
        self.due.len() + self.reading.len() + self.line.len()
    }

    /// Whether somebody waits here.
    pub(super) fn has_line(&self) -> bool {
        !self.line.is_empty()
    }

    /// A request comes. All that was done until then is in `served`.
    pub(super) fn offer(&mut self, waiting: Waiting, now_s: f64, served: &mut Vec<Served>) {
        self.advance(now_s, served);
        self.line.push_back(waiting);
        self.admit();
    }

    /// Everything that is not done, which was all for nothing.
    pub(super) fn fail(&mut self) -> Vec<Waiting> {
        let active = self.due.drain().map(|due| self.slots[due.slot].waiting);
        let mut lost: Vec<Waiting> = active.collect();
        lost.extend(self.reading.drain(..).map(|read| read.waiting));
        lost.extend(self.line.drain(..));
        // The heap and the slots have no order that means something.
        lost.sort_by(|a, b| a.arrival.at_s.total_cmp(&b.arrival.at_s));
        self.slots.clear();
        self.free.clear();
        (self.used, self.stalled_until_s) = (0.0, self.now_s);
        lost
    }

    /// Those that were in line for so long and never begun.
    pub(super) fn give_up(&mut self, now_s: f64, patience_s: f64) -> Vec<Waiting> {
        let (mut idx, mut gone) = (0, Vec::new());
        while let Some(waiting) = self.line.get(idx) {
            if waiting.first.is_some() {
                idx += 1;
            } else if waiting.since_s + patience_s <= now_s + 1e-9 {
                gone.extend(self.line.remove(idx));
            } else {
                break;
            }
        }
        gone
    }

    /// When something changes here by itself; infinity while nothing will.
    pub(super) fn next_s(&self) -> f64 {
        self.next().map_or(f64::INFINITY, |(_, at_s, _)| at_s)
    }

    /// What comes next, when, and at which progress.
    fn next(&self) -> Option<(Next, f64, f64)> {
        let n = self.due.len();
        let speed = self.speed();
        let mut next = (Next::Done, self.due.peek().map_or(f64::INFINITY, |due| due.done_at));
        if let (Some(memory), true) = (self.machine.memory, n > 1) {
            let full_at = self.progress + (memory - self.used).max(0.0) / n as f64;
            if full_at < next.1 {
                next = (Next::Full, full_at);
            }
        }
        if let (Some(read), Reading::Chunked { chunk, .. }) = (self.reading.front(), self.machine.reading) {
            let read_at = self.progress + read.left / chunk;
            if read_at < next.1 {
                next = (Next::WasRead, read_at);
            }
        }
        let start_s = self.now_s.max(self.stalled_until_s);
        next.1.is_finite().then_some((next.0, start_s + (next.1 - self.progress) * speed, next.1))
    }

    /// Seconds for a token of each at work; a piece of a prompt that is read in between adds its time.
    fn speed(&self) -> f64 {
        let n = self.due.len();
        let writes = if n == 0 { 0.0 } else { self.speeds[n] };
        match self.machine.reading {
            Reading::Chunked { tokens_per_second, chunk } if !self.reading.is_empty() => {
                writes + chunk / tokens_per_second
            }
            _ => writes,
        }
    }

    /// Works until then; what is done is added to `served`.
    pub(super) fn advance(&mut self, until_s: f64, served: &mut Vec<Served>) {
        while let Some((next, next_s, next_at)) = self.next() {
            if next_s > until_s {
                let speed = self.speed();
                let start_s = self.now_s.max(self.stalled_until_s);
                self.move_to(self.progress + (until_s - start_s).max(0.0) / speed);
                break;
            }
            self.move_to(next_at);
            self.now_s = next_s;
            match next {
                Next::Full => self.put_back(),
                Next::Done => served.extend(self.complete()),
                Next::WasRead => self.was_read(),
            }
            self.admit();
        }
        if until_s.is_finite() {
            self.now_s = self.now_s.max(until_s);
        }
    }

    fn move_to(&mut self, progress: f64) {
        let further = progress - self.progress;
        self.used += further * self.due.len() as f64;
        self.progress = progress;
        if let (Some(read), Reading::Chunked { chunk, .. }) = (self.reading.front_mut(), self.machine.reading) {
            read.left = (read.left - further * chunk).max(0.0);
        }
    }

    fn complete(&mut self) -> Option<Served> {
        let due = self.due.pop()?;
        let done = self.slots[due.slot];
        self.free.push(due.slot);
        let arrival = done.waiting.arrival;
        self.used -= arrival.input + arrival.output;
        let since = |at_s: f64| at_s - arrival.at_s;
        Some(Served {
            arrival,
            began_s: since(done.began_s),
            first_s: since(done.first_s.min(self.now_s)),
            done_s: since(self.now_s),
            tries: done.waiting.tries,
            end: End::Answered,
        })
    }

    /// The youngest goes back to the head of the line.
    fn put_back(&mut self) {
        let mut due = std::mem::take(&mut self.due).into_vec();
        let began_at = |due: &Due| self.slots[due.slot].began_at;
        let youngest = (0..due.len()).max_by(|a, b| began_at(&due[*a]).total_cmp(&began_at(&due[*b])));
        if let Some(youngest) = youngest {
            let slot = due.swap_remove(youngest).slot;
            let back = self.slots[slot];
            self.free.push(slot);
            let written = back.waiting.written + (self.progress - back.began_at);
            self.used -= back.waiting.arrival.input + written;
            self.line.push_front(Waiting { written, first: Some((back.began_s, back.first_s)), ..back.waiting });
        }
        self.due = due.into();
    }

    /// Who waits is taken on while there is room.
    fn admit(&mut self) {
        while let Some(front) = self.line.front() {
            let holds = front.holds();
            let n = self.due.len() + self.reading.len();
            // A token for each must fit, or the newcomer would go back at once; one alone always may.
            let fits = self.machine.memory.is_none_or(|memory| self.used + holds + (n + 1) as f64 <= memory) || n == 0;
            if n >= self.machine.most_active || !fits {
                return;
            }
            let Some(waiting) = self.line.pop_front() else { return };
            self.used += holds;
            match self.machine.reading {
                Reading::Free => self.begin(waiting, self.now_s),
                Reading::Stalls { tokens_per_second } => {
                    self.stalled_until_s = self.now_s.max(self.stalled_until_s) + holds / tokens_per_second;
                    self.begin(waiting, self.now_s);
                }
                Reading::Chunked { .. } => {
                    self.reading.push_back(Read { waiting, began_s: self.now_s, left: holds });
                }
            }
        }
    }

    /// The prompt at the head was read.
    fn was_read(&mut self) {
        if let Some(read) = self.reading.pop_front() {
            self.begin(read.waiting, read.began_s);
        }
    }

    fn begin(&mut self, waiting: Waiting, began_s: f64) {
        let n = self.due.len();
        let written_s = self.now_s.max(self.stalled_until_s) + self.speeds[n + 1];
        let (began_s, first_s) = waiting.first.unwrap_or((began_s, written_s));
        let done_at = self.progress + (waiting.arrival.output - waiting.written).max(0.0);
        let active = Active { waiting, began_at: self.progress, began_s, first_s };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot] = active;
                slot
            }
            None => {
                self.slots.push(active);
                self.slots.len() - 1
            }
        };
        self.due.push(Due { done_at, slot });
    }
}
