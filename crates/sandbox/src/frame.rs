//! What the stages and whoever started them say to each other: JSON with its length before it, over pipes.

use std::io::{self, Read, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::session::{Isolation, Report, Run};
use crate::{Limits, Session};

/// No message is longer.
const LONGEST: u32 = 256 << 20;

/// What `outer` needs to know to build the house.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Setup {
    pub(crate) isolation: Isolation,
    pub(crate) disk_bytes: u64,
    pub(crate) read: Vec<std::path::PathBuf>,
    /// The directory that stands in for a root where there is no isolation.
    pub(crate) scratch: Option<std::path::PathBuf>,
    /// Whether to become another user, which whoever is root does.
    pub(crate) other_user: bool,
}

/// What `init` needs to know.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Work {
    pub(crate) limits: Limits,
    pub(crate) environment: std::collections::BTreeMap<String, String>,
    pub(crate) runs: Vec<Run>,
}

impl Work {
    pub(crate) fn of(session: &Session) -> Work {
        Work { limits: session.limits, environment: session.environment.clone(), runs: session.runs.clone() }
    }
}

/// What the stages say.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Said {
    /// The namespaces are there: say who is who in them.
    Ready,
    /// The house cannot be built.
    Failed {
        why: String,
        /// Whether it is the namespaces that are not to be had.
        forbidden: bool,
    },
    /// The first command is about to be run: whatever happens from now on, a command may have brought about.
    Begun,
    /// All commands were run.
    Report(Report),
}

/// Writes a message.
pub(crate) fn write(mut to: impl Write, message: &impl Serialize) -> io::Result<()> {
    let text = serde_json::to_vec(message)?;
    let length = u32::try_from(text.len()).ok().filter(|length| *length <= LONGEST);
    let length = length.ok_or_else(|| io::Error::other("too long a message"))?;
    to.write_all(&length.to_le_bytes())?;
    to.write_all(&text)?;
    to.flush()
}

/// Reads a message, and not a byte beyond it.
pub(crate) fn read<T: DeserializeOwned>(mut from: impl Read) -> io::Result<T> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length);
    if length > LONGEST {
        return Err(io::Error::other("too long a message"));
    }
    let mut text = Vec::new();
    from.take(u64::from(length)).read_to_end(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}
