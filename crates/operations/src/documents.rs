//! Pages that rooms make whole: they need nothing else, run nothing, and every text in them is escaped by the room that made them.

use sha2::{Digest, Sha256};
use wire::base64;

/// A whole page, and what a browser must be told so that it takes its style and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The page.
    pub html: String,
    /// Its one style, as a policy names it: `sha256-…`. What stands anywhere else in it is no style of ours.
    pub style: String,
}

impl Document {
    /// A page as its room made it.
    #[must_use]
    pub fn of(html: String) -> Document {
        let style =
            html.split_once("<style>").and_then(|(_, rest)| rest.split_once("</style>")).map_or("", |both| both.0);
        let style = format!("sha256-{}", base64::encode(&Sha256::digest(style.as_bytes())));
        Document { html, style }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_names_the_first_style_and_no_other() {
        let page = Document::of("<style>p{color:red}</style><p>x<style>q</style>".to_owned());
        // printf 'p{color:red}' | openssl dgst -sha256 -binary | base64
        assert_eq!(page.style, "sha256-p0bF+un5yUb9MBO6xRb8kPHlY2BdpHVtLiFkDrZPF64=");
        let other = Document::of("<p>no style</p>".to_owned());
        assert_eq!(other.style, "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    }
}
