//! Translation between dialects: a request as the target's server reads it, its answer as the caller reads it.
//!
//! A **pair** is a module below this one: the dialect the caller speaks and the dialect the target speaks. Each offers the
//! same plain functions; bytes go in, bytes come out, and ids and times are arguments ([`Context`]).
//!
//! | function | what it does |
//! |---|---|
//! | `request(body, policy, target) -> Result<Translated, Refusal>` | the request in the target's dialect; the model name stays what it was |
//! | `answer(body, context) -> Result<Vec<u8>, Failure>` | a whole answer with a success status, in the caller's dialect |
//! | `Stream::new(context)` | a translator for one streamed answer |
//! | `Stream::event(&mut self, event) -> Result<Vec<u8>, Failure>` | what to send on for one event of the target: whole events, possibly none |
//! | `Stream::end(&mut self) -> Result<Vec<u8>, Failure>` | the target's stream has ended: the last events, or the failure that it was cut |
//! | `Stream::fail(&mut self, error) -> Vec<u8>` | the events that tell the caller that the stream failed; nothing may follow them |
//! | `error(status, body) -> Vec<u8>` | the body of an answer with another status, where the envelopes differ |
//!
//! # In which order
//!
//! Translate first, adapt afterwards: [`Translated::body`] is a request of the target's dialect, on which the model name, the
//! prompt variant and the parameters of the target are spliced as on any other. The pairs that stream ask for the usage
//! themselves, because the caller's dialect always shows it: leave its last chunk in.
//!
//! Read the facts of a stream ([`crate::openai::chunk`]) from the target's events, before translation, and give the same
//! events to the translator in the same order. Comments may be given or left out. A failure of `Stream::event` or
//! `Stream::end` is the target's: before the first byte reached the caller it may fail over; afterwards send what
//! `Stream::fail` says for [`Refusal::body`](crate::openai::Refusal) and end. A translator that has failed or ended gives
//! no more bytes.
//!
//! Pairs may follow one another, Responses to chat to Messages: a request goes through both, an answer back through both in
//! the other order, each with the request it began with as [`Context::request`]. What the first stream gives are whole events;
//! a [`crate::sse::Decoder`] cuts them for the second. A failure is told by the pair next to the caller.
//!
//! # What cannot be carried over
//!
//! Another dialect cannot say everything. Each such thing is a [`Loss`], and a [`Policy`] says for each whether the request is
//! refused, with words that name the field, or goes on without it. What is dropped, renamed or put in other words is in
//! [`Translated::changes`], in the form in which a target's own changes are recorded and counted. The mere change of
//! shape (`input` becomes `messages`) is not. A field no dialect knows travels through untouched.

mod chat;
mod json;
pub mod messages;
pub mod responses;

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use bytes::Bytes;

use crate::openai::Refusal;
use crate::record::{Adaptation, AdaptationAction};

/// A way to ask a model for text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// OpenAI chat completions, `POST /v1/chat/completions`.
    Chat,
    /// OpenAI Responses, `POST /v1/responses`.
    Responses,
    /// Anthropic Messages, `POST /v1/messages`.
    Messages,
}

