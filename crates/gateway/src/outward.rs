//! The way out. Nothing in this room calls a provider but by this door, and the door asks for every call how far what it carries may
//! go: whatever chose the target, and whatever for.

use govern::Residency;
use govern::residency::{Side, may_go};
use providers::{Call, Client, Identity, Provider, Reply};
use wire::failure::{Failure, FailureKind};

/// The connections of one thread, behind the door.
pub(crate) struct Outward(Client);

impl Outward {
    pub(crate) fn new() -> Self {
        Self(Client::new())
    }

    /// Makes one call, as [`Client::call`] does, unless it would leave the house and may not.
    pub(crate) async fn call(&self, residency: Residency, provider: &Provider, call: Call) -> Result<Reply, Failure> {
        let side = Side::of(provider.config().class.is_external());
        may_go(residency, side).map_err(|error| Failure::new(FailureKind::Residency, error.to_string()))?;
        self.0.call(provider, call).await
    }

    /// Closes the idle connections of every provider that is not among these.
    pub(crate) fn retain(&self, keep: &[Identity]) {
        self.0.retain(keep);
    }
}
