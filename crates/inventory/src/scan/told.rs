//! Addresses of vendors that configuration has under a key, for code that asks for the key.

use std::collections::HashMap;

use super::hosts;

/// Keys, their parts with dots between, and the addresses under them in a file of configuration.
pub(crate) fn addresses_of(path: &str, text: &str) -> Vec<(String, String)> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let is_one_of = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
    if !text.contains("://") || name.contains("lock") {
        return Vec::new();
    }
    let mut found = Vec::new();
    if is_one_of(&[".json"]) {
        if let Ok(whole) = serde_json::from_str::<serde_json::Value>(text) {
            in_json(&whole, "", &mut found, 0);
        }
    } else if is_one_of(&[".yml", ".yaml"]) {
        in_yaml(text, &mut found);
    } else if is_one_of(&[".properties", ".env", ".ini", ".conf", ".cfg", ".envrc"]) || name.starts_with(".env") {
        for line in text.lines() {
            if let Some((key, value)) = line.split_once('=') {
                add(key.trim().trim_start_matches("export "), value, &mut found);
            }
        }
    }
    found
}

/// The key as all ways of writing it come to: `OpenAI:BaseUrl`, `openai.base-url` and `OPENAI__BASE_URL`.
fn plain(key: &str) -> String {
    let key = key.replace("__", ".").replace(':', ".");
    key.chars().filter(|one| !matches!(one, '-' | '_' | ' ' | '"')).collect::<String>().to_lowercase()
}

/// The address in a value, also where it is the default of a variable: `${URL:https://…}`.
fn address_in(value: &str) -> Option<&str> {
    let at = value.find("http")?;
    let address = value[at..].split([' ', '"', '\'', '}', ',', '#']).next()?;
    hosts::vendor_of(address).map(|_| address)
}

fn add(key: &str, value: &str, found: &mut Vec<(String, String)>) {
    if !key.starts_with('#')
        && let Some(address) = address_in(value)
    {
        found.push((key.trim().trim_matches('"').to_owned(), address.to_owned()));
    }
}

fn in_json(value: &serde_json::Value, key: &str, found: &mut Vec<(String, String)>, depth: u32) {
    match value {
        serde_json::Value::Object(members) if depth < 8 => {
            for (name, value) in members {
                let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                in_json(value, &key, found, depth + 1);
            }
        }
        serde_json::Value::String(text) => add(key, text, found),
        _ => {}
    }
}

fn in_yaml(text: &str, found: &mut Vec<(String, String)>) {
    let mut above: Vec<(usize, String)> = Vec::new();
    for line in text.lines() {
        let bare = line.trim_start();
        let indent = line.len() - bare.len();
        if bare.is_empty() || bare.starts_with('#') {
            continue;
        }
        above.retain(|(own, _)| *own < indent);
        // `- URL=https://…` of a container's environment.
        if let Some((key, value)) = bare.strip_prefix("- ").and_then(|rest| rest.split_once('=')) {
            add(key, value, found);
            continue;
        }
        let Some((key, value)) = bare.split_once(':') else { continue };
        let names = above.iter().map(|(_, name)| name.as_str()).chain([key.trim()]);
        let whole = names.collect::<Vec<&str>>().join(".");
        if value.trim().is_empty() {
            above.push((indent, key.trim().to_owned()));
        } else {
            add(&whole, value, found);
        }
    }
}

/// What the configuration of a repository says.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Addresses by their whole keys; none where files say different vendors.
    whole: HashMap<String, Option<String>>,
    /// The same by the last part of a key.
    last: HashMap<String, Option<String>>,
}

