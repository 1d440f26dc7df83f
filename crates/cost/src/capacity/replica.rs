//! One replica. All requests at work share one progress `v`, in tokens since the beginning: one that began at `v0` is done when `v` reaches `v0`
//! and its tokens, so that an event costs a step in a heap. When memory is full, the youngest goes back to the head of the line with what it has,
//! and its tokens are read anew when its turn comes, as serving engines do.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};

use super::{Arrival, Machine, Served};

/// A request that waits.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    arrival: Arrival,
    /// Tokens it had when it was put back.
    written: f64,
    /// When work on it began first, and when its first token was there.
    first: Option<(f64, f64)>,
}

/// A request at work.
#[derive(Debug, Clone, Copy)]
struct Active {
    waiting: Waiting,
    began_at: f64,
    began_s: f64,
    first_s: f64,
    done_at: f64,
}

impl PartialEq for Active {
    fn eq(&self, other: &Active) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Active {}

impl PartialOrd for Active {
    fn partial_cmp(&self, other: &Active) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Active {
    /// The one that is done first is the greatest: the top of the heap.
    fn cmp(&self, other: &Active) -> Ordering {
        other.done_at.total_cmp(&self.done_at).then(other.began_s.total_cmp(&self.began_s))
    }
}

/// A replica at a moment.
pub(super) struct Replica<'a> {
    machine: &'a Machine,
    /// Seconds for a token by how many are at work.
    speeds: &'a [f64],
    now_s: f64,
    /// Until then a prompt is read and nobody gets further.
    reads_until_s: f64,
    progress: f64,
    /// Tokens in memory.
    used: f64,
    active: BinaryHeap<Active>,
    line: VecDeque<Waiting>,
    served: Vec<Served>,
}

impl<'a> Replica<'a> {
    pub(super) fn new(machine: &'a Machine, speeds: &'a [f64]) -> Replica<'a> {
        Replica {
            machine,
            speeds,
            now_s: 0.0,
            reads_until_s: 0.0,
            progress: 0.0,
            used: 0.0,
            active: BinaryHeap::new(),
            line: VecDeque::new(),
            served: Vec::new(),
        }
    }

    pub(super) fn outstanding(&self) -> usize {
        self.active.len() + self.line.len()
    }

    /// A request comes.
    pub(super) fn offer(&mut self, arrival: Arrival) {
        self.advance(arrival.at_s);
        self.line.push_back(Waiting { arrival, written: 0.0, first: None });
        self.admit();
    }

    /// Works until all is done.
    pub(super) fn finish(mut self) -> Vec<Served> {
        self.advance(f64::INFINITY);
        self.served
    }

    /// Works until then.
    pub(super) fn advance(&mut self, until_s: f64) {
        while let Some(next) = self.active.peek() {
            let n = self.active.len();
            let speed = self.speeds[n];
            let full_at = match self.machine.memory {
                Some(memory) if n > 1 => self.progress + (memory - self.used).max(0.0) / n as f64,
                _ => f64::INFINITY,
            };
            let next_at = next.done_at.min(full_at);
            let start_s = self.now_s.max(self.reads_until_s);
            let next_s = start_s + (next_at - self.progress) * speed;
            if next_s > until_s {
                let further = (until_s - start_s).max(0.0) / speed;
                self.progress += further;
                self.used += further * n as f64;
                break;
            }
            self.used += (next_at - self.progress) * n as f64;
            self.progress = next_at;
            self.now_s = next_s;
            if full_at < next.done_at {
                self.put_back()
            } else {
                self.complete()
            }
            self.admit();
        }
        if until_s.is_finite() {
            self.now_s = self.now_s.max(until_s);
        }
    }

    fn complete(&mut self) {
        let Some(done) = self.active.pop() else { return };
        let arrival = done.waiting.arrival;
        self.used -= arrival.input + arrival.output;
        let since = |at_s: f64| at_s - arrival.at_s;
        self.served.push(Served {
            began_s: since(done.began_s),
            first_s: since(done.first_s.min(self.now_s)),
            done_s: since(self.now_s),
        });
    }

    /// The youngest goes back to the head of the line.
    fn put_back(&mut self) {
        let mut active = std::mem::take(&mut self.active).into_vec();
        let youngest = (0..active.len()).max_by(|a, b| active[*a].began_at.total_cmp(&active[*b].began_at));
        if let Some(youngest) = youngest {
            let back = active.swap_remove(youngest);
            let written = back.waiting.written + (self.progress - back.began_at);
            self.used -= back.waiting.arrival.input + written;
            self.line.push_front(Waiting { written, first: Some((back.began_s, back.first_s)), ..back.waiting });
        }
        self.active = active.into();
    }

    fn admit(&mut self) {
        while let Some(front) = self.line.front() {
            let holds = front.arrival.input + front.written;
            let n = self.active.len();
            // A token for each must fit, or the newcomer would go back at once; one alone always may.
            let fits = self.machine.memory.is_none_or(|memory| self.used + holds + (n + 1) as f64 <= memory) || n == 0;
            if n >= self.machine.most_active || !fits {
                return;
            }
            let Some(waiting) = self.line.pop_front() else { return };
            if let Some(reads) = self.machine.reads {
                self.reads_until_s = self.now_s.max(self.reads_until_s) + holds / reads;
            }
            self.used += holds;
            let written_s = self.now_s.max(self.reads_until_s) + self.speeds[n + 1];
            let (began_s, first_s) = waiting.first.unwrap_or((self.now_s, written_s));
            let done_at = self.progress + (waiting.arrival.output - waiting.written).max(0.0);
            self.active.push(Active { waiting, began_at: self.progress, began_s, first_s, done_at });
        }
    }
}
