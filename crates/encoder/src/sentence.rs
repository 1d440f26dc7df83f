//! How a directory says that one vector is made of a text's tokens, as the package sentence-transformers writes it: `modules.json` with its
//! modules in their order, `1_Pooling/config.json`, `sentence_bert_config.json`.

use std::fs;
use std::path::Path;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::model::LoadError;

/// How the vectors of tokens become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// The mean over all tokens, those around the text included.
    Mean,
    /// That of the first token.
    Cls,
    /// The largest over all tokens, number by number.
    Max,
}

impl Pooling {
    /// Its name in the field.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Pooling::Mean => "mean",
            Pooling::Cls => "cls",
            Pooling::Max => "max",
        }
    }
}

/// What follows after the model's last layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sentence {
    pub(crate) pooling: Pooling,
    /// Whether the vector is brought to norm 1.
    pub(crate) normalizes: bool,
    /// The most tokens, where that is said.
    pub(crate) longest: Option<usize>,
}

#[derive(Deserialize)]
struct Module {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    path: String,
}

#[derive(Deserialize)]
struct Lengths {
    max_seq_length: Option<usize>,
}

impl Sentence {
    /// Reads what a directory says; the mean of the tokens where it has no `modules.json`. What it read goes into `hash`.
    pub(crate) fn load(directory: &Path, hash: &mut Sha256) -> Result<Sentence, LoadError> {
        let mut sentence = Sentence { pooling: Pooling::Mean, normalizes: false, longest: None };
        let Some(modules) = read::<Vec<Module>>(directory, "modules.json", hash)? else { return Ok(sentence) };
        for (place, module) in modules.iter().enumerate() {
            match (place, module.kind.rsplit('.').next().unwrap_or_default()) {
                (0, "Transformer") if module.path.is_empty() => {
                    let lengths = read::<Lengths>(directory, "sentence_bert_config.json", hash)?;
                    sentence.longest = lengths.and_then(|lengths| lengths.max_seq_length);
                }
                (0, "Transformer") => {
                    return Err(LoadError::Kind(format!(
                        "modules.json has the model in the directory `{0}`: name that one, with `modules.json` and `1_Pooling` moved beside it",
                        module.path
                    )));
                }
                (1, "Pooling") => sentence.pooling = pooling(directory, &module.path, hash)?,
                (2.., "Normalize") => sentence.normalizes = true,
                (_, other) => {
                    return Err(LoadError::Kind(format!(
                        "modules.json has `{other}` at place {place}, and only a model, its pooling and a normalisation are computed here, in this order"
                    )));
                }
            }
        }
        Ok(sentence)
    }
}

fn pooling(directory: &Path, path: &str, hash: &mut Sha256) -> Result<Pooling, LoadError> {
    let file = format!("{path}/config.json");
    let modes = read::<serde_json::Map<String, serde_json::Value>>(directory, &file, hash)?;
    let modes = modes.ok_or_else(|| LoadError::Kind(format!("modules.json names {file}, which is not there")))?;
    let on = modes.iter().filter(|(name, on)| name.starts_with("pooling_mode_") && on.as_bool() == Some(true));
    let mut on: Vec<&str> = on.map(|(name, _)| name.as_str()).collect();
    on.extend(modes.get("pooling_mode").and_then(serde_json::Value::as_str));
    match on[..] {
        ["pooling_mode_mean_tokens" | "mean"] => Ok(Pooling::Mean),
        ["pooling_mode_cls_token" | "cls"] => Ok(Pooling::Cls),
        ["pooling_mode_max_tokens" | "max"] => Ok(Pooling::Max),
        _ => Err(LoadError::Kind(format!(
            "{file} asks for `{}`, and only one of mean, cls and max is computed here",
            on.join("`, `")
        ))),
    }
}

/// A file of the directory; `None` where there is none of that name.
fn read<T: serde::de::DeserializeOwned>(
    directory: &Path,
    file: &str,
    hash: &mut Sha256,
) -> Result<Option<T>, LoadError> {
    let bytes = match fs::read(directory.join(file)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(LoadError::File { file: file.to_owned(), source }),
    };
    hash.update((bytes.len() as u64).to_be_bytes());
    hash.update(&bytes);
    serde_json::from_slice(&bytes).map(Some).map_err(|source| LoadError::Beside { file: file.to_owned(), source })
}

#[cfg(test)]
mod tests {

    use super::*;

    const MODEL: &str = r#"{ "idx": 0, "path": "", "type": "sentence_transformers.models.Transformer" }"#;
    const POOLING: &str = r#"{ "idx": 1, "path": "1_Pooling", "type": "sentence_transformers.models.Pooling" }"#;
    const NORM: &str = r#"{ "idx": 2, "path": "2_Normalize", "type": "sentence_transformers.models.Normalize" }"#;

    fn said(files: &[(&str, &str)]) -> Result<Sentence, String> {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Sentence::load(directory.path(), &mut Sha256::new()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_directory_says_how_its_tokens_become_one_vector() {
        let plain = Sentence { pooling: Pooling::Mean, normalizes: false, longest: None };
        assert_eq!(said(&[]), Ok(plain));
        let modules = format!("[{MODEL}, {POOLING}, {NORM}]");
        let cls =
            r#"{ "word_embedding_dimension": 384, "pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false }"#;
        let files = [
            ("modules.json", modules.as_str()),
            ("1_Pooling/config.json", cls),
            ("sentence_bert_config.json", r#"{ "max_seq_length": 256 }"#),
        ];
        assert_eq!(said(&files), Ok(Sentence { pooling: Pooling::Cls, normalizes: true, longest: Some(256) }));
        let newer = [("modules.json", modules.as_str()), ("1_Pooling/config.json", r#"{ "pooling_mode": "max" }"#)];
        assert_eq!(said(&newer), Ok(Sentence { pooling: Pooling::Max, normalizes: true, longest: None }));
    }

    #[test]
    fn what_is_not_computed_here_is_refused_by_its_name() {
        let refused = |files: &[(&str, &str)], what: &str| {
            let why = said(files).unwrap_err();
            assert!(why.contains(what), "{why}");
        };
        let dense =
            format!(r#"[{MODEL}, {POOLING}, {{ "path": "2_Dense", "type": "sentence_transformers.models.Dense" }}]"#);
        let mean = r#"{ "pooling_mode_mean_tokens": true }"#;
        refused(&[("modules.json", &dense), ("1_Pooling/config.json", mean)], "`Dense` at place 2");
        let modules = format!("[{MODEL}, {POOLING}]");
        refused(&[("modules.json", &modules)], "1_Pooling/config.json, which is not there");
        let last = r#"{ "pooling_mode_lasttoken": true, "pooling_mode_mean_tokens": true }"#;
        refused(&[("modules.json", &modules), ("1_Pooling/config.json", last)], "`pooling_mode_lasttoken`");
        refused(&[("modules.json", "{")], "modules.json");
        let elsewhere = r#"[{ "path": "0_Transformer", "type": "sentence_transformers.models.Transformer" }]"#;
        refused(&[("modules.json", elsewhere)], "`0_Transformer`");
    }
}
