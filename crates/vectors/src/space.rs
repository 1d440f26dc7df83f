//! Which space vectors live in: how they were made, and a sketch of what came out.
//!
//! Sixteen fixed texts are embedded and their vectors kept with the run; their sketch goes into the space's name. A hash of rounded numbers would do for a
//! server that says every number twice alike, and none does: what is added up in another order, on another machine or in another batch, differs in the last
//! digits, and of some thousand numbers one always rounds the other way. So what is compared is near or far, never equal.

use std::fmt::Write;

use crate::row::Dense;

/// The texts whose vectors tell a space: prose, figures, code, other scripts, one word and a long one.
pub const CANARIES: [&str; 16] = [
    "The cat sits outside the house and waits for rain.",
    "Quarterly revenue rose by 12.5 % to 4,310 million.",
    "fn main() { let answer = 6 * 7; }",
    "How do I reset the password of my account?",
    "Die Lieferung trifft am Dienstag nach zehn Uhr ein.",
    "El contrato se renueva cada año si nadie lo rescinde.",
    "La réunion est reportée à la semaine prochaine.",
    "明日の午後三時に駅の前で会いましょう。",
    "请在提交之前检查所有附件。",
    "Поезд отправляется со второго пути.",
    "invoice",
    "2026-11-27T08:15:00Z error=timeout code=504 retry=3",
    "Mix the flour with water, let it rest for an hour, then bake it.",
    "Patients with the condition should not take the medicine without advice.",
    "[ ] milk [x] bread [ ] eggs",
    "A contract is an agreement between two or more parties that creates obligations which a court will enforce; where one party does not perform what was \
     agreed, the other may ask for performance, for damages, or for the end of the contract, as the law of the place and the words of the contract allow.",
];

/// Two vectors of one text are of one space when their cosine is at least this.
pub const LEAST_COSINE: f64 = 0.999;

/// How far from 1 a norm may be and still be called 1.
const UNIT: f64 = 1e-3;

/// How many bits of the sketch each canary gives.
const N_BITS: usize = 128 / CANARIES.len();

/// How vectors are made of texts.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Recipe {
    /// Who makes them.
    pub provider: String,
    /// By which model.
    pub model: String,
    /// Which revision of it, where somebody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// How tokens become one vector, where somebody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pooling: Option<String>,
    /// What is written before each text.
    #[serde(default)]
    pub prefix: String,
    /// How long vectors the server is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<usize>,
    /// How many numbers of each are kept; what is left is brought to norm 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut_dimensions: Option<usize>,
    /// Whether each is brought to norm 1.
    #[serde(default)]
    pub normalize: bool,
    /// The most characters of a text, without the prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_chars: Option<usize>,
    /// The most tokens that the model reads, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<usize>,
}

impl Recipe {
    /// What is embedded of a text, and whether something of it was left out.
    #[must_use]
    pub fn text(&self, text: &str) -> (String, bool) {
        let end = self.max_chars.and_then(|most| text.char_indices().nth(most)).map(|(at, _)| at);
        (format!("{}{}", self.prefix, &text[..end.unwrap_or(text.len())]), end.is_some())
    }

    /// The vector that is kept of the one that came.
    ///
    /// # Errors
    /// Why it is none.
    pub fn vector(&self, mut vector: Vec<f32>) -> Result<Vec<f32>, String> {
        if vector.iter().any(|number| !number.is_finite()) {
            return Err("its vector has a number that is not finite".to_owned());
        }
        if let Some(asked) = self.dimensions.filter(|asked| *asked != vector.len()) {
            return Err(format!("vectors of {asked} numbers were asked for, and it has {}", vector.len()));
        }
        if let Some(most) = self.cut_dimensions {
            if vector.len() < most {
                return Err(format!("its vector has {} numbers, of which {most} cannot be kept", vector.len()));
            }
            vector.truncate(most);
        }
        let norm = norm(&vector);
        if norm == 0.0 {
            return Err("its vector is zero".to_owned());
        }
        if self.normalize || self.cut_dimensions.is_some() {
            // A number of norm 1 is a 32-bit float again.
            #[expect(clippy::cast_possible_truncation, reason = "it is between -1 and 1")]
            vector.iter_mut().for_each(|number| *number = (f64::from(*number) / norm) as f32);
        }
        Ok(vector)
    }

    /// The name of the space, from the canaries' vectors.
    #[must_use]
    pub fn space(&self, canaries: &[Vec<f32>]) -> String {
        let dims = canaries.first().map_or(0, Vec::len);
        let is_unit = canaries.iter().all(|vector| (norm(vector) - 1.0).abs() <= UNIT);
        let longest = match (self.max_chars, self.max_tokens) {
            (Some(chars), _) => format!("{chars}c"),
            (None, Some(tokens)) => format!("{tokens}t"),
            (None, None) => "-".to_owned(),
        };
        let or_dash = |part: &Option<String>| part.as_ref().map_or("-".to_owned(), |part| plain(part));
        format!(
            "{}/{}@{}#{dims}#{}#{}#{}#{longest}#f32~{:032x}",
            plain(&self.provider).replace('/', "%2F"),
            plain(&self.model),
            or_dash(&self.revision),
            or_dash(&self.pooling),
            if is_unit { "unit" } else { "any" },
            plain(&self.prefix),
            sketch(canaries)
        )
    }
}

