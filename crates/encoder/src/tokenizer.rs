//! A tokenizer as it lies in a file.

use std::path::Path;

/// Cuts texts into tokens as `tokenizer.json` says.
#[derive(Debug)]
pub struct Tokenizer(tokenizers::Tokenizer);

/// Why a file is no tokenizer.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    File(std::io::Error),
    /// It is no tokenizer that is known here.
    #[error("it is no tokenizer.json: {0}")]
    Form(String),
}

impl Tokenizer {
    /// Reads a `tokenizer.json`. What it says of cutting off and filling up is left aside: lengths are counted.
    ///
    /// # Errors
    /// When the file cannot be read or is none.
    pub fn read(path: &Path) -> Result<Tokenizer, TokenizerError> {
        let bytes = std::fs::read(path).map_err(TokenizerError::File)?;
        let mut found =
            tokenizers::Tokenizer::from_bytes(bytes).map_err(|error| TokenizerError::Form(error.to_string()))?;
        found.with_truncation(None).map_err(|error| TokenizerError::Form(error.to_string()))?;
        found.with_padding(None);
        Ok(Tokenizer(found))
    }

    /// The tokens of a text alone, without those that are put around it; `None` where it cannot be cut.
    #[must_use]
    pub fn count(&self, text: &str) -> Option<u64> {
        self.0.encode(text, false).ok().map(|encoding| encoding.get_ids().len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_as_many_tokens_as_the_file_says_and_none_are_put_around_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tokenizer.json");
        let words = r#"{"version":"1.0","truncation":{"direction":"Right","max_length":2,"strategy":"LongestFirst","stride":0},"padding":null,"added_tokens":[],"normalizer":null,"pre_tokenizer":{"type":"Whitespace"},"post_processor":null,"decoder":null,"model":{"type":"WordLevel","vocab":{"a":0,"b":1,"[UNK]":2},"unk_token":"[UNK]"}}"#;
        std::fs::write(&path, words).unwrap();
        let tokenizer = Tokenizer::read(&path).unwrap();
        assert_eq!(["", "a", "a b zzz"].map(|text| tokenizer.count(text)), [Some(0), Some(1), Some(3)]);
        std::fs::write(&path, "{}").unwrap();
        assert!(Tokenizer::read(&path).unwrap_err().to_string().contains("no tokenizer.json"));
        assert!(Tokenizer::read(&directory.path().join("none")).is_err());
    }
}