impl Dialect {
    /// The word in config, tables and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Dialect::Chat => "chat",
            Dialect::Responses => "responses",
            Dialect::Messages => "messages",
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What happens to a thing that cannot be carried over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fate {
    /// The request is refused.
    Refuse,
    /// The request goes on without it.
    Drop,
}

macro_rules! losses {
    ($($(#[$doc:meta])* $loss:ident = $text:literal, $fate:ident, $words:literal;)+) => {
        /// A kind of thing that another dialect cannot say.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Loss { $($(#[$doc])* $loss),+ }

        impl Loss {
            /// Every kind, in the order of the list.
            pub const ALL: &'static [Loss] = &[$(Loss::$loss),+];

            /// The word in config and tables.
            pub const fn as_str(self) -> &'static str {
                match self { $(Loss::$loss => $text),+ }
            }

            /// What happens to it when nothing else is said: what changes the meaning of the answer is refused.
            pub const fn usual_fate(self) -> Fate {
                match self { $(Loss::$loss => Fate::$fate),+ }
            }

            /// What a caller reads after the name of the field.
            const fn words(self) -> &'static str {
                match self { $(Loss::$loss => $words),+ }
            }
        }
    };
}

losses! {
    /// Tools that run at the provider: web search, file search, code interpreter, computer use, MCP.
    ServerTools = "server_tools", Refuse, "needs a tool that runs at the provider, and this model's server has none";
    /// State that a provider keeps: conversations, previous responses nobody here has kept, containers.
    ServerState = "server_state", Refuse, "names state that this model's server does not keep";
    /// Answering while nobody waits.
    Background = "background", Refuse, "asks for an answer in the background, which this model's server does not offer";
    /// A prompt kept at the provider under a name.
    PromptTemplate = "prompt_template", Refuse, "names a prompt kept at another provider";
    /// Reasoning that only the provider that wrote it can read (`encrypted_content`, signatures, redacted thinking).
    EncryptedReasoning = "encrypted_reasoning", Drop, "holds reasoning that only the provider that wrote it can read";
    /// Reasoning of earlier turns in plain words.
    Reasoning = "reasoning", Drop, "holds reasoning of an earlier turn, which this model's server does not take";
    /// A file or an image by its id at the provider.
    FileReference = "file_reference", Refuse, "names a file kept at another provider; send its content instead";
    /// An image, audio, video or document in a form or a place that the target's dialect has no word for.
    Media = "media", Refuse, "holds media in a form that this model's server does not take";
    /// A bias on token ids: another model has other tokens.
    LogitBias = "logit_bias", Refuse, "holds token ids, which mean something else to this model";
    /// More than one answer to one request.
    Choices = "choices", Refuse, "asks for several answers, and this model's server gives one";
    /// Parameters of sampling: seeds, penalties, `top_k`.
    Sampling = "sampling", Drop, "is a parameter of sampling that this model's server does not have";
    /// The form an answer must have: a schema, a grammar, JSON.
    OutputFormat = "output_format", Refuse, "asks for a format that this model's server cannot promise";
    /// Log probabilities of tokens.
    LogProbabilities = "log_probabilities", Refuse, "asks for log probabilities, which this model's server does not give";
    /// A choice among tools.
    ToolChoice = "tool_choice", Refuse, "asks for a choice of tools that this model's server cannot promise";
    /// A tool, a call or a result in a form that the target's dialect has no word for.
    ToolFormat = "tool_format", Refuse, "describes a tool in a form that this model's server does not take";
    /// An answer that goes on from the caller's own beginning of it: an assistant's message at the end of the conversation.
    Prefill = "prefill", Refuse, "ends with the beginning of the answer, which this model's server does not go on from";
    /// A region the provider is asked to stay in.
    Region = "region", Refuse, "asks for a region, which this model's server does not choose by request";
    /// Who shortens a conversation that has become too long.
    ContextManagement = "context_management", Drop, "asks the provider to shorten the conversation, which this model's server does not do";
    /// What only makes an answer faster or cheaper: cache keys and marks, predictions, service tiers.
    Hints = "hints", Drop, "is a hint that this model's server does not take";
    /// Names and notes for the provider's books: metadata, users.
    Labels = "labels", Drop, "is a label that this model's server does not take";
    /// Additions to the answer: `include`, citations, obfuscation.
    Extras = "extras", Drop, "asks for an addition that this model's server does not give";
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no [`Loss`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no kind of loss in translation has this name")]
pub struct UnknownLoss;

impl FromStr for Loss {
    type Err = UnknownLoss;

    fn from_str(text: &str) -> Result<Loss, UnknownLoss> {
        Loss::ALL.iter().copied().find(|loss| loss.as_str() == text).ok_or(UnknownLoss)
    }
}

/// What happens to each [`Loss`]; by default [`Loss::usual_fate`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// What differs from the usual.
    unusual: Vec<(Loss, Fate)>,
}

impl Policy {
    /// The same with another fate for `loss`.
    pub fn with(mut self, loss: Loss, fate: Fate) -> Policy {
        self.unusual.retain(|(known, _)| *known != loss);
        if fate != loss.usual_fate() {
            self.unusual.push((loss, fate));
        }
        self
    }

    /// What happens to `loss`.
    pub fn fate(&self, loss: Loss) -> Fate {
        self.unusual.iter().find(|(known, _)| *known == loss).map_or(loss.usual_fate(), |(_, fate)| *fate)
    }
}

/// A request in the target's dialect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Translated {
    /// Its bytes.
    pub body: Bytes,
    /// What was lost or put in other words on the way.
    pub changes: Vec<Adaptation>,
}

/// What an answer needs to know that is not in it.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// Letters and digits that no other answer has: the ids in the answer are made from it.
    pub id: &'a str,
    /// When the answer began, in Unix seconds.
    pub created_s: u64,
    /// The request in the caller's dialect, as the caller sent it: some dialects repeat it in the answer.
    pub request: &'a [u8],
}

