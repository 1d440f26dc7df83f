//! The admin listener: a JSON API over `operations`, apart from the data listener. It never touches a store or a rollout
//! itself.

mod answers;
mod routes;
mod serve;

pub use routes::{ROUTES, Route};
pub use serve::{Admin, ServeError, start};
