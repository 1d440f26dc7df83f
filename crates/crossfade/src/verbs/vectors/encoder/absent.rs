//! What stands for a model in a directory where this binary was built without what runs one.

use std::path::Path;

use vectors::embed::{Embed, Worker};
use vectors::space::Recipe;

use crate::out::Stop;

/// A model in a directory: there is none.
pub(super) enum Model {}

impl Model {
    pub(super) fn load(directory: &Path, _refuses_long: bool) -> Result<Model, Stop> {
        let stop = Stop::usage(format!(
            "the encoder is the model in {}, and this binary was built without what runs one",
            directory.display()
        ));
        Err(stop.hint("`cargo build --release --features encoder` in Crossfade's source builds one that can; or name an embeddings target: `--encoder TARGET`"))
    }

    /// The recipe with what makes the vectors.
    pub(super) fn describes(&self, _: Recipe) -> Recipe {
        match *self {}
    }
}

impl Embed for Model {
    fn worker(&self) -> Result<Box<dyn Worker + '_>, String> {
        match *self {}
    }
}
