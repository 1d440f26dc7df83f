//! What the scripted model says: words drawn by a rule, each of them a token.

const WORDS: [&str; 24] = [
    "north", "quiet", "harbour", "lantern", "river", "amber", "window", "copper", "garden", "signal", "meadow",
    "silver", "thunder", "velvet", "orchard", "pebble", "falcon", "willow", "ember", "canyon", "marble", "cotton",
    "saffron", "ripple",
];

/// How long a text is that nobody limits.
const NATURAL: usize = 40;

/// A text in words, and why it ended.
#[derive(Clone)]
pub(super) struct Text {
    pub(super) words: Vec<String>,
    pub(super) finish: &'static str,
}

impl Text {
    /// The words as one text.
    pub(super) fn joined(&self) -> String {
        self.words.concat()
    }
}

/// What to say to `question`. The same question and draw bring the same words.
pub(super) fn say(question: &str, draw: u64, limit: Option<usize>, bias: Option<&str>) -> Text {
    let mut state = question
        .bytes()
        .fold(draw ^ 0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let mut words = Vec::new();
    // No word comes twice in the first lap, so that any of them can be a stop.
    let mut left: Vec<&str> = Vec::new();
    for idx in 0..limit.unwrap_or(NATURAL).min(4000) {
        if left.is_empty() {
            left = WORDS.to_vec();
        }
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let place = usize::try_from(state >> 33).unwrap_or(0) % left.len();
        let word = bias.unwrap_or_else(|| left.remove(place));
        words.push(if idx == 0 && bias.is_none() { word.to_owned() } else { format!(" {word}") });
    }
    let finish = if limit.is_some_and(|limit| limit <= words.len()) { "length" } else { "stop" };
    Text { words, finish }
}

/// The text up to the first of `stops`.
pub(super) fn stopped(text: Text, stops: &[String]) -> Text {
    let whole = text.joined();
    let Some(end) = stops.iter().filter_map(|stop| whole.find(stop.as_str())).min() else { return text };
    let mut kept = Vec::new();
    let mut n_bytes = 0;
    for word in &text.words {
        if n_bytes + word.len() > end {
            let rest = &word[..end - n_bytes];
            if !rest.is_empty() {
                kept.push(rest.to_owned());
            }
            break;
        }
        n_bytes += word.len();
        kept.push(word.clone());
    }
    Text { words: kept, finish: "stop" }
}

/// How many tokens a text has.
pub(super) fn tokens(text: &str) -> u64 {
    text.split_whitespace().count() as u64
}
