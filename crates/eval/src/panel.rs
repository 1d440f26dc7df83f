//! Human review of blinded pairs: which pairs people see, in which order, what of an answer they see, and what their verdicts come to.
//!
//! Whoever judges a pair is shown a question and two answers, `a` and `b`. Which of them is the candidate's is decided here by a secret that
//! never leaves the server, anew for every reviewer, so that a habit of preferring the first is nobody's gain. Nothing else about an answer is
//! shown: no name of a model or target, no time, no usage, no id that sorts; and [`shown`] takes out of its text what would tell whose it is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use stats::difference::PairedDifference;
use stats::random::Random;

use crate::agreement::{Kappa, Ratings, all, each_two};
use crate::case::Answer;

/// What intervals of agreement draw with: the same verdicts give the same.
const SEED: u64 = 1;

/// A pair that may be shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawable {
    /// What it is a case of: pairs are drawn from each in proportion.
    pub stratum: String,
    /// How far automatic comparison says the answers are apart, beyond the baseline's own noise where that was measured; 0 where it says nothing.
    pub disagreement: f64,
}

/// Why a pair is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// It was drawn by chance: the win rate is made of these alone.
    Chance,
    /// Automatic comparison finds the answers far apart: people say whether that is right.
    Disagreement,
}

/// One pair for one reviewer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Tells nothing: neither the pair nor the side, and its order is by chance.
    pub id: String,
    /// Which of the drawn pairs.
    pub pair: usize,
    /// Who is to judge it.
    pub reviewer: String,
    /// Whether the candidate's answer is `a`.
    pub candidate_is_a: bool,
}

/// What a reviewer found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// `a` is better.
    A,
    /// `b` is better.
    B,
    /// Both are as good.
    Tie,
    /// Neither will do.
    Neither,
}

/// A verdict, with what the server knows of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// Which of the drawn pairs.
    pub pair: usize,
    /// Why it was shown.
    pub why: Why,
    /// Who judged.
    pub reviewer: String,
    /// The side the candidate was on.
    pub candidate_is_a: bool,
    /// What was found.
    pub verdict: Verdict,
    /// From showing the pair to the verdict.
    pub took_us: u64,
}

/// What verdicts come to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Pairs drawn by chance that somebody judged.
    pub n_pairs: u64,
    /// Of these, where most prefer the candidate, the baseline, or neither.
    pub wins: u64,
    /// Most prefer the baseline.
    pub losses: u64,
    /// Neither is preferred.
    pub ties: u64,
    /// (wins + ½ ties) / pairs.
    pub win_rate: Option<f64>,
    /// The interval that holds it at all times with 95 %, however often one looks (each bound at 2.5 %; see docs/statistics.md, paired
    /// differences).
    pub win_rate_interval: Option<(f64, f64)>,
    /// Verdicts that neither answer will do.
    pub neither: u64,
    /// Of pairs shown because automatic comparison finds them far apart: those with a preference, and all.
    pub disagreements_confirmed: (u64, u64),
    /// Cohen's kappa of each two reviewers over what both judged.
    pub cohen: Vec<Kappa>,
    /// Fleiss' kappa over pairs that equally many judged: those that go to every reviewer.
    pub fleiss: Kappa,
    /// Verdicts for `a` among those for `a` or `b`: far from one half, the place decides and not the answer.
    pub chose_a: (u64, u64),
    /// Half of the verdicts took less than this.
    pub median_time_us: Option<u64>,
    /// All verdicts together.
    pub total_time_us: u64,
    /// How many verdicts there are.
    pub n_verdicts: u64,
}

/// Draws `n` pairs: `disagreeing` (0 to 1) of them those that automatic comparison finds farthest apart, the others by chance, from each stratum in
/// proportion to its size.
#[must_use]
pub fn draw(pairs: &[Drawable], n: usize, disagreeing: f64, secret: &[u8; 32]) -> Vec<(usize, Why)> {
    let mut random = Random::new(number(&digest(secret, &["draw"])));
    let order = shuffled(pairs.len(), &mut random);
    let n = n.min(pairs.len());
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of a length")]
    let n_far = ((n as f64) * disagreeing.clamp(0.0, 1.0)).floor() as usize;
    let by_chance = proportional(pairs, &order, n - n_far);
    let mut far: Vec<usize> =
        order.iter().copied().filter(|idx| !by_chance.contains(idx) && disagreement(pairs, *idx) > 0.0).collect();
    far.sort_by(|one, other| disagreement(pairs, *other).total_cmp(&disagreement(pairs, *one)));
    let far = far.into_iter().take(n_far).map(|idx| (idx, Why::Disagreement));
    by_chance.iter().map(|idx| (*idx, Why::Chance)).chain(far).collect()
}

