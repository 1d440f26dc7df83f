//! YAML as far as prompts in files need it: maps, lists and texts with their lines.

use saphyr_parser::{Event, Parser, StrInput};

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Tree {
    /// A scalar, and the line it begins at.
    Text(String, u32),
    Map(Vec<(String, Tree)>),
    List(Vec<Tree>),
    /// What names another place of the file.
    Other,
}

/// Nesting that is followed.
const DEPTH: u32 = 32;

/// The first document; `None` of what is no YAML.
pub(super) fn parse(text: &str) -> Option<Tree> {
    let mut events = Parser::new_from_str(text);
    loop {
        let (event, span) = events.next_event()?.ok()?;
        match event {
            Event::StreamStart | Event::DocumentStart(_) | Event::Nothing => {}
            Event::StreamEnd | Event::DocumentEnd => return None,
            event => return node(&mut events, event, line(span.start.line()), DEPTH),
        }
    }
}

fn line(line: usize) -> u32 {
    u32::try_from(line.max(1)).unwrap_or(u32::MAX)
}

fn node(events: &mut Parser<'_, StrInput<'_>>, event: Event<'_>, at: u32, depth: u32) -> Option<Tree> {
    if depth == 0 {
        return None;
    }
    Some(match event {
        Event::Scalar(text, ..) => Tree::Text(text.into_owned(), at),
        Event::SequenceStart(..) => {
            let mut items = Vec::new();
            loop {
                let (event, span) = events.next_event()?.ok()?;
                if matches!(event, Event::SequenceEnd) {
                    break Tree::List(items);
                }
                items.push(node(events, event, line(span.start.line()), depth - 1)?);
            }
        }
        Event::MappingStart(..) => {
            let mut pairs = Vec::new();
            loop {
                let (event, span) = events.next_event()?.ok()?;
                if matches!(event, Event::MappingEnd) {
                    break Tree::Map(pairs);
                }
                let key = node(events, event, line(span.start.line()), depth - 1)?;
                let (event, span) = events.next_event()?.ok()?;
                let value = node(events, event, line(span.start.line()), depth - 1)?;
                let Tree::Text(key, _) = key else { continue };
                pairs.push((key, value));
            }
        }
        _ => Tree::Other,
    })
}
