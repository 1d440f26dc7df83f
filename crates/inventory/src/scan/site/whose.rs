//! Whose service a client calls: its library's, or that of the address that it is told to call instead.

use super::request::Request;
use crate::scan::facts::{Call, Chain, Root, Step, Value};
use crate::scan::finding::{Confidence, Kind};
use crate::scan::hosts;
use crate::scan::link::Repository;

/// Whose service it is, and how sure that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Whose {
    pub(crate) vendor: &'static str,
    pub(crate) confidence: Confidence,
}

/// Variables by which OpenAI's libraries are told their address without being given it.
const READ_ANYWAY: [&str; 2] = ["OPENAI_BASE_URL", "OPENAI_API_BASE"];

/// Servers of models that stand on one's own machine, as names of files.
const SERVERS: [&str; 9] =
    ["lmstudio", "lm_studio", "lm-studio", "ollama", "vllm", "llamacpp", "llama_cpp", "localai", "llamafile"];

/// Whether a file says by its name that it is for a server of models on one's own machine.
pub(super) fn is_for_own_server(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default().to_lowercase();
    SERVERS.iter().any(|server| name.contains(server))
}

/// What a client calls that is made by the call and what follows in its chain.
pub(crate) fn of_client(repository: &Repository<'_>, file: usize, call: &Call, chain: &[Step], own: Whose) -> Whose {
    let request = Request::of_made(repository, file, call, chain);
    of_request(repository, file, &request, Kind::Client, own)
}

/// What is called where these settings are given.
pub(super) fn of_request(repository: &Repository<'_>, file: usize, request: &Request, kind: Kind, own: Whose) -> Whose {
    let azure = |whose: Whose| match whose.vendor {
        "openai" | "openai-compatible" if request.is_azure() => Whose { vendor: "azure-openai", ..own },
        _ => whose,
    };
    if let Some(address) = request.base_address(repository, file) {
        return azure(of_address(&address, kind, own));
    }
    let is_given = kind != Kind::Call && request.base().is_some_and(|value| is_open(repository, file, value));
    // A file says by its name that it is for a server on one's own machine.
    let name = repository.files()[file].path.rsplit('/').next().unwrap_or_default().to_lowercase();
    if is_given && own.vendor == "openai" && SERVERS.iter().any(|server| name.contains(server)) {
        return Whose { vendor: "self-hosted", confidence: Confidence::Possible };
    }
    azure(if is_given { compatible(own) } else { own })
}

/// Whose the address is; one that nobody is known to have is of somebody who does as OpenAI does.
fn of_address(address: &str, kind: Kind, own: Whose) -> Whose {
    if let Some(vendor) = hosts::vendor_of(address) {
        return Whose { vendor, ..own };
    }
    if hosts::is_local(address) {
        return Whose { vendor: "self-hosted", confidence: Confidence::Possible };
    }
    if own.vendor == "openai" && address.contains("/openai/deployments/") {
        return Whose { vendor: "azure-openai", ..own };
    }
    // A proxy says in its path whom it stands before.
    let is_elsewhere = address.contains("://") || address.contains('{');
    if kind == Kind::Call || !is_elsewhere || address.to_lowercase().contains("openai") {
        return own;
    }
    compatible(own)
}

fn compatible(own: Whose) -> Whose {
    match own.vendor {
        "openai" => Whose { vendor: "openai-compatible", confidence: own.confidence.min(Confidence::Likely) },
        _ => own,
    }
}

/// Whether the value is an address that is known at run time alone.
fn is_open(repository: &Repository<'_>, file: usize, value: &Value) -> bool {
    let Value::Chain(chain) = value else { return false };
    if let (Root::Name(name), []) = (&chain.root, chain.steps.as_slice()) {
        if matches!(name.as_str(), "None" | "null" | "undefined" | "nil") {
            return false;
        }
        if let Some(Value::Chain(bound)) = repository.binding_value(file, name, chain.line) {
            return !is_read_anyway(bound, 0);
        }
    }
    !is_read_anyway(chain, 0)
}

/// Whether it is read from where the library would look by itself: then giving it says nothing more.
fn is_read_anyway(chain: &Chain, depth: u32) -> bool {
    let within = |value: &Value| match value {
        Value::Text(text) => READ_ANYWAY.contains(&text.value.as_str()),
        Value::Chain(chain) => depth < 4 && is_read_anyway(chain, depth + 1),
        _ => false,
    };
    let of_root = match &chain.root {
        Root::Group(values) => values.iter().any(within),
        Root::Name(name) => READ_ANYWAY.contains(&name.as_str()),
        Root::Itself => false,
    };
    of_root
        || chain.steps.iter().any(|step| match step {
            Step::Member(name, _) => READ_ANYWAY.contains(&name.as_str()),
            Step::Call(call) => call.arguments.iter().any(|argument| within(&argument.value)),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_whose_service_it_is() {
        let own = Whose { vendor: "openai", confidence: Confidence::Certain };
        for (address, vendor, confidence) in [
            ("https://api.groq.com/openai/v1", "groq", Confidence::Certain),
            ("http://localhost:8000/v1", "self-hosted", Confidence::Possible),
            ("{ENDPOINT}/openai/deployments/{ID}", "azure-openai", Confidence::Certain),
            ("https://llm.example.com/v1", "openai-compatible", Confidence::Likely),
            ("{base}/v1", "openai-compatible", Confidence::Likely),
            ("https://gateway.example.com/openai", "openai", Confidence::Certain),
            ("https://api.openai.com/v1", "openai", Confidence::Certain),
            ("", "openai", Confidence::Certain),
        ] {
            assert_eq!(of_address(address, Kind::Client, own), Whose { vendor, confidence }, "{address}");
        }
        let other = Whose { vendor: "anthropic", ..own };
        assert_eq!(of_address("https://llm.example.com/v1", Kind::Client, other), other);
    }
}
