//! The only room that opens an outbound socket.
//!
//! A [`ProviderConfig`] says where a provider is and how to talk to it; [`Shared`] turns it into a [`Provider`] whose
//! connection limit and simulated server survive a reload as long as the config's identity is the same. Each
//! thread has one [`Client`] with its own connection pools and calls a provider with a [`Call`]; it gets a [`Reply`]
//! whose body is read piece by piece, and dropping either aborts the upstream at once. The host of every URL comes
//! from the config: a call names an endpoint, never an address.
//!
//! What a failure means (whose fault, worth another try?) is `wire`'s list; [`classify`] and [`error_in_body`] read it
//! off an answer. What a target is worth is a matter of [`health`] (its [`breaker`] and its [`cool_down`]), of the free
//! [`places`] at it, and of [`balance`] between its replicas; whether it is called again of [`retry`] and the provider's [`budget`]. The [`simulated`] provider answers
//! from within the process, with knobs that can be turned while it runs.

mod checked;
mod client;
mod config;
mod connect;
mod errors;
mod ledger;
mod provider;
mod reply;

pub mod balance;
pub mod breaker;
pub mod budget;
pub mod classify;
pub mod cool_down;
pub mod fault;
pub mod health;
pub mod places;
pub mod retry;
pub mod simulated;

pub use breaker::{Admission, Breaker, Permit};
pub use budget::BudgetLimits;
pub use classify::{classify, error_in_body};
pub use client::{Call, Client, HOPS, Sent, Special};
pub use config::{BaseUrl, BaseUrlError, Class, Dialect, Http2, Identity, ProviderConfig, Timeouts};
pub use connect::{Lookup, LookupFn};
pub use health::{Entry, Health, Trouble, Whose};
pub use ledger::Ledger;
pub use places::{Place, Places, Queue};
pub use provider::{Provider, ProviderError, Shared};
pub use reply::{Reply, ReplyBody};
pub use retry::RetryRules;
