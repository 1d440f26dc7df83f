//! A model as it lies in a directory.

use std::fs;
use std::path::Path;

use candle_core::Device;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokenizers::{Tokenizer, TruncationParams};

use crate::bert::{Bert, Config};
use crate::sentence::{Pooling, Sentence};

/// Why a directory is no model that can be run here.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file cannot be read.
    #[error("cannot read {file}")]
    File {
        /// Which.
        file: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// `config.json` is not as it should be.
    #[error("config.json is no config of a model")]
    Config(#[source] serde_json::Error),
    /// A file beside the model is not as it should be.
    #[error("{file} cannot be read as what it is named")]
    Beside {
        /// Which.
        file: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The model is not of the kind that is computed here.
    #[error("{0}")]
    Kind(String),
    /// The weights are not those that the config speaks of.
    #[error("the weights of model.safetensors cannot be used")]
    Weights(#[source] candle_core::Error),
    /// The tokenizer cannot be used.
    #[error("tokenizer.json cannot be used: {0}")]
    Tokenizer(String),
}

/// Why a text has no vectors.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It cannot be cut into tokens.
    #[error("the text cannot be cut into tokens: {0}")]
    Tokens(String),
    /// The model cannot be computed on them.
    #[error("the model cannot be computed")]
    Computed(#[from] candle_core::Error),
}

/// The vectors of a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoding {
    /// Of the text, of its tokens after the last layer: pooled and brought to norm 1 as the directory says ([`Model::pooling`]).
    pub vector: Vec<f32>,
    /// Of each token after the layer that was asked for.
    pub tokens: Vec<Vec<f32>>,
    /// 1, and 0 for a token of the kind that the tokenizer puts around a text, wherever it stands: as `bert-score` weighs tokens.
    pub weights: Vec<f64>,
    /// Whether the text goes on beyond the model's longest, and that was cut off.
    pub is_cut: bool,
}

/// A model, ready to be run.
pub struct Model {
    id: String,
    bert: Bert,
    tokenizer: Tokenizer,
    layer: usize,
    around: Vec<u32>,
    longest: usize,
    sentence: Sentence,
}

/// What of `tokenizer_config.json` matters.
#[derive(Default, Deserialize)]
#[serde(default)]
struct RawTokenizerConfig {
    model_max_length: Option<f64>,
    cls_token: Value,
    sep_token: Value,
}

impl Model {
    /// Reads the model of a directory. Tokens have their vectors of layer `layer`, the last one where it is not said.
    ///
    /// # Errors
    /// When a file is missing or broken, or the model is of another kind than BERT.
    pub fn load(directory: &Path, layer: Option<usize>) -> Result<Model, LoadError> {
        let read = |file: &str| {
            fs::read(directory.join(file)).map_err(|source| LoadError::File { file: file.to_owned(), source })
        };
        let (config, weights, tokenizer) = (read("config.json")?, read("model.safetensors")?, read("tokenizer.json")?);
        let mut hash = Sha256::new();
        for part in [&config, &weights, &tokenizer] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let sentence = Sentence::load(directory, &mut hash)?;
        let mark: String = hash.finalize()[..4].iter().map(|byte| format!("{byte:02x}")).collect();
        let config: Config = serde_json::from_slice(&config).map_err(LoadError::Config)?;
        computed_here(&config)?;
        let layer = layer.unwrap_or(config.num_hidden_layers);
        if layer > config.num_hidden_layers {
            return Err(LoadError::Kind(format!("there is no layer {layer}: it has {}", config.num_hidden_layers)));
        }
        let tensors = candle_core::safetensors::load_buffer(&weights, &Device::Cpu).map_err(LoadError::Weights)?;
        drop(weights);
        let bert = Bert::of(tensors, &config).map_err(LoadError::Weights)?;
        let beside = fs::read(directory.join("tokenizer_config.json")).unwrap_or_default();
        let beside: RawTokenizerConfig = serde_json::from_slice(&beside).unwrap_or_default();
        let wrong = |error: tokenizers::Error| LoadError::Tokenizer(error.to_string());
        let mut tokenizer = Tokenizer::from_bytes(&tokenizer).map_err(wrong)?;
        let longest = most_tokens(&config, beside.model_max_length);
        let longest = sentence.longest.filter(|said| *said >= 3).map_or(longest, |said| said.min(longest));
        let cut = TruncationParams { max_length: longest, ..TruncationParams::default() };
        tokenizer.with_padding(None).with_truncation(Some(cut)).map_err(wrong)?;
        let around = [(&beside.cls_token, "[CLS]"), (&beside.sep_token, "[SEP]")];
        let around = around.iter().filter_map(|(named, usual)| {
            let named = named.as_str().or_else(|| named["content"].as_str());
            tokenizer.token_to_id(named.unwrap_or(usual))
        });
        let around = around.collect();
        let name = directory.canonicalize().ok();
        let name = name.as_deref().unwrap_or(directory).file_name().unwrap_or_default().to_string_lossy();
        Ok(Model { id: format!("{name}-{mark}_L{layer}_no-idf"), bert, tokenizer, layer, around, longest, sentence })
    }

    /// Names the directory, its files by their hash, the layer of tokens, and that every token weighs the same.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The most tokens that it reads of a text, those around it included.
    #[must_use]
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// How the vectors of tokens become that of a text: what `modules.json` of the directory says, or their mean.
    #[must_use]
    pub fn pooling(&self) -> Pooling {
        self.sentence.pooling
    }

    /// Whether the directory says that vectors are brought to norm 1.
    #[must_use]
    pub fn normalizes(&self) -> bool {
        self.sentence.normalizes
    }

    /// The vectors of a text. What goes beyond the model's longest text is cut off, as `bert-score` does.
    ///
    /// # Errors
    /// When it cannot be cut into tokens, or has more than the model knows positions for.
    pub fn encode(&self, text: &str) -> Result<Encoding, ReadError> {
        let tokens = self.tokenizer.encode(text.trim(), true).map_err(|error| ReadError::Tokens(error.to_string()))?;
        let ids = tokens.get_ids();
        if ids.is_empty() {
            return Err(ReadError::Tokens("there are none".to_owned()));
        }
        let (wanted, last) = self.bert.encode(ids, self.layer)?;
        let pooled = match self.sentence.pooling {
            Pooling::Mean => last.mean(0)?,
            Pooling::Cls => last.get(0)?,
            Pooling::Max => last.max(0)?,
        };
        let mut vector: Vec<f32> = pooled.to_vec1()?;
        if self.sentence.normalizes {
            let norm = vector.iter().map(|number| f64::from(*number).powi(2)).sum::<f64>().sqrt();
            // As sentence-transformers does: a vector of zeros stays what it is.
            #[expect(clippy::cast_possible_truncation, reason = "back to what it was")]
            vector.iter_mut().for_each(|number| *number = (f64::from(*number) / norm.max(1e-12)) as f32);
        }
        Ok(Encoding {
            vector,
            tokens: wanted.to_vec2()?,
            weights: ids.iter().map(|id| if self.around.contains(id) { 0.0 } else { 1.0 }).collect(),
            is_cut: !tokens.get_overflowing().is_empty(),
        })
    }
}

fn computed_here(config: &Config) -> Result<(), LoadError> {
    if config.model_type != "bert" {
        return Err(LoadError::Kind(format!(
            "config.json says `model_type: {}`, and only `bert` is computed here",
            config.model_type
        )));
    }
    if let Some(other) = config.position_embedding_type.as_deref().filter(|kind| *kind != "absolute") {
        return Err(LoadError::Kind(format!("positions are `{other}`, and only `absolute` ones are computed here")));
    }
    if config.num_attention_heads == 0 || !config.hidden_size.is_multiple_of(config.num_attention_heads) {
        return Err(LoadError::Kind("its heads do not share its width evenly".to_owned()));
    }
    Ok(())
}

/// The longest text in tokens: what the tokenizer's config says, where that is a limit, and never more than there are positions.
fn most_tokens(config: &Config, said: Option<f64>) -> usize {
    let positions = config.max_position_embeddings;
    // Where nothing is known the field writes 1e30.
    let said = said.filter(|said| *said >= 3.0 && *said < positions as f64);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is between 3 and the positions")]
    let said = said.map(|said| said as usize);
    said.unwrap_or(positions)
}