fn disagreement(pairs: &[Drawable], idx: usize) -> f64 {
    pairs.get(idx).map_or(0.0, |pair| pair.disagreement)
}

/// The largest remainder: each stratum gets the whole part of its share, and those with the largest rest one more.
fn proportional(pairs: &[Drawable], order: &[usize], n: usize) -> Vec<usize> {
    let mut strata: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for idx in order {
        if let Some(pair) = pairs.get(*idx) {
            strata.entry(&pair.stratum).or_default().push(*idx);
        }
    }
    let total = pairs.len().max(1);
    let mut quotas: Vec<(usize, usize, Vec<usize>)> =
        strata.into_values().map(|members| (n * members.len() / total, n * members.len() % total, members)).collect();
    let given: usize = quotas.iter().map(|quota| quota.0).sum();
    quotas.sort_by_key(|quota| std::cmp::Reverse(quota.1));
    for quota in quotas.iter_mut().take(n.saturating_sub(given)) {
        quota.0 += 1;
    }
    quotas.into_iter().flat_map(|(n, _, members)| members.into_iter().take(n)).collect()
}

fn shuffled(n: usize, random: &mut Random) -> Vec<usize> {
    let mut keyed: Vec<(u64, usize)> = (0..n).map(|idx| (random.bits(), idx)).collect();
    keyed.sort_unstable();
    keyed.into_iter().map(|(_, idx)| idx).collect()
}

/// Says who judges which pair, and on which side the candidate is. The first `overlap` (0 to 1) of the pairs go to every reviewer, the others to one
/// each, in turn. Nobody gets a pair that `may_see` refuses him: it goes to the next who may, or to nobody; and pairs that all may see are shared
/// first.
#[must_use]
pub fn assign(
    n_pairs: usize,
    (reviewers, overlap): (&[String], f64),
    secret: &[u8; 32],
    may_see: impl Fn(usize, &str) -> bool,
) -> Vec<Item> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of a length")]
    let n_shared = ((n_pairs as f64) * overlap.clamp(0.0, 1.0)).ceil() as usize;
    let mut random = Random::new(number(&digest(secret, &["overlap"])));
    let mut items = Vec::new();
    let mut order = shuffled(n_pairs, &mut random);
    order.sort_by_key(|pair| !reviewers.iter().all(|reviewer| may_see(*pair, reviewer)));
    for (place, pair) in order.into_iter().enumerate() {
        let in_turn = reviewers.iter().cycle().skip(place % reviewers.len().max(1)).take(reviewers.len());
        let n_judges = if place < n_shared { reviewers.len() } else { 1 };
        let judges = in_turn.filter(|reviewer| may_see(pair, reviewer)).take(n_judges);
        items.extend(judges.map(|reviewer| item(pair, reviewer, secret)));
    }
    items.sort_by(|one, other| one.id.cmp(&other.id));
    items
}

fn item(pair: usize, reviewer: &str, secret: &[u8; 32]) -> Item {
    let pair_text = pair.to_string();
    let id: String =
        digest(secret, &["id", &pair_text, reviewer]).iter().take(10).map(|byte| format!("{byte:02x}")).collect();
    let candidate_is_a = digest(secret, &["side", &pair_text, reviewer])[0] & 1 == 1;
    Item { id, pair, reviewer: reviewer.to_owned(), candidate_is_a }
}

/// SHA-256 of the secret and the words, each with its length before it.
fn digest(secret: &[u8; 32], words: &[&str]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(secret);
    for word in words {
        hasher.update((word.len() as u64).to_le_bytes());
        hasher.update(word.as_bytes());
    }
    hasher.finalize().into()
}

