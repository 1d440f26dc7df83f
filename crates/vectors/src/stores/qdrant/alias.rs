//! A name that applications ask, which stands for one collection and then for another.
//!
//! Both halves of a turn are one request, so that no query finds the name without a collection. What the name stood for before is kept in the new collection's own point, with who turned it and why: from there the way back is found, by
//! whoever asks.

use hyper::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{MARK, Open, Place, Qdrant, SCHEMA, Said, read_json};
use crate::retry::Trouble;
use crate::schema::Schema;
use crate::store::Source;

/// Where it stands what names stood for before.
const ALIASES: &str = "crossfade_aliases";

/// A name of a server, that an address has for its collection.
pub struct Alias {
    place: Place,
}

/// What a collection is to who asks it by another's name.
#[derive(Debug, Clone)]
pub struct Shown {
    /// How many rows it has.
    pub n_rows: u64,
    /// What they look like.
    pub schema: Schema,
    /// Whether its one vector has no name.
    pub is_nameless: bool,
}

#[derive(Deserialize)]
struct RawAliases {
    aliases: Vec<RawAlias>,
}

#[derive(Deserialize)]
struct RawAlias {
    alias_name: String,
    collection_name: String,
}

impl Alias {
    pub(crate) fn new(place: &Place) -> Alias {
        Alias { place: place.clone() }
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.place.collection
    }

    /// The address of a collection of the same server.
    ///
    /// # Errors
    /// Why it cannot be one.
    pub fn beside(&self, collection: &str) -> Result<crate::stores::Address, String> {
        Ok(crate::stores::Address::Qdrant(self.place.with(collection)?))
    }

    fn collection(&self, name: &str) -> Result<Qdrant, Trouble> {
        let doing = format!("could not find the collection {name} of Qdrant");
        Ok(Qdrant::new(&self.place.with(name).map_err(|why| Trouble::permanent(doing, why))?))
    }

    /// The collection that it stands for; none where there is no such name.
    ///
    /// # Errors
    /// Where the server fails, or it is the name of a collection itself.
    pub fn stands_for(&self) -> Result<Option<String>, Trouble> {
        let doing = format!("could not find the alias {} of Qdrant", self.name());
        let mut qdrant = self.collection(self.name())?;
        let told: Said<RawAliases> = read_json(&doing, &qdrant.all(&doing, Method::GET, "/aliases", None)?)?;
        let found = told.result.aliases.into_iter().find(|alias| alias.alias_name == self.name());
        if found.is_none() && qdrant.look_up()?.is_some() {
            return Err(Trouble::permanent(
                doing,
                "it is a collection itself, and not a name for one: make a name with `crossfade vectors switch qdrant:HOST:PORT#NEWNAME --to COLLECTION`, and have applications ask that",
            ));
        }
        Ok(found.map(|alias| alias.collection_name))
    }

    /// What a collection of the same server is.
    ///
    /// # Errors
    /// Where the server fails, or has none of that name.
    pub fn shown(&self, collection: &str) -> Result<Shown, Trouble> {
        let mut qdrant = self.collection(collection)?;
        let n_rows = qdrant.survey()?.n_rows;
        let Open { schema, is_nameless, .. } = qdrant.open()?.clone();
        Ok(Shown { n_rows, schema, is_nameless })
    }

    /// What the name stood for before it stood for `collection`, as that keeps it.
    ///
    /// # Errors
    /// Where the server fails.
    pub fn before(&self, collection: &str) -> Result<Option<String>, Trouble> {
        let kept = self.kept(&mut self.collection(collection)?)?;
        Ok(kept.and_then(|kept| kept[ALIASES][self.name()]["before"].as_str().map(str::to_owned)))
    }

    /// What the collection's own point keeps; none of one that Crossfade did not make.
    fn kept(&self, qdrant: &mut Qdrant) -> Result<Option<Value>, Trouble> {
        let doing = qdrant.doing("read");
        let body =
            qdrant.post(&doing, "/points", &json!({"ids": [MARK], "with_payload": true, "with_vector": false}))?;
        let told: Said<Vec<Value>> = read_json(&doing, &body)?;
        Ok(told
            .result
            .into_iter()
            .next()
            .map(|mut mark| mark["payload"].take())
            .filter(|kept| kept[SCHEMA].is_string()))
    }

    /// Has it stand for `to` from now on. What is known of the turn is kept in `to` before.
    ///
    /// # Errors
    /// Where the server fails, or `to` is none of Crossfade's, which keeps nothing.
    pub fn turn(&self, from: Option<&str>, to: &str, known: Map<String, Value>) -> Result<(), Trouble> {
        let mut qdrant = self.collection(to)?;
        let doing = qdrant.doing("name");
        let mut kept = self.kept(&mut qdrant)?.ok_or_else(|| {
            Trouble::permanent(
                &doing,
                "Crossfade did not make it, so that nothing in it can say what the name stood for: `crossfade vectors copy` makes one",
            )
        })?;
        let mut turned = known;
        turned.insert("before".to_owned(), from.into());
        if !kept[ALIASES].is_object() {
            kept[ALIASES] = json!({});
        }
        kept[ALIASES][self.name()] = Value::Object(turned);
        let mark = json!({"id": MARK, "vector": {}, "payload": kept});
        qdrant.ask(&doing, Method::PUT, "/points?wait=true", Some(&json!({"points": [mark]})))?;
        self.stand_for(&mut qdrant, from, to)
    }

    /// Has it stand for `to` again.
    ///
    /// # Errors
    /// Where the server fails.
    pub fn back(&self, from: &str, to: &str) -> Result<(), Trouble> {
        self.stand_for(&mut self.collection(to)?, Some(from), to)
    }

    fn stand_for(&self, qdrant: &mut Qdrant, from: Option<&str>, to: &str) -> Result<(), Trouble> {
        let doing = format!("could not have the alias {} of Qdrant stand for {to}", self.name());
        let gone = from.map(|_| json!({"delete_alias": {"alias_name": self.name()}}));
        let made = json!({"create_alias": {"collection_name": to, "alias_name": self.name()}});
        let actions: Vec<Value> = gone.into_iter().chain([made]).collect();
        qdrant.all(&doing, Method::POST, "/collections/aliases", Some(&json!({"actions": actions}))).map(drop)
    }
}
