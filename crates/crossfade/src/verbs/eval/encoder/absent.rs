//! What stands for a model in a directory where this binary was built without what runs one.

use std::path::Path;

use eval::case::Case;
use eval::results::Results;
use eval::run::Plan;

use crate::out::{Out, Stop};
use crate::verbs::Place;

/// A model in a directory: there is none.
pub(in crate::verbs::eval) enum Model {}

impl Model {
    pub(super) fn load(directory: &Path, _layer: Option<usize>) -> Result<Model, Stop> {
        let stop = Stop::usage(format!(
            "the encoder is the model in {}, and this binary was built without what runs one",
            directory.display()
        ));
        Err(stop.hint("`cargo build --release --features encoder` in Crossfade's source builds one that can; or name an embeddings target: `encoder: TARGET`"))
    }

    pub(super) fn id(&self) -> String {
        match *self {}
    }

    /// Encodes what is left of a run.
    pub(in crate::verbs::eval) fn work(
        &self,
        _: &Place,
        _: &Results,
        _: (String, Plan, Vec<Case>),
        _: &Out,
    ) -> Result<(), Stop> {
        match *self {}
    }
}
