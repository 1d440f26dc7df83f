//! Panels: blinded pairs, who is to judge them, and what was found.

use std::collections::BTreeSet;

use rusqlite::{OptionalExtension, Row, params};

use super::control::begin;
use super::exchanges::of;
use super::keys::{AuditRow, write_audit};
use super::shadow::{COMPARED_OF, compared_row};
use super::{Database, DatabaseError, during, signed, unsigned};

/// A panel. Its secret is not read back: whoever opens a panel uses it, and nobody after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PanelRow {
    /// What it is called.
    pub name: String,
    /// When it was opened, Unix microseconds.
    pub at_us: u64,
    /// Who opened it.
    pub actor: String,
    /// What was planned, as JSON.
    pub plan_json: String,
}

/// A pair as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PanelPairRow {
    /// The exchange it is of.
    pub source: String,
    /// What it is a case of.
    pub stratum: String,
    /// Why it is shown.
    pub why: String,
    /// What was asked.
    pub question: String,
    /// The baseline's answer.
    pub baseline: String,
    /// The candidate's answer.
    pub candidate: String,
}

/// A pair for one reviewer, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PanelItemRow {
    /// Its id.
    pub item: String,
    /// Which pair, from 0.
    pub pair: u64,
    /// Who is to judge it.
    pub reviewer: String,
    /// Whether the candidate's answer is `a`.
    pub candidate_is_a: bool,
    /// Why the pair is shown.
    pub why: String,
    /// What was found, and how long that took in microseconds.
    pub verdict: Option<(String, u64)>,
}

/// What somebody found of a pair, beside what was found of it when it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PanelJudgedRow {
    /// Which pair, from 0.
    pub pair: u64,
    /// Whether the candidate's answer is `a`.
    pub candidate_is_a: bool,
    /// What was found.
    pub verdict: String,
    /// What judges and checks said of the pair while it came, as text with their ids.
    pub details: Vec<String>,
}

/// What a reviewer is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownRow {
    /// The item's id.
    pub item: String,
    /// What was asked.
    pub question: String,
    /// One answer.
    pub a: String,
    /// The other.
    pub b: String,
}

const NEXT: &str = "SELECT i.item, p.question, iif(i.candidate_is_a, p.candidate, p.baseline),
        iif(i.candidate_is_a, p.baseline, p.candidate)
    FROM panel_items i JOIN panel_pairs p ON p.panel = i.panel AND p.pair = i.pair
    WHERE i.panel = ?1 AND i.reviewer = ?2
        AND NOT EXISTS (SELECT 1 FROM panel_verdicts v WHERE v.panel = i.panel AND v.item = i.item)
    ORDER BY i.item LIMIT 1";

impl Database {
    /// Writes a panel whole, with its audit row; false when there is one of this name.
    pub fn open_panel(
        &self,
        (panel, secret): (&PanelRow, &[u8; 32]),
        pairs: &[PanelPairRow],
        items: &[PanelItemRow],
        audit: &AuditRow,
    ) -> Result<bool, DatabaseError> {
        let mut connection = self.controlling()?;
        let transaction = begin(&mut connection)?;
        let what = during("opening a panel");
        let n = transaction
            .execute(
                "INSERT OR IGNORE INTO panels VALUES (?1, ?2, ?3, ?4, ?5)",
                params![panel.name, signed(panel.at_us), panel.actor, secret, panel.plan_json],
            )
            .map_err(&what)?;
        if n == 0 {
            return Ok(false);
        }
        for (idx, pair) in pairs.iter().enumerate() {
            let PanelPairRow { source, stratum, why, question, baseline, candidate } = pair;
            transaction
                .execute(
                    "INSERT INTO panel_pairs VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                    params![panel.name, signed(idx as u64), source, stratum, why, question, baseline, candidate],
                )
                .map_err(&what)?;
        }
        for item in items {
            transaction
                .execute(
                    "INSERT INTO panel_items VALUES (?1, ?2, ?3, ?4, ?5)",
                    params![panel.name, item.item, signed(item.pair), item.reviewer, item.candidate_is_a],
                )
                .map_err(&what)?;
        }
        write_audit(&transaction, audit)?;
        transaction.commit().map_err(&what)?;
        Ok(true)
    }

