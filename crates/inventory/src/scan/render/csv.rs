//! As CSV (RFC 4180).

use crate::scan::finding::Finding;

const HEADINGS: &str = "path,line,kind,operation,vendor,sdk,version,model,model_from,parameters,flags,prompt,prompt_form,response,\
     confidence,owners,owners_from,ends,seen";

/// One row per finding, below a row of headings.
#[must_use]
pub fn csv(findings: &[Finding]) -> String {
    let mut text = format!("{HEADINGS}\r\n");
    for finding in findings {
        let ends: Vec<String> =
            finding.sunsets.iter().map(|sunset| format!("{} {}", sunset.what, sunset.ends)).collect();
        let prompt = finding.prompt.as_ref();
        let cells = [
            finding.path.clone(),
            finding.line.to_string(),
            finding.kind.as_str().to_owned(),
            finding.operation.clone(),
            finding.vendor.clone(),
            finding.sdk.clone(),
            finding.version.clone().unwrap_or_default(),
            finding.model.id.clone().unwrap_or_default(),
            finding.model.from.as_str().to_owned(),
            finding.parameters.join(" "),
            finding.flags.words().join(" "),
            prompt.map(|prompt| format!("{}:{}", prompt.path, prompt.line)).unwrap_or_default(),
            prompt.map(|prompt| prompt.form.as_str().to_owned()).unwrap_or_default(),
            finding.response.join("; "),
            finding.confidence.as_str().to_owned(),
            finding.owners.join(" "),
            finding.owners_from.map(|from| from.as_str().to_owned()).unwrap_or_default(),
            ends.join("; "),
            finding.seen.clone(),
        ];
        let row: Vec<String> = cells.iter().map(|cell| quoted(cell)).collect();
        text += &row.join(",");
        text += "\r\n";
    }
    text
}

/// Quoted where it has to be, and never a formula to a spreadsheet.
pub(crate) fn quoted(cell: &str) -> String {
    let cell = if cell.starts_with(['=', '+', '-', '@']) { format!("'{cell}") } else { cell.to_owned() };
    if cell.contains([',', '"', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
}
