//! From the errors of the HTTP client to the closed list of failures.

use std::error::Error;
use std::io;

use hyper_util::client::legacy;
use wire::failure::{Failure, FailureKind};

use crate::checked::Stale;
use crate::connect::ConnectError;

/// A call that got no answer.
pub(crate) fn without_answer(error: &legacy::Error) -> Failure {
    let kind = causes(error).find_map(kind_of_connect).unwrap_or_else(|| {
        if error.is_connect() || is_unprocessed(error) {
            return FailureKind::Connect;
        }
        match causes(error).find_map(|cause| cause.downcast_ref::<hyper::Error>()) {
            Some(error) => kind_of_hyper(error),
            None => FailureKind::Disconnected,
        }
    });
    Failure::new(kind, chain(error))
}

/// An answer that broke off.
pub(crate) fn while_reading(error: &hyper::Error) -> Failure {
    Failure::new(kind_of_hyper(error), chain(error))
}

/// Whether the provider did nothing with the request: it met a closed connection ([`Stale`]), or HTTP/2 says so (the stream
/// was refused, or lies beyond the last one that a goodbye names). Only then may a call be made again without asking
/// anybody. A connection that breaks later, even without a byte of an answer, proves nothing.
pub(crate) fn is_unprocessed(error: &legacy::Error) -> bool {
    causes(error).any(|cause| {
        if let Some(error) = cause.downcast_ref::<io::Error>() {
            return error.get_ref().is_some_and(|inner| inner.is::<Stale>());
        }
        if let Some(error) = cause.downcast_ref::<h2::Error>() {
            return error.is_remote() && (error.is_go_away() || error.reason() == Some(h2::Reason::REFUSED_STREAM));
        }
        false
    })
}

fn kind_of_connect(cause: &(dyn Error + 'static)) -> Option<FailureKind> {
    Some(match cause.downcast_ref::<ConnectError>()? {
        ConnectError::Dns(_) => FailureKind::Dns,
        ConnectError::Tcp(error) if causes(&**error).any(is_timed_out) => FailureKind::TimeoutConnect,
        ConnectError::Tcp(_) => FailureKind::Connect,
        ConnectError::Tls(_) => FailureKind::Tls,
        ConnectError::Timeout(_) => FailureKind::TimeoutConnect,
    })
}

fn is_timed_out(cause: &(dyn Error + 'static)) -> bool {
    cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
}

fn kind_of_hyper(error: &hyper::Error) -> FailureKind {
    let bad_chunk = || {
        causes(error)
            .filter_map(|cause| cause.downcast_ref::<io::Error>())
            .any(|error| matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData))
    };
    if error.is_parse() || bad_chunk() { FailureKind::Malformed } else { FailureKind::Disconnected }
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        next = error.source();
        Some(error)
    })
}

fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    for cause in causes(error) {
        let words = cause.to_string();
        if !text.ends_with(&words) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&words);
        }
    }
    text
}
