//! The small languages inside a value: durations, sizes, addresses, `${NAME}`.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use sha2::{Digest, Sha256};

/// `250ms`, `30s`, `5m`, `24h`, `7d`; a bare `0` is allowed.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    up_to(text, 366)
}

/// How long something is kept: as a duration, up to a century.
pub(crate) fn age(text: &str) -> Option<Duration> {
    up_to(text, 36_600)
}

fn up_to(text: &str, most_days: u64) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let number: f64 = text[..digits].parse().ok()?;
    let unit = match text[digits..].trim() {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number * unit).ok().filter(|duration| duration.as_secs() <= most_days * 86_400)
}

/// A duration as a person would write it.
pub(crate) fn show_duration(duration: Duration) -> String {
    let ms = duration.as_millis();
    match ms {
        0 => "0".into(),
        _ if ms.is_multiple_of(86_400_000) => format!("{}d", ms / 86_400_000),
        _ if ms.is_multiple_of(3_600_000) => format!("{}h", ms / 3_600_000),
        _ if ms.is_multiple_of(60_000) => format!("{}m", ms / 60_000),
        _ if ms.is_multiple_of(1_000) => format!("{}s", ms / 1_000),
        _ => format!("{ms}ms"),
    }
}

/// `4096`, `64KiB`, `32MiB`, `1GiB`.
pub(crate) fn size(text: &str) -> Option<usize> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '_').unwrap_or(text.len());
    let number: usize = text[..digits].replace('_', "").parse().ok()?;
    let unit = match text[digits..].trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(unit)
}

/// `100`, `0.25`, `1_000.50`: US dollars, exactly, as nano-dollars. At most nine decimals.
pub(crate) fn nanodollars(text: &str) -> Option<u64> {
    let text = text.replace('_', "");
    let (whole, part) = text.split_once('.').map_or((text.as_str(), ""), |(whole, part)| (whole, part));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || part.len() > 9 || !digits(whole) || !digits(part) || text.ends_with('.') {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    let part: u64 = format!("{part:0<9}").parse().ok()?;
    whole.checked_mul(1_000_000_000)?.checked_add(part)
}

/// The shortest decimal of a share, at most six places.
pub(crate) fn short(number: f64) -> String {
    let text = format!("{number:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// `127.0.0.1:4000`, `[::1]:4000`, `localhost:4000`; port 0 asks the system for one.
pub(crate) fn address(text: &str) -> Option<SocketAddr> {
    let port = |port: &str| port.parse::<u16>().ok();
    match text.split_once(':') {
        Some(("localhost", rest)) => Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port(rest)?))),
        _ => text.parse().ok(),
    }
}

/// SHA-256 of some parts, each ended by a zero byte, as hexadecimal.
pub(crate) fn hash(parts: &[&str]) -> String {
    use std::fmt::Write as _;

    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.as_bytes());
        hasher.update([0]);
    }
    hasher.finalize().iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        write!(text, "{byte:02x}").unwrap_or_default();
        text
    })
}

/// Replaces `${NAME}` by what `find` gives for the name and its character offset; `$${` is a literal `${`.
///
/// # Errors
/// When a `${` is never closed.
pub(crate) fn expand(text: &str, find: &mut dyn FnMut(&str, usize) -> Option<String>) -> Result<String, String> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if at > 0 && rest.as_bytes()[at - 1] == b'$' {
            expanded.push_str(&rest[..at - 1]);
            expanded.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        let Some(end) = rest[at..].find('}').map(|end| at + end) else {
            return Err("`${` is never closed; write `${NAME}`".into());
        };
        let offset = text[..text.len() - rest.len() + at].chars().count();
        expanded.push_str(&rest[..at]);
        expanded.push_str(&find(rest[at + 2..end].trim(), offset).unwrap_or_default());
        rest = &rest[end + 1..];
    }
    expanded.push_str(rest);
    Ok(expanded)
}

/// An unquoted scalar as the JSON value YAML 1.2's core schema means by it.
pub(crate) fn plain_json(text: &str) -> serde_json::Value {
    match text {
        "true" => true.into(),
        "false" => false.into(),
        _ => {
            let looks_numeric = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'));
            let integer = text.parse::<i64>().ok().map(serde_json::Value::from);
            let float = || text.parse::<f64>().ok().and_then(serde_json::Number::from_f64).map(Into::into);
            looks_numeric.then(|| integer.or_else(float)).flatten().unwrap_or_else(|| text.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_shown() {
        for text in ["0", "250ms", "30s", "5m", "36h", "7d"] {
            assert_eq!(duration(text).map(show_duration).as_deref(), Some(text));
        }
        for text in ["", "5", "s", "5 weeks", "-1s", "400d", "1e9h", "."] {
            assert_eq!(duration(text), None, "{text}");
        }
        assert_eq!(age("400d"), Some(Duration::from_secs(400 * 86_400)));
        assert_eq!(age("36601d"), None);
    }

    #[test]
    fn sizes_are_powers_of_two() {
        assert_eq!(size("32MiB"), Some(32 << 20));
        assert_eq!(size("4_096"), Some(4096));
        for text in ["", "MiB", "32MB", "1.5GiB", "99999999999GiB"] {
            assert_eq!(size(text), None, "{text}");
        }
    }

    #[test]
    fn dollars_are_exact() {
        for (text, nanos) in [
            ("100", 100_000_000_000),
            ("0.25", 250_000_000),
            ("1_000.5", 1_000_500_000_000),
            ("0.000000001", 1),
            ("0", 0),
            ("18446744073.709551615", u64::MAX),
        ] {
            assert_eq!(nanodollars(text), Some(nanos), "{text}");
        }
        for text in ["", ".5", "5.", "-1", "1e3", "0.0000000001", "18446744073.709551616", "five", "1.2.3"] {
            assert_eq!(nanodollars(text), None, "{text}");
        }
    }

    #[test]
    fn only_variables_are_expanded() {
        let mut find = |name: &str, _| (name == "KEY").then(|| "v".to_owned());
        assert_eq!(expand("a${KEY}b$${KEY}$", &mut find).unwrap(), "avb${KEY}$");
        assert!(expand("${KEY", &mut find).is_err());
    }
}
