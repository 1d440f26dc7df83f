//! What people say of statements and answers, to hold a model's word against.

use serde::{Deserialize, Serialize};

use super::Kind;
use crate::case::Document;

/// What people say of a statement or of an answer; not of one that a run has to bring: it is asked as it stands here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PeopleSay {
    /// A statement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statement: Option<String>,
    /// The ids of the case's documents that it is held against; all of them where none is named.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub documents: Vec<String>,
    /// Whether these entail it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entailed: Option<bool>,
    /// An answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// Whether every claim of it is supported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grounded: Option<bool>,
    /// Whether it abstains.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub abstains: Option<bool>,
}

impl PeopleSay {
    /// What is wrong with it, and at which member; a case with these documents has it.
    #[must_use]
    pub fn problem(&self, documents: &[Document]) -> Option<(&'static str, String)> {
        let is_blank = |text: &Option<String>| text.as_ref().is_some_and(|text| text.trim().is_empty());
        let unknown = self.documents.iter().find(|id| !documents.iter().any(|document| document.id == **id));
        match self {
            PeopleSay { statement: Some(_), answer: Some(_), .. } => {
                Some(("answer", "people speak of a `statement` or of an `answer`, each in a verdict of its own".into()))
            }
            PeopleSay { statement: None, answer: None, .. } => {
                Some(("", "`statement` or `answer` is missing: what people speak of".into()))
            }
            _ if is_blank(&self.statement) => Some(("statement", "empty".into())),
            _ if is_blank(&self.answer) => Some(("answer", "empty".into())),
            PeopleSay { statement: Some(_), entailed: None, .. } => {
                Some(("entailed", "missing: whether the documents entail the statement".into()))
            }
            PeopleSay { statement: Some(_), grounded: Some(_), .. } => {
                Some(("grounded", "goes with an `answer`; of a statement people say `entailed`".into()))
            }
            PeopleSay { statement: Some(_), abstains: Some(_), .. } => {
                Some(("abstains", "goes with an `answer`".into()))
            }
            PeopleSay { answer: Some(_), entailed: Some(_), .. } => {
                Some(("entailed", "goes with a `statement`; of an answer people say `grounded`".into()))
            }
            PeopleSay { answer: Some(_), grounded: None, abstains: None, .. } => {
                Some(("grounded", "missing, or `abstains`: what people say of the answer".into()))
            }
            PeopleSay { answer: Some(_), documents, .. } if !documents.is_empty() => {
                Some(("documents", "goes with a `statement`: an answer is held against all documents".into()))
            }
            _ if unknown.is_some() => {
                let id = unknown.map(String::as_str).unwrap_or_default();
                Some(("documents", format!("the case has no document `{id}`")))
            }
            PeopleSay { abstains: Some(_), grounded: None, .. } => None,
            _ if documents.is_empty() => Some(("", "the case has no documents that anything could rest on".into())),
            _ => None,
        }
    }

    /// What has to be asked to hear what a model says: the kind, what people say, the text, and the documents it is held against.
    pub(super) fn questions<'q>(
        &'q self,
        all: &'q [Document],
    ) -> impl Iterator<Item = (Kind, bool, &'q str, Vec<&'q Document>)> {
        let named = |document: &&Document| self.documents.is_empty() || self.documents.contains(&document.id);
        let entailed = self.statement.as_deref().zip(self.entailed);
        let entailed = entailed.map(|(text, is)| (Kind::Entailment, is, text, all.iter().filter(named).collect()));
        let answer = self.answer.as_deref();
        let grounded = answer.zip(self.grounded).map(|(text, is)| (Kind::Claims, is, text, all.iter().collect()));
        let abstains = answer.zip(self.abstains).map(|(text, is)| (Kind::Abstention, is, text, Vec::new()));
        entailed.into_iter().chain(grounded).chain(abstains)
    }
}
