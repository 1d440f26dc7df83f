//! A collection whose vectors are made anew from its texts: read like any source, so that it is copied like any source.
//!
//! A page of rows is read, its texts are looked up among those that were embedded before, what is left goes to the workers in batches of texts of about one
//! length, and what came is kept before the page is handed on. So a kill costs the calls that were under way, and nothing else.

mod cache;
mod pace;
mod workers;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

pub use self::cache::{CACHE, Cache, CacheError};
pub use self::pace::{Limits, Spent};

use self::cache::{TextHash, text_hash};
use self::workers::{Text, Workers, patient, whole};
use crate::embed::{Embed, Refused};
use crate::metadata::Metadata;
use crate::patience::again;
use crate::retry::Trouble;
use crate::row::{Dense, Dtype, Row};
use crate::run::RunError;
use crate::schema::{DenseShape, Schema};
use crate::space::{CANARIES, Recipe};
use crate::store::{Budget, Cursor, Page, Partition, Source, Survey, Unreadable};
use crate::stores::{pages, to_line};
use crate::verify::Loose;

/// The most bytes of text in one call.
const MAX_CALL_BYTES: usize = 1 << 20;

/// What is embedded of rows, and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct What {
    /// The vector that is made anew.
    pub vector: String,
    /// The field of the metadata that the text stands in; none is the row's own text.
    pub text_field: Option<String>,
    /// Rows without text are kept, without the vector; else they are put aside.
    pub keeps_without_text: bool,
    /// Rows whose text is longer than the most characters are put aside; else it is cut.
    pub refuses_long: bool,
}

/// How it is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// The most texts in a call.
    pub batch: usize,
    /// Calls under way at once.
    pub in_flight: usize,
    /// The most texts that may be refused before it stops: more, and something else is wrong.
    pub max_refused: u64,
    /// What may be used.
    pub limits: Limits,
}

/// What is told while it goes on.
#[derive(Debug, Clone, Copy)]
pub struct Told {
    /// What the space took until now.
    pub spent: Spent,
    /// Texts of this process that have what they need.
    pub n_texts: u64,
    /// Rows of this process whose text was cut to the most characters.
    pub n_cut: u64,
}

/// A source whose rows have vectors that were made anew.
pub struct Reembedded {
    inner: Box<dyn Source>,
    what: What,
    recipe: Recipe,
    dims: usize,
    cache: Cache,
    workers: Workers,
    written: Spent,
    manner: Manner,
    n_texts: u64,
    n_refused: u64,
    n_cut: u64,
    watch: Box<dyn FnMut(Told) + Send>,
}

/// What came of the texts that tell a space.
#[derive(Debug, Clone)]
pub struct Probe {
    /// Their vectors.
    pub canaries: Vec<Vec<f32>>,
    /// Their bytes.
    pub n_bytes: u64,
    /// Tokens, where the answer said how many.
    pub n_tokens: Option<u64>,
    /// What it cost, where that is known.
    pub nanos: Option<u64>,
}

impl Probe {
    /// What it took.
    #[must_use]
    pub fn spent(&self) -> Spent {
        let n_texts = self.canaries.len() as u64;
        Spent { n_calls: 1, n_texts, n_tokens: self.n_tokens.unwrap_or(0), nanos: self.nanos.unwrap_or(0), n_cut: 0 }
    }
}

/// Embeds the texts that tell a space.
///
/// # Errors
/// Why there are no vectors of them.
pub fn probe(embed: &dyn Embed, recipe: &Recipe) -> Result<Probe, Refused> {
    let mut worker = embed.worker().map_err(Refused::permanent)?;
    let texts: Vec<String> = CANARIES.iter().map(|text| recipe.text(text).0).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let embedded = patient(|| worker.embed(&texts).and_then(|embedded| whole(embedded, texts.len())))?;
    let canaries = embedded.vectors.into_iter().map(|vector| recipe.vector(vector)).collect::<Result<Vec<_>, _>>();
    let canaries = canaries.map_err(Refused::permanent)?;
    if let Some(other) = canaries.iter().find(|vector| vector.len() != canaries[0].len()) {
        let (one, other) = (canaries[0].len(), other.len());
        return Err(Refused::permanent(format_args!("vectors of {one} and of {other} numbers came at once")));
    }
    let n_bytes = texts.iter().map(|text| text.len() as u64).sum();
    Ok(Probe { canaries, n_bytes, n_tokens: embedded.n_tokens, nanos: embedded.nanos })
}

