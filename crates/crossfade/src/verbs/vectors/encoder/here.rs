//! A model that runs in this process.

use std::path::Path;

use vectors::embed::{Embed, Embedded, Refused, Worker};
use vectors::space::Recipe;

use crate::out::Stop;

/// A model that is loaded.
pub(super) struct Model {
    model: encoder::Model,
    refuses_long: bool,
}

impl Model {
    pub(super) fn load(directory: &Path, refuses_long: bool) -> Result<Model, Stop> {
        let loaded = encoder::Model::load(directory, None);
        loaded.map(|model| Model { model, refuses_long }).map_err(|error| {
            let why = anyhow::Error::new(error);
            Stop::usage(format!("the encoder in {}: {why:#}", directory.display()))
        })
    }

    /// The recipe with what makes the vectors.
    pub(super) fn describes(&self, recipe: Recipe) -> Recipe {
        // The layer and the weights of its tokens are of no vector of a text.
        let id = self.model.id();
        let model = id.split_once("_L").map_or(id, |(name, _)| name).to_owned();
        let (pooling, max_tokens) = (Some(self.model.pooling().name().to_owned()), Some(self.model.longest()));
        let normalize = recipe.normalize || self.model.normalizes();
        Recipe { model, pooling, max_tokens, normalize, ..recipe }
    }
}

impl Embed for Model {
    fn worker(&self) -> Result<Box<dyn Worker + '_>, String> {
        Ok(Box::new(Hand(self)))
    }
}

struct Hand<'a>(&'a Model);

impl Worker for Hand<'_> {
    fn embed(&mut self, texts: &[&str]) -> Result<Embedded, Refused> {
        let mut embedded = Embedded { n_tokens: Some(0), nanos: Some(0), ..Embedded::default() };
        for text in texts {
            let encoding = self.0.model.encode(text).map_err(Refused::poison)?;
            if encoding.is_cut && self.0.refuses_long {
                let longest = self.0.model.longest();
                return Err(Refused::poison(format_args!(
                    "its text has more than the {longest} tokens that the model reads"
                )));
            }
            embedded.n_cut += u64::from(encoding.is_cut);
            embedded.n_tokens = embedded.n_tokens.map(|n| n + encoding.weights.len() as u64);
            embedded.vectors.push(encoding.vector);
        }
        Ok(embedded)
    }
}
