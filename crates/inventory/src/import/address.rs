//! Base URLs as people write them, checked and cut to what Crossfade takes.

/// A base URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    /// It, without a slash at the end.
    pub url: String,
    /// The first word of the host's name that tells it from others; empty for a number.
    pub host: String,
    /// It has no path.
    pub is_bare: bool,
    /// The host is this machine or one on a private network.
    pub is_near: bool,
    /// What was cut off, when that may matter.
    pub cut: Option<&'static str>,
}

/// Reads a base URL.
///
/// # Errors
/// Why Crossfade cannot use it. The text is not part of the words: it may hold a password.
pub(super) fn address(text: &str) -> Result<Address, &'static str> {
    let text = text.trim();
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let rest = rest.ok_or("a provider's address begins with http:// or https://")?;
    let scheme = if text.starts_with("https") { "https" } else { "http" };
    let (authority, path) = rest.split_once('/').map_or((rest, ""), |(authority, path)| (authority, path));
    if authority.contains('@') {
        return Err("a provider's address carries no user name or password");
    }
    if text.contains(['?', '#']) {
        return Err("a provider's address carries no query");
    }
    let is_in_host = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    let is_in_path = |c: char| c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@%/".contains(c);
    if authority.is_empty()
        || !authority.chars().all(is_in_host)
        || !path.chars().all(is_in_path)
        || text.contains("${")
    {
        return Err("the address has characters that no address has: a placeholder, perhaps");
    }
    let path = path.trim_end_matches('/');
    let (path, cut) = match path.strip_suffix("chat/completions").or_else(|| path.strip_suffix("embeddings")) {
        Some(base) => (base.trim_end_matches('/'), Some("the endpoint's own path is cut off: Crossfade adds it")),
        None => (path, None),
    };
    let (host, port) = split_port(authority);
    if port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return Err("the address has a port that is none");
    }
    let slash = if path.is_empty() { "" } else { "/" };
    let url = format!("{scheme}://{authority}{slash}{path}");
    Ok(Address { url, host: word(host), is_bare: path.is_empty(), is_near: is_near(host), cut })
}

fn split_port(authority: &str) -> (&str, Option<&str>) {
    if let Some(end) = authority.find(']') {
        return (&authority[..=end], authority[end + 1..].strip_prefix(':'));
    }
    authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)))
}

fn is_near(host: &str) -> bool {
    let ip = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().ok();
    match ip {
        Some(std::net::IpAddr::V4(ip)) => {
            ip.is_loopback() || ip.is_private() || ip.is_link_local() || ip.is_unspecified()
        }
        Some(std::net::IpAddr::V6(ip)) => ip.is_loopback() || ip.is_unique_local(),
        None => host == "localhost" || host.ends_with(".local") || host.ends_with(".internal") || !host.contains('.'),
    }
}

fn word(host: &str) -> String {
    let is_number = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok();
    let mut words = host.split('.').filter(|word| !["api", "www", "localhost"].contains(word));
    if is_number { String::new() } else { words.next().unwrap_or_default().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::address;

    #[track_caller]
    fn check(text: &str, expected: Result<(&str, &str, bool, bool), &str>) {
        let found = address(text).map(|found| (found.url, found.host, found.is_bare, found.is_near));
        assert_eq!(found, expected.map(|(url, host, bare, near)| (url.to_owned(), host.to_owned(), bare, near)));
    }

    #[test]
    fn addresses_are_cut_to_what_crossfade_takes() {
        check("https://api.groq.com/openai/v1/", Ok(("https://api.groq.com/openai/v1", "groq", false, false)));
        check("http://localhost:8000", Ok(("http://localhost:8000", "", true, true)));
        check("http://10.0.0.7:8000/v1", Ok(("http://10.0.0.7:8000/v1", "", false, true)));
        check("http://gpu-1:8000/v1/chat/completions", Ok(("http://gpu-1:8000/v1", "gpu-1", false, true)));
        check("http://[::1]:8000/v1", Ok(("http://[::1]:8000/v1", "", false, true)));
    }

    #[test]
    fn what_is_no_address_is_said_without_showing_it() {
        check("gpu-1:8000", Err("a provider's address begins with http:// or https://"));
        check("https://user:pass@host/v1", Err("a provider's address carries no user name or password"));
        check("https://host/v1?key=1", Err("a provider's address carries no query"));
        check(
            "https://<name>.example.com",
            Err("the address has characters that no address has: a placeholder, perhaps"),
        );
        check("https://host:port/v1", Err("the address has a port that is none"));
    }
}
