//! What is counted and charged. Counts are inclusive: `input` is every token that went in, and `cached` says how many of those
//! came from a cache. A meter that has its own price takes its part out of the meters it is within; one that has none is
//! charged as part of them. So a sheet without a price for reasoning charges it as output, which is what vendors do.

use std::fmt;

/// How a meter is described: what it counts, and how narrowly. 0 is "any".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Facets {
    family: u8,
    direction: u8,
    modality: u8,
    kind: u8,
    ttl: u8,
}

const fn facets(family: u8, direction: u8, modality: u8, kind: u8, ttl: u8) -> Facets {
    Facets { family, direction, modality, kind, ttl }
}

const TOKENS: u8 = 1;
const IN: u8 = 1;
const OUT: u8 = 2;
const AUDIO: u8 = 1;
const IMAGE: u8 = 2;
const VIDEO: u8 = 3;
const CACHE_READ: u8 = 1;
const CACHE_WRITE: u8 = 2;
const REASONING: u8 = 3;
const CITATION: u8 = 4;
const SECONDS: u8 = 2;
/// Families with one meter only.
const fn alone(family: u8) -> Facets {
    facets(family, 0, 0, 0, 0)
}

macro_rules! meters {
    ($($(#[$doc:meta])* $variant:ident $name:literal per $per:literal is $facets:expr;)*) => {
        /// One thing that is counted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Meter { $($(#[$doc])* $variant,)* }

        impl Meter {
            /// Every meter.
            pub const ALL: [Meter; [$($name),*].len()] = [$(Meter::$variant),*];

            /// The word in sheets and tables.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Meter::$variant => $name,)* }
            }

            /// A price in a sheet is for so many of it.
            #[must_use]
            pub const fn per(self) -> u64 {
                match self { $(Meter::$variant => $per,)* }
            }

            const fn facets(self) -> Facets {
                match self { $(Meter::$variant => $facets,)* }
            }
        }
    };
}

meters! {
    /// Tokens that went in, cached and written ones included.
    Input "input" per 1_000_000 is facets(TOKENS, IN, 0, 0, 0);
    /// Of these, tokens of sound.
    AudioInput "audio_input" per 1_000_000 is facets(TOKENS, IN, AUDIO, 0, 0);
    /// Of these, tokens of pictures.
    ImageInput "image_input" per 1_000_000 is facets(TOKENS, IN, IMAGE, 0, 0);
    /// Of these, tokens of moving pictures.
    VideoInput "video_input" per 1_000_000 is facets(TOKENS, IN, VIDEO, 0, 0);
    /// Input tokens served from a cache.
    Cached "cached" per 1_000_000 is facets(TOKENS, IN, 0, CACHE_READ, 0);
    /// Cached tokens of sound.
    CachedAudio "cached_audio" per 1_000_000 is facets(TOKENS, IN, AUDIO, CACHE_READ, 0);
    /// Cached tokens of pictures.
    CachedImage "cached_image" per 1_000_000 is facets(TOKENS, IN, IMAGE, CACHE_READ, 0);
    /// Cached tokens of moving pictures.
    CachedVideo "cached_video" per 1_000_000 is facets(TOKENS, IN, VIDEO, CACHE_READ, 0);
    /// Input tokens written to a cache, for however long.
    CacheWrite "cache_write" per 1_000_000 is facets(TOKENS, IN, 0, CACHE_WRITE, 0);
    /// Of these, tokens kept for five minutes.
    CacheWrite5m "cache_write_5m" per 1_000_000 is facets(TOKENS, IN, 0, CACHE_WRITE, 1);
    /// Of these, tokens kept for an hour.
    CacheWrite1h "cache_write_1h" per 1_000_000 is facets(TOKENS, IN, 0, CACHE_WRITE, 2);
    /// Tokens of sound written to a cache.
    CacheWriteAudio "cache_write_audio" per 1_000_000 is facets(TOKENS, IN, AUDIO, CACHE_WRITE, 0);
    /// Tokens of pictures written to a cache.
    CacheWriteImage "cache_write_image" per 1_000_000 is facets(TOKENS, IN, IMAGE, CACHE_WRITE, 0);
    /// Tokens that came out, reasoning included.
    Output "output" per 1_000_000 is facets(TOKENS, OUT, 0, 0, 0);
    /// Of these, tokens of sound.
    AudioOutput "audio_output" per 1_000_000 is facets(TOKENS, OUT, AUDIO, 0, 0);
    /// Of these, tokens of pictures.
    ImageOutput "image_output" per 1_000_000 is facets(TOKENS, OUT, IMAGE, 0, 0);
    /// Of these, tokens of moving pictures.
    VideoOutput "video_output" per 1_000_000 is facets(TOKENS, OUT, VIDEO, 0, 0);
    /// Output tokens spent on reasoning.
    Reasoning "reasoning" per 1_000_000 is facets(TOKENS, OUT, 0, REASONING, 0);
    /// Output tokens that quote a source.
    Citation "citation" per 1_000_000 is facets(TOKENS, OUT, 0, CITATION, 0);
    /// Seconds of sound, whichever way.
    AudioSeconds "audio_seconds" per 3_600 is facets(SECONDS, 0, AUDIO, 0, 0);
    /// Seconds of sound that went in.
    AudioInputSeconds "audio_input_seconds" per 3_600 is facets(SECONDS, IN, AUDIO, 0, 0);
    /// Seconds of sound that came out.
    AudioOutputSeconds "audio_output_seconds" per 3_600 is facets(SECONDS, OUT, AUDIO, 0, 0);
    /// Pictures that went in.
    ImagesIn "images_in" per 1 is facets(3, IN, 0, 0, 0);
    /// Pictures that came out.
    ImagesOut "images_out" per 1 is facets(3, OUT, 0, 0, 0);
    /// Characters that went in.
    Characters "characters" per 1_000_000 is alone(4);
    /// Messages that went in.
    Messages "messages" per 1_000 is alone(5);
    /// Pages of documents that went in.
    Pages "pages" per 1_000 is facets(6, 0, 0, 0, 0);
    /// Of these, pages that were annotated.
    AnnotatedPages "annotated_pages" per 1_000 is facets(6, 0, 0, 1, 0);
    /// Searches of the web.
    WebSearches "web_searches" per 1_000 is alone(7);
    /// Searches of stored files.
    FileSearches "file_searches" per 1_000 is alone(8);
    /// Searches that ranked documents.
    RerankSearches "rerank_searches" per 1_000 is alone(9);
    /// Requests; every call is one.
    Request "request" per 1 is alone(10);
    /// Microseconds a self-hosted server was busy with the call.
    BusyUs "busy" per 3_600_000_000 is alone(11);
}

impl Meter {
    /// How many there are.
    pub const COUNT: usize = Meter::ALL.len();

    /// The meter called `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<Meter> {
        Meter::ALL.into_iter().find(|meter| meter.as_str() == name)
    }

    /// Whether what it counts is part of what `other` counts. Every meter is within itself.
    #[must_use]
    pub const fn is_within(self, other: Meter) -> bool {
        let (own, other) = (self.facets(), other.facets());
        own.family == other.family
            && (other.direction == 0 || own.direction == other.direction)
            && (other.modality == 0 || own.modality == other.modality)
            && (other.kind == 0 || own.kind == other.kind)
            && (other.ttl == 0 || own.ttl == other.ttl)
    }

    /// What this and `other` both count, when neither is within the other: cached tokens of sound, for cached tokens and
    /// tokens of sound. `None` when nothing can be both.
    #[must_use]
    pub fn overlap(self, other: Meter) -> Option<Meter> {
        if self.is_within(other) || other.is_within(self) {
            return None;
        }
        Meter::ALL.into_iter().filter(|meter| meter.is_within(self) && meter.is_within(other)).min_by_key(|m| m.depth())
    }

    /// How narrow it is: a meter within another is deeper.
    #[must_use]
    pub const fn depth(self) -> u8 {
        let own = self.facets();
        (own.direction != 0) as u8 + (own.modality != 0) as u8 + (own.kind != 0) as u8 + (own.ttl != 0) as u8
    }

    /// Whether it counts something that every call has, priced or not.
    #[must_use]
    pub const fn is_of_every_call(self) -> bool {
        matches!(self, Meter::Request | Meter::BusyUs)
    }
}

