//! What ends a run with 3.

use std::str::FromStr;

use inventory::scan::{self, Confidence, Finding, Kind, OPERATIONS};

use crate::config::nearest;

/// What is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FailOn {
    /// A finding at least this sure.
    Level(Confidence),
    /// A key in the clear.
    Key,
    /// Something that its vendor has switched off.
    Ended,
    /// The same, or something that has a day to come.
    Ends,
    /// A finding of a vendor.
    Vendor(&'static str),
    /// A finding of an operation.
    Operation(&'static str),
    /// A finding of a model's id.
    Model(String),
}

/// Every form, as it is shown.
pub(super) const FORMS: [&str; 9] =
    ["possible", "likely", "certain", "key", "ended", "ends", "vendor:NAME", "operation:NAME", "model:ID"];

impl FromStr for FailOn {
    type Err = String;

    fn from_str(text: &str) -> Result<FailOn, String> {
        match text.split_once(':') {
            Some((_, "")) => Err(format!("a name has to follow `{text}`")),
            Some(("vendor", name)) => vendor(name).map(FailOn::Vendor),
            Some(("model", id)) => Ok(FailOn::Model(id.to_owned())),
            Some(("operation", name)) => match OPERATIONS.iter().find(|operation| **operation == name) {
                Some(operation) => Ok(FailOn::Operation(operation)),
                None => Err(no_name("operation", name, &OPERATIONS)),
            },
            Some((form, _)) => Err(format!("`{form}:` is no form; {}", forms(form))),
            None => match text {
                "possible" => Ok(FailOn::Level(Confidence::Possible)),
                "likely" => Ok(FailOn::Level(Confidence::Likely)),
                "certain" => Ok(FailOn::Level(Confidence::Certain)),
                "key" => Ok(FailOn::Key),
                "ended" => Ok(FailOn::Ended),
                "ends" => Ok(FailOn::Ends),
                _ => Err(forms(text)),
            },
        }
    }
}

/// The vendor of that name, however it is cased.
fn vendor(name: &str) -> Result<&'static str, String> {
    let known = scan::vendors();
    let found = known.iter().find(|vendor| vendor.eq_ignore_ascii_case(name)).copied();
    found.ok_or_else(|| no_name("vendor", name, &known))
}

fn no_name(what: &str, name: &str, known: &[&str]) -> String {
    let near = nearest(name, known.iter().copied()).map(|near| format!("; did you mean `{what}:{near}`?"));
    format!("no {what} is called `{name}`{} There are: {}", near.unwrap_or_else(|| ".".to_owned()), known.join(", "))
}

/// The forms, the nearest first.
fn forms(text: &str) -> String {
    let distance = |form: &&str| strsim::damerau_levenshtein(form.split(':').next().unwrap_or(form), text);
    let nearest = FORMS.iter().min_by_key(|form| distance(form)).filter(|form| distance(form) <= 2);
    let nearest = nearest.map(|form| format!("did you mean `{form}`? ")).unwrap_or_default();
    format!("{nearest}It can be {}", FORMS.join(", "))
}

impl FailOn {
    /// Whether a finding is one of those; less sure ones count only for the levels.
    pub(super) fn is_hit(&self, finding: &Finding, today: &str) -> bool {
        let is_sure = finding.confidence >= Confidence::Likely;
        match self {
            FailOn::Level(level) => finding.confidence >= *level,
            FailOn::Key => finding.kind == Kind::Key,
            FailOn::Ended => is_sure && finding.sunsets.iter().any(|sunset| sunset.ends.as_str() <= today),
            FailOn::Ends => is_sure && !finding.sunsets.is_empty(),
            FailOn::Vendor(name) => is_sure && finding.vendor == **name,
            FailOn::Operation(name) => is_sure && finding.operation == *name,
            FailOn::Model(id) => is_sure && finding.model.id.as_ref() == Some(id),
        }
    }

    /// As it is typed.
    pub(super) fn words(&self) -> String {
        match self {
            FailOn::Level(level) => level.as_str().to_owned(),
            FailOn::Key => "key".to_owned(),
            FailOn::Ended => "ended".to_owned(),
            FailOn::Ends => "ends".to_owned(),
            FailOn::Vendor(name) => format!("vendor:{name}"),
            FailOn::Operation(name) => format!("operation:{name}"),
            FailOn::Model(id) => format!("model:{id}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_as_it_is_written() {
        for form in FORMS {
            let text = form.replace("operation:NAME", "operation:chat").replace("vendor:NAME", "vendor:openai");
            assert_eq!(text.parse::<FailOn>().map(|of| of.words()), Ok(text));
        }
    }

    #[test]
    fn a_wrong_form_is_told_with_the_nearest() {
        let told = |text: &str| text.parse::<FailOn>().unwrap_err();
        assert!(told("certian").starts_with("did you mean `certain`?"), "{}", told("certian"));
        assert!(told("vendr:openai").contains("did you mean `vendor:NAME`?"));
        assert!(told("operation:talk").contains("no operation is called `talk`"));
        assert!(told("vendor:").contains("a name has to follow"));
    }

    #[test]
    fn a_vendor_that_no_finding_can_have_is_told_with_the_nearest() {
        let told = "vendor:opnai".parse::<FailOn>().unwrap_err();
        assert!(told.contains("no vendor is called `opnai`; did you mean `vendor:openai`?"), "{told}");
        assert_eq!("vendor:OpenAI".parse(), Ok(FailOn::Vendor("openai")));
        assert_eq!("vendor:openai-compatible".parse(), Ok(FailOn::Vendor("openai-compatible")));
        assert_eq!("vendor:self-hosted".parse(), Ok(FailOn::Vendor("self-hosted")));
    }
}
