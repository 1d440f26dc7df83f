//! From what was found to what the config should say.

use wire::capability::{BackendKind, Capability, Profile, State, Treatment};

use super::{Report, Row, Verdict};

/// What should be done about `capability` at a server where it was found to be like this. What can be put right is; what the
/// server lacks is refused, unless a request can do without it; the rest is counted.
pub fn advised(capability: Capability, verdict: Verdict, kind: BackendKind) -> Option<Treatment> {
    if !verdict.is_quirk() {
        return None;
    }
    let known = kind.known(capability);
    if matches!(known.state, State::Degraded | State::None) && known.treatment != Treatment::Pass {
        return Some(known.treatment);
    }
    // These fixes mend a form; where there is none of it, there is nothing to mend.
    match (capability, verdict) {
        (Capability::Embeddings, Verdict::None) => return Some(Treatment::Refuse),
        (Capability::StreamUsage, Verdict::None) => return Some(Treatment::Count),
        _ => {}
    }
    let can = |treatment| capability.treatments().contains(&treatment).then_some(treatment);
    // Without these an answer is the same, or nearly so; a limit of one call that is not taken is missed where it is broken.
    let dispensable = matches!(
        capability,
        Capability::VendorFields | Capability::UnknownFields | Capability::ReasoningEffort | Capability::StreamOptions
    ) || (capability == Capability::ParallelToolCalls && verdict == Verdict::None);
    let drop = if dispensable { can(Treatment::Drop) } else { None };
    let refuse = if verdict == Verdict::None { can(Treatment::Refuse) } else { None };
    can(Treatment::Rename).or(can(Treatment::Fix)).or(drop).or(refuse).or(can(Treatment::Count))
}

/// Takes back advice that leans on what the server does not do either: a field cannot go by the name of one that is ignored.
pub(super) fn reconsider(rows: &mut [Row]) {
    const LEAN_ON: [(Capability, Capability, Treatment); 3] = [
        (Capability::StopString, Capability::StopArray, Treatment::Refuse),
        (Capability::MaxCompletionTokens, Capability::MaxTokens, Treatment::Count),
        (Capability::MaxTokens, Capability::MaxCompletionTokens, Treatment::Count),
    ];
    let at_fault =
        |rows: &[Row], capability| rows.iter().any(|row| row.capability == capability && row.verdict.is_quirk());
    for (capability, other, instead) in LEAN_ON {
        if at_fault(rows, capability) && at_fault(rows, other) {
            let row = rows.iter_mut().find(|row| row.capability == capability);
            row.into_iter().for_each(|row| row.advice = Some(instead));
        }
    }
}

/// The lines of a config that do what the report advises, for a provider called `provider`. Only what differs from the
/// kind's own treatments is written.
pub fn snippet(report: &Report, provider: &str, kind: BackendKind) -> String {
    let own = Profile::of(kind);
    let mut lines = String::new();
    for row in &report.rows {
        if let Some(treatment) = row.advice.filter(|treatment| !own.does(row.capability, *treatment)) {
            let how = one_line(&row.how);
            lines +=
                &format!("      {}: {}   # {}: {how}\n", row.capability.id(), treatment.as_str(), row.verdict.as_str());
        }
    }
    let capabilities = if lines.is_empty() { String::new() } else { format!("    capabilities:\n{lines}") };
    format!("providers:\n  {provider}:\n    kind: {}\n{capabilities}", kind.as_str())
}

/// A server's words, fit for a comment.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(120).collect()
}

#[cfg(test)]
mod tests {
    use wire::capability::Group;

    use super::*;

    #[test]
    fn what_can_be_put_right_is_and_what_is_missing_is_refused() {
        use BackendKind::{Generic, LlamaCpp};
        let advice = |capability, verdict| advised(capability, verdict, Generic);
        assert_eq!(advice(Capability::MaxCompletionTokens, Verdict::None), Some(Treatment::Rename));
        assert_eq!(advice(Capability::ToolsAuto, Verdict::Degraded), Some(Treatment::Fix));
        assert_eq!(advice(Capability::JsonSchema, Verdict::None), Some(Treatment::Refuse));
        assert_eq!(advice(Capability::JsonSchema, Verdict::Degraded), Some(Treatment::Count));
        assert_eq!(advice(Capability::VendorFields, Verdict::None), Some(Treatment::Drop));
        assert_eq!(advice(Capability::LogitBias, Verdict::Equivalent), None);
        assert_eq!(advice(Capability::Models, Verdict::None), None, "the gateway answers that itself");
        assert_eq!(
            advised(Capability::ToolChoiceNamed, Verdict::None, LlamaCpp),
            Some(Treatment::Count),
            "as declared"
        );
    }

    #[test]
    fn every_fault_has_something_that_can_be_done_or_is_the_gateways_own() {
        /// What an application sees as it is: a path that is not there, or a vendor's extra.
        const AS_IT_IS: [Capability; 5] = [
            Capability::Chat,
            Capability::Completions,
            Capability::Responses,
            Capability::Messages,
            Capability::Tokenize,
        ];
        for &capability in Capability::ALL {
            let advice = advised(capability, Verdict::None, BackendKind::Generic);
            let settled = advice.is_some()
                || capability.inherent().is_some()
                || AS_IT_IS.contains(&capability)
                || capability.group() == Group::Services;
            assert!(settled, "{}", capability.id());
        }
    }
}
