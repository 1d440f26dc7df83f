//! `kind` and `capabilities` of a provider: what kind of server it is, and what is done about what it does not do.

use std::sync::Arc;

use providers::{Dialect, ProviderConfig};
use wire::capability::{BackendKind, Capability, Profile, Treatment};

use crate::config::reader::{Item, Section};

/// Reads both keys. Without `kind`, the vendor's own address is the vendor and everything else is `generic`.
pub(super) fn read(section: &Section<'_>, provider: &ProviderConfig) -> Arc<Profile> {
    let kinds: Vec<(&str, BackendKind)> = BackendKind::ALL.iter().map(|kind| (kind.as_str(), *kind)).collect();
    let written = section.get("kind").and_then(|item| item.word(&kinds));
    let overrides: Vec<(Capability, Treatment)> = section
        .named("capabilities")
        .iter()
        .filter_map(|(name, item)| {
            let Some(capability) = Capability::named(&name.value) else {
                item.unknown_key(name, Capability::ALL.iter().map(|capability| capability.id()));
                return None;
            };
            treatment(capability, item).map(|treatment| (capability, treatment))
        })
        .collect();
    Arc::new(Profile::with(written.unwrap_or_else(|| guessed(provider)), &overrides))
}

fn guessed(provider: &ProviderConfig) -> BackendKind {
    let own = provider.base_url.as_str().starts_with("https://api.openai.com/");
    match provider.dialect {
        Dialect::Openai if own => BackendKind::Openai,
        Dialect::Azure { .. } => BackendKind::Azure,
        Dialect::Anthropic => BackendKind::Anthropic,
        Dialect::Openai | Dialect::Simulated(_) => BackendKind::Generic,
    }
}

fn treatment(capability: Capability, item: &Item<'_>) -> Option<Treatment> {
    if let (Some(why), []) = (capability.inherent(), capability.treatments()) {
        item.note("this is the same for every provider", Some(format!("{why}; remove the line")));
        return None;
    }
    let possible = std::iter::once(&Treatment::Pass).chain(capability.treatments());
    let words: Vec<(&str, Treatment)> = possible.map(|treatment| (treatment.as_str(), *treatment)).collect();
    item.word(&words)
}

#[cfg(test)]
mod tests {
    use expect_test::expect_file;
    use wire::capability::{BackendKind, Capability, State, Treatment};

    const PAGE: &str = include_str!("../../../../../docs/reference/capabilities.md");
    const MARK: &str = "UPDATE_EXPECT=1 -->\n";

    #[test]
    fn the_page_lists_every_capability_and_every_kind() {
        let by_hand = PAGE.split(MARK).next().unwrap();
        let page = format!("{by_hand}{MARK}\n{}{}", capabilities(), BackendKind::ALL.map(kind).concat());
        expect_file!["../../../../../docs/reference/capabilities.md"].assert_eq(&page);
    }

    fn capabilities() -> String {
        let mut text =
            "## Capabilities\n\n| id | what | equivalent means | weight | can be |\n|---|---|---|---|---|\n".to_owned();
        for capability in Capability::ALL {
            let words: Vec<&str> = capability.treatments().iter().map(|treatment| treatment.as_str()).collect();
            let words = match (capability.inherent(), words.as_slice()) {
                (Some(inherent), _) => inherent.to_owned(),
                (None, []) => "passed only".to_owned(),
                (None, words) => words.join(", "),
            };
            let (id, what, judged) = (capability.id(), capability.what(), capability.judged());
            text += &format!("| {id} | {what} | {judged} | {} | {words} |\n", capability.weight().points());
        }
        text
    }

    fn kind(kind: BackendKind) -> String {
        let mut text = format!("\n## {}\n\n", kind.as_str());
        let mut rows = String::new();
        let mut source = None;
        let mut watched = Vec::new();
        for &capability in Capability::ALL {
            let known = kind.known(capability);
            let (id, state, treatment) = (capability.id(), known.state.as_str(), known.treatment.as_str());
            if known.source.is_some() {
                source = known.source;
                rows += &format!("| {id} | {state} | {} | {treatment} |\n", known.how);
            } else if known.treatment == Treatment::Count {
                watched.push(id);
            }
        }
        if kind.known(Capability::Chat).state == State::Equivalent {
            text += "The vendor's own: everything is equivalent, nothing is looked at.\n";
        }
        if let Some(source) = source {
            text += &format!(
                "Source: {}, {}.\n\n| id | state | seen | done |\n|---|---|---|---|\n{rows}",
                source.what, source.date
            );
        }
        if !watched.is_empty() {
            text += &format!("\nOtherwise unknown; counted when an answer shows it: {}.\n", watched.join(", "));
        }
        text.replace("\n\n\n", "\n\n")
    }
}
