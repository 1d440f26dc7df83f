//! Rows as files for other programs.

use serde_json::{Value, json};

use super::gather::{Latency, Lengths, Use};
use super::join::{Row, Seen};
use crate::scan::render::quoted;

const HEADINGS: &str = "seen,by,operation,model,vendors,requests,complete,refused,streamed,retries,busiest_minute,busiest_hour,\
                        input_tokens_p50,input_tokens_p95,output_tokens_p50,output_tokens_p95,first_token_ms_p50,first_token_ms_p95,\
                        end_ms_p50,end_ms_p95,capabilities,bodies_read,answered_by,callers,sites";

impl Seen {
    /// The word as it is shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Seen::Both => "both",
            Seen::CodeOnly => "code only",
            Seen::TrafficOnly => "traffic only",
        }
    }
}

impl Row<'_> {
    /// By what code and traffic were taken for one, in words; empty where they were not.
    #[must_use]
    pub fn by_words(&self) -> &'static str {
        use super::join::By;
        match self.by {
            None => "",
            Some(By::Model) => "model",
            Some(By::ModelAlone) => "model, another operation",
            Some(By::Setting) => "model in configuration",
            Some(By::Operation) => "operation",
            Some(By::Vendor) => "vendor",
        }
    }

    /// The places in code, `path:line`.
    #[must_use]
    pub fn places(&self) -> Vec<String> {
        self.sites.iter().map(|finding| format!("{}:{}", finding.path, finding.line)).collect()
    }
}

/// As CSV (RFC 4180): a row of headings, then one row per row. What code alone was seen of has no numbers.
#[must_use]
pub fn csv(rows: &[Row<'_>]) -> String {
    let mut text = format!("{HEADINGS}\r\n");
    for row in rows {
        let mut cells: Vec<String> = vec![
            row.seen.as_str().to_owned(),
            row.by_words().to_owned(),
            row.operation.clone(),
            row.model.clone(),
            row.vendors.join(" "),
        ];
        cells.extend(row.traffic.map_or_else(|| vec![String::new(); 19], numbers));
        cells.push(row.places().join(" "));
        let cells: Vec<String> = cells.iter().map(|cell| quoted(cell)).collect();
        text += &cells.join(",");
        text += "\r\n";
    }
    text
}

fn numbers(of: &Use) -> Vec<String> {
    let mut cells: Vec<String> = [
        of.tally.requests,
        of.tally.complete,
        of.tally.refused,
        of.tally.streamed,
        of.tally.retries,
        of.peaks.minute.requests,
        of.peaks.hour.requests,
    ]
    .iter()
    .map(u64::to_string)
    .collect();
    let lengths =
        |of: Option<Lengths>| of.map_or([String::new(), String::new()], |of| [of.p50, of.p95].map(|n| n.to_string()));
    let times = |of: Option<Latency>| {
        of.map_or([String::new(), String::new()], |of| [of.p50, of.p95].map(|ms| format!("{ms:.1}")))
    };
    cells.extend(lengths(of.input_tokens));
    cells.extend(lengths(of.output_tokens));
    cells.extend(times(of.first_token_ms));
    cells.extend(times(of.end_ms));
    let words = of.capabilities.iter().map(|(name, n)| format!("{name}:{n}")).collect::<Vec<_>>();
    let models = of.models.iter().map(|asked| format!("{}/{}:{}", asked.provider, asked.model, asked.requests));
    let callers = of.callers.iter().map(|caller| {
        let key = if caller.key.is_empty() { "(no key)" } else { &caller.key };
        let tenant = caller.tenant.as_ref().map(|tenant| format!("@{tenant}")).unwrap_or_default();
        format!("{key}{tenant}:{}", caller.requests)
    });
    cells.push(words.join(" "));
    cells.push(of.bodies_read.to_string());
    cells.push(models.collect::<Vec<_>>().join(" "));
    cells.push(callers.collect::<Vec<_>>().join(" "));
    cells
}

/// The rows for programs. `traffic` is the place of a row's sum among `uses`.
#[must_use]
pub fn facts(rows: &[Row<'_>], uses: &[Use]) -> Value {
    let fact = |row: &Row<'_>| {
        let sites = row.sites.iter().map(|of| {
            json!({ "path": of.path, "line": of.line, "kind": of.kind, "confidence": of.confidence, "owners": of.owners })
        });
        let traffic = row.traffic.and_then(|of| uses.iter().position(|other| std::ptr::eq(of, other)));
        json!({
            "seen": row.seen, "by": row.by, "operation": row.operation, "model": row.model, "vendors": row.vendors,
            "sites": sites.collect::<Vec<_>>(), "traffic": traffic,
        })
    };
    Value::Array(rows.iter().map(fact).collect())
}