fn number(digest: &[u8; 32]) -> u64 {
    digest.iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

/// Words that tell whose an answer is, whatever the targets are called.
const FAMILIES: [&str; 24] = [
    "chatgpt",
    "gpt",
    "openai",
    "claude",
    "anthropic",
    "gemini",
    "gemma",
    "google",
    "llama",
    "meta ai",
    "qwen",
    "tongyi",
    "alibaba",
    "mistral",
    "mixtral",
    "deepseek",
    "phi",
    "microsoft",
    "command r",
    "cohere",
    "grok",
    "xai",
    "kimi",
    "glm",
];

/// The answer as a reviewer sees it: its text and tool calls, without thoughts, template marks, ids and formatting that servers differ in, and with
/// these names and those of the common families made unreadable.
#[must_use]
pub fn shown(answer: &Answer, names: &[String]) -> String {
    let mut text = without_thoughts(&answer.text);
    for mark in ["<|im_end|>", "<|eot_id|>", "<|end|>", "</s>", "<end_of_turn>", "<|im_start|>"] {
        text = text.replace(mark, "");
    }
    if text.trim().is_empty() {
        text = answer.refusal.clone().unwrap_or_default();
    }
    for call in &answer.tool_calls {
        let arguments = serde_json::from_str::<serde_json::Value>(&call.arguments);
        let arguments = arguments.map_or_else(|_| call.arguments.clone(), |value| value.to_string());
        text += &format!("\n[calls {} with {arguments}]", call.name);
    }
    let text = text.replace("\r\n", "\n").trim().to_owned();
    masked(&text, names)
}

/// Whether something in the answer is made unreadable before a reviewer sees it, since it tells whose it is.
#[must_use]
pub fn names_itself(answer: &Answer, names: &[String]) -> bool {
    let text = without_thoughts(&answer.text);
    masked(&text, names) != text || answer.refusal.as_deref().is_some_and(|text| masked(text, names) != text)
}

fn without_thoughts(text: &str) -> String {
    let mut rest = text;
    let mut kept = String::new();
    while let Some(from) = rest.find("<think>") {
        kept.push_str(&rest[..from]);
        rest = rest[from..].find("</think>").map_or("", |to| &rest[from + to + "</think>".len()..]);
    }
    kept.push_str(rest);
    // A server that shows only the end mark shows all thoughts before it.
    kept.rsplit("</think>").next().unwrap_or_default().to_owned()
}

/// The text with these names and those of the common families made unreadable, but for those that are known from what was asked: where a
/// question is about somebody, the answer has to name them.
#[must_use]
pub fn without_names(text: &str, names: &[String], known: &str) -> String {
    let known = known.to_lowercase();
    let mut words = words(names);
    words.retain(|word| !known.contains(word.as_str()));
    masked_words(text, &words)
}

fn masked(text: &str, names: &[String]) -> String {
    masked_words(text, &words(names))
}

/// The names as they are looked for, the longest first.
fn words(names: &[String]) -> Vec<String> {
    let mut words: Vec<String> = names.iter().map(|name| name.to_lowercase()).collect();
    words.extend(names.iter().filter_map(|name| name.rsplit('/').next()).map(str::to_lowercase));
    words.extend(FAMILIES.map(str::to_owned));
    words.retain(|word| word.chars().count() > 2);
    words.sort_by_key(|word| std::cmp::Reverse(word.len()));
    words.dedup();
    words
}

fn masked_words(text: &str, words: &[String]) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut at = 0;
    let mut after_word = false;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let found = words.iter().filter(|_| !after_word).find(|word| begins(rest, word));
        match found {
            Some(word) => {
                // What hangs on to it (`-4o`, `3-32B`) is of the name.
                let end = word.len()
                    + rest[word.len()..]
                        .find(|c: char| !c.is_alphanumeric() && !"-._:/".contains(c))
                        .unwrap_or(rest.len() - word.len());
                let end = rest[..end].trim_end_matches(['.', ':', '-', '_', '/']).len().max(word.len());
                shown.push_str("[name]");
                at += end;
                after_word = true;
            }
            None => {
                let Some(character) = rest.chars().next() else { break };
                shown.push(character);
                at += character.len_utf8();
                after_word = character.is_alphanumeric();
            }
        }
    }
    shown
}

