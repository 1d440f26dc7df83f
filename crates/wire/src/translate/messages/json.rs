//! Writing JSON: values are bytes taken from a body as they stand, and the commas come by themselves.

/// JSON being written.
#[derive(Debug, Default)]
pub(super) struct Json {
    out: Vec<u8>,
    /// A value stands before this place, so a comma is due.
    comma: bool,
}

impl Json {
    pub(super) fn with_capacity(n_bytes: usize) -> Json {
        Json { out: Vec::with_capacity(n_bytes), comma: false }
    }

    /// Opens an object (`{`) or an array (`[`).
    pub(super) fn open(&mut self, bracket: u8) {
        self.before();
        self.out.push(bracket);
        self.comma = false;
    }

    /// Closes what was opened.
    pub(super) fn close(&mut self, bracket: u8) {
        self.out.push(bracket);
        self.comma = true;
    }

    /// The key of the next value.
    pub(super) fn key(&mut self, name: &str) {
        self.text(name);
        self.out.push(b':');
        self.comma = false;
    }

    /// A value, as it stands.
    pub(super) fn raw(&mut self, value: &[u8]) {
        self.before();
        self.out.extend_from_slice(value);
    }

    /// A string.
    pub(super) fn text(&mut self, text: &str) {
        self.quoted(text.as_bytes());
    }

    /// A string made of pieces that are escaped already.
    pub(super) fn escaped(&mut self, pieces: &[&[u8]]) {
        self.before();
        self.out.push(b'"');
        pieces.iter().for_each(|piece| self.out.extend_from_slice(piece));
        self.out.push(b'"');
    }

    /// A string that holds `text`, JSON or not.
    pub(super) fn quoted(&mut self, text: &[u8]) {
        self.before();
        self.out.push(b'"');
        escape(text, &mut self.out);
        self.out.push(b'"');
    }

    pub(super) fn number(&mut self, n: u64) {
        self.raw(n.to_string().as_bytes());
    }

    /// A member whose value stands as it is.
    pub(super) fn member(&mut self, name: &str, value: &[u8]) {
        self.key(name);
        self.raw(value);
    }

    /// A member whose value is a string.
    pub(super) fn member_text(&mut self, name: &str, text: &str) {
        self.key(name);
        self.text(text);
    }

    /// A member whose value is a string made of pieces that are escaped already.
    pub(super) fn member_escaped(&mut self, name: &str, pieces: &[&[u8]]) {
        self.key(name);
        self.escaped(pieces);
    }

    /// A member whose value is a number.
    pub(super) fn member_number(&mut self, name: &str, n: u64) {
        self.key(name);
        self.number(n);
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.out
    }

    fn before(&mut self) {
        if self.comma {
            self.out.push(b',');
        }
        self.comma = true;
    }
}

/// Appends `text` as it stands inside a JSON string.
pub(super) fn escape(text: &[u8], out: &mut Vec<u8>) {
    for &byte in text {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(byte >> 4)]);
                out.push(HEX[usize::from(byte & 15)]);
            }
            _ => out.push(byte),
        }
    }
}

/// `text` as it stands inside a JSON string.
pub(super) fn escaped(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 8);
    escape(text, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_come_by_themselves() {
        let mut json = Json::default();
        json.open(b'{');
        json.member("a", b"1");
        json.key("b");
        json.open(b'[');
        json.text("x\n");
        json.open(b'{');
        json.close(b'}');
        json.escaped(&[b"\\n", b"y"]);
        json.close(b']');
        json.member_number("c", 2);
        json.member_text("d", "\"");
        json.close(b'}');
        assert_eq!(json.into_bytes(), br#"{"a":1,"b":["x\n",{},"\ny"],"c":2,"d":"\""}"#);
    }

    #[test]
    fn what_is_escaped_reads_back() {
        let text: String = (0..0x80_u8).map(char::from).chain("ä€😀".chars()).collect();
        let literal = [b"\"".as_slice(), &escaped(text.as_bytes()), b"\""].concat();
        assert_eq!(serde_json::from_slice::<String>(&literal).unwrap(), text);
    }
}
