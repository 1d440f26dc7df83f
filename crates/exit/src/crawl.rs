//! The run: collection after collection, page after page, object after object, and nothing twice.
//!
//! A list is marked after each of its pages, so that a run that was killed goes on where it was. Where the vendor does not know a cursor any more,
//! an earlier one is taken, and what is here already is passed over. A list of the newest first is looked at from its front again until a whole page of it is known.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;

use tokio::task::{JoinSet, LocalSet};

use crate::archive::{Archive, ArchiveError, Content, Line, content_of};
use crate::catalog::{COLLECTIONS, Collection, Paging, Part};
use crate::fetch::{No, Vendor};
use crate::list::{Object, Page};
use crate::manifest::Refusal;

/// How often in a row a list is gone on with from further back without anything that was not here.
const MOST_LOST: u32 = 20;

/// A day, in seconds.
const DAY: i64 = 86_400;

/// Why a run ended early. What was fetched by then is kept.
#[derive(Debug, thiserror::Error)]
pub enum CrawlError {
    /// The directory cannot be written.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The vendor does not answer as it should.
    #[error("{path}: {why}")]
    Vendor {
        /// What was asked for.
        path: String,
        /// What came of it.
        why: String,
    },
    /// Somebody stopped it.
    #[error("stopped")]
    Stopped,
}

/// How far it is, for whoever shows it.
#[derive(Debug, Clone, Copy)]
pub struct Live {
    /// The collection.
    pub collection: &'static str,
    /// Objects that this run has brought.
    pub n_objects: u64,
    /// Requests so far.
    pub n_requests: u64,
    /// How often was waited for a limit of rate.
    pub n_waits: u64,
}

/// What is fetched.
pub struct Crawl<'a> {
    /// The collections, by their names; all where it is empty.
    pub only: Vec<&'static str>,
    /// Ids that are known, by collection.
    pub ids: BTreeMap<&'static str, Vec<String>>,
    /// Usage from this day on, and until before this one: seconds since 1970.
    pub days: (i64, i64),
    /// Told how far it is.
    pub show: &'a dyn Fn(Live),
    /// Whether somebody wants it to stop.
    pub stop: &'a dyn Fn() -> bool,
}

/// The object that a list belongs to.
#[derive(Debug, Clone, Default)]
struct Owner {
    /// The object that it belongs to itself.
    of: Option<String>,
    id: Option<String>,
}

impl Owner {
    /// What lines call it.
    fn key(&self) -> Option<String> {
        match (&self.of, &self.id) {
            (Some(of), Some(id)) => Some(format!("{of}/{id}")),
            (_, id) => id.clone(),
        }
    }

    fn fill(&self, path: &str, id: &str) -> String {
        let (of_of, of) = (self.of.as_deref().unwrap_or_default(), self.id.as_deref().unwrap_or_default());
        path.replace("{of_of}", &escaped(of_of)).replace("{of}", &escaped(of)).replace("{id}", &escaped(id))
    }
}

/// An id as a piece of a path or a query (RFC 3986, §2.3).
fn escaped(id: &str) -> String {
    let mut text = String::new();
    for byte in id.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => text.push(char::from(byte)),
            other => text.push_str(&format!("%{other:02X}")),
        }
    }
    text
}

/// A list that is asked for page by page.
struct List<'l> {
    path: String,
    paging: Paging,
    page: u32,
    days: &'l (i64, i64),
}

impl List<'_> {
    /// The request for what comes after this; `None` where nothing can.
    fn request(&self, after: Option<&str>) -> Option<String> {
        let (path, page) = (&self.path, self.page);
        let after_id = after.map(|id| format!("&after={}", escaped(id))).unwrap_or_default();
        match self.paging {
            Paging::OldestFirst => Some(format!("{path}?limit={page}&order=asc{after_id}")),
            Paging::NewestFirst => Some(format!("{path}?limit={page}{after_id}")),
            Paging::Whole | Paging::ByIds => after.is_none().then(|| path.clone()),
            Paging::Days => {
                let from = after.and_then(|day| day.parse::<i64>().ok()).map_or(self.days.0, |day| day + DAY);
                let until = self.days.1;
                (from < until)
                    .then(|| format!("{path}?start_time={from}&end_time={until}&bucket_width=1d&limit={page}"))
            }
        }
    }

    /// Asks for the page after this.
    async fn next(&self, vendor: &Vendor, after: Option<&str>) -> Result<Result<Page, No>, CrawlError> {
        let Some(path) = self.request(after) else {
            return Ok(Ok(Page { objects: Vec::new(), next: None }));
        };
        let body = match vendor.get(&path).await? {
            Ok(body) => body,
            Err(no) => return Ok(Err(no)),
        };
        let wrong = |why: String| CrawlError::Vendor { path: path.clone(), why };
        let page = Page::read(&body, self.paging == Paging::Days).map_err(wrong)?;
        let next = match self.paging {
            // Days are asked for by their date: no word of the vendor's has to be kept.
            Paging::Days => page.next.and_then(|_| page.objects.last().map(|object| object.id.clone())),
            Paging::Whole | Paging::ByIds => None,
            Paging::OldestFirst | Paging::NewestFirst => page.next,
        };
        if next.is_some() && next.as_deref() == after {
            return Err(CrawlError::Vendor {
                path,
                why: "the list does not go on: it names the page it gave".to_owned(),
            });
        }
        Ok(Ok(Page { objects: page.objects, next }))
    }
}

