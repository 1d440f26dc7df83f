//! What the code uses that the candidate lacks or nobody measured: of a matrix by `crossfade inventory matrix`.

use cost::date::Date;
use inventory::matrix::{Cell, Matrix, Row, Standing};

use crate::rows::{Rows, Upload};
use crate::settings::Move;

/// Rows that a report lists; the matrix itself has all.
const MOST: usize = 6;
const US_PER_DAY: u64 = 86_400_000_000;

/// Why a file is no matrix; `None` when it is one.
#[must_use]
pub fn refused(upload: &Upload) -> Option<String> {
    match serde_json::from_str::<Matrix>(&upload.text) {
        Ok(matrix) if matrix.format == inventory::matrix::FORMAT => None,
        Ok(matrix) => Some(format!("it is a matrix of the format {}, which this version does not read", matrix.format)),
        Err(error) => {
            Some(format!("it is no matrix ({error}); `crossfade inventory matrix PATH -o FILE.json` writes it"))
        }
    }
}

/// What of a move's candidate the newest matrix that has it says.
pub(crate) fn used(rows: &Rows, mv: &Move) -> Vec<String> {
    let Some(candidate) = &mv.candidate else { return Vec::new() };
    let matrices = rows.matrices.iter().filter_map(|upload| serde_json::from_str::<Matrix>(&upload.text).ok());
    let has_it = |matrix: &Matrix| matrix.alternatives.iter().any(|one| one.name == candidate.name);
    let Some(matrix) = matrices.filter(has_it).max_by(|a, b| a.date.cmp(&b.date)) else { return Vec::new() };
    let made_us = Date::parse(&matrix.date).map_or(0, |Date(day)| u64::try_from(day).unwrap_or(0) * US_PER_DAY);
    if rows.settings.too_old(made_us).is_some() {
        return vec![format!("The matrix of {} is too old; make it again.", matrix.date)];
    }
    lines(&matrix, &candidate.name)
}

fn lines(matrix: &Matrix, candidate: &str) -> Vec<String> {
    let cell = |row: &Row| row.cells.iter().find(|cell| cell.alternative == candidate).cloned();
    let mut open: Vec<(Row, Cell)> = matrix.rows.iter().filter_map(|row| Some((row.clone(), cell(row)?))).collect();
    let n_rows = open.len();
    open.retain(|(_, cell)| {
        cell.standing > Standing::Degraded || cell.standing == Standing::Degraded && !cell.repaired
    });
    open.sort_by_key(|(_, cell)| std::cmp::Reverse((cell.risk, cell.effort)));
    let n_open = open.len();
    let of = matrix.of.join(", ");
    let mut told = vec![format!(
        "Of {n_rows} capabilities that {of} uses, {} hold at the candidate as measured.",
        n_rows - n_open
    )];
    told.extend(open.iter().take(MOST).map(|(row, cell)| one(row, cell)));
    if n_open > MOST {
        told.push(format!("{} more in the matrix.", n_open - MOST));
    }
    told.extend(matrix.dependencies.iter().filter(|of| of.after != of.today).map(|of| {
        let class = |class: Option<u8>| class.map_or_else(|| "not known".to_owned(), |class| format!("{class} of 5"));
        format!(
            "Dependence on {}: {} today, {} once what is proved has moved.",
            of.vendor,
            class(of.today.class),
            class(of.after.class)
        )
    }));
    told
}

fn one(row: &Row, cell: &Cell) -> String {
    let word = if cell.standing <= inventory::matrix::Standing::Degraded { "" } else { "instead: " };
    let instead = cell.workaround.as_ref().map(|workaround| format!("; {word}{workaround}")).unwrap_or_default();
    let many = |n: u64, what: &str| if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") };
    let mut places = many(row.places.len() as u64, "place");
    if row.requests > 0 {
        places += &format!(", {}", many(row.requests, "request"));
    }
    format!(
        "{} (`{}`, {places}): {}, effort {}, risk {}{instead}.",
        row.what,
        row.id(),
        cell.standing.as_str(),
        cell.effort.as_str(),
        cell.risk.as_str()
    )
}

#[cfg(test)]
mod tests {
    use inventory::matrix::{About, Candidate, Facts, Place, Used, matrix, probes};

    use super::*;

    #[test]
    fn a_matrix_is_read_as_the_inventory_writes_it_and_what_is_none_is_refused() {
        let place = Some(Place { path: "a.py".to_owned(), line: 1 });
        let chat = Used {
            place,
            is_site: true,
            vendor: "openai".to_owned(),
            operation: "chat".to_owned(),
            parameters: vec!["seed".to_owned()],
            ..Used::default()
        };
        let report = r#"{"subject":"own","model":"m","began_s":7,"simulated":false,"kind":"vllm","rows":[
            {"capability":"chat","verdict":"equivalent"},{"capability":"seed","verdict":"none"}]}"#;
        let probes = probes("p.json", report).unwrap();
        let facts = Facts {
            name: "own".to_owned(),
            provider: "gpu".to_owned(),
            model: "m".to_owned(),
            kind: "vllm".to_owned(),
            class: "self_hosted".to_owned(),
            external: false,
            simulated: false,
        };
        let own = Candidate::target(facts, &probes, 8);
        let made = matrix(&[chat], &[own], About { of: &["shop".to_owned()], date: "2026-11-26", traffic: None });
        let upload = Upload { source: "m.json".to_owned(), text: serde_json::to_string(&made).unwrap() };
        assert_eq!(refused(&upload), None);
        let told = lines(&made, "own");
        assert_eq!(
            told,
            [
                "Of 2 capabilities that shop uses, 1 hold at the candidate as measured.",
                "Repeatable sampling (`seed`, 1 place): none, effort S, risk medium; instead: temperature 0 where answers have to repeat.",
                "Dependence on openai: 1 of 5 today, 3 of 5 once what is proved has moved.",
            ]
        );
        let other = Upload { text: upload.text.replace("crossfade-matrix/1", "crossfade-matrix/9"), ..upload };
        assert!(refused(&other).unwrap().contains("crossfade-matrix/9"));
        assert!(refused(&Upload { text: "{}".to_owned(), ..other }).unwrap().contains("it is no matrix"));
    }
}
