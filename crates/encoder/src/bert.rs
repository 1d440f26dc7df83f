//! The encoder of Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers" (2019), as its checkpoints are laid out: embeddings of words,
//! positions and types, then layers of self-attention and a feed-forward part, each added to what went in and normalised.
//!
//! One text at a time, so that nothing is padded and nothing masked. Single precision.

use std::collections::HashMap;

use candle_core::{D, DType, Device, Error, Result, Tensor};
use serde::Deserialize;

/// What of `config.json` decides how the model is computed.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Config {
    pub(crate) model_type: String,
    pub(crate) hidden_size: usize,
    pub(crate) num_hidden_layers: usize,
    pub(crate) num_attention_heads: usize,
    pub(crate) max_position_embeddings: usize,
    #[serde(default)]
    pub(crate) hidden_act: Activation,
    #[serde(default = "usual_eps")]
    pub(crate) layer_norm_eps: f64,
    #[serde(default)]
    pub(crate) position_embedding_type: Option<String>,
}

fn usual_eps() -> f64 {
    1e-12
}

/// The function between both halves of the feed-forward part.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Activation {
    /// `x Φ(x)`.
    #[default]
    Gelu,
    /// The same by a hyperbolic tangent.
    #[serde(alias = "gelu_pytorch_tanh")]
    GeluNew,
    /// The part above 0.
    Relu,
}

impl Activation {
    fn apply(self, input: &Tensor) -> Result<Tensor> {
        match self {
            Activation::Gelu => input.gelu_erf(),
            Activation::GeluNew => input.gelu(),
            Activation::Relu => input.relu(),
        }
    }
}

/// The weights of a model, ready to be applied.
pub(crate) struct Bert {
    words: Tensor,
    positions: Tensor,
    types: Tensor,
    normed: Norm,
    layers: Vec<Layer>,
}

struct Layer {
    query: Linear,
    key: Linear,
    value: Linear,
    attended: Linear,
    after_attention: Norm,
    widened: Linear,
    narrowed: Linear,
    after: Norm,
    n_heads: usize,
    activation: Activation,
}

struct Linear {
    /// Input by output.
    weight: Tensor,
    bias: Tensor,
}

struct Norm {
    weight: Tensor,
    bias: Tensor,
    eps: f64,
}

/// The tensors of a checkpoint by name, whatever the class that saved it put before the names.
struct Named {
    tensors: HashMap<String, Tensor>,
    prefix: &'static str,
}

impl Named {
    fn get(&self, name: &str) -> Result<Tensor> {
        let name = format!("{}{name}", self.prefix);
        // Checkpoints from before 2019 call a norm's weight and bias so.
        let old = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta");
        let tensor = self.tensors.get(&name).or_else(|| self.tensors.get(&old));
        tensor.ok_or_else(|| Error::Msg(format!("there is no tensor `{name}`")))?.to_dtype(DType::F32)
    }

    fn linear(&self, name: &str) -> Result<Linear> {
        let weight = self.get(&format!("{name}.weight"))?.t()?.contiguous()?;
        Ok(Linear { weight, bias: self.get(&format!("{name}.bias"))? })
    }

    fn norm(&self, name: &str, eps: f64) -> Result<Norm> {
        Ok(Norm { weight: self.get(&format!("{name}.weight"))?, bias: self.get(&format!("{name}.bias"))?, eps })
    }
}

impl Bert {
    /// Takes the weights out of a checkpoint.
    pub(crate) fn of(tensors: HashMap<String, Tensor>, config: &Config) -> Result<Bert> {
        let prefix = if tensors.contains_key("bert.embeddings.word_embeddings.weight") { "bert." } else { "" };
        let named = Named { tensors, prefix };
        let eps = config.layer_norm_eps;
        let layer = |idx: usize| {
            let within = |part: &str| format!("encoder.layer.{idx}.{part}");
            Ok(Layer {
                query: named.linear(&within("attention.self.query"))?,
                key: named.linear(&within("attention.self.key"))?,
                value: named.linear(&within("attention.self.value"))?,
                attended: named.linear(&within("attention.output.dense"))?,
                after_attention: named.norm(&within("attention.output.LayerNorm"), eps)?,
                widened: named.linear(&within("intermediate.dense"))?,
                narrowed: named.linear(&within("output.dense"))?,
                after: named.norm(&within("output.LayerNorm"), eps)?,
                n_heads: config.num_attention_heads,
                activation: config.hidden_act,
            })
        };
        Ok(Bert {
            words: named.get("embeddings.word_embeddings.weight")?,
            positions: named.get("embeddings.position_embeddings.weight")?,
            types: named.get("embeddings.token_type_embeddings.weight")?,
            normed: named.norm("embeddings.LayerNorm", eps)?,
            layers: (0..config.num_hidden_layers).map(layer).collect::<Result<_>>()?,
        })
    }

    /// The vectors of tokens after layer `layer` (0 is before the first) and after the last, each token by dimension.
    pub(crate) fn encode(&self, ids: &[u32], layer: usize) -> Result<(Tensor, Tensor)> {
        let words = self.words.index_select(&Tensor::new(ids, &Device::Cpu)?, 0)?;
        let positions = self.positions.narrow(0, 0, ids.len())?;
        let types = self.types.narrow(0, 0, 1)?;
        let mut hidden = self.normed.apply(&(words + positions)?.broadcast_add(&types)?)?;
        let mut wanted = hidden.clone();
        for (idx, of) in self.layers.iter().enumerate() {
            hidden = of.apply(&hidden)?;
            if idx + 1 == layer {
                wanted = hidden.clone();
            }
        }
        Ok((wanted, hidden))
    }
}

impl Layer {
    fn apply(&self, input: &Tensor) -> Result<Tensor> {
        let attended = self.attended.apply(&self.attention(input)?)?;
        let between = self.after_attention.apply(&(attended + input)?)?;
        let widened = self.activation.apply(&self.widened.apply(&between)?)?;
        self.after.apply(&(self.narrowed.apply(&widened)? + between)?)
    }

    fn attention(&self, input: &Tensor) -> Result<Tensor> {
        let (n, width) = input.dims2()?;
        let of_head = width / self.n_heads;
        let heads =
            |linear: &Linear| linear.apply(input)?.reshape((n, self.n_heads, of_head))?.transpose(0, 1)?.contiguous();
        let (query, key, value) = (heads(&self.query)?, heads(&self.key)?, heads(&self.value)?);
        let scores = (query.matmul(&key.t()?)? / (of_head as f64).sqrt())?;
        softmax(&scores)?.matmul(&value)?.transpose(0, 1)?.contiguous()?.reshape((n, width))
    }
}

/// Over the last dimension; the largest is taken off before, so that nothing overflows.
fn softmax(scores: &Tensor) -> Result<Tensor> {
    let exponents = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?)?.exp()?;
    exponents.broadcast_div(&exponents.sum_keepdim(D::Minus1)?)
}

impl Linear {
    fn apply(&self, input: &Tensor) -> Result<Tensor> {
        input.matmul(&self.weight)?.broadcast_add(&self.bias)
    }
}

impl Norm {
    fn apply(&self, input: &Tensor) -> Result<Tensor> {
        let centred = input.broadcast_sub(&input.mean_keepdim(D::Minus1)?)?;
        let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
        let scaled = centred.broadcast_div(&(variance + self.eps)?.sqrt()?)?;
        scaled.broadcast_mul(&self.weight)?.broadcast_add(&self.bias)
    }
}
