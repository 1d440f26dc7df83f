//! Whether a request is taken at all. Budgets and leases will be asked here; today it is the way out.

use wire::failure::{Failure, FailureKind};

use crate::drain::Phase;
use crate::worker::Worker;

/// Lets a request in, unless the process is past the point where it could be answered.
pub(crate) fn admit(worker: &Worker) -> Result<(), Failure> {
    if worker.phase.get() >= Phase::Cutting {
        return Err(Failure::new(FailureKind::ShuttingDown, "arrived after the drain's deadline"));
    }
    Ok(())
}
