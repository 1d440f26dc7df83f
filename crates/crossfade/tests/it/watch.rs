//! `rollout status --watch` on a real terminal: small and large, resized while it runs, and left with Ctrl-C.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use crate::parts::{CONFIG, Gateway, House, until};

/// Gives a program a terminal of its own.
const SETSID: &str = "/usr/bin/setsid";

/// A terminal with a program on it, and everything that the program wrote.
struct Terminal {
    master: File,
    slave: File,
    child: Child,
    written: Arc<Mutex<Vec<u8>>>,
}

/// One picture: what is between "home" and "erase the rest".
struct Frame(Vec<String>);

impl Terminal {
    fn run(house: &House, gateway: &Gateway<'_>, size: (u16, u16)) -> Terminal {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let slave = OpenOptions::new().read(true).write(true).open(name).unwrap();
        let master = File::from(master);
        resize(&master, size);
        let on = || slave.try_clone().unwrap();
        let child = Command::new(SETSID)
            .args(["--ctty", "--wait", env!("CARGO_BIN_EXE_crossfade"), "rollout", "status", "to-qwen", "--watch"])
            .current_dir(house.path())
            .env_clear()
            .env("CROSSFADE_ADMIN", gateway.admin.to_string())
            .stdin(on())
            .stdout(on())
            .stderr(on())
            .spawn()
            .unwrap();
        let written: Arc<Mutex<Vec<u8>>> = Arc::default();
        let (mut reader, heard) = (master.try_clone().unwrap(), Arc::clone(&written));
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // Ends when nobody has the other side any more.
            while let Ok(n @ 1..) = reader.read(&mut buffer) {
                heard.lock().unwrap().extend_from_slice(&buffer[..n]);
            }
        });
        Terminal { master, slave, child, written }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.written.lock().unwrap()).into_owned()
    }

    /// The last picture that is whole.
    fn frame(&self) -> Option<Frame> {
        let text = self.text();
        let whole = text.rsplit_once("\x1b[J")?.0;
        let picture = whole.rsplit_once("\x1b[H")?.1;
        Some(Frame(picture.split("\r\n").map(plain).collect()))
    }

    #[track_caller]
    fn wait_for_frame(&self, fits: impl Fn(&Frame) -> bool) -> Frame {
        until(|| self.frame().filter(&fits))
    }

    fn echoes(&self) -> bool {
        tcgetattr(&self.slave).unwrap().local_modes.contains(LocalModes::ECHO)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Frame {
    fn is_within(&self, (columns, lines): (u16, u16)) -> bool {
        self.0.len() <= usize::from(lines) && self.0.iter().all(|line| line.chars().count() <= usize::from(columns))
    }

    fn is_cut(&self) -> bool {
        self.0.last().is_some_and(|line| line.starts_with("... "))
    }
}

fn resize(master: &File, (columns, lines): (u16, u16)) {
    tcsetwinsize(master, Winsize { ws_row: lines, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
}

/// A line without its colours and erasures.
fn plain(line: &str) -> String {
    let mut kept = String::new();
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        if character == '\x1b' {
            characters.by_ref().find(|end| end.is_ascii_alphabetic());
        } else if character != '\r' {
            // The terminal adds one of its own before every line feed.
            kept.push(character);
        }
    }
    kept
}

#[test]
fn the_page_fits_every_terminal_and_ctrl_c_leaves_it_as_it_was() {
    if !std::path::Path::new(SETSID).exists() {
        eprintln!("no {SETSID}: nothing can be given a terminal here");
        return;
    }
    let house = House::new(CONFIG);
    let gateway = house.serve();
    gateway.run(&["rollout", "start", "to-qwen"]).exits(0);
    gateway.chat("gpt-4o", "hello");
    let mut terminal = Terminal::run(&house, &gateway, (80, 24));
    let usual = terminal.wait_for_frame(|frame| frame.is_cut());
    assert!(usual.is_within((80, 24)) && usual.0.len() == 24, "{:?}", usual.0);
    assert!(usual.0.iter().any(|line| line.contains("[shadow]")), "{:?}", usual.0);

    for small in [(30, 8), (20, 3), (1, 1)] {
        resize(&terminal.master, small);
        terminal.wait_for_frame(|frame| frame.is_within(small));
    }
    let large = (240, 120);
    resize(&terminal.master, large);
    let whole = terminal.wait_for_frame(|frame| frame.0.len() > 24 && !frame.is_cut());
    assert!(whole.is_within(large));
    // What is typed meanwhile is not on the picture, nor on the next prompt.
    until(|| (!terminal.echoes()).then_some(()));
    terminal.master.write_all(b"zzzz").unwrap();
    let pictures = |terminal: &Terminal| terminal.text().matches("\x1b[H").count();
    let before = pictures(&terminal);
    until(|| (pictures(&terminal) > before + 1).then_some(()));
    assert!(!terminal.text().contains("zzzz"));

    terminal.master.write_all(b"\x03").unwrap();
    assert!(terminal.child.wait().unwrap().success(), "a rollout in shadow exits 0");
    let last = until(|| terminal.text().rsplit_once("\x1b[?25h\x1b[?1049l").map(|(_, last)| last.to_owned()));
    assert!(terminal.echoes(), "the terminal is as it was");
    until(|| terminal.text().contains("abort to-qwen").then_some(()));
    assert!(!last.contains("\x1b[H"), "after the picture there is the page, once: {last}");
}
