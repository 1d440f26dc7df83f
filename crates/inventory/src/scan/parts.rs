//! Parts of messages with images: where a program builds them, whichever call carries them later.

use std::sync::OnceLock;

use regex::Regex;

use super::finding::{Confidence, Finding, Flags, Kind};

/// How a part with an image is written: by its type, or by what makes it.
const PATTERN: &str = r#"(?x)
    ["':]?\b[tT]ype["']?\s*(?::|=>|=)\s*["'](?:image_url|input_image)["']
    | ["':]?\btype["']?\s*(?::|=>)\s*["']image["']\s*,\s*["':]?(?:source|image|url)\b
    | \bnew\s+(?:ImageContent|ChatMessageImageContentItem|ImageContentPart)\s*\(
    | \bImageContent\.from\(
    | \bCreateImage(?:Message)?(?:Content)?Part\(
    | \b(?:NewImageBlock|NewImageBlockBase64|ImageContentPart)\(
    | \bChatMessagePartTypeImageURL\b
    | \bChatCompletionRequestMessageContentPartImage\b
"#;

/// How many of a file are told.
const MOST: usize = 20;

/// Where the source of a file builds them.
pub(super) fn of(path: &str, text: &str) -> Vec<Finding> {
    static FOUND: OnceLock<Option<Regex>> = OnceLock::new();
    let Some(pattern) = FOUND.get_or_init(|| Regex::new(PATTERN).ok()) else { return Vec::new() };
    if !["image", "Image"].iter().any(|word| text.contains(word)) {
        return Vec::new();
    }
    let (mut line, mut from, mut found) = (1_u32, 0, Vec::new());
    for part in pattern.find_iter(text).take(MOST) {
        let breaks = text[from..part.start()].bytes().filter(|byte| *byte == b'\n').count();
        line += u32::try_from(breaks).unwrap_or(0);
        from = part.start();
        let begins = text[..from].rfind('\n').map_or(0, |at| at + 1);
        let before = text[begins..from].trim_start();
        if ["//", "#", "*", "/*", "--"].iter().any(|mark| before.starts_with(mark)) {
            continue;
        }
        found.push(part_at(path, line, part.as_str()));
    }
    found.dedup_by_key(|part| part.line);
    found
}

fn part_at(path: &str, line: u32, seen: &str) -> Finding {
    let seen = seen.split_whitespace().collect::<Vec<_>>().join(" ");
    Finding {
        flags: Flags { vision: true, ..Flags::default() },
        confidence: Confidence::Likely,
        ..Finding::plain(path, line, Kind::Part, ("chat", "-"), seen)
    }
}

/// They are of interest where something is called that takes messages.
pub(super) fn settle(findings: &mut Vec<Finding>) {
    let takes = |found: &Finding| {
        let is_asked = ["chat", "responses", "client"].contains(&found.operation.as_str());
        found.kind.is_site() && is_asked && found.confidence >= Confidence::Likely
    };
    if !findings.iter().any(takes) {
        findings.retain(|found| found.kind != Kind::Part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_with_an_image_is_found_where_it_is_built_and_not_where_it_is_asked_about() {
        let lines = |text: &str| of("a.ts", text).iter().map(|part| part.line).collect::<Vec<_>>();
        assert_eq!(lines("return {\n  type: \"image_url\",\n  image_url: { url }\n}\n"), [2]);
        assert_eq!(lines("x = {'type': 'input_image', 'image_url': u}\n"), [1]);
        assert_eq!(lines("return {\n  type: \"image\",\n  source: { data }\n}\n"), [2]);
        assert_eq!(
            lines("m.add(ImageContent.from(url));\nparts.Add(ChatMessageContentPart.CreateImagePart(b));\n"),
            [1, 2]
        );
        for other in [
            "if (part.type === 'image_url') {}\n",
            "type: \"image\" | \"file\"\n",
            "profile.image_url || ''\n",
            "// type: \"image_url\"\n",
            "if part[\"type\"] == \"image_url\":\n",
        ] {
            assert_eq!(lines(other), [0; 0], "{other}");
        }
    }
}