impl fmt::Display for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How much one call used. What was not said is 0; a call is one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage([u64; Meter::COUNT]);

impl Default for Usage {
    fn default() -> Self {
        Self([0; Meter::COUNT]).with(Meter::Request, 1)
    }
}

impl Usage {
    /// Nothing but one request.
    #[must_use]
    pub fn new() -> Usage {
        Usage::default()
    }

    /// The same with `n` of `meter`.
    #[must_use]
    pub const fn with(mut self, meter: Meter, n: u64) -> Usage {
        self.0[meter as usize] = n;
        self
    }

    /// How many of `meter`.
    #[must_use]
    pub const fn get(&self, meter: Meter) -> u64 {
        self.0[meter as usize]
    }

    /// Every meter that counted something.
    pub fn counted(&self) -> impl Iterator<Item = (Meter, u64)> {
        Meter::ALL.into_iter().zip(self.0).filter(|(_, n)| *n > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn within_is_reflexive_transitive_and_deeper() {
        for a in Meter::ALL {
            assert!(a.is_within(a));
            assert_eq!(Meter::named(a.as_str()), Some(a));
            for b in Meter::ALL.into_iter().filter(|b| a.is_within(*b) && a != *b) {
                assert!(a.depth() > b.depth(), "{a} is within {b}");
                for c in Meter::ALL.into_iter().filter(|c| b.is_within(*c)) {
                    assert!(a.is_within(c));
                }
            }
        }
    }

    #[test]
    fn what_two_meters_share_has_a_meter() {
        assert_eq!(Meter::Cached.overlap(Meter::AudioInput), Some(Meter::CachedAudio));
        assert_eq!(Meter::AudioInput.overlap(Meter::CacheWrite), Some(Meter::CacheWriteAudio));
        assert_eq!(Meter::Cached.overlap(Meter::CacheWrite), None);
        assert_eq!(Meter::Input.overlap(Meter::Cached), None);
        assert_eq!(Meter::Input.overlap(Meter::Output), None);
    }
}
