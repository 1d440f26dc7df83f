//! What is done for one provider, looked up once.

use super::{BackendKind, Capability, Treatment};

/// The treatments of one provider: those of its kind, and what the config says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    kind: BackendKind,
    treatments: Vec<Treatment>,
    /// The capabilities that are treated at all.
    treated: Vec<(Capability, Treatment)>,
}

impl Profile {
    /// What is done for this kind of server.
    pub fn of(kind: BackendKind) -> Profile {
        Profile::with(kind, &[])
    }

    /// The same with these treatments in place of the kind's.
    pub fn with(kind: BackendKind, overrides: &[(Capability, Treatment)]) -> Profile {
        let treatment = |&capability: &Capability| {
            let own = overrides.iter().rev().find(|(other, _)| *other == capability).map(|(_, treatment)| *treatment);
            own.unwrap_or_else(|| kind.known(capability).treatment)
        };
        let treatments: Vec<Treatment> = Capability::ALL.iter().map(treatment).collect();
        let all = Capability::ALL.iter().copied().zip(treatments.iter().copied());
        let treated = all.filter(|(_, treatment)| *treatment != Treatment::Pass).collect();
        Profile { kind, treatments, treated }
    }

    /// The kind of server.
    pub fn kind(&self) -> BackendKind {
        self.kind
    }

    /// What is done about `capability`.
    pub fn treatment(&self, capability: Capability) -> Treatment {
        self.treatments.get(capability as usize).copied().unwrap_or(Treatment::Pass)
    }

    /// Whether `capability` is treated like this.
    pub fn does(&self, capability: Capability, treatment: Treatment) -> bool {
        self.treatment(capability) == treatment
    }

    /// The capabilities that are treated, in the order of the list.
    pub fn treated(&self) -> &[(Capability, Treatment)] {
        &self.treated
    }
}
