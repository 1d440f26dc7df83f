//! How C# says where it sends to: the base address that a client is given later, and Flurl's chains that begin with an address.

use super::Visitor;
use super::http::joined;
use crate::scan::facts::{Call, Chain, Root, Step, Value};
use crate::scan::hosts;
use crate::scan::language::Language;

impl Visitor<'_> {
    /// Where the call sends to, by the client's base address or the address that its chain begins with.
    pub(super) fn dotnet(&self, chain: &Chain, sent: &Call) -> Option<(String, u32)> {
        if self.repository.files()[self.file].language != Language::CSharp {
            return None;
        }
        self.on_base_address(chain, sent).or_else(|| self.on_own_address(chain, sent))
    }

    /// `client.BaseAddress = new Uri("https://…");` of the same class, and the path that is sent to.
    fn on_base_address(&self, chain: &Chain, sent: &Call) -> Option<(String, u32)> {
        let mut given = sent.arguments.iter().map(|argument| &argument.value);
        let is_made = matches!(&chain.root, Root::Name(name) if name == "HttpRequestMessage");
        let path = if is_made { given.nth(1) } else { given.next() }?;
        let path = match path {
            Value::Other => String::new(),
            Value::Chain(Chain { steps, .. }) if is_empty(steps) => String::new(),
            path => self.repository.text(self.file, path, sent.line)?,
        };
        if path.contains("://") {
            return None;
        }
        let mut bases = self.repository.named_in_class(self.file, "BaseAddress", sent.line);
        bases.find_map(|binding| {
            let (base, _) = self.repository.address_of(self.file, binding.value.as_ref()?, binding.line)?;
            let whole = joined(&base, &path);
            let is_of_vendor = hosts::vendor_of(&base).is_some() && hosts::operation_of(&whole).is_some();
            is_of_vendor.then_some((whole, sent.line))
        })
    }

    /// `"https://…".AppendPathSegment("v1/embeddings").PostJsonAsync(…)`, and RestSharp's client of a whole address.
    fn on_own_address(&self, chain: &Chain, sent: &Call) -> Option<(String, u32)> {
        let root = Chain { root: chain.root.clone(), line: chain.line, steps: Vec::new() };
        let (mut whole, at) = self.repository.address_of(self.file, &Value::Chain(root), chain.line)?;
        let mut name = "";
        for step in &chain.steps {
            match step {
                Step::Member(member, _) => name = member,
                Step::Call(call) if std::ptr::eq(call, sent) => break,
                Step::Call(call) if name.starts_with("AppendPath") => {
                    let parts = call
                        .arguments
                        .iter()
                        .filter_map(|part| self.repository.text(self.file, &part.value, call.line));
                    whole = parts.fold(whole, |whole, part| joined(&whole, &part));
                }
                Step::Call(_) => {}
            }
        }
        let is_of_vendor = hosts::vendor_of(&whole).is_some() && hosts::operation_of(&whole).is_some();
        is_of_vendor.then_some((whole, at))
    }
}

/// `string.Empty`
fn is_empty(steps: &[Step]) -> bool {
    matches!(steps, [Step::Member(name, _)] if name == "Empty")
}
