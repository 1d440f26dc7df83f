//! The connections of a process that is no gateway, on their way to the ledger.

use std::sync::{Mutex, PoisonError};

use store::Database;
use wire::record::ConnectionRecord;

use super::Place;
use crate::load;
use crate::out::Out;

/// The connections of this process, until they are written to the store.
#[derive(Default)]
pub(crate) struct Collected(Mutex<Vec<ConnectionRecord>>);

impl providers::Ledger for Collected {
    fn write(&self, connection: ConnectionRecord) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }
}

impl Collected {
    /// Writes them down where the config says the record is. Without a config, or before anything was recorded, there is no ledger.
    pub(crate) fn note(&self, place: &Place, out: &Out) {
        let connections = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let store =
            place.config.exists().then(|| load::places(&place.config).ok()).flatten().map(|places| places.store);
        let Some(store) = store.filter(|store| store.exists()) else { return };
        let written = Database::open(store).and_then(|database| database.note_connections(&connections));
        if let Err(error) = written {
            out.say(format_args!("the connections of this run are not on the ledger: {error}"));
        }
    }
}