impl Told {
    /// Of keys and addresses.
    pub(crate) fn new<'a>(said: impl Iterator<Item = &'a (String, String)>) -> Told {
        let mut told = Told::default();
        for (key, address) in said {
            let key = plain(key);
            put(&mut told.whole, &key, address);
            put(&mut told.last, key.rsplit('.').next().unwrap_or(&key), address);
        }
        told
    }

    /// Whether nothing is said.
    pub(crate) fn is_empty(&self) -> bool {
        self.whole.is_empty()
    }

    /// The address under a key: `openai.url`, `${openai.url:}`.
    pub(crate) fn under(&self, key: &str) -> Option<&str> {
        if self.is_empty() || key.len() > 100 {
            return None;
        }
        let key = key.trim_start_matches(['\\', '$', '{']);
        // What follows is a default, where the key is one of Java's.
        let whole = plain(key.trim_end_matches('}'));
        let cut = || plain(key.split([':', '}']).next().unwrap_or(key));
        let found = self.whole.get(&whole).or_else(|| self.whole.get(&cut()));
        found.and_then(|address| address.as_deref())
    }

    /// The address of the one key that ends in the name; a name that every service has counts where its vendor's is beside it.
    pub(crate) fn called(&self, name: &str, beside: &str) -> Option<&str> {
        const ANY: [&str; 10] =
            ["url", "uri", "endpoint", "host", "baseurl", "baseuri", "baseaddress", "address", "apiurl", "apiendpoint"];
        let name = plain(name);
        let name = name.strip_prefix("get").unwrap_or(&name);
        let is_address = ["url", "uri", "endpoint", "host", "address"].iter().any(|word| name.contains(word));
        let address = self.last.get(name).filter(|_| is_address)?.as_deref()?;
        let is_named = || hosts::vendor_of(address).is_some_and(|vendor| beside.contains(vendor));
        (!ANY.contains(&name) || is_named()).then_some(address)
    }

    /// The keys, as files that ask for them may write them.
    pub(crate) fn keys<'a>(said: impl Iterator<Item = &'a (String, String)>) -> Vec<String> {
        let keys = said.map(|(key, _)| key).filter(|key| key.contains('.') || key.len() > 7);
        keys.flat_map(|key| [key.clone(), key.replace('.', ":")]).collect()
    }
}

/// Keeps the first address under a key, and none where another vendor's stands there too.
fn put(to: &mut HashMap<String, Option<String>>, key: &str, address: &str) {
    let own = to.entry(key.to_owned()).or_insert_with(|| Some(address.to_owned()));
    if own.as_deref().is_some_and(|own| hosts::vendor_of(own) != hosts::vendor_of(address)) {
        *own = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_known_by_their_keys_in_every_form_of_configuration() {
        let files = [
            (
                "a/application.yml",
                "llm:\n  # a note\n  open-ai:\n    base-url: ${URL:https://api.openai.com/v1}\n  x: y\n",
            ),
            (
                "appsettings.json",
                r#"{"Groq": {"Url": "https://api.groq.com/openai/v1/chat/completions"}, "Other": {"Url": "https://example.com"}}"#,
            ),
            (".env.example", "export DEEPSEEK_URL=\"https://api.deepseek.com\"\n"),
            ("compose.yaml", "services:\n  a:\n    environment:\n      - COHERE_URL=https://api.cohere.com/v2\n"),
        ];
        let said: Vec<_> = files.iter().flat_map(|(path, text)| addresses_of(path, text)).collect();
        let told = Told::new(said.iter());
        assert_eq!(told.under("${llm.open-ai.base-url}"), Some("https://api.openai.com/v1"));
        assert_eq!(told.under("Groq:Url"), Some("https://api.groq.com/openai/v1/chat/completions"));
        assert_eq!(told.under("DEEPSEEK_URL"), Some("https://api.deepseek.com"));
        assert_eq!(told.called("getBaseUrl", "src/openaiclient.java"), Some("https://api.openai.com/v1"));
        assert_eq!(told.called("getBaseUrl", "src/account.java"), None);
        assert_eq!(told.under("Other:Url"), None);
        assert_eq!(told.under("COHERE_URL"), Some("https://api.cohere.com/v2"));
        let other = [("groq.url".to_owned(), "https://api.openai.com/v1".to_owned())];
        assert_eq!(Told::new(said.iter().chain(&other)).under("groq.url"), None);
    }
}
