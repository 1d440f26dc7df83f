//! What pages load besides themselves: our style and script, and two libraries as their packages have them. Everything is in the binary, under a
//! name with its hash, so that a browser keeps it for good.

use std::io::Write;
use std::sync::LazyLock;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

use super::session::hex;

/// One file.
pub(super) struct Asset {
    /// Its name with its hash: `console-0123456789abcdef.css`.
    pub name: String,
    /// What it is.
    pub kind: &'static str,
    /// The bytes.
    pub plain: Bytes,
    /// The same, compressed.
    pub gzip: Bytes,
}

/// Every file, in the order in which pages name them.
pub(super) struct Assets {
    /// Our style, the one of the curves behind it.
    pub style: Asset,
    /// A word of ours first, then the libraries and our script.
    pub script: Asset,
}

const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

/// htmx 4.0.1 and its extension for events, 0BSD.
const HTMX: &str = include_str!("../../assets/htmx-4.0.1.min.js");
const HTMX_EVENTS: &str = include_str!("../../assets/hx-sse-4.0.1.min.js");
/// uPlot 1.6.32, MIT.
const UPLOT: &str = include_str!("../../assets/uplot-1.6.32.min.js");
const UPLOT_STYLE: &str = include_str!("../../assets/uplot-1.6.32.min.css");
/// A browser in the C locale calls its language `en-US@posix`, which its own formats do not know; uPlot 1.6.32 asks them as it is loaded and would take the rest with it.
const FIRST: &str = r#"try { new Intl.NumberFormat(navigator.language); } catch { Object.defineProperty(navigator, "language", { value: "en-US" }); }"#;
const OUR_STYLE: &str = include_str!("../../assets/console.css");
const OUR_SCRIPT: &str = include_str!("../../assets/console.js");

static ASSETS: LazyLock<Assets> = LazyLock::new(|| Assets {
    style: asset("css", CSS, &[UPLOT_STYLE, OUR_STYLE]),
    script: asset("js", JS, &[FIRST, HTMX, HTMX_EVENTS, UPLOT, OUR_SCRIPT]),
});

/// The files; compressed when the first page wants them.
pub(super) fn assets() -> &'static Assets {
    &ASSETS
}

impl Assets {
    /// The file of this name.
    pub(super) fn find(&self, name: &str) -> Option<&Asset> {
        [&self.style, &self.script].into_iter().find(|asset| asset.name == name)
    }
}

fn asset(ending: &str, kind: &'static str, parts: &[&str]) -> Asset {
    // A script may end without its semicolon.
    let plain = parts.join(if ending == "js" { "\n;\n" } else { "\n" });
    let hash = hex(&Sha256::digest(plain.as_bytes()));
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    // Writing to memory does not fail.
    let gzip = encoder.write_all(plain.as_bytes()).and_then(|()| encoder.finish()).unwrap_or_default();
    let name = format!("console-{}.{ending}", hash.get(..16).unwrap_or_default());
    Asset { name, kind, plain: Bytes::from(plain), gzip: Bytes::from(gzip) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_is_what_their_packages_hold() {
        for (text, expected) in [
            (HTMX, "a0abb04f2f45a1f89d1d4844023245537e5e6014c87b144553e0607b4cc32130"),
            (HTMX_EVENTS, "18ef2761356ec1fe0bb6d92612315b37517a7c1e9856b661c5ae81fef239d103"),
            (UPLOT, "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f"),
            (UPLOT_STYLE, "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04"),
        ] {
            assert_eq!(hex(&Sha256::digest(text.as_bytes())), expected);
        }
    }

    #[test]
    fn the_first_page_loads_at_most_sixty_kilobytes() {
        let Assets { style, script } = assets();
        let compressed = style.gzip.len() + script.gzip.len();
        assert!(!style.gzip.is_empty() && !script.gzip.is_empty() && compressed <= 60_000, "{compressed}");
    }

    #[test]
    fn nothing_is_loaded_from_elsewhere() {
        for text in [OUR_STYLE, OUR_SCRIPT] {
            assert!(!text.contains("http:") && !text.contains("https:") && !text.contains("@import"), "{text}");
        }
    }
}