/// Text in which no character means something in a name, and none is beyond what a header takes.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'/' | b':' => plain.push(char::from(byte)),
            // Writing to a String does not fail.
            _ => write!(plain, "%{byte:02X}").unwrap_or_default(),
        }
    }
    plain
}

/// Bits of the canaries' vectors: on which side of a plane each lies, of eight planes of its own.
#[must_use]
pub fn sketch(canaries: &[Vec<f32>]) -> u128 {
    let mut bits = 0_u128;
    for (idx, vector) in canaries.iter().enumerate() {
        for plane in 0..N_BITS {
            let n = idx * N_BITS + plane;
            let side: f64 = vector.iter().enumerate().map(|(at, number)| f64::from(*number) * sign(n, at)).sum();
            bits = bits << 1 | u128::from(side > 0.0);
        }
    }
    bits
}

/// 1 or -1, the same for ever: the top bit of SplitMix64 (Steele, Lea and Flood 2014) at the plane and the place.
fn sign(plane: usize, at: usize) -> f64 {
    let seed = (plane as u64) << 32 | at as u64;
    let mut mixed = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    if (mixed ^ mixed >> 31) >> 63 == 0 { 1.0 } else { -1.0 }
}

/// Whether two sets of canaries are of one space: each pair of vectors, not only their sketch.
#[must_use]
pub fn is_same(one: &[Vec<f32>], other: &[Vec<f32>]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| cosine(one, other) >= LEAST_COSINE)
}

fn cosine(one: &[f32], other: &[f32]) -> f64 {
    if one.len() != other.len() {
        return 0.0;
    }
    let product: f64 = one.iter().zip(other).map(|(one, other)| f64::from(*one) * f64::from(*other)).sum();
    product / (norm(one) * norm(other))
}

fn norm(vector: &[f32]) -> f64 {
    Dense::F32(vector.to_vec()).norm().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use wire::space::agree;

    use super::*;

    /// Vectors that a model might make: they share a direction, as real ones do.
    fn canaries(model: usize, noise: f64) -> Vec<Vec<f32>> {
        let wave = |n: usize| ((n as f64 * 12.9898 + model as f64 * 78.233).sin() * 43_758.547).fract();
        #[expect(clippy::cast_possible_truncation, reason = "numbers of a test")]
        let vector = |idx: usize| {
            let number =
                |at: usize| wave(at) + 0.7 * wave(1000 + idx * 499 + at) + noise * wave(99_000 + idx * 7 + at * 3);
            (0..384).map(|at| number(at) as f32).collect()
        };
        (0..16).map(vector).collect()
    }

    #[test]
    fn noise_of_the_last_digits_is_the_same_space_and_another_model_is_not() {
        let recipe = Recipe { provider: "p".into(), model: "m".into(), ..Recipe::default() };
        let name = |model, noise| recipe.space(&canaries(model, noise));
        assert!(agree(&name(1, 0.0), &name(1, 0.003)), "{} {}", name(1, 0.0), name(1, 0.003));
        assert!(!agree(&name(1, 0.0), &name(2, 0.0)));
        assert!(is_same(&canaries(1, 0.0), &canaries(1, 0.003)));
        assert!(!is_same(&canaries(1, 0.0), &canaries(1, 0.3)));
        let apart = (sketch(&canaries(1, 0.0)) ^ sketch(&canaries(2, 0.0))).count_ones();
        assert!((40..=88).contains(&apart), "{apart}");
    }

    #[test]
    fn a_space_is_named_by_how_its_vectors_are_made_in_characters_of_a_header() {
        let recipe = Recipe {
            provider: "gpu/1".into(),
            model: "org/m v2".into(),
            prefix: "passage: #é".into(),
            max_chars: Some(99),
            ..Recipe::default()
        };
        let name = recipe.space(&[vec![1.0, 0.0]]);
        let (made, _) = name.split_once('~').unwrap();
        assert_eq!(made, "gpu%2F1/org/m%20v2@-#2#-#unit#passage:%20%23%C3%A9#99c#f32");
    }

    #[test]
    fn a_text_is_cut_between_characters_and_a_vector_to_its_first_numbers_of_norm_1() {
        let recipe = Recipe { prefix: "p: ".into(), max_chars: Some(2), cut_dimensions: Some(2), ..Recipe::default() };
        assert_eq!(recipe.text("äöü"), ("p: äö".to_owned(), true));
        assert_eq!(recipe.text("äö"), ("p: äö".to_owned(), false));
        assert_eq!(recipe.vector(vec![3.0, 4.0, 12.0]).unwrap(), [0.6, 0.8]);
        assert!(recipe.vector(vec![0.0, 0.0, 1.0]).unwrap_err().contains("zero"));
        assert!(recipe.vector(vec![f32::NAN, 1.0]).unwrap_err().contains("not finite"));
        assert!(recipe.vector(vec![1.0]).unwrap_err().contains("cannot be kept"));
        let asks = Recipe { dimensions: Some(3), ..Recipe::default() };
        assert_eq!(asks.vector(vec![3.0, 4.0, 12.0]).unwrap(), [3.0, 4.0, 12.0]);
        assert!(asks.vector(vec![1.0]).unwrap_err().contains("asked for"));
    }
}
