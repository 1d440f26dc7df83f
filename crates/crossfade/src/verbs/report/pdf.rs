//! The page as a PDF, printed by a Chromium that is on the machine. Nothing that came over the wire starts it: a person at the command line does, on a
//! page that this program wrote and that loads nothing.

mod devtools;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wire::base64::decode;

use devtools::Browser;

/// Names of browsers on PATH, the fullest first.
const NAMES: [&str; 7] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "google-chrome-beta",
    "chrome",
    "chrome-headless-shell",
];

/// How small a page may be printed so that it takes no more sheets than it may, one step after the other.
const SCALES: [f64; 6] = [1.0, 0.95, 0.9, 0.85, 0.8, 0.75];

/// What came of it.
pub(super) struct Printed {
    /// The PDF.
    pub bytes: Vec<u8>,
    /// Its pages.
    pub n_pages: usize,
}

/// Prints a page on at most `most` sheets, within `patience`; one that is longer at the smallest print keeps all its sheets.
///
/// # Errors
/// Why there is none, in words.
pub(super) fn print(page: &str, most: usize, patience: Duration) -> Result<Printed, String> {
    let path = find().ok_or("no Chromium is on PATH")?;
    let of = |why: String| format!("{}: {why}", path.display());
    let mut browser = Browser::start(&path, Instant::now() + patience, patience).map_err(of)?;
    let printed = sheets(&mut browser, page, most).map_err(|why| of(browser.died_of(why)))?;
    browser.close();
    Ok(printed)
}

fn sheets(browser: &mut Browser, page: &str, most: usize) -> Result<Printed, String> {
    let target = browser.call("Target.createTarget", &json!({ "url": "about:blank" }), None)?;
    let session =
        browser.call("Target.attachToTarget", &json!({ "targetId": target["targetId"], "flatten": true }), None)?;
    let session = session["sessionId"].as_str().ok_or("it opened no page")?.to_owned();
    let frames = browser.call("Page.getFrameTree", &json!({}), Some(&session))?;
    let frame = &frames["frameTree"]["frame"]["id"];
    browser.call("Page.setDocumentContent", &json!({ "frameId": frame, "html": page }), Some(&session))?;
    let mut last = None;
    for scale in SCALES {
        let asked =
            json!({ "printBackground": true, "preferCSSPageSize": true, "generateTaggedPDF": true, "scale": scale });
        let answer = browser.call("Page.printToPDF", &asked, Some(&session))?;
        let bytes = answer["data"].as_str().and_then(decode).filter(|bytes| bytes.starts_with(b"%PDF"));
        let bytes = bytes.ok_or("it printed nothing")?;
        let printed = Printed { n_pages: pages(&bytes), bytes };
        if printed.n_pages <= most {
            return Ok(printed);
        }
        last = Some(printed);
    }
    last.ok_or_else(|| "it printed nothing".to_owned())
}

/// How many pages a PDF of Chromium has: it writes the dictionary of each as it is.
fn pages(pdf: &[u8]) -> usize {
    let page = b"/Type /Page";
    let starts = pdf.windows(page.len()).enumerate().filter(|(_, window)| window == page);
    starts.filter(|(at, _)| pdf.get(at + page.len()).is_some_and(|next| !next.is_ascii_alphanumeric())).count()
}

fn find() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("CROSSFADE_BROWSER").filter(|name| !name.is_empty()) {
        return Some(PathBuf::from(named));
    }
    let path = std::env::var_os("PATH")?;
    // The order of names counts before the order of directories.
    let found = |name: &&str| std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file());
    NAMES.iter().find_map(found)
}

/// What is told of an answer.
fn error_of(answer: &Value) -> Option<String> {
    let error = answer.get("error")?;
    Some(error["message"].as_str().unwrap_or("it refused").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_counted_and_their_tree_is_none() {
        assert_eq!(pages(b"<</Type /Pages /Count 2>> <</Type /Page\n/Parent 1 0 R>> <</Type /Page>>"), 2);
    }
}