    /// Who is to judge, or has judged, a pair of which exchange, in all panels: reviewers with exchanges.
    pub fn panel_sources(&self) -> Result<BTreeSet<(String, String)>, DatabaseError> {
        let connection = self.reading();
        let what = during("reading who sees which pairs");
        let mut select = connection
            .prepare(
                "SELECT DISTINCT i.reviewer, p.source FROM panel_items i
                 JOIN panel_pairs p ON p.panel = i.panel AND p.pair = i.pair",
            )
            .map_err(&what)?;
        let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).map_err(&what)?;
        rows.collect::<Result<_, _>>().map_err(&what)
    }

    /// Every panel, by name.
    pub fn panels(&self) -> Result<Vec<PanelRow>, DatabaseError> {
        let connection = self.reading();
        let what = during("listing panels");
        let mut select =
            connection.prepare("SELECT name, at_us, actor, plan_json FROM panels ORDER BY name").map_err(&what)?;
        let read = |row: &Row<'_>| {
            Ok(PanelRow {
                name: row.get(0)?,
                at_us: row.get(1).map(unsigned)?,
                actor: row.get(2)?,
                plan_json: row.get(3)?,
            })
        };
        let rows = select.query_map([], read).map_err(&what)?;
        rows.collect::<Result<_, _>>().map_err(&what)
    }

    /// The next item that this reviewer has not judged. That it was shown is written down, once: its time runs from then on.
    pub fn show_next(&self, panel: &str, reviewer: &str, at_us: u64) -> Result<Option<ShownRow>, DatabaseError> {
        let connection = self.controlling()?;
        let what = during("showing a pair");
        let read =
            |row: &Row<'_>| Ok(ShownRow { item: row.get(0)?, question: row.get(1)?, a: row.get(2)?, b: row.get(3)? });
        let shown = connection.query_row(NEXT, [panel, reviewer], read).optional().map_err(&what)?;
        if let Some(shown) = &shown {
            connection
                .execute(
                    "INSERT OR IGNORE INTO panel_shown VALUES (?1, ?2, ?3)",
                    params![panel, shown.item, signed(at_us)],
                )
                .map_err(&what)?;
        }
        Ok(shown)
    }

    /// Writes a verdict down; false when this reviewer was never shown the item, or has judged it.
    pub fn judge_item(
        &self,
        (panel, item, reviewer): (&str, &str, &str),
        (verdict, note): (&str, &str),
        at_us: u64,
    ) -> Result<bool, DatabaseError> {
        let n = self
            .controlling()?
            .execute(
                "INSERT OR IGNORE INTO panel_verdicts
                 SELECT s.panel, s.item, ?4, max(0, ?4 - s.at_us), ?5, ?6 FROM panel_shown s
                 JOIN panel_items i ON i.panel = s.panel AND i.item = s.item
                 WHERE s.panel = ?1 AND s.item = ?2 AND i.reviewer = ?3",
                params![panel, item, reviewer, signed(at_us), verdict, note],
            )
            .map_err(during("writing a verdict down"))?;
        Ok(n == 1)
    }

    /// Every verdict of a panel, beside what judges and checks said of its pair; of pairs of which that is no longer on record, nothing.
    pub fn panel_judged(&self, panel: &str) -> Result<Vec<PanelJudgedRow>, DatabaseError> {
        let connection = self.reading();
        let what = during("reading verdicts beside what came");
        let mut select = connection
            .prepare(
                "SELECT i.pair, i.candidate_is_a, v.verdict, p.source FROM panel_items i
                 JOIN panel_pairs p ON p.panel = i.panel AND p.pair = i.pair
                 JOIN panel_verdicts v ON v.panel = i.panel AND v.item = i.item
                 WHERE i.panel = ?1 ORDER BY i.item",
            )
            .map_err(&what)?;
        let read = |row: &Row<'_>| {
            let source: String = row.get(3)?;
            Ok((
                PanelJudgedRow {
                    pair: row.get(0).map(unsigned)?,
                    candidate_is_a: row.get(1)?,
                    verdict: row.get(2)?,
                    details: Vec::new(),
                },
                source,
            ))
        };
        let rows = select.query_map([panel], read).map_err(&what)?;
        let rows: Vec<(PanelJudgedRow, String)> = rows.collect::<Result<_, _>>().map_err(&what)?;
        let with_details = |(row, source): (PanelJudgedRow, String)| {
            let Ok(id) = source.parse() else { return Ok(row) };
            let compared = of(&connection, id, COMPARED_OF, |row| compared_row(row, 0))?;
            let judged = compared.into_iter().flat_map(|one| one.comparisons).filter(|one| one.kind == "judged");
            Ok(PanelJudgedRow { details: judged.filter_map(|one| one.detail).collect(), ..row })
        };
        rows.into_iter().map(with_details).collect()
    }

    /// Every item of a panel.
    pub fn panel_items(&self, panel: &str) -> Result<Vec<PanelItemRow>, DatabaseError> {
        let connection = self.reading();
        let what = during("reading a panel");
        let mut select = connection
            .prepare(
                "SELECT i.item, i.pair, i.reviewer, i.candidate_is_a, p.why, v.verdict, v.took_us
                 FROM panel_items i JOIN panel_pairs p ON p.panel = i.panel AND p.pair = i.pair
                 LEFT JOIN panel_verdicts v ON v.panel = i.panel AND v.item = i.item
                 WHERE i.panel = ?1 ORDER BY i.item",
            )
            .map_err(&what)?;
        let read = |row: &Row<'_>| {
            let verdict: Option<String> = row.get(5)?;
            let took: Option<i64> = row.get(6)?;
            Ok(PanelItemRow {
                item: row.get(0)?,
                pair: row.get(1).map(unsigned)?,
                reviewer: row.get(2)?,
                candidate_is_a: row.get(3)?,
                why: row.get(4)?,
                verdict: verdict.zip(took.map(unsigned)),
            })
        };
        let rows = select.query_map([panel], read).map_err(&what)?;
        rows.collect::<Result<_, _>>().map_err(&what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_shown_on_its_side_and_judged_once_by_whom_it_is_for() {
        let dir = tempfile::tempdir().unwrap();
        let database = Database::open(dir.path().join("c.db")).unwrap();
        let panel = PanelRow { name: "p".into(), at_us: 1, actor: "ana".into(), plan_json: "{}".into() };
        let pair = PanelPairRow {
            source: "x".into(),
            stratum: "s".into(),
            why: "chance".into(),
            question: "q".into(),
            baseline: "old".into(),
            candidate: "new".into(),
        };
        let item = |item: &str, reviewer: &str, candidate_is_a| PanelItemRow {
            item: item.into(),
            pair: 0,
            reviewer: reviewer.into(),
            candidate_is_a,
            why: "chance".into(),
            verdict: None,
        };
        let audit = AuditRow {
            at_us: 1,
            actor: "ana".into(),
            action: "panel.open".into(),
            subject: "panel:p".into(),
            reason: String::new(),
            detail_json: "{}".into(),
        };
        let items = [item("1", "ana", true), item("2", "ben", false)];
        assert!(database.open_panel((&panel, &[0; 32]), std::slice::from_ref(&pair), &items, &audit).unwrap());
        assert!(!database.open_panel((&panel, &[0; 32]), &[pair], &items, &audit).unwrap());
        assert_eq!(database.panels().unwrap(), [panel]);
        // Never shown: nothing to judge.
        assert!(!database.judge_item(("p", "1", "ana"), ("a", ""), 5).unwrap());
        let shown = database.show_next("p", "ana", 10).unwrap().unwrap();
        assert_eq!((shown.a.as_str(), shown.b.as_str()), ("new", "old"));
        let shown = database.show_next("p", "ben", 10).unwrap().unwrap();
        assert_eq!((shown.a.as_str(), shown.b.as_str()), ("old", "new"));
        assert!(!database.judge_item(("p", "1", "ben"), ("a", ""), 20).unwrap());
        // Looking again does not set the clock back.
        database.show_next("p", "ana", 15).unwrap();
        assert!(database.judge_item(("p", "1", "ana"), ("a", ""), 30).unwrap());
        assert!(!database.judge_item(("p", "1", "ana"), ("b", ""), 40).unwrap());
        assert_eq!(database.show_next("p", "ana", 50).unwrap(), None);
        let verdicts: Vec<_> = database.panel_items("p").unwrap().into_iter().map(|item| item.verdict).collect();
        assert_eq!(verdicts, [Some(("a".to_owned(), 20)), None]);
    }
}
