//! Cells as people and programs read them.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::Planned;

/// The cells that would be measured.
pub(super) fn list(planned: &[Planned]) -> String {
    let mut text = String::new();
    for (idx, cell) in planned.iter().enumerate() {
        let plan = &cell.plan;
        let done =
            cell.done.as_ref().map_or("to be measured".to_owned(), |result| format!("measured, as {}", result.name));
        // Writing to a String cannot fail.
        writeln!(text, "{} {}: {done}", idx + 1, plan.label).unwrap_or_default();
        for (word, command) in [("start", &plan.start), ("stop", &plan.stop)] {
            if let Some(command) = command {
                writeln!(text, "    {word}: {}", command.trim()).unwrap_or_default();
            }
        }
        writeln!(text, "    load of {} at {}: {}", plan.model, plan.url, plan.load.join(" ")).unwrap_or_default();
    }
    text
}

/// The same for programs.
pub(super) fn list_facts(planned: &[Planned]) -> Value {
    let cell = |cell: &Planned| {
        let plan = &cell.plan;
        json!({
            "label": plan.label,
            "settings": plan.settings.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
            "start": plan.start, "stop": plan.stop, "url": plan.url, "model": plan.model, "load": plan.load,
            "result": cell.done.as_ref().map(|result| &result.name),
        })
    };
    planned.iter().map(cell).collect()
}