/// Whether the text begins with the word, in whatever case, and the word is not the beginning of a longer one of letters.
fn begins(text: &str, word: &str) -> bool {
    let is_it = text.get(..word.len()).is_some_and(|start| start.to_lowercase() == *word);
    is_it && !text[word.len()..].chars().next().is_some_and(char::is_alphabetic)
}

/// How the candidate fared in one verdict: 1, 0 or -1.
fn sign(judged: &Judged) -> i64 {
    match (judged.verdict, judged.candidate_is_a) {
        (Verdict::A, true) | (Verdict::B, false) => 1,
        (Verdict::A, false) | (Verdict::B, true) => -1,
        (Verdict::Tie | Verdict::Neither, _) => 0,
    }
}

/// What verdicts come to, of a panel with these reviewers.
#[must_use]
pub fn summarise(judged: &[Judged], reviewers: &[String]) -> Summary {
    let mut pairs: BTreeMap<usize, (Why, Vec<&Judged>)> = BTreeMap::new();
    for one in judged {
        pairs.entry(one.pair).or_insert((one.why, Vec::new())).1.push(one);
    }
    let (mut wins, mut losses, mut ties, mut confirmed) = (0, 0, 0, (0, 0));
    for (why, verdicts) in pairs.values() {
        let sum: i64 = verdicts.iter().map(|judged| sign(judged)).sum();
        match why {
            Why::Disagreement => confirmed = (confirmed.0 + u64::from(sum != 0), confirmed.1 + 1),
            Why::Chance if sum > 0 => wins += 1,
            Why::Chance if sum < 0 => losses += 1,
            Why::Chance => ties += 1,
        }
    }
    let n_pairs: u64 = wins + losses + ties;
    let rate = |excess: f64| (1.0 - excess) / 2.0;
    let low = PairedDifference::from_counts(n_pairs, losses, wins).upper_bound(0.025).map(|bound| rate(bound).max(0.0));
    let high =
        PairedDifference::from_counts(n_pairs, wins, losses).upper_bound(0.025).map(|bound| 1.0 - rate(bound).max(0.0));
    let mut times: Vec<u64> = judged.iter().map(|one| one.took_us).collect();
    times.sort_unstable();
    let of = |(pair, (_, verdicts)): (&usize, &(Why, Vec<&Judged>))| {
        (*pair as u64, verdicts.iter().map(|judged| (judged.reviewer.clone(), category(judged))).collect())
    };
    let ratings: Ratings = pairs.iter().map(of).collect();
    let chose = |verdict: Verdict| judged.iter().filter(|one| one.verdict == verdict).count() as u64;
    Summary {
        n_pairs,
        wins,
        losses,
        ties,
        win_rate: (n_pairs > 0).then(|| (wins as f64 + ties as f64 / 2.0) / n_pairs as f64),
        win_rate_interval: low.zip(high),
        neither: chose(Verdict::Neither),
        disagreements_confirmed: confirmed,
        cohen: each_two(&ratings, reviewers, SEED),
        fleiss: all(&ratings, reviewers, SEED),
        chose_a: (chose(Verdict::A), chose(Verdict::A) + chose(Verdict::B)),
        median_time_us: times.get(times.len() / 2).copied(),
        total_time_us: times.iter().sum(),
        n_verdicts: judged.len() as u64,
    }
}