/// How many texts are asked for at once where nobody says.
const USUAL_BATCH: usize = 64;

/// Vectors of a few texts, one call after the other.
///
/// # Errors
/// Why there are none of one of them.
pub fn embed_all(embed: &dyn Embed, recipe: &Recipe, texts: &[String]) -> Result<Vec<Vec<f32>>, Refused> {
    let mut worker = embed.worker().map_err(Refused::permanent)?;
    let mut vectors = Vec::with_capacity(texts.len());
    for batch in texts.chunks(USUAL_BATCH) {
        let batch: Vec<String> = batch.iter().map(|text| recipe.text(text).0).collect();
        let batch: Vec<&str> = batch.iter().map(String::as_str).collect();
        let embedded = patient(|| worker.embed(&batch).and_then(|embedded| whole(embedded, batch.len())))?;
        for vector in embedded.vectors {
            vectors.push(recipe.vector(vector).map_err(Refused::permanent)?);
        }
    }
    Ok(vectors)
}

impl Reembedded {
    /// `inner` with other vectors. `recipe` is that of the texts, which of queries may have another prefix than the space's; `dims` is how long vectors of
    /// the cache's space are.
    ///
    /// # Errors
    /// Where the cache fails.
    pub fn new(
        inner: Box<dyn Source>,
        what: What,
        (embed, recipe, dims): (Arc<dyn Embed>, Recipe, usize),
        manner: Manner,
        cache: Cache,
        watch: Box<dyn FnMut(Told) + Send>,
    ) -> Result<Reembedded, CacheError> {
        let written = cache.spent()?;
        let workers = Workers::start(manner.in_flight.max(1), embed, (recipe.clone(), dims), (manner.limits, written));
        Ok(Reembedded {
            inner,
            what,
            recipe,
            dims,
            cache,
            workers,
            written,
            manner,
            n_texts: 0,
            n_refused: 0,
            n_cut: 0,
            watch,
        })
    }

    /// Asks for what is not known yet, and keeps it.
    fn embed(&mut self, mut missing: Vec<Text>) -> Result<HashMap<TextHash, Result<Vec<f32>, String>>, Trouble> {
        let mut known = HashMap::with_capacity(missing.len());
        // Texts of one length in one call: where a server fills them up to the longest, nothing is computed for nothing.
        missing.sort_by_key(|(_, text)| text.len());
        let mut batches = batches(missing, self.manner.batch.max(1)).into_iter();
        let mut trouble = None;
        loop {
            while trouble.is_none() && self.workers.has_free() {
                let Some(texts) = batches.next() else { break };
                self.workers.give(texts);
            }
            if !self.workers.is_busy() {
                break;
            }
            let batch = self.workers.take();
            // What others take meanwhile counts too, so that nothing is counted twice.
            let spent = self.workers.spent();
            self.cache
                .put(&batch.came, since(spent, self.written))
                .map_err(|error| Trouble::permanent("keeping vectors", error))?;
            self.written = spent;
            trouble = trouble.or(batch.trouble);
            self.n_texts += batch.came.len() as u64;
            self.n_refused += batch.came.iter().filter(|(_, came)| came.is_err()).count() as u64;
            if trouble.is_none() && self.n_refused > self.manner.max_refused {
                let last = batch.came.iter().find_map(|(_, came)| came.as_ref().err()).map_or("", String::as_str);
                let why = format!(
                    "{} texts were refused, and {} are the most; the last one: {last}",
                    self.n_refused, self.manner.max_refused
                );
                trouble = Some(Trouble::permanent("making vectors", why));
            }
            known.extend(batch.came);
            (self.watch)(Told { spent, n_texts: self.n_texts, n_cut: self.n_cut });
        }
        trouble.map_or(Ok(known), Err)
    }

