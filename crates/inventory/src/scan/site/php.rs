//! Saloon of PHP: a class says the path of its request, and another the host of them all.

use super::Visitor;
use crate::scan::facts::{BindingKind, Value};
use crate::scan::finding::Kind;
use crate::scan::hosts;
use crate::scan::language::Language;

/// What a request's class says its path with, now and in the first version.
const PATHS: [&str; 2] = ["resolveEndpoint", "defineEndpoint"];

/// What a connector's class says its host with.
const BASES: [&str; 2] = ["resolveBaseUrl", "defineBaseUrl"];

impl Visitor<'_> {
    /// Requests whose class says a path of the vendor that the connector nearest to it is of.
    pub(super) fn endpoints(&mut self) {
        let source = &self.repository.files()[self.file];
        if source.language != Language::Php {
            return;
        }
        let mut texts = Vec::new();
        for (_, binding) in PATHS.iter().flat_map(|name| self.repository.named(self.file, name)) {
            match &binding.value {
                Some(Value::Text(text)) if binding.kind == BindingKind::Return => texts.push(text.clone()),
                _ => {}
            }
        }
        if texts.is_empty() {
            return;
        }
        let Some(vendor) = self.connector() else { return };
        let lines: Vec<u32> =
            self.findings.iter().filter(|found| found.kind.is_site()).map(|found| found.line).collect();
        for text in texts.iter().filter(|text| !lines.contains(&text.line)) {
            if let Some(operation) = hosts::operation_of(&text.value) {
                let finding = self.plain(Kind::Http, text.line, operation, vendor, &text.value);
                self.findings.push(finding);
            }
        }
    }

    /// Whose service the connector is of that shares most of the file's path.
    fn connector(&self) -> Option<&'static str> {
        let own = self.repository.files()[self.file].path;
        let shared = |other: &str| own.split('/').zip(other.split('/')).take_while(|(one, other)| one == other).count();
        let said = (0..self.repository.files().len()).flat_map(|file| {
            let named = BASES.iter().flat_map(move |name| self.repository.named(file, name));
            named.filter_map(move |(_, binding)| Some((file, binding.line, binding.value.as_ref()?)))
        });
        let vendors = said.filter_map(|(file, line, value)| {
            let (address, _) = self.repository.address_of(file, value, line)?;
            Some((shared(self.repository.files()[file].path), hosts::vendor_of(&address)?))
        });
        vendors.max_by_key(|(shared, _)| *shared).map(|(_, vendor)| vendor)
    }
}