/// A run.
struct Run<'r> {
    vendor: Rc<Vendor>,
    crawl: &'r Crawl<'r>,
    archive: &'r mut Archive,
    refused: Vec<Refusal>,
    n_objects: u64,
}

impl Crawl<'_> {
    /// Fetches what is not here yet. What comes back is which collections the vendor does not give out to this key, and why; what it does not
    /// give out of an object is in the object's line.
    ///
    /// # Errors
    /// When the directory cannot be written, the vendor fails for good, or somebody stopped it. What was fetched by then is kept, and the
    /// same run goes on there.
    pub async fn run(&self, vendor: Vendor, archive: &mut Archive) -> Result<(Vec<Refusal>, u64), CrawlError> {
        let mut run = Run { vendor: Rc::new(vendor), crawl: self, archive, refused: Vec::new(), n_objects: 0 };
        let ended = LocalSet::new().run_until(run.all()).await;
        run.archive.sync()?;
        ended?;
        Ok((run.refused, run.n_objects))
    }

    /// Whether this collection is asked for.
    #[must_use]
    pub fn wants(&self, collection: &Collection) -> bool {
        self.only.is_empty() || self.only.contains(&collection.name)
    }
}

impl Run<'_> {
    async fn all(&mut self) -> Result<(), CrawlError> {
        for collection in COLLECTIONS.iter().filter(|collection| self.crawl.wants(collection)) {
            self.show(collection);
            self.unsettled(collection).await?;
            if collection.paging == Paging::ByIds {
                self.by_ids(collection).await?;
                continue;
            }
            for owner in self.owners(collection)? {
                self.heed()?;
                if let Err(no) = self.list(collection, &owner).await? {
                    let what = owner.key().map_or_else(|| "the list".to_owned(), |key| format!("the list of {key}"));
                    self.refused.push(Refusal { collection: collection.name.to_owned(), what, why: no.text() });
                    // What is refused for want of a right, or is not there at all, is so for every object.
                    if owner.id.is_none() || matches!(no.status, 401 | 403) {
                        break;
                    }
                }
            }
            self.archive.sync()?;
        }
        Ok(())
    }

    fn heed(&self) -> Result<(), CrawlError> {
        if (self.crawl.stop)() { Err(CrawlError::Stopped) } else { Ok(()) }
    }

    fn show(&self, collection: &Collection) {
        let (n_requests, n_waits) = self.vendor.counts();
        (self.crawl.show)(Live { collection: collection.name, n_objects: self.n_objects, n_requests, n_waits });
    }

    /// The objects whose lists these are.
    fn owners(&mut self, collection: &Collection) -> Result<Vec<Owner>, CrawlError> {
        let Some(parent) = collection.of.and_then(crate::catalog::named) else { return Ok(vec![Owner::default()]) };
        let shelf = self.archive.shelf(parent.name)?;
        Ok(shelf.order.iter().map(|(of, id)| Owner { of: of.clone(), id: Some(id.clone()) }).collect())
    }

    /// What may have changed since it was fetched.
    async fn unsettled(&mut self, collection: &'static Collection) -> Result<(), CrawlError> {
        if collection.settled.is_empty() {
            return Ok(());
        }
        let shelf = self.archive.shelf(collection.name)?;
        let open = |key: &&(Option<String>, String)| {
            let status = shelf.held.get(*key).and_then(|held| held.status.as_deref());
            status.is_some_and(|status| !collection.settled.contains(&status))
        };
        let open: Vec<(Option<String>, String)> = shelf.order.iter().filter(open).cloned().collect();
        for (of, id) in open {
            self.heed()?;
            let owner = owner_of(of.as_deref());
            let path = match collection.paging {
                Paging::ByIds => owner.fill(collection.path, &id),
                _ => owner.fill(&format!("{}/{{id}}", collection.path), &id),
            };
            // Gone since: what was fetched stays.
            let Ok(body) = self.vendor.get(&path).await? else { continue };
            let object = read_object(&path, &body)?;
            let before = self.archive.shelf(collection.name)?.held.get(&(of, id)).and_then(|held| held.status.clone());
            if object.status != before {
                self.fetch(collection, &owner, vec![object]).await?;
            }
        }
        Ok(())
    }

    async fn by_ids(&mut self, collection: &'static Collection) -> Result<(), CrawlError> {
        let known = self.crawl.ids.get(collection.name).into_iter().flatten();
        for id in known {
            self.heed()?;
            if self.archive.shelf(collection.name)?.held.contains_key(&(None, id.clone())) {
                continue;
            }
            let path = Owner::default().fill(collection.path, id);
            match self.vendor.get(&path).await? {
                Ok(body) => {
                    let object = read_object(&path, &body)?;
                    self.fetch(collection, &Owner::default(), vec![Object { id: id.clone(), ..object }]).await?;
                }
                Err(no) if matches!(no.status, 401 | 403) => {
                    let what = "its objects".to_owned();
                    self.refused.push(Refusal { collection: collection.name.to_owned(), what, why: no.text() });
                    return Ok(());
                }
                Err(no) => {
                    let line = Line::Absent { id: id.clone(), of: None, absent: no.text() };
                    self.archive.add(collection.name, line)?;
                }
            }
        }
        Ok(())
    }

    /// One list, from where it was left to its end.
    async fn list(&mut self, collection: &'static Collection, owner: &Owner) -> Result<Result<(), No>, CrawlError> {
        let key = owner.key();
        let mark = self.archive.shelf(collection.name)?.marks.get(&key).cloned().unwrap_or_default();
        let days = self.crawl.days;
        let list = List {
            path: owner.fill(collection.path, ""),
            paging: collection.paging,
            page: collection.page,
            days: &days,
        };
        let is_from_front = collection.paging == Paging::NewestFirst;
        if !(is_from_front && mark.ended) {
            let (mut after, mut n_lost, mut n_before) = (mark.after.clone(), 0, self.n_objects);
            loop {
                self.heed()?;
                let page = match list.next(&self.vendor, after.as_deref()).await? {
                    Ok(page) => page,
                    // The vendor does not know the place any more: from one before it, past what is here.
                    Err(no) if after.is_some() && matches!(no.status, 400 | 404 | 410) && n_lost < MOST_LOST => {
                        n_lost = if self.n_objects > n_before { 1 } else { n_lost + 1 };
                        n_before = self.n_objects;
                        let places = self.archive.shelf(collection.name)?.places.get(&key);
                        after = places.and_then(|places| earlier(places, n_lost).cloned());
                        continue;
                    }
                    Err(no) => return Ok(Err(no)),
                };
                let last = page.objects.last().map(|object| object.id.clone());
                self.fetch_new(collection, owner, page.objects).await?;
                let (ended, reached) = (page.next.is_none(), page.next.or(last).or(after));
                let known = self.archive.shelf(collection.name)?.marks.get(&key);
                if known.is_none_or(|mark| mark.after != reached || mark.ended != ended) {
                    let line = Line::Mark { of: key.clone(), after: reached.clone(), ended };
                    self.archive.add(collection.name, line)?;
                }
                self.show(collection);
                if ended {
                    break;
                }
                after = reached;
            }
        }
        if is_from_front && mark.after.is_some() {
            return self.front(collection, owner, &list).await;
        }
        Ok(Ok(()))
    }

    /// What has come to the front of a list since. The oldest is fetched first, so that what is left out when this is killed is in front again.
    async fn front(
        &mut self,
        collection: &'static Collection,
        owner: &Owner,
        list: &List<'_>,
    ) -> Result<Result<(), No>, CrawlError> {
        let (mut new, mut after) = (Vec::new(), None);
        loop {
            self.heed()?;
            let page = match list.next(&self.vendor, after.as_deref()).await? {
                Ok(page) => page,
                Err(no) => return Ok(Err(no)),
            };
            let key = owner.key();
            let held = &self.archive.shelf(collection.name)?.held;
            let n = page.objects.len();
            let unknown: Vec<Object> = page
                .objects
                .into_iter()
                .filter(|object| !held.contains_key(&(key.clone(), object.id.clone())))
                .collect();
            let is_known = unknown.is_empty() && n >= self.vendor.at_once();
            new.extend(unknown);
            after = page.next;
            if is_known || after.is_none() {
                break;
            }
        }
        new.reverse();
        self.fetch(collection, owner, new).await?;
        Ok(Ok(()))
    }

    async fn fetch_new(
        &mut self,
        collection: &'static Collection,
        owner: &Owner,
        objects: Vec<Object>,
    ) -> Result<(), CrawlError> {
        let key = owner.key();
        let held = &self.archive.shelf(collection.name)?.held;
        let new = objects.into_iter().filter(|object| !held.contains_key(&(key.clone(), object.id.clone())));
        let new = new.collect();
        self.fetch(collection, owner, new).await
    }

    /// Fetches what belongs to these objects, some at once, and writes each when it is whole.
    async fn fetch(
        &mut self,
        collection: &'static Collection,
        owner: &Owner,
        objects: Vec<Object>,
    ) -> Result<(), CrawlError> {
        let (mut left, mut under_way) = (objects.into_iter(), JoinSet::new());
        loop {
            while under_way.len() < self.vendor.at_once()
                && let Some(object) = left.next()
            {
                let (vendor, root) = (Rc::clone(&self.vendor), self.archive.root().to_owned());
                under_way.spawn_local(whole(vendor, root, collection, owner.clone(), object));
            }
            let Some(done) = under_way.join_next().await else { return Ok(()) };
            let gone =
                |_| CrawlError::Vendor { path: collection.path.to_owned(), why: "a task ended early".to_owned() };
            self.archive.add(collection.name, done.map_err(gone)??)?;
            self.n_objects += 1;
            if self.n_objects.is_multiple_of(64) {
                self.show(collection);
                self.heed()?;
            }
        }
    }
}

