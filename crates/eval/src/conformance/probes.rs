//! What is asked for each capability. The groups run side by side; within one, one after the other.

mod answers;
mod content;
mod embeddings;
mod endpoints;
mod errors;
mod formats;
mod samples;
mod sampling;
mod services;
mod streams;
mod tools;

use super::Row;
use super::ask::Line;

/// Asks for everything.
pub(super) async fn all(line: &Line<'_>) -> Vec<Row> {
    // Alone and first: it counts connections, and others would open some.
    let kept = streams::keep_alive(line).await;
    let groups = tokio::join!(
        Box::pin(answers::rows(line)),
        Box::pin(sampling::limits(line)),
        Box::pin(sampling::draws(line)),
        Box::pin(sampling::fields(line)),
        Box::pin(streams::rows(line)),
        Box::pin(tools::calls(line)),
        Box::pin(tools::choices(line)),
        Box::pin(tools::others(line)),
        Box::pin(formats::rows(line)),
        Box::pin(content::rows(line)),
        Box::pin(errors::rows(line)),
        Box::pin(embeddings::rows(line)),
        Box::pin(endpoints::rows(line)),
        Box::pin(services::asked(line)),
        Box::pin(services::kept(line)),
    );
    let (a, b, c, d, e, f, g, h, i, j, k, l, m, n, o) = groups;
    [vec![kept], a, b, c, d, e, f, g, h, i, j, k, l, m, n, o].concat()
}