/// Gathers what is lost on the way to one target.
#[derive(Debug)]
pub struct Changes<'a> {
    policy: &'a Policy,
    target: &'a str,
    list: Vec<Adaptation>,
}

impl<'a> Changes<'a> {
    /// Nothing lost yet on the way to `target`.
    pub fn new(policy: &'a Policy, target: &'a str) -> Changes<'a> {
        Changes { policy, target, list: Vec::new() }
    }

    /// `loss` happens: refuses the request on account of `param`, or counts that `field` is gone. `field` is a metric
    /// label, so it has no numbers in it (`tools.web_search`); `param` says exactly where (`tools[3]`).
    pub fn lose(
        &mut self,
        loss: Loss,
        field: impl Into<Cow<'static, str>>,
        param: impl Into<Cow<'static, str>>,
    ) -> Result<(), Refusal> {
        match self.policy.fate(loss) {
            Fate::Drop => {
                self.removed(field);
                Ok(())
            }
            Fate::Refuse => {
                let param = param.into();
                Err(Refusal::unsupported(format!("`{param}` {}.", loss.words()), param))
            }
        }
    }

    /// `field` is gone, and nothing is lost by it.
    pub fn removed(&mut self, field: impl Into<Cow<'static, str>>) {
        self.report(field, AdaptationAction::Removed);
    }

    /// `field` has another name there.
    pub fn renamed(&mut self, field: impl Into<Cow<'static, str>>) {
        self.report(field, AdaptationAction::Renamed);
    }

    /// `field` is said as nearly as the other dialect can.
    pub fn replaced(&mut self, field: impl Into<Cow<'static, str>>) {
        self.report(field, AdaptationAction::Replaced);
    }

    /// The caller did not send `field`, and the target's dialect needs it.
    pub fn added(&mut self, field: impl Into<Cow<'static, str>>) {
        self.report(field, AdaptationAction::Added);
    }

    /// What was lost.
    pub fn finish(self) -> Vec<Adaptation> {
        self.list
    }

    /// Once per field: a hundred reasoning items are one change.
    fn report(&mut self, field: impl Into<Cow<'static, str>>, action: AdaptationAction) {
        let field = field.into();
        if !self.list.iter().any(|change| change.field == field && change.action == action) {
            self.list.push(Adaptation { field, action, target: self.target.to_owned() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_loss_reads_back_from_its_word_and_has_words_for_the_caller() {
        for &loss in Loss::ALL {
            assert_eq!(loss.as_str().parse(), Ok(loss));
            let all_refused = Loss::ALL.iter().fold(Policy::default(), |policy, &loss| policy.with(loss, Fate::Refuse));
            let refusal = Changes::new(&all_refused, "qwen").lose(loss, "a", "a[0]").unwrap_err();
            assert!(refusal.body.message.starts_with("`a[0]` "), "{}", refusal.body.message);
            assert_eq!((refusal.status, refusal.body.param.as_deref()), (400, Some("a[0]")));
        }
        assert_eq!("nonsense".parse::<Loss>(), Err(UnknownLoss));
    }

    #[test]
    fn a_policy_says_what_is_dropped_and_what_is_dropped_is_counted_once() {
        let policy = Policy::default().with(Loss::ServerTools, Fate::Drop).with(Loss::Labels, Fate::Refuse);
        let mut changes = Changes::new(&policy, "qwen");
        for param in ["tools[0]", "tools[2]"] {
            changes.lose(Loss::ServerTools, "tools.web_search", param).unwrap();
        }
        changes.renamed("max_output_tokens");
        assert!(changes.lose(Loss::Labels, "metadata", "metadata").is_err());
        let list: Vec<(String, &str, String)> = changes
            .finish()
            .into_iter()
            .map(|change| (change.field.into_owned(), change.action.as_str(), change.target))
            .collect();
        let line = |field: &str, action| (field.to_owned(), action, "qwen".to_owned());
        assert_eq!(list, [line("tools.web_search", "removed"), line("max_output_tokens", "renamed")]);
        assert_eq!(policy.with(Loss::Labels, Fate::Drop).fate(Loss::Labels), Fate::Drop);
    }
}
