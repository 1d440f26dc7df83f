//! The admin listener: a JSON API and pages over `operations`, apart from the data listener. It never touches a store or a rollout
//! itself.

mod answers;
mod events;
mod openapi;
mod pages;
mod routes;
mod serve;

pub use pages::{PAGES, Page};
pub use routes::{ROUTES, Route};
pub use serve::{Admin, ServeError, start};
