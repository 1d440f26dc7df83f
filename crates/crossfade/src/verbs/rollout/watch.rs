//! `rollout status --watch`: the page again and again on a screen of its own, until the rollout ends or somebody leaves.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use rollout::Status;
use rustix::termios::{LocalModes, OptionalActions, QueueSelector, Termios, tcflush, tcgetattr, tcsetattr};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGWINCH};

use super::{Reading, page};
use crate::out::{Exit, Out, Stop};
use crate::verbs::source::Source;

/// How often it looks.
const EVERY: Duration = Duration::from_secs(1);
/// How soon it heeds whoever wants to leave.
const HEED: Duration = Duration::from_millis(50);
/// Where the terminal does not say how large it is.
const USUAL: (usize, usize) = (80, 24);

/// The other screen of the terminal, until it is dropped: what was on the first one is there again. What is typed meanwhile is neither shown
/// nor left for the shell.
struct Screen<'a> {
    out: &'a Out,
    /// How the terminal was, where there is one to type on.
    before: Option<Termios>,
}

impl<'a> Screen<'a> {
    fn enter(out: &'a Out) -> Screen<'a> {
        out.print("\x1b[?1049h\x1b[?25l\x1b[2J");
        let before = tcgetattr(std::io::stdin()).ok();
        if let Some(mut silent) = before.clone() {
            silent.local_modes.remove(LocalModes::ECHO);
            set(&silent);
        }
        Screen { out, before }
    }
}

impl Drop for Screen<'_> {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // Typed for a page that has gone.
            tcflush(std::io::stdin(), QueueSelector::IFlush).ok();
            set(before);
        }
        self.out.print("\x1b[?25h\x1b[?1049l");
    }
}

/// A terminal that does not take it stays as it is.
fn set(termios: &Termios) {
    tcsetattr(std::io::stdin(), OptionalActions::Now, termios).ok();
}

/// Draws until the rollout ends, or a signal does. The last page stays when it is over.
pub(super) fn watch(source: &Source, name: &str, out: &Out) -> Result<Exit, Stop> {
    let leave = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&leave)).context("could not listen for signals")?;
    }
    let resized = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGWINCH, Arc::clone(&resized)).context("could not listen for signals")?;
    let screen = (!out.is_json()).then(|| Screen::enter(out));
    let last = loop {
        let reading = super::read(source, name, out)?;
        if out.is_json() {
            out.print(&format!("{}\n", reading.value));
        } else {
            out.print(&drawn(&page::fitted(&reading.view, &reading.look, size())));
        }
        let status = reading.view.explanation.status;
        let is_over = matches!(status, Status::RolledBack | Status::Aborted | Status::Completed);
        if is_over || leave.load(Ordering::Relaxed) || std::io::stdout().flush().is_err() {
            break reading;
        }
        let until = Instant::now() + EVERY;
        while Instant::now() < until && !leave.load(Ordering::Relaxed) && !resized.swap(false, Ordering::Relaxed) {
            std::thread::sleep(HEED);
        }
        if leave.load(Ordering::Relaxed) {
            break reading;
        }
    };
    let is_drawn = screen.is_some();
    drop(screen);
    let Reading { view, look, .. } = last;
    if is_drawn {
        out.print(&page::render(&view, &look));
    }
    Ok(super::exit_of(view.explanation.status))
}

/// Home, each line with its rest erased, then everything below erased: no flicker.
fn drawn(page: &str) -> String {
    format!("\x1b[H{}\x1b[K\x1b[J", page.replace('\n', "\x1b[K\r\n"))
}

/// Columns and lines of the terminal.
fn size() -> (usize, usize) {
    let size = rustix::termios::tcgetwinsize(std::io::stdout());
    let known = size.ok().filter(|size| size.ws_col > 0 && size.ws_row > 0);
    known.map_or(USUAL, |size| (size.ws_col.into(), size.ws_row.into()))
}
