//! Who may call, how much, and who may change what: keys, what they may do, the table of them that requests are held against,
//! and the accounts of what was used.
//!
//! A key's text is shown once and kept nowhere; its SHA-256 is in the store and, with what the key may do, in a
//! [`KeyTable`] in memory. The [`Keeper`] replaces that table when the store changes. Nothing here is awaited by a request.

mod accounts;
mod credential;
mod keeper;
mod key;
pub mod limits;
mod network;
pub mod policy;
mod registry;
pub mod residency;
mod role;
mod table;
mod text;

pub use accounts::{Accounts, Shared, Subject};
pub use credential::{Presented, presented};
pub use keeper::{Keeper, KeeperError};
pub use key::{Key, KeySpec, Routes, Scope};
pub use network::{Network, NotANetwork};
pub use registry::{Asker, Issued, KeyError, LimitsChange, NewKey, Rotation, create, limit, revoke, rotate};
pub use residency::Residency;
pub use role::Role;
pub use table::{Denied, KeyTable};
pub use text::{Digest, KeyId, KeyText};
