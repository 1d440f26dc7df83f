//! What golden tests came to, for people's programs: rows, and the JUnit XML that build servers read.

use std::fmt::Write as _;

use serde::Serialize;

use super::trial::Outcome;

/// One golden test, asked once of one target.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// The prompt.
    pub prompt: String,
    /// SHA-256 of what it says.
    pub version: String,
    /// The target.
    pub target: String,
    /// The variant; none where the target was asked the form for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// The golden test.
    pub test: String,
    /// Which time it was asked, from 1.
    pub repeat: u32,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// The answer's text.
    pub answer: String,
    /// From the call to the last byte of the answer, in milliseconds.
    pub latency_ms: u64,
    /// Whether the answer is made up.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub simulated: bool,
}

impl Outcome {
    /// What there is to say of it: nothing of what passed.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Outcome::Passed => String::new(),
            Outcome::Unscored { why } => why.clone(),
            Outcome::Failed { reasons } => {
                let words = reasons.iter().map(|reason| format!("{}: {}", reason.check.as_str(), reason.seen));
                words.collect::<Vec<_>>().join("; ")
            }
        }
    }
}

/// The rows as JUnit XML: a suite per prompt and target. What was not measured is an error, so that no build server takes it for a pass.
#[must_use]
pub fn junit(rows: &[Row]) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"crossfade prompts\">\n");
    let mut rest = rows;
    while let Some(first) = rest.first() {
        let n = rest.iter().take_while(|row| row.prompt == first.prompt && row.target == first.target).count();
        let (suite, others) = rest.split_at(n);
        rest = others;
        let count = |of: fn(&Outcome) -> bool| suite.iter().filter(|row| of(&row.outcome)).count();
        let failures = count(|outcome| matches!(outcome, Outcome::Failed { .. }));
        let errors = count(|outcome| matches!(outcome, Outcome::Unscored { .. }));
        let name = escaped(&format!("{} on {}", first.prompt, first.target));
        // Writing to a String cannot fail.
        writeln!(xml, "  <testsuite name=\"{name}\" tests=\"{n}\" failures=\"{failures}\" errors=\"{errors}\">")
            .unwrap_or_default();
        for row in suite {
            let Row { prompt, target, test, repeat, latency_ms, .. } = row;
            let class = escaped(&format!("{prompt}.{target}"));
            let name = escaped(&if *repeat == 1 { test.clone() } else { format!("{test} ({repeat})") });
            let seconds = *latency_ms as f64 / 1000.0;
            write!(xml, "    <testcase classname=\"{class}\" name=\"{name}\" time=\"{seconds:.3}\"")
                .unwrap_or_default();
            let (words, answer) = (escaped(&row.outcome.words()), escaped(&row.answer));
            match row.outcome {
                Outcome::Passed => xml.push_str("/>\n"),
                Outcome::Failed { .. } => {
                    writeln!(xml, "><failure message=\"{words}\">{answer}</failure></testcase>").unwrap_or_default();
                }
                Outcome::Unscored { .. } => {
                    writeln!(xml, "><error message=\"{words}\"/></testcase>").unwrap_or_default();
                }
            }
        }
        xml.push_str("  </testsuite>\n");
    }
    xml + "</testsuites>\n"
}

/// Text as it may stand in XML 1.0; characters that may not are left out.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\n' => safe.push_str("&#10;"),
            '\t' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'.. => safe.push(character),
            _ => {}
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::super::trial::{Check, Reason};
    use super::*;

    #[test]
    fn what_was_not_measured_is_an_error_and_nothing_breaks_the_xml() {
        let row = |test: &str, outcome| Row {
            prompt: "p".into(),
            version: "v".into(),
            target: "t".into(),
            variant: None,
            test: test.into(),
            repeat: 1,
            outcome,
            answer: "a <b>\u{1}".into(),
            latency_ms: 12,
            simulated: false,
        };
        let reasons = vec![Reason { check: Check::Empty, seen: "\"".into() }];
        let rows = [
            row("one", Outcome::Passed),
            row("two", Outcome::Failed { reasons }),
            row("three", Outcome::Unscored { why: "no answer".into() }),
        ];
        expect_test::expect![[r#"
            <?xml version="1.0" encoding="UTF-8"?>
            <testsuites name="crossfade prompts">
              <testsuite name="p on t" tests="3" failures="1" errors="1">
                <testcase classname="p.t" name="one" time="0.012"/>
                <testcase classname="p.t" name="two" time="0.012"><failure message="empty: &quot;">a &lt;b&gt;</failure></testcase>
                <testcase classname="p.t" name="three" time="0.012"><error message="no answer"/></testcase>
              </testsuite>
            </testsuites>
        "#]]
        .assert_eq(&junit(&rows));
    }
}
