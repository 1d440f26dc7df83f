//! The journal against a model: what a ticket promised is read back, in order, and nothing else is.

mod here;
mod model;
mod threads;
