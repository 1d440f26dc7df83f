//! From `outer` to `init`.

use std::process::{Command, Stdio};

use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, configure_capability_in_ambient_set, set_capabilities,
};

use super::Failed;
use crate::STAGE;

/// Starts process 1 of the namespace, which talks to whoever started us, and waits for it.
pub(super) fn start() -> Result<(), Failed> {
    // Only what is ambient outlives becoming another program without being root.
    let kept = CapabilitySet::SYS_ADMIN | CapabilitySet::SYS_RESOURCE;
    let had = capabilities(None).map_err(Failed::at("privileges in the namespace"))?;
    set_capabilities(None, CapabilitySets { inheritable: kept, ..had })
        .map_err(Failed::at("no privileges in the namespace"))?;
    for one in [CapabilitySet::SYS_ADMIN, CapabilitySet::SYS_RESOURCE] {
        configure_capability_in_ambient_set(one, true).map_err(Failed::at("no privileges in the namespace"))?;
    }
    let status = Command::new("/proc/self/exe")
        .args([STAGE, "init"])
        .env_clear()
        .stderr(Stdio::null())
        .status()
        .map_err(Failed::at("the first process of the sandbox"))?;
    if status.success() {
        return Ok(());
    }
    Err(Failed { why: format!("the first process of the sandbox ended: {status}"), forbidden: false })
}
