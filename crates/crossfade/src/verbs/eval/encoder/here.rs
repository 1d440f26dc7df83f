//! A model that runs in this process.

use std::path::Path;

use encoder::ReadError;
use eval::case::Case;
use eval::encode::here::{Job, work};
use eval::metric::vectors::{Encode, Encoding, Tokens};
use eval::results::Results;
use eval::run::Plan;
use store::Lease;

use crate::load;
use crate::out::{Out, Stop};
use crate::verbs::Place;
use crate::verbs::eval::run::PLACES;

/// A model that is loaded.
pub(in crate::verbs::eval) struct Model(encoder::Model);

impl Model {
    pub(super) fn load(directory: &Path, layer: Option<usize>) -> Result<Model, Stop> {
        let loaded = encoder::Model::load(directory, layer);
        loaded.map(Model).map_err(|error| {
            let why = anyhow::Error::new(error);
            Stop::usage(format!("the encoder in {}: {why:#}", directory.display()))
        })
    }

    pub(super) fn id(&self) -> String {
        self.0.id().to_owned()
    }

    /// Encodes what is left of a run.
    pub(in crate::verbs::eval) fn work(
        &self,
        place: &Place,
        results: &Results,
        (run, plan, cases): (String, Plan, Vec<Case>),
        out: &Out,
    ) -> Result<(), Stop> {
        let store = load::places(&place.config)?.store;
        let taken = Lease::acquire_place(&store, "eval", PLACES).map_err(Stop::failed)?;
        let (lease, own, dead) =
            taken.ok_or_else(|| Stop::failed(anyhow::anyhow!("{PLACES} workers use this store already")))?;
        let worker = |place: usize| format!("worker-{place}");
        let dead = dead.into_iter().map(worker).collect();
        let job = Job { results, run, plan, cases, store, worker: worker(own), dead };
        let began = std::time::Instant::now();
        work(&job, self, &|n, of| {
            if n.is_multiple_of(100) {
                out.say(format_args!("encoder: {n} of {of} cases, {} s", began.elapsed().as_secs()));
            }
        })
        .map_err(Stop::failed)?;
        drop(lease);
        Ok(())
    }
}

impl Encode for Model {
    type Error = ReadError;

    fn id(&self) -> String {
        self.0.id().to_owned()
    }

    fn encode(&self, text: &str) -> Result<Encoding, ReadError> {
        let encoder::Encoding { vector, tokens, weights, .. } = self.0.encode(text)?;
        Ok(Encoding { vector, tokens: Tokens { vectors: tokens, weights } })
    }
}
