"""Random texts that are hard on metrics: repeated words, articles, marks, digits, several scripts, odd white space, nothing at all."""

import unicodedata

WORDS = (
    "the a an The AN refund refund issued issued cat sat on mat running runs run relational relations flies dies dying news controlled "
    "happily enjoy geology radically Paris paris GROSS Straße STRASSE naïve naive 日本 語 日本語 İstanbul ıI ΟΔΟΣ οδός \u212aelvin ﬁne e\u0301te éte "
    "don't it's 3.14 1,000 1.000,5 - — ... state-of-the-art x.y a.b &amp; &quot; &lt;b&gt; <skipped> \u200d 👩\u200d👩\u200d👧 ١٢ ² Ⅷ 𝟘 a\u0301 The\u0300 "
    "Ⓐ ⓐ _ a_n t.h.e (hi) \"x\" 3-4 -5 5- $9.99 100% no. yes, !!! x² ﷽ \u0130 ß ẞ Ǆ ﬀ μ µ"
).split(" ")
GAPS = [" "] * 12 + ["  ", "\n", "\n", "\t", "\x1c", "\x1f", "\xa0", "\u3000", "-\n", "", "\u200b", "\x85", "\r\n", ", ", ". ", "\u2028", "\n\n"]
ASSIGNED = None


def assigned():
    """Every character that this Python's Unicode knows, but for surrogates and private ones."""
    global ASSIGNED
    if ASSIGNED is None:
        ASSIGNED = [chr(c) for c in range(0x110000) if unicodedata.category(chr(c)) not in ("Cn", "Cs", "Co")]
    return ASSIGNED


def word(rng):
    kind = rng.random()
    if kind < 0.75:
        return rng.choice(WORDS)
    if kind < 0.9:
        return "".join(rng.choice("abcdeily") for _ in range(rng.randint(1, 7)))
    return "".join(rng.choice(assigned()) for _ in range(rng.randint(1, 4)))


def text(rng, most=14):
    kind = rng.random()
    if kind < 0.04:
        return ""
    if kind < 0.06:
        return rng.choice([" ", "\n", "the", "...", "\x1c", "A an THE", "\u3000\n", "<skipped>", "-\n"])
    if kind < 0.08:
        most *= 12
    n = rng.randint(1, most)
    parts = []
    for _ in range(n):
        parts += [word(rng), rng.choice(GAPS)]
    if rng.random() < 0.7:
        parts.pop()
    return "".join(parts)


def like(rng, other):
    """A text made from another one, or one of its own."""
    kind = rng.random()
    if kind < 0.08:
        return other
    if kind < 0.2:
        return text(rng)
    if kind < 0.25:
        return other.swapcase()
    words = other.split(" ")
    for _ in range(rng.randint(0, 4)):
        edit = rng.random()
        at = rng.randrange(len(words)) if words else 0
        if edit < 0.3 and words:
            del words[at]
        elif edit < 0.6:
            words.insert(at, word(rng))
        elif edit < 0.8 and words:
            words.insert(at, words[rng.randrange(len(words))])
        else:
            rng.shuffle(words)
    return rng.choice([" ", " ", " ", "\n"]).join(words)


def references(rng, most=3):
    return [text(rng) for _ in range(rng.choice([1, 1, 1, 2, most]))]


def pair(rng):
    found = references(rng)
    return {"references": found, "answer": like(rng, rng.choice(found))}