/// Baseline, neither, candidate.
fn category(judged: &Judged) -> usize {
    match sign(judged) {
        ..0 => 0,
        0 => 1,
        1.. => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::ToolCall;

    const SECRET: [u8; 32] = [7; 32];

    fn names(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn pairs_are_drawn_from_each_stratum_in_proportion_and_the_farthest_beside_them() {
        let pair = |idx: usize| Drawable {
            stratum: if idx < 75 { "billing" } else { "refunds" }.to_owned(),
            disagreement: if idx % 10 == 3 { idx as f64 } else { 0.0 },
        };
        let pairs: Vec<Drawable> = (0..100).map(pair).collect();
        let drawn = draw(&pairs, 40, 0.1, &SECRET);
        let by_chance: Vec<usize> = drawn.iter().filter(|(_, why)| *why == Why::Chance).map(|(idx, _)| *idx).collect();
        assert_eq!((drawn.len(), by_chance.len()), (40, 36));
        assert_eq!(by_chance.iter().filter(|idx| **idx < 75).count(), 27);
        let far: Vec<usize> = drawn.iter().filter(|(_, why)| *why == Why::Disagreement).map(|(idx, _)| *idx).collect();
        assert!(far.iter().all(|idx| idx % 10 == 3 && !by_chance.contains(idx)), "{far:?}");
        assert!(far.is_sorted_by(|one, other| one > other));
    }

    #[test]
    fn sides_and_order_are_by_chance_and_every_shared_pair_goes_to_everybody() {
        let reviewers = names(&["ana", "ben"]);
        let items = assign(400, (&reviewers, 0.25), &SECRET, |_, _| true);
        assert_eq!(items.len(), 100 * 2 + 300);
        let on_a = items.iter().filter(|item| item.candidate_is_a).count();
        assert!((200..300).contains(&on_a), "{on_a}");
        let order: Vec<usize> = items.iter().map(|item| item.pair).collect();
        assert!(!order.is_sorted());
        let of = |name: &str| items.iter().filter(|item| item.reviewer == name).count();
        assert_eq!(of("ana"), of("ben"));
        assert_ne!(assign(400, (&reviewers, 0.25), &[8; 32], |_, _| true), items);
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let answer = Answer { text: text.to_owned(), ..Answer::default() };
        assert_eq!(shown(&answer, &names(&["Qwen/Qwen3-32B", "acme-small"])), expected);
    }

    #[test]
    fn nothing_in_a_text_says_whose_it_is() {
        check("I am Qwen3-32B, made by Alibaba.", "I am [name], made by [name].");
        check("As ChatGPT (gpt-4o), I", "As [name] ([name]), I");
        check("ACME-SMALL says", "[name] says");
        check("<think>I, Qwen, think</think>\r\nYes<|im_end|>\n", "Yes");
        check("thoughts without a start</think>Yes", "Yes");
        check("Gptiful phishing philosophy", "Gptiful phishing philosophy");
        let call = ToolCall { name: "lookup".to_owned(), arguments: "{ \"b\":1,  \"a\":2 }".to_owned() };
        let answer = Answer { tool_calls: vec![call], ..Answer::default() };
        assert_eq!(shown(&answer, &[]), "[calls lookup with {\"a\":2,\"b\":1}]");
    }

    fn judged(pair: usize, reviewer: &str, verdict: Verdict, candidate_is_a: bool) -> Judged {
        let why = if pair < 90 { Why::Chance } else { Why::Disagreement };
        Judged { pair, why, reviewer: reviewer.to_owned(), candidate_is_a, verdict, took_us: 10 }
    }

    #[test]
    fn a_win_is_the_candidates_on_whichever_side_it_was() {
        let verdicts = [
            judged(0, "ana", Verdict::A, true),
            judged(0, "ben", Verdict::B, false),
            judged(1, "ana", Verdict::A, false),
            judged(2, "ana", Verdict::Tie, true),
            judged(3, "ana", Verdict::A, true),
            judged(3, "ben", Verdict::A, false),
            judged(95, "ben", Verdict::B, true),
        ];
        let summary = summarise(&verdicts, &names(&["ana", "ben"]));
        assert_eq!((summary.wins, summary.losses, summary.ties, summary.win_rate), (1, 1, 2, Some(0.5)));
        assert_eq!(summary.disagreements_confirmed, (1, 1));
        assert_eq!(summary.cohen[0].n_pairs, 2);
        assert_eq!(summary.fleiss.n_pairs, 2);
        assert_eq!(summary.chose_a, (4, 6));
        assert_eq!((summary.median_time_us, summary.total_time_us), (Some(10), 70));
        let (low, high) = summary.win_rate_interval.unwrap();
        assert!(low < 0.1 && high > 0.9, "{low} {high}");
    }

    #[test]
    fn many_wins_are_evidence_and_none_are_not() {
        let verdicts: Vec<Judged> = (0..80).map(|pair| judged(pair, "ana", Verdict::A, pair % 4 != 0)).collect();
        let summary = summarise(&verdicts, &names(&["ana"]));
        let (low, high) = summary.win_rate_interval.unwrap();
        assert_eq!(summary.win_rate, Some(0.75));
        assert!(low > 0.5 && low < 0.75 && high > 0.75 && high <= 1.0, "{low} {high}");
        assert_eq!(summarise(&[], &names(&["ana"])).win_rate, None);
    }
}
