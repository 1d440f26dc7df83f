//! The name of a vector space, as collections, targets and the header `x-crossfade-space` say it.
//!
//! `provider/model@revision#dimensions#pooling#norm#prefix#longest#dtype~sketch`. What stands before `~` says how the vectors are made; the sketch says what came
//! out: 128 bits of the vectors of sixteen fixed texts. The sketch is what two names are held against, because names of providers and models differ between
//! servers of one model and stay the same when somebody swaps the model behind them.

/// How many of the 128 bits may differ.
///
/// A bit is the side of a random plane that a vector lies on, so two vectors at the angle θ differ in the part θ/π of the bits (Goemans and Williamson, 1995,
/// lemma 2.2). By hand: a cosine of 0.9999, as two batches of one model differ, is 0.0141 rad and 0.6 bits; 0.98, another quantisation, 0.2 rad and 8.2 bits;
/// another model 64.
pub const MAX_BITS_APART: u32 = 3;

/// Whether two names mean one space: the same length, norm and numbers, and sketches that agree. A name without a sketch is only itself.
#[must_use]
pub fn agree(one: &str, other: &str) -> bool {
    if one == other {
        return true;
    }
    let (Some(one), Some(other)) = (parts(one), parts(other)) else { return false };
    one.kept == other.kept && (one.sketch ^ other.sketch).count_ones() <= MAX_BITS_APART
}

/// What of a name decides.
struct Parts<'a> {
    /// Dimensions, norm and dtype.
    kept: [&'a str; 3],
    sketch: u128,
}

fn parts(name: &str) -> Option<Parts<'_>> {
    let (made, sketch) = name.rsplit_once('~')?;
    let fields: Vec<&str> = made.split('#').collect();
    let [_, dims, _, norm, _, _, dtype] = fields[..] else { return None };
    let is_sketch = sketch.len() == 32 && sketch.bytes().all(|byte| byte.is_ascii_hexdigit());
    let sketch = u128::from_str_radix(sketch, 16).ok().filter(|_| is_sketch)?;
    Some(Parts { kept: [dims, norm, dtype], sketch })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(one: &str, other: &str, expected: bool) {
        assert_eq!((agree(one, other), agree(other, one)), (expected, expected), "{one} and {other}");
    }

    #[test]
    fn one_model_behind_two_servers_is_one_space_and_another_behind_one_name_is_not() {
        let name =
            |server: &str, dims: u32, sketch: u128| format!("{server}/m@-#{dims}#-#unit#p%3A#-#f32~{sketch:032x}");
        check(&name("gpu", 384, 0xff), &name("vendor", 384, 0xff), true);
        check(&name("gpu", 384, 0xff), &name("gpu", 384, 0xff ^ 0b111), true);
        check(&name("gpu", 384, 0xff), &name("gpu", 384, 0xff ^ 0b1111), false);
        check(&name("gpu", 384, 0xff), &name("gpu", 256, 0xff), false);
    }

    #[test]
    fn a_name_without_a_sketch_is_only_itself() {
        check("vendor/model@1", "vendor/model@1", true);
        check("vendor/model@1", "vendor/model@2", false);
        check("a#1#b#c#d#e#f32~zz", "a#1#b#c#d#e#f32~zy", false);
    }
}
