//! Prompts among the settings of a program: long texts under keys that say that they are said to a model, in `appsettings.json` and its like.

use super::holes::{self, Style};
use super::link::name_of;
use super::{Message, Prompt, Role};

/// Words that a text has at least which is a prompt and no name, path or date.
const LEAST_WORDS: usize = 8;
/// Longest file of settings that is looked through.
const LONGEST: usize = 1_000_000;

/// Whether the file has a program's settings, by its name.
pub(super) fn is_settings(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    let is_named = ["appsettings", "settings", "config", "application"].iter().any(|start| name.starts_with(start));
    is_named && (name.ends_with(".json") || name.ends_with(".jsonc"))
}

/// The prompts of such a file, each under the name of its key. A line has one member, as people and programs write such files.
pub(super) fn read(path: &str, text: &str) -> Vec<Prompt> {
    if !is_settings(path) || text.len() > LONGEST {
        return Vec::new();
    }
    let mut above: Vec<(usize, String)> = Vec::new();
    let mut prompts = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let bare = line.trim();
        if bare.is_empty() || bare.starts_with("//") {
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        above.retain(|(own, _)| *own < indent);
        let Some((key, value)) = member(bare) else { continue };
        if value.starts_with(['{', '[']) {
            above.push((indent, key));
            continue;
        }
        let Some(said) = text_of(value).filter(|said| said.split_whitespace().count() >= LEAST_WORDS) else { continue };
        let is_among = above.iter().any(|(_, name)| is_of_prompts(name));
        if is_among || is_of_prompts(&key) || role_of(&key) == Role::System {
            prompts.push(prompt(path, &key, &said, number));
        }
    }
    prompts
}

fn prompt(path: &str, key: &str, said: &str, line: u32) -> Prompt {
    let pieces = holes::pieces(said, Style::Guess);
    let message = Message { role: role_of(key), pieces, path: path.to_owned(), line };
    Prompt { name: name_of(Some(key), path), path: path.to_owned(), line, messages: vec![message], notes: Vec::new() }
}

/// `"Key": value`
fn member(line: &str) -> Option<(String, &str)> {
    let (key, value) = line.strip_prefix('"')?.split_once('"')?;
    Some((key.to_owned(), value.trim_start().strip_prefix(':')?.trim_start()))
}

/// The text that a value begins with, whatever follows it.
fn text_of(value: &str) -> Option<String> {
    serde_json::Deserializer::from_str(value).into_iter::<String>().next()?.ok()
}

fn is_of_prompts(key: &str) -> bool {
    key.to_ascii_lowercase().contains("prompt")
}

fn role_of(key: &str) -> Role {
    let key = key.to_ascii_lowercase();
    let is_system = key.starts_with("system") || ["instruction", "persona"].iter().any(|word| key.contains(word));
    if is_system { Role::System } else { Role::User }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_among_prompts_of_the_settings_is_one_and_names_and_numbers_are_none() {
        let text = "{\n  // about\n  \"Prompts\": {\n    \"CompletionTokenLimit\": 4096,\n    \
                    \"SystemDescription\": \"This is a chat between a bot and people. It is {{$now}}.\\nBe brief.\", // said first\n    \
                    \"Cutoff\": \"Saturday, January 1, 2022\",\n    \"Extract\": \"Extract what matters of the last ten messages, in a few words.\"\n  },\n  \
                    \"About\": \"A page that has nothing to do with what is said to a model.\"\n}\n";
        let found = read("webapi/appsettings.json", text);
        let told: Vec<(&str, u32, Role)> =
            found.iter().map(|one| (one.name.as_str(), one.line, one.messages[0].role)).collect();
        assert_eq!(told, [("system-description", 5, Role::System), ("extract", 7, Role::User)]);
        assert!(read("data/items.json", text).is_empty());
    }
}
