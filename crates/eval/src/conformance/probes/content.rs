//! What a message may hold.

use serde_json::json;
use wire::capability::Capability as Can;

use crate::conformance::Row;
use crate::conformance::ask::Line;
use crate::conformance::case::{case, degraded, fine, missing, prompt_tokens, unknown};

/// A red picture of 8 by 8, PNG.
const PICTURE: &str = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAEUlEQVR42mP4\
    z8CAFTEMLQkAKP8/wc53yE8AAAAASUVORK5CYII=";

const WORDS: &str = "What colour is the sky at noon?";

pub(super) async fn rows(line: &Line<'_>) -> Vec<Row> {
    let developer = case(line, Can::DeveloperRole, async |case| {
        let messages = json!([{"role": "developer", "content": "Answer briefly."}, {"role": "user", "content": WORDS}]);
        let answer = case.chat("", &json!({"messages": messages})).await?;
        answer.success().map(|_| String::new())
    })
    .await;
    let mut plain_tokens = None;
    let parts = case(line, Can::TextParts, async |case| {
        let plain = case.chat(WORDS, &json!({"max_tokens": 4})).await?;
        plain_tokens = prompt_tokens(plain.success()?);
        let messages = json!([{"role": "user", "content": [{"type": "text", "text": WORDS}]}]);
        let answer = case.chat("", &json!({"messages": messages, "max_tokens": 4})).await?;
        match (plain_tokens, prompt_tokens(answer.success()?)) {
            (Some(plain), Some(parts)) if plain != parts => {
                degraded(format!("{parts} prompt tokens in place of {plain}: the model reads another text"))
            }
            (Some(_), Some(_)) => fine(),
            _ => Ok("taken; the prompt tokens are not counted, so it is not known what the model reads".to_owned()),
        }
    })
    .await;
    let image = case(line, Can::ImagePart, async |case| {
        let content = json!([{"type": "text", "text": WORDS}, {"type": "image_url", "image_url": {"url": PICTURE}}]);
        let messages = json!([{"role": "user", "content": content}]);
        let answer = case.chat("", &json!({"messages": messages, "max_tokens": 4})).await?;
        match answer.status {
            200 => match (plain_tokens, prompt_tokens(answer.success()?)) {
                (Some(plain), Some(with)) if with <= plain => missing("ignored: no more prompt tokens than without it"),
                (Some(_), Some(_)) => fine(),
                _ => unknown("taken; the prompt tokens are not counted, so it is not known whether it is seen"),
            },
            400..=499 => missing(format!("refused in order, {}", answer.said())),
            _ => missing(answer.said()),
        }
    })
    .await;
    vec![developer, parts, image]
}
