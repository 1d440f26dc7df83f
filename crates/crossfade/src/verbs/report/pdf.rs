//! The page as a PDF, printed by a Chromium that is on the machine. Nothing that came over the wire starts it: a person at the command line does, on a
//! page that this program wrote and that loads nothing.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const PATIENCE: Duration = Duration::from_secs(60);

/// Prints `page` to `pdf`.
///
/// # Errors
/// Why there is none, in words.
pub(super) fn print(page: &Path, pdf: &Path) -> Result<(), String> {
    let browser = find().ok_or("no Chromium is on PATH")?;
    let page = std::fs::canonicalize(page).map_err(|error| error.to_string())?;
    let pdf = std::path::absolute(pdf).map_err(|error| error.to_string())?;
    let profile = pdf.with_file_name(format!(".chromium-{}", std::process::id()));
    let mut command = Command::new(&browser);
    command.args(["--headless", "--disable-gpu", "--no-first-run", "--disable-extensions", "--no-pdf-header-footer"]);
    if rustix::process::geteuid().is_root() {
        // Chromium refuses to run as root with its own sandbox, as in a container.
        command.arg("--no-sandbox");
    }
    command.arg(format!("--user-data-dir={}", profile.display())).arg(format!("--print-to-pdf={}", pdf.display()));
    command.arg(format!("file://{}", page.display()));
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let ended = child.map_err(|error| format!("{} does not start: {error}", browser.display())).and_then(wait);
    // The profile is Chromium's; where it still writes, it stays.
    drop(std::fs::remove_dir_all(&profile));
    ended.map_err(|why| format!("{}: {why}", browser.display()))?;
    if pdf.is_file() { Ok(()) } else { Err(format!("{} printed nothing", browser.display())) }
}

fn wait(mut child: Child) -> Result<(), String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(format!("it ended with {status}")),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(50)),
            Ok(None) => {
                drop(child.kill());
                drop(child.wait());
                return Err(format!("it took longer than {} s", PATIENCE.as_secs()));
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

fn find() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("CROSSFADE_BROWSER").filter(|name| !name.is_empty()) {
        return Some(PathBuf::from(named));
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).flat_map(|dir| NAMES.map(|name| dir.join(name))).find(|file| file.is_file())
}