    /// The rows of a page with their texts, hashed; rows without text as `what` says.
    fn page(&mut self, page: Page) -> Result<Page, Trouble> {
        let text = |row: &Row| {
            let text = text_of(row, &self.what).ok_or("it has no text to make a vector of")?;
            match self.recipe.text(&text) {
                (_, true) if self.what.refuses_long => Err("its text has more characters than `--max-chars`"),
                (text, is_cut) => Ok((text_hash(&text), text, is_cut)),
            }
        };
        let texts: Vec<Result<(TextHash, String, bool), &str>> = page.rows.iter().map(text).collect();
        self.n_cut += texts.iter().flatten().filter(|(_, _, is_cut)| *is_cut).count() as u64;
        let mut known: HashMap<TextHash, Result<Vec<f32>, String>> = HashMap::new();
        let (mut missing, mut seen): (Vec<Text>, HashSet<TextHash>) = (Vec::new(), HashSet::new());
        for (hash, text, _) in texts.iter().flatten().filter(|(hash, _, _)| seen.insert(*hash)) {
            match self.cache.get(hash).map_err(|error| Trouble::permanent("looking up vectors", error))? {
                Some(came) => drop(known.insert(*hash, came)),
                None => missing.push((*hash, text.clone())),
            }
        }
        self.n_texts += known.len() as u64;
        known.extend(self.embed(missing)?);
        let mut anew = Page {
            rows: Vec::with_capacity(page.rows.len()),
            unreadable: page.unreadable,
            next: page.next,
            ..Page::default()
        };
        for (mut row, text) in page.rows.into_iter().zip(texts) {
            let came = match text {
                Ok((hash, _, _)) => {
                    known.get(&hash).cloned().unwrap_or_else(|| Err("nothing came of its text".to_owned())).map(Some)
                }
                Err(_) if self.what.keeps_without_text && text_of(&row, &self.what).is_none() => Ok(None),
                Err(why) => Err(why.to_owned()),
            };
            match came {
                Ok(vector) => {
                    row.dense.remove(&self.what.vector);
                    row.dense.extend(vector.map(|vector| (self.what.vector.clone(), Dense::F32(vector))));
                    row.space = Some(self.cache.space().to_owned());
                    anew.rows.push(row);
                }
                Err(why) => {
                    let place = format!("row `{}` of namespace `{}`", row.id, row.namespace);
                    anew.unreadable.push(Unreadable { place, why, found: to_line(&row) });
                }
            }
        }
        Ok(anew)
    }
}

impl Source for Reembedded {
    fn survey(&mut self) -> Result<Survey, Trouble> {
        let mut survey = self.inner.survey()?;
        anew(&mut survey.schema, &self.what, (self.dims, self.cache.space()))
            .map_err(|why| Trouble::permanent("making vectors anew", why))?;
        Ok(survey)
    }

    fn partitions(&mut self) -> Result<Vec<Partition>, Trouble> {
        self.inner.partitions()
    }

    fn read(&mut self, partition: &Partition, after: Option<&Cursor>, budget: Budget) -> Result<Page, Trouble> {
        let page = again(|| self.inner.read(partition, after, budget))?;
        self.page(page)
    }
}

/// A collection without one of its dense vectors and without the space: what is left as it was when the vector is made anew.
pub struct Rest {
    inner: Box<dyn Source>,
    vector: String,
}

impl Rest {
    /// `inner` without the vector.
    #[must_use]
    pub fn new(inner: Box<dyn Source>, vector: &str) -> Rest {
        Rest { inner, vector: vector.to_owned() }
    }
}

impl Source for Rest {
    fn survey(&mut self) -> Result<Survey, Trouble> {
        let mut survey = self.inner.survey()?;
        survey.schema.dense.remove(&self.vector);
        survey.schema.space = None;
        Ok(survey)
    }

    fn partitions(&mut self) -> Result<Vec<Partition>, Trouble> {
        self.inner.partitions()
    }

    fn read(&mut self, partition: &Partition, after: Option<&Cursor>, budget: Budget) -> Result<Page, Trouble> {
        let mut page = self.inner.read(partition, after, budget)?;
        for row in &mut page.rows {
            row.dense.remove(&self.vector);
            row.space = None;
        }
        Ok(page)
    }

    fn unproved(&mut self) -> Result<Option<String>, Trouble> {
        self.inner.unproved()
    }

    fn tolerant(&mut self) -> Result<BTreeMap<String, Loose>, Trouble> {
        let mut names = self.inner.tolerant()?;
        names.remove(&self.vector);
        Ok(names)
    }
}

