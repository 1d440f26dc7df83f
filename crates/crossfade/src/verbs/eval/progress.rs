//! How far a run is, on a line that is drawn over and over for eyes, and a line now and then for logs.

use std::cell::Cell;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use eval::run::Progress;

use crate::out::Out;

/// How often the line is drawn.
const DRAWN: Duration = Duration::from_millis(100);
/// How often a line is written where nobody watches.
const WRITTEN: Duration = Duration::from_secs(10);

/// What shows how far a run is.
pub(super) struct Shown {
    last: Cell<Option<Instant>>,
    is_drawn: bool,
    out: Out,
}

impl Shown {
    pub(super) fn new(out: &Out) -> Shown {
        Shown { last: Cell::new(None), is_drawn: std::io::stderr().is_terminal(), out: *out }
    }

    pub(super) fn show(&self, progress: Progress) {
        let pause = if self.is_drawn { DRAWN } else { WRITTEN };
        let is_due = self.last.get().is_none_or(|last| last.elapsed() >= pause);
        if !is_due {
            return;
        }
        self.last.set(Some(Instant::now()));
        let text = words(progress);
        if self.is_drawn { draw(&text) } else { self.out.say(&text) }
    }

    pub(super) fn end(&self) {
        if self.is_drawn && self.last.get().is_some() {
            write!(std::io::stderr().lock(), "\r\x1b[K").unwrap_or_default();
        }
    }
}

/// Draws a line over the one before, where somebody watches.
pub(in crate::verbs) fn draw(text: &str) {
    if std::io::stderr().is_terminal() {
        write!(std::io::stderr().lock(), "\r\x1b[K{text}").unwrap_or_default();
    }
}

/// A time as people say it.
pub(in crate::verbs) fn rough(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

fn words(progress: Progress) -> String {
    let Progress { n_answered, n_items, n_failed, n_reused, spent_nanos, left, waiting, .. } = progress;
    let mut text = format!("{n_answered} of {n_items} answers");
    if n_failed > 0 {
        text += &format!(", {n_failed} failed");
    }
    if n_reused > 0 {
        text += &format!(", {n_reused} reused");
    }
    if spent_nanos > 0 {
        text += &format!(", {} dollars", cost::decimal::dollars(spent_nanos));
    }
    if waiting {
        text += ", waiting for other workers";
    } else if let Some(left) = left.filter(|_| n_answered < n_items) {
        text += &format!(", about {} left", rough(left));
    }
    text
}
