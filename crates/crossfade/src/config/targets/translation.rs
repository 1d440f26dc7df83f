//! `translation` of a target: what happens to what its dialects cannot say.

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
