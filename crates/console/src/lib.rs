//! The admin listener: a JSON API over `operations`, apart from the data listener. It never touches a store or a rollout
//! itself.

mod routes;
mod serve;

pub use serve::{Admin, AdminConfig, ServeError, start};
