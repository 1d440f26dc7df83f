/// What the one `*` of `pattern` stands for in `name`. `None` when the pattern has none, or does not fit.
#[must_use]
pub fn wildcard<'n>(pattern: &str, name: &'n str) -> Option<&'n str> {
    let (before, after) = pattern.split_once('*')?;
    name.strip_prefix(before)?.strip_suffix(after)
}

#[cfg(test)]
mod tests {
    use super::wildcard;

    #[track_caller]
    fn check(pattern: &str, name: &str, expected: Option<&str>) {
        assert_eq!(wildcard(pattern, name), expected, "{pattern} {name}");
    }

    #[test]
    fn a_star_stands_for_any_text() {
        check("*", "gpt-4o", Some("gpt-4o"));
        check("anthropic/*", "anthropic/claude", Some("claude"));
        check("anthropic/*", "anthropic/", Some(""));
        check("*-internal", "gpt-internal", Some("gpt"));
        check("a*a", "aba", Some("b"));
    }

    #[test]
    fn what_does_not_fit_is_no_match() {
        check("anthropic/*", "openai/gpt", None);
        check("a*a", "a", None);
        check("gpt-4o", "gpt-4o", None);
    }
}
