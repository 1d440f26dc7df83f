//! Numbers, times and states as pages show them.

use maud::{Markup, html};

/// A moment: UTC as the server writes it; a script turns it to the reader's zone.
pub(super) fn moment(us: u64) -> Markup {
    let (date, time) = utc(us);
    html! { time datetime=(format!("{date}T{time}Z")) { (date) " " (time) " UTC" } }
}

/// A moment, where there is one.
pub(super) fn moment_of(us: Option<u64>) -> Markup {
    us.map_or_else(|| html! { span.none { "–" } }, moment)
}

/// Date and time of day of Unix microseconds (days to civil date after Hinnant, "chrono-compatible low-level date algorithms"; from 1970 on).
fn utc(us: u64) -> (String, String) {
    let seconds = us / 1_000_000;
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let z = days + 719_468;
    let (era, doe) = (z / 146_097, z % 146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let (day, month) = (doy - (153 * mp + 2) / 5 + 1, if mp < 10 { mp + 3 } else { mp - 9 });
    let year = yoe + era * 400 + u64::from(month <= 2);
    let (hour, minute) = (second / 3600, second / 60 % 60);
    (format!("{year:04}-{month:02}-{day:02}"), format!("{hour:02}:{minute:02}:{:02}", second % 60))
}

/// `12.3 %`; small ones keep two digits that say something.
pub(super) fn percent(fraction: f64) -> String {
    let percent = fraction * 100.0;
    match percent.abs() {
        0.0 => "0 %".to_owned(),
        small if small < 1.0 => format!("{percent:.2} %"),
        _ => format!("{percent:.1} %").replace(".0 %", " %"),
    }
}

/// A difference of rates in points of a percent, with its sign.
pub(super) fn points(difference: f64) -> String {
    format!("{:+.2} pp", difference * 100.0)
}

/// `250 µs`, `12 ms`, `1.4 s`.
pub(super) fn span_us(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..1_000_000 => format!("{:.0} ms", us as f64 / 1e3),
        _ => format!("{:.2} s", us as f64 / 1e6),
    }
}

pub(super) fn span_of(us: Option<u64>) -> String {
    us.map_or_else(|| "–".to_owned(), span_us)
}

/// `45 s`, `12 min`, `3 h 20 min`, `2 d 4 h`.
pub(super) fn span_s(seconds: u64) -> String {
    match seconds {
        0..90 => format!("{seconds} s"),
        90..5_400 => format!("{} min", seconds / 60),
        5_400..172_800 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// An e-value: what it is made of is seldom more than three digits.
pub(super) fn e_value(value: f64) -> String {
    if value >= 1e6 {
        format!("{value:.1e}")
    } else if value >= 100.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}

/// Dollars of nano-dollars.
pub(super) fn dollars(nanos: u64) -> String {
    let dollars = nanos as f64 / 1e9;
    match nanos {
        0 => "$0".to_owned(),
        1..10_000_000 => format!("${dollars:.6}"),
        _ => format!("${dollars:.2}"),
    }
}

/// `1 234 567`.
pub(super) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut grouped = String::new();
    for (idx, digit) in digits.chars().enumerate() {
        if idx > 0 && (digits.len() - idx).is_multiple_of(3) {
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    grouped
}

/// A text of others, with what would not be seen made visible: controls, and what turns the direction of reading.
pub(super) fn inert(text: &str) -> String {
    let is_hidden = |c: char| {
        c.is_control() && !matches!(c, '\n' | '\t')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) { shown.push_str(&format!("⟨U+{:04X}⟩", u32::from(c))) } else { shown.push(c) }
    }
    shown
}

/// What something is called in JSON: a word or a text as it is, anything else as JSON.
pub(super) fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(value) => value.to_string(),
        Err(_) => String::new(),
    }
}

/// A sentence of ours with what stands between backticks as code.
pub(super) fn coded(words: &str) -> Markup {
    html! { @for (idx, piece) in words.split('`').enumerate() { @if idx % 2 == 1 { code { (inert(piece)) } } @else { (inert(piece)) } } }
}

/// A word or a sentence of others, in a line of ours: inert, and no longer than a line may be.
pub(super) fn short(text: &str) -> String {
    const MOST: usize = 400;
    let (shown, is_whole) = cut(text, MOST);
    if is_whole { inert(shown) } else { format!("{}…", inert(shown)) }
}

/// At most so many bytes of a text, and whether that is all of it.
pub(super) fn cut(text: &str, most: usize) -> (&str, bool) {
    if text.len() <= most { (text, true) } else { (&text[..text.floor_char_boundary(most)], false) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_not_be_seen_is_seen() {
        assert_eq!(inert("a\u{202e}b\r\n\tc\u{0}\u{2066}"), "a⟨U+202E⟩b⟨U+000D⟩\n\tc⟨U+0000⟩⟨U+2066⟩");
        assert_eq!(inert("<b>é</b> 漢字"), "<b>é</b> 漢字");
        assert_eq!(short(&"\u{202e}a".repeat(300)).chars().filter(|c| *c == 'a').count(), 100);
        assert_eq!((cut("aé", 2), cut("aé", 3)), (("a", false), ("aé", true)));
    }

    #[test]
    fn a_moment_is_written_as_the_calendar_has_it() {
        let check = |seconds: u64| {
            let (date, time) = utc(seconds * 1_000_000 + 999_999);
            format!("{date} {time}")
        };
        assert_eq!(check(0), "1970-01-01 00:00:00");
        assert_eq!(check(951_782_399), "2000-02-28 23:59:59");
        assert_eq!(check(951_782_400), "2000-02-29 00:00:00");
        assert_eq!(check(4_107_542_400), "2100-03-01 00:00:00");
    }

    #[test]
    fn numbers_are_short_and_say_their_unit() {
        assert_eq!([0.0, 0.004_2, 0.05, 0.123].map(percent), ["0 %", "0.42 %", "5 %", "12.3 %"]);
        assert_eq!([points(0.012), points(-0.1)], ["+1.20 pp", "-10.00 pp"]);
        assert_eq!([250, 12_300, 1_400_000].map(span_us), ["250 µs", "12 ms", "1.40 s"]);
        assert_eq!([45, 720, 12_000, 187_200].map(span_s), ["45 s", "12 min", "3 h 20 min", "2 d 4 h"]);
        assert_eq!([1.0, 250.4, 3.2e9].map(e_value), ["1.00", "250", "3.2e9"]);
        assert_eq!([0, 1_500, 2_500_000_000].map(dollars), ["$0", "$0.000002", "$2.50"]);
        assert_eq!([7, 1_234, 1_234_567].map(count), ["7", "1\u{202f}234", "1\u{202f}234\u{202f}567"]);
    }
}
