//! `translation` of a target: what happens to what its dialects cannot say.

use wire::translate::messages::outbound::Claude;
use wire::translate::{Fate, Loss, Policy};

use crate::config::reader::Section;

/// `translation: { server_tools: drop, sampling: refuse }`. What is not written has its usual fate.
pub(super) fn read(section: &Section<'_>) -> Policy {
    let words = [("refuse", Fate::Refuse), ("drop", Fate::Drop)];
    let mut policy = Policy::default();
    for (name, item) in section.named("translation") {
        match name.value.parse::<Loss>() {
            Ok(loss) => policy = item.word(&words).map_or(policy.clone(), |fate| policy.with(loss, fate)),
            Err(_) => item.unknown_key(&name, Loss::ALL.iter().map(|loss| loss.as_str())),
        }
    }
    policy
}

/// `messages: { sampling: true, max_tokens: 4096 }`: what a target that speaks Anthropic's Messages takes.
pub(super) fn claude(section: &Section<'_>) -> Claude {
    let section = section.section("messages");
    let defaults = Claude::default();
    let claude = Claude {
        sampling: section.get("sampling").and_then(|item| item.boolean()).unwrap_or(defaults.sampling),
        max_tokens: section.get("max_tokens").and_then(|item| item.count(1, 1 << 24)).unwrap_or(defaults.max_tokens),
    };
    section.finish();
    claude
}

#[cfg(test)]
mod tests {
    use wire::translate::{Fate, Loss};

    #[test]
    fn the_reference_page_lists_every_loss_with_its_usual_fate() {
        let page = include_str!("../../../../../docs/reference/translation.md");
        for loss in Loss::ALL {
            let fate = if loss.usual_fate() == Fate::Refuse { "refuse" } else { "drop" };
            let row = format!("| `{loss}` | {fate} |");
            assert!(page.contains(&row), "{row}");
        }
    }
}