/// A place before the last one, the further back the more often a place was lost; `None` is the beginning.
fn earlier(places: &[String], n_lost: u32) -> Option<&String> {
    let back = 1_usize.checked_shl(n_lost).filter(|_| n_lost < MOST_LOST / 2)?;
    places.get(places.len().checked_sub(back)?)
}

/// The owner that lines call so.
fn owner_of(key: Option<&str>) -> Owner {
    match key.map(|key| key.split_once('/')) {
        None => Owner::default(),
        Some(Some((of, id))) => Owner { of: Some(of.to_owned()), id: Some(id.to_owned()) },
        Some(None) => Owner { of: None, id: key.map(str::to_owned) },
    }
}

fn read_object(path: &str, body: &[u8]) -> Result<Object, CrawlError> {
    let wrong = |why: String| CrawlError::Vendor { path: path.to_owned(), why };
    let raw = serde_json::from_slice(body).map_err(|error| wrong(format!("the object cannot be read: {error}")))?;
    Object::read(raw).map_err(wrong)
}

/// An object with all that belongs to it.
async fn whole(
    vendor: Rc<Vendor>,
    root: PathBuf,
    collection: &'static Collection,
    owner: Owner,
    object: Object,
) -> Result<Line, CrawlError> {
    let (mut parts, mut refused) = (BTreeMap::new(), BTreeMap::new());
    for part in collection.parts {
        match part_of(&vendor, part, &owner, &object.id).await? {
            Ok(items) => drop(parts.insert(part.name.to_owned(), items)),
            Err(no) => drop(refused.insert(part.name.to_owned(), no.text())),
        }
    }
    let mut content = None;
    if let Some(path) = collection.content {
        let file = content_of(collection.name, owner.key().as_deref(), &object.id);
        content = Some(match vendor.save(&owner.fill(path, &object.id), &root.join(&file)).await? {
            Ok((bytes, sha256)) => Content::Kept { path: file, bytes, sha256 },
            Err(no) => Content::Refused { refused: no.text() },
        });
    }
    let status = object.status.filter(|_| !collection.settled.is_empty());
    Ok(Line::Object { id: object.id, of: owner.key(), status, object: object.raw, parts, refused, content })
}

type Items = Vec<Box<serde_json::value::RawValue>>;

async fn part_of(vendor: &Vendor, part: &Part, owner: &Owner, id: &str) -> Result<Result<Items, No>, CrawlError> {
    let list = List { path: owner.fill(part.path, id), paging: part.paging, page: 100, days: &(0, 0) };
    let (mut items, mut after) = (Vec::new(), None);
    loop {
        let page = match list.next(vendor, after.as_deref()).await? {
            Ok(page) => page,
            Err(no) => return Ok(Err(no)),
        };
        items.extend(page.objects.into_iter().map(|object| object.raw));
        after = page.next;
        if after.is_none() {
            return Ok(Ok(items));
        }
    }
}
