//! Hosted AI services that are no vendor's language models: search, documents, speech, the safety of contents. They are told beside the
//! vendors, because leaving the vendor leaves them, too.

use std::sync::OnceLock;

use regex::Regex;

use super::finding::{Finding, Kind};

/// What a service is called, what a file has to name for it, and how it is used.
const SERVICES: [(&str, &str, &str); 8] = [
    (
        "azure-ai-search",
        "Azure.Search.Documents",
        r"\bnew\s+(?:SearchClient|SearchIndexClient|SearchIndexerClient)\s*\(|\bAddSearch(?:Index)?Client\s*\(",
    ),
    (
        "azure-ai-search",
        "AzureAISearch",
        r"\b(?:With|Add)AzureAISearch\w*\s*[(<]|\bnew\s+AzureAISearch(?:Memory|VectorStore|MemoryStore|Collection)\w*\s*[(<]",
    ),
    (
        "azure-document-intelligence",
        "Azure.AI.",
        r"\bnew\s+(?:DocumentIntelligenceClient|DocumentAnalysisClient|FormRecognizerClient)\s*\(",
    ),
    (
        "azure-document-intelligence",
        "AzureAIDocIntel",
        r"\b(?:With|Add)AzureAIDocIntel\w*\s*[(<]|\bAzureAIDocIntelEngine\b",
    ),
    ("azure-content-safety", "ContentSafety", r"\bnew\s+(?:ContentSafetyClient|BlocklistClient)\s*\("),
    ("azure-content-safety", "contentsafety/", r"/contentsafety/(?:image|text)\w*:\w+"),
    ("azure-speech", "SpeechConfig", r"\bSpeechConfig\s*\.\s*[fF]rom[A-Z]\w*\s*\("),
    ("azure-speech", "api.cognitive.microsoft.com", r"\.api\.cognitive\.microsoft\.com/sts/"),
];

/// How many of a file are told of each.
const MOST: usize = 10;

/// What a file uses of them.
pub(super) fn of(path: &str, text: &str) -> Vec<Finding> {
    static FOUND: OnceLock<Vec<Option<Regex>>> = OnceLock::new();
    let patterns = FOUND.get_or_init(|| SERVICES.iter().map(|(.., pattern)| Regex::new(pattern).ok()).collect());
    let mut found = Vec::new();
    for ((name, needed, _), pattern) in SERVICES.iter().zip(patterns) {
        let Some(pattern) = pattern.as_ref().filter(|_| text.contains(needed)) else { continue };
        for used in pattern.find_iter(text).take(MOST) {
            let before = &text[..used.start()];
            let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
            let begins = before.rfind('\n').map_or(0, |at| at + 1);
            if ["//", "#", "*", "/*"].iter().any(|mark| before[begins..].trim_start().starts_with(mark)) {
                continue;
            }
            found.push(service(path, u32::try_from(line).unwrap_or(u32::MAX), name, used.as_str()));
        }
    }
    found.sort_by(|a, b| (a.line, &a.vendor).cmp(&(b.line, &b.vendor)));
    found.dedup_by(|a, b| (a.line, &a.vendor) == (b.line, &b.vendor));
    found
}

fn service(path: &str, line: u32, name: &str, seen: &str) -> Finding {
    let seen = seen.trim_end_matches(['(', '<']).split_whitespace().collect::<Vec<_>>().join(" ");
    Finding::plain(path, line, Kind::Service, ("client", name), seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hosted_service_that_is_no_model_vendor_is_told_with_its_line_and_is_no_site() {
        let text = "using Azure.Search.Documents;\nvar s = new SearchClient(uri, \"i\", key);\n\
                    services.AddAzureAISearchAsMemoryDb(config);\n// builder.WithAzureAISearchMemoryDb(config)\n\
                    var c = SpeechConfig.FromSubscription(k, r);\nnew Uri($\"{e}/contentsafety/image:analyze?v=1\");\n\
                    builder.Services.AddAzureAIDocIntel(config);\n";
        let found = of("a.cs", text);
        let lines: Vec<String> = found.iter().map(|one| format!("{} {}", one.line, one.vendor)).collect();
        assert_eq!(
            lines,
            [
                "2 azure-ai-search",
                "3 azure-ai-search",
                "5 azure-speech",
                "6 azure-content-safety",
                "7 azure-document-intelligence"
            ]
        );
        assert!(found.iter().all(|one| one.kind == Kind::Service && !one.kind.is_site()));
        assert_eq!(of("a.cs", "using Elastic;\nvar s = new SearchClient(uri);\n"), []);
    }
}