/// What a collection looks like with the vector made anew.
fn anew(schema: &mut Schema, what: &What, (dims, space): (usize, &str)) -> Result<(), String> {
    if !schema.dense.is_empty() && !schema.dense.contains_key(&what.vector) {
        let names: Vec<&str> = schema.dense.keys().map(String::as_str).collect();
        return Err(format!("the source has no dense vector `{}`; it has {}", what.vector, names.join(", ")));
    }
    let metric = schema.dense.get(&what.vector).and_then(|shape| shape.metric);
    schema.dense.insert(what.vector.clone(), DenseShape { dtype: Dtype::F32, dims, metric });
    schema.space = Some(space.to_owned());
    Ok(())
}

/// The text of a row, if there is something in it.
fn text_of(row: &Row, what: &What) -> Option<String> {
    let text = match &what.text_field {
        None => row.text.clone(),
        Some(field) => {
            let fields = row.metadata.as_ref().map(Metadata::fields).unwrap_or_default();
            let value = fields.into_iter().find(|(name, _)| name == field).map(|(_, value)| value);
            value.and_then(|value| serde_json::from_str::<String>(&value).ok())
        }
    };
    text.filter(|text| !text.trim().is_empty())
}

/// Texts in calls: at most `most` of them, and at most so many bytes, in each.
fn batches(texts: Vec<Text>, most: usize) -> Vec<Vec<Text>> {
    let mut batches: Vec<Vec<Text>> = Vec::new();
    let mut n_bytes = 0;
    for text in texts {
        match batches.last_mut().filter(|batch| batch.len() < most && n_bytes + text.1.len() <= MAX_CALL_BYTES) {
            Some(batch) => {
                n_bytes += text.1.len();
                batch.push(text);
            }
            None => {
                n_bytes = text.1.len();
                batches.push(vec![text]);
            }
        }
    }
    batches
}

fn since(spent: Spent, before: Spent) -> Spent {
    Spent {
        n_calls: spent.n_calls - before.n_calls,
        n_texts: spent.n_texts - before.n_texts,
        n_tokens: spent.n_tokens - before.n_tokens,
        nanos: spent.nanos - before.nanos,
        n_cut: spent.n_cut - before.n_cut,
    }
}

/// What there is to embed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Work {
    /// How many rows.
    pub n_rows: u64,
    /// How many have no text.
    pub n_without_text: u64,
    /// How many texts there are, each once.
    pub n_texts: u64,
    /// Bytes of these, with their prefix.
    pub n_bytes: u64,
    /// How many of these are cut by the most characters.
    pub n_cut: u64,
    /// How many of these are known already.
    pub n_known: u64,
    /// Bytes of those that are not.
    pub n_bytes_to_do: u64,
}

/// Reads all of a collection for what there is to embed. Holds 32 bytes for each text.
///
/// # Errors
/// Where it cannot be read.
pub fn work(source: &mut dyn Source, what: &What, recipe: &Recipe, cache: Option<&Cache>) -> Result<Work, Trouble> {
    let (mut work, mut seen) = (Work::default(), HashSet::new());
    let mut trouble = None;
    pages(source, |page| {
        for row in &page.rows {
            work.n_rows += 1;
            let Some(text) = text_of(row, what) else {
                work.n_without_text += 1;
                continue;
            };
            let (text, is_cut) = recipe.text(&text);
            let hash = text_hash(&text);
            if !seen.insert(hash) {
                continue;
            }
            work.n_texts += 1;
            work.n_bytes += text.len() as u64;
            work.n_cut += u64::from(is_cut);
            match cache.map(|cache| cache.get(&hash)).transpose() {
                Ok(Some(Some(_))) => work.n_known += 1,
                Ok(_) => work.n_bytes_to_do += text.len() as u64,
                Err(error) => trouble = Some(Trouble::permanent("looking up vectors", error)),
            }
        }
    })?;
    trouble.map_or(Ok(work), Err)
}

/// The space that a run in this directory was begun in, and whether it is through; none of one that was not begun.
///
/// # Errors
/// Where its journal fails.
pub fn begun(directory: &Path) -> Result<Option<(Option<String>, bool)>, RunError> {
    if !directory.join(crate::journal::JOURNAL).exists() {
        return Ok(None);
    }
    let journal = crate::journal::Journal::open(directory)?;
    let is_through = journal.is_sealed()?;
    Ok(journal.begun()?.map(|begun| (begun.schema.space, is_through)))
}

#[cfg(test)]
mod tests;
