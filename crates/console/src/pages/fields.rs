//! Names and values of a query or a form, and back again.

use crate::routes::unescape;

/// Names and values, in the order in which they came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads `a=1&b=2`.
    pub(super) fn read(text: &[u8]) -> Fields {
        let text = String::from_utf8_lossy(text);
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        Fields(pairs.map(|(name, value)| (unescape(name, true), unescape(value, true))).collect())
    }

    /// The first value of this name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The same, without space around it; nothing when nothing is left.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.get(name).map(str::trim).filter(|value| !value.is_empty())
    }

    /// Every value of this name, without space around it; none that is empty.
    pub(super) fn all(&self, name: &str) -> Vec<&str> {
        let of_name = self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value.trim());
        of_name.filter(|value| !value.is_empty()).collect()
    }

    /// All but those of this name.
    pub(super) fn without(&self, name: &str) -> Vec<(String, String)> {
        self.0.iter().filter(|(key, _)| key != name).cloned().collect()
    }

    /// Those of these names that have a value.
    pub(super) fn only(&self, names: &[&str]) -> Vec<(String, String)> {
        let given = self.0.iter().filter(|(name, value)| names.contains(&name.as_str()) && !value.trim().is_empty());
        given.map(|(name, value)| (name.clone(), value.trim().to_owned())).collect()
    }
}

/// `path?a=1&b=2`.
pub(super) fn address(path: &str, pairs: &[(String, String)]) -> String {
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect();
    if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) }
}

/// Percent-encodes all but what RFC 3986 leaves unreserved.
pub(super) fn escape(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// A place to come back to: a path of this console and nothing else.
pub(super) fn own_path(text: &str) -> Option<&str> {
    let is_own = text.starts_with('/') && !text.starts_with("//") && !text.contains(['\\', '\r', '\n', '\t']);
    is_own.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let pairs = vec![("a b".to_owned(), "x&y=ü+%".to_owned()), ("c".to_owned(), "1".to_owned())];
        let address = address("/p", &pairs);
        assert_eq!(address, "/p?a%20b=x%26y%3D%C3%BC%2B%25&c=1");
        let read = Fields::read(address.split_once('?').unwrap().1.as_bytes());
        assert_eq!(read.get("a b"), Some("x&y=ü+%"));
        assert_eq!(read.only(&["c", "d"]), [("c".to_owned(), "1".to_owned())]);
        assert_eq!(Fields::read(b"a=+&b").text("a"), None);
        assert_eq!(Fields::read(b"set=a%3D1&set=+&x=2&set=b%3D2").all("set"), ["a=1", "b=2"]);
    }

    #[test]
    fn nobody_is_sent_elsewhere() {
        assert_eq!(own_path("/exchanges?route=a"), Some("/exchanges?route=a"));
        for elsewhere in
            ["", "exchanges", "//example.org/", "/\\example.org", "https://example.org", "/\t/example.org", "/a\r\nb"]
        {
            assert_eq!(own_path(elsewhere), None, "{elsewhere}");
        }
    }
}
