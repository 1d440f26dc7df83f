//! Places to fill in that stand in plain text: `{name}`, `{{name}}`, `%s`.

use super::Piece;

/// What is given to fill in: with a name, or by its place; how each is written.
pub(super) type Given = [(Option<String>, String)];

/// How places are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style<'g> {
    /// `{name}`, `{0}`, `{}`, and two braces for one: Python's, C#'s, Rust's, LangChain's.
    Braces(&'g Given),
    /// `%s`, `%(name)s`, `%1$s`.
    Printf(&'g Given),
    /// As it looks: `{{name}}`, else `{name}` where no other brace is.
    Guess,
}

/// The pieces of a text.
pub(super) fn pieces(text: &str, style: Style<'_>) -> Vec<Piece> {
    match style {
        Style::Braces(given) => braces(text, given).unwrap_or_else(|| vec![Piece::Text(text.to_owned())]),
        Style::Printf(given) => printf(text, given),
        Style::Guess => doubled(text)
            .or_else(|| braces(text, &[]).filter(|pieces| pieces.iter().any(is_named)))
            .unwrap_or_else(|| vec![Piece::Text(text.to_owned())]),
    }
}

fn is_named(piece: &Piece) -> bool {
    matches!(piece, Piece::Hole(name) if name.starts_with(|c: char| c.is_alphabetic() || c == '_'))
}

fn given_at(given: &Given, place: usize) -> Option<&str> {
    given.iter().filter(|(name, _)| name.is_none()).nth(place).map(|(_, source)| source.as_str())
}

fn given_by<'g>(given: &'g Given, name: &'g str) -> &'g str {
    given.iter().find(|(key, _)| key.as_deref() == Some(name)).map_or(name, |(_, source)| source)
}

/// `None` where a brace stands that begins no place: then the text is no template of this kind.
fn braces(text: &str, given: &Given) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut said = String::new();
    let mut next = 0;
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        said += &rest[..at];
        let found = &rest[at..];
        if found.starts_with("{{") || found.starts_with("}}") {
            said.push_str(&found[..1]);
            rest = &found[2..];
            continue;
        }
        let inner = found.strip_prefix('{')?;
        let end = inner.find('}')?;
        let name = inner[..end].split([':', '!']).next().unwrap_or_default();
        let is_word =
            |name: &str| name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '[' | ']' | '-' | '$'));
        if !is_word(name) || inner[..end].contains('\n') {
            return None;
        }
        let source = match name.parse::<usize>() {
            Ok(place) => given_at(given, place).unwrap_or(name).to_owned(),
            Err(_) if name.is_empty() => {
                next += 1;
                given_at(given, next - 1)?.to_owned()
            }
            Err(_) => given_by(given, name).to_owned(),
        };
        push(&mut pieces, &mut said);
        pieces.push(Piece::Hole(source));
        rest = &inner[end + 1..];
    }
    said += rest;
    push(&mut pieces, &mut said);
    Some(pieces)
}

/// `{{name}}`, `{{ user.name }}`, `{{$input}}`; `None` without any.
fn doubled(text: &str) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut said = String::new();
    let mut rest = text;
    let mut has_any = false;
    while let Some(at) = rest.find("{{") {
        said += &rest[..at];
        let inner = &rest[at + 2..];
        let end = inner.find("}}");
        let name = end.map(|end| inner[..end].trim_matches(['{', '-', ' ', '$', '~']));
        let is_name = |name: &str| {
            name.starts_with(|c: char| c.is_alphabetic() || c == '_')
                && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '-'))
        };
        match (name.filter(|name| is_name(name)), end) {
            (Some(name), Some(end)) => {
                has_any = true;
                push(&mut pieces, &mut said);
                pieces.push(Piece::Hole(name.to_owned()));
                rest = &inner[end + 2..];
                // Handlebars' third brace.
                if inner.starts_with('{') {
                    rest = rest.strip_prefix('}').unwrap_or(rest);
                }
            }
            _ => {
                said += "{{";
                rest = inner;
            }
        }
    }
    said += rest;
    push(&mut pieces, &mut said);
    has_any.then_some(pieces)
}

fn printf(text: &str, given: &Given) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut said = String::new();
    let mut next = 0;
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        said += &rest[..at];
        let after = &rest[at + 1..];
        if let Some(more) = after.strip_prefix('%') {
            said.push('%');
            rest = more;
            continue;
        }
        let (name, tail) = match after.strip_prefix('(').and_then(|named| named.split_once(')')) {
            Some((name, tail)) => (Some(name), tail),
            None => (None, after),
        };
        let flags = tail.len() - tail.trim_start_matches(|c: char| c.is_ascii_digit() || "-+# .$*".contains(c)).len();
        let verb = tail[flags..].chars().next().filter(|verb| "sdvqfTtxgeiurc".contains(*verb) && flags < 8);
        let Some(verb) = verb.filter(|_| !(flags > 0 && tail.starts_with(' '))) else {
            said.push('%');
            rest = after;
            continue;
        };
        let place = tail[..flags].split_once('$').and_then(|(place, _)| place.parse::<usize>().ok());
        let source = match (name, place) {
            (Some(name), _) => given_by(given, name).to_owned(),
            (None, Some(place)) => given_at(given, place.saturating_sub(1)).unwrap_or("value").to_owned(),
            (None, None) => {
                next += 1;
                given_at(given, next - 1).unwrap_or("value").to_owned()
            }
        };
        push(&mut pieces, &mut said);
        pieces.push(Piece::Hole(source));
        rest = &tail[flags + verb.len_utf8()..];
    }
    said += rest;
    push(&mut pieces, &mut said);
    pieces
}

fn push(pieces: &mut Vec<Piece>, said: &mut String) {
    if !said.is_empty() {
        pieces.push(Piece::Text(std::mem::take(said)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Holes stand between angle brackets.
    fn shown(text: &str, style: Style<'_>) -> String {
        let piece = |piece: Piece| match piece {
            Piece::Text(text) => text,
            Piece::Hole(name) => format!("<{name}>"),
        };
        pieces(text, style).into_iter().map(piece).collect()
    }

    #[test]
    fn places_are_found_in_every_style() {
        let given = [(None, "a.b".to_owned()), (Some("n".to_owned()), "count(x)".to_owned())];
        assert_eq!(shown("Hi {}, {n:>3} {{x}} {m}", Style::Braces(&given)), "Hi <a.b>, <count(x)> {x} <m>");
        assert_eq!(shown("{0} and {0}", Style::Braces(&given)), "<a.b> and <a.b>");
        assert_eq!(shown("100 %% of %s, %(n)d", Style::Printf(&given)), "100 % of <a.b>, <count(x)>");
        assert_eq!(shown("%1$s 50% off", Style::Printf(&given)), "<a.b> 50% off");
        assert_eq!(
            shown("Hi {{ user.name }}: {{$input}} {\"a\": 1}", Style::Guess),
            "Hi <user.name>: <input> {\"a\": 1}"
        );
        assert_eq!(shown("Hi {name}, {{literal}} {b}", Style::Braces(&[])), "Hi <name>, {literal} <b>");
        assert_eq!(shown("Hi {name}", Style::Guess), "Hi <name>");
    }

    #[test]
    fn braces_that_are_no_places_stay() {
        for text in ["{\"a\": {name}}", "if (x) { y }", "{", "a } b", "plain", "{}", "{0}"] {
            assert_eq!(shown(text, Style::Guess), text, "{text}");
        }
    }
}
