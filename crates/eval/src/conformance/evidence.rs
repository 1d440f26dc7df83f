//! What was sent and what came back, kept so that a verdict can be checked by hand.

use serde::Serialize;

/// Longest request and answer kept, in bytes; the rest is counted and cut.
const KEPT: usize = 16 << 10;

/// One request and its answer.
#[derive(Debug, Clone, Serialize)]
pub struct Evidence {
    /// `e1`, `e2`, … in the order of asking.
    pub id: String,
    /// The capability it was asked for.
    pub capability: &'static str,
    /// `POST`, `GET`.
    pub method: String,
    /// The path below the base URL.
    pub path: String,
    /// The body sent.
    pub request: String,
    /// The status; `None` when no answer came.
    pub status: Option<u16>,
    /// The headers of the answer that a verdict may rest on.
    pub headers: Vec<(String, String)>,
    /// The body that came, as text.
    pub answer: String,
    /// How many bytes of the answer are not kept.
    pub answer_cut: usize,
    /// Why no answer came, or why it ended.
    pub failure: Option<String>,
    /// From the request to the end of the answer, in milliseconds.
    pub took_ms: u64,
}

/// `bytes` as text, as far as it is kept, and how many bytes are not.
pub(super) fn kept(bytes: &[u8]) -> (String, usize) {
    let end = bytes.len().min(KEPT);
    (String::from_utf8_lossy(&bytes[..end]).into_owned(), bytes.len() - end)
}
