//! Decision reports, made when somebody asks from what is on record then. A report reads calls, not sketches: one is made at a time, and never by only
//! looking at a page.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::desk::{Actor, Desk, OperationError};
use crate::documents::Document;
use govern::Role;

/// So many are kept, until the process ends.
pub const KEPT: usize = 8;

/// What a report is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// Only this workload or route.
    pub workload: Option<String>,
    /// The target that might take over, where no rollout says or another is meant.
    pub candidate: Option<String>,
}

/// What was decided of a move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// The workload, and its route where that has another name.
    pub title: String,
    /// The decision in words.
    pub decision: String,
}

/// A report.
#[derive(Debug, Clone)]
pub struct Made {
    /// When, Unix microseconds.
    pub at_us: u64,
    /// What to do, in a sentence.
    pub headline: String,
    /// SHA-256 over the rows it was made of.
    pub evidence: String,
    /// Move by move.
    pub decided: Vec<Decided>,
    /// Page one as markup, every text in it escaped by the room that made it.
    pub page_one: String,
    /// Files by their names, as `crossfade report --output` lays them down.
    pub files: BTreeMap<String, Vec<u8>>,
}

/// A report that is kept.
#[derive(Debug, Clone)]
pub struct Kept {
    /// What its address ends in.
    pub id: String,
    /// What was asked.
    pub asked: Asked,
    /// Who asked.
    pub actor: String,
    /// What came of it.
    pub made: Made,
}

/// Makes a report.
pub type MakeFn = Box<dyn Fn(&Asked) -> Result<Made, OperationError> + Send + Sync>;

/// Where reports are kept.
pub struct Shelf {
    make: MakeFn,
    making: Mutex<()>,
    kept: Mutex<VecDeque<Arc<Kept>>>,
}

impl fmt::Debug for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shelf").finish_non_exhaustive()
    }
}

impl Shelf {
    /// An empty one.
    #[must_use]
    pub fn new(make: MakeFn) -> Shelf {
        Shelf { make, making: Mutex::default(), kept: Mutex::default() }
    }

    fn all(&self) -> Vec<Arc<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

/// Makes a report and keeps it.
///
/// # Errors
/// When the actor may not, another is being made, or it cannot be made of what there is.
pub fn make(desk: &Desk, actor: &Actor, asked: Asked) -> Result<Arc<Kept>, OperationError> {
    actor.needs(Role::Viewer)?;
    let shelf = &desk.reports;
    let _one_at_a_time = shelf.making.try_lock().map_err(|_| {
        OperationError::Unavailable("another report is being made; it will be in the list of reports".to_owned())
    })?;
    let made = (shelf.make)(&asked)?;
    let id = made.evidence.get(..16).unwrap_or(&made.evidence).to_owned();
    let kept = Arc::new(Kept { id, asked, actor: actor.name.clone(), made });
    let mut all = shelf.kept.lock().unwrap_or_else(PoisonError::into_inner);
    all.retain(|other| other.id != kept.id);
    all.push_front(Arc::clone(&kept));
    all.truncate(KEPT);
    Ok(kept)
}

/// The newest, newest first.
#[must_use]
pub fn list(desk: &Desk) -> Vec<Arc<Kept>> {
    desk.reports.all()
}

/// One.
///
/// # Errors
/// When it is not kept.
pub fn show(desk: &Desk, id: &str) -> Result<Arc<Kept>, OperationError> {
    let found = desk.reports.all().into_iter().find(|kept| kept.id == id);
    found.ok_or_else(|| {
        OperationError::NotFound(format!(
            "no report `{id}` is kept: the newest {KEPT} are, until the gateway ends; make it again, and take its bundle to keep it"
        ))
    })
}

/// A file of a report.
#[derive(Debug)]
pub enum File {
    /// To be looked at.
    Page(Document),
    /// To be taken away.
    Bytes(Vec<u8>),
}

/// A file of one.
///
/// # Errors
/// When it is not kept, or has no such file.
pub fn file(desk: &Desk, id: &str, name: &str) -> Result<File, OperationError> {
    let kept = show(desk, id)?;
    let bytes = kept.made.files.get(name).ok_or_else(|| {
        let names: Vec<&str> = kept.made.files.keys().map(String::as_str).collect();
        OperationError::NotFound(format!("the report `{id}` has no file `{name}`; there are: {}", names.join(", ")))
    })?;
    Ok(match name.ends_with(".html") {
        true => File::Page(Document::of(String::from_utf8_lossy(bytes).into_owned())),
        false => File::Bytes(bytes.clone()),
    })
}
