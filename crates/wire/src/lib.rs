//! The dialects on the wire: what a request, an answer and a stream look like in bytes.
//!
//! This room is pure. It does no I/O, reads no clock and draws no random numbers: all three are arguments. It builds no
//! document model of a body; it finds the few fields Crossfade reads and says where they are, so that everything else
//! travels through untouched. Only [`translate`], which says everything anew in another dialect, reads whole documents.

pub mod base64;
pub mod capability;
pub mod failure;
pub mod ids;
pub mod leak;
pub mod messages;
pub mod multipart;
pub mod openai;
pub mod private;
pub mod reach;
pub mod record;
pub mod refusal;
pub mod request;
pub mod responses;
pub mod scan;
pub mod space;
pub mod splice;
pub mod sse;
pub mod texts;
pub mod translate;
pub mod usage;
