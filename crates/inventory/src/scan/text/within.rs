//! Whose a line of configuration is by what stands around it: the keys, sections and blocks that it is in, and what the file sets up.

/// How many lines before one are looked at for what it is in.
const REACH: usize = 3000;

/// Whether the line only says something to people.
pub(super) fn is_comment(line: &str) -> bool {
    ["//", "#", ";", "<!--", "*"].iter().any(|start| line.trim_start().starts_with(start))
}

/// Whether what a line says of OpenAI is said of a deployment at Azure: by its own words, by what it is in, or because the file sets up
/// Azure's service.
pub(super) fn is_of_azure(path: &str, whole: &str, (before, line): (&str, &str)) -> bool {
    let key = line.split(['=', '#']).next().unwrap_or(line);
    let key = key.rsplit_once(": ").map_or(key, |(key, _)| key).to_lowercase();
    key.contains("deployment")
        || names_azure(line)
        || above(before, indent_of(line)).into_iter().any(names_azure)
        || sets_up_azure(path, whole)
}

/// The key of a line of YAML with the keys that it is in: `spring.ai.openai.api-key`.
pub(super) fn path_of(before: &str, line: &str) -> String {
    let key = |line: &str| line.trim().split(':').next().unwrap_or_default().trim_matches(['"', '\'']).to_owned();
    let mut keys = vec![key(line)];
    keys.extend(above(before, indent_of(line)).into_iter().map(key));
    keys.reverse();
    keys.join(".")
}

/// `AzureOpenAIText`, `AZURE_OPENAI_ENDPOINT`, `azurerm_cognitive_deployment`, also in what a comment says to set.
fn names_azure(line: &str) -> bool {
    let plain: String =
        line.chars().filter(|one| one.is_alphanumeric()).flat_map(char::to_lowercase).take(400).collect();
    ["azureopenai", "azurermcognitive", "microsoftcognitiveservices"].iter().any(|name| plain.contains(name))
}

/// Whether the file describes what is set up at Azure, its models among it.
fn sets_up_azure(path: &str, whole: &str) -> bool {
    let is_infrastructure = [".bicep", ".tf", ".tfvars", ".json", ".hcl"].iter().any(|ending| path.ends_with(ending));
    is_infrastructure && ["Microsoft.CognitiveServices/", "azurerm_cognitive_"].iter().any(|of| whole.contains(of))
}

/// The lines that what comes after them is in, the nearest first: moved in less than what was there before, or the head of a section.
fn above(before: &str, indent: usize) -> Vec<&str> {
    let (mut above, mut indent) = (Vec::new(), indent);
    for line in before.lines().rev().take(REACH) {
        let bare = line.trim();
        if bare.is_empty() || is_comment(bare) {
            continue;
        }
        if bare.starts_with('[') && bare.ends_with(']') && !bare.contains([',', '"']) {
            above.push(line);
            break;
        }
        if indent_of(line) < indent && !bare.starts_with(['}', ']', ')']) {
            indent = indent_of(line);
            above.push(line);
        }
    }
    above
}

fn indent_of(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_in_what_is_moved_in_less() {
        let text = "spring:\n  ai:\n    model: x\n    openai:\n      # a: b\n      chat:\n        model: y\n";
        let at = text.find("        model").unwrap();
        assert_eq!(path_of(&text[..at], "        model: y"), "spring.ai.openai.chat.model");
        assert_eq!(above("[one]\na = 1\n[two]\nb = 2\n", 0), ["[two]"]);
    }
}
