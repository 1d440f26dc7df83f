//! All of a source, page by page, where its store tells nothing shorter.

use crate::patience::again;
use crate::retry::Trouble;
use crate::row::Row;
use crate::store::{Budget, Page, Source, Survey};

/// What a scan holds at a time.
const BUDGET: Budget = Budget { n_rows: 8192, n_bytes: 8 << 20 };

/// Counts a source and looks at its shape by reading it.
///
/// # Errors
/// Where it cannot be read.
pub(super) fn survey(source: &mut dyn Source) -> Result<Survey, Trouble> {
    let mut survey = Survey::default();
    pages(source, |page| {
        survey.n_rows += page.rows.len() as u64;
        page.rows.iter().for_each(|row| survey.schema.widen(row));
    })?;
    Ok(survey)
}

/// Every page of a source, in the order of its partitions.
///
/// # Errors
/// Where it cannot be read.
pub fn pages(source: &mut dyn Source, mut each: impl FnMut(&Page)) -> Result<(), Trouble> {
    for partition in again(|| source.partitions())? {
        let mut after = None;
        loop {
            let page = again(|| source.read(&partition, after.as_ref(), BUDGET))?;
            each(&page);
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
    }
    Ok(())
}

/// Every row of a source.
///
/// # Errors
/// Where it cannot be read.
pub fn rows(source: &mut dyn Source, mut each: impl FnMut(&Row)) -> Result<(), Trouble> {
    pages(source, |page| page.rows.iter().for_each(&mut each))
}
