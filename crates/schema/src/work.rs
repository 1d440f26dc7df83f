//! What a check would cost at most: how often some schema is held against some part of the value, counted along the value before
//! the check is made. Never less than the check does, whatever order it goes in and however little it remembers.

use std::collections::HashMap;

use serde_json::Value;

use crate::compile::Unvalidated;
use crate::graph::Graph;

/// Deepest value, in objects and arrays inside each other. With the longest chain of schemas at each it fits the stack.
pub(crate) const MAX_DEPTH: usize = 64;

/// Most steps of one check. A step takes up to 0.8 us where every branch fails and is looked at again to find out why, as
/// `examples/speed.rs` measures: a tenth of a second in all. An answer of 90 KB takes some 20 000, and 1.2 ms.
pub(crate) const MAX_STEPS: u64 = 1 << 17;

/// A schema and how often it is held against a value.
type Held = Vec<(usize, u64)>;

/// Counts the steps of holding `value` against the whole schema.
pub(crate) fn steps(graph: &Graph, value: &Value) -> Result<u64, Unvalidated> {
    let mut work = Work { graph, steps: 0 };
    work.visit(value, &[(0, 1)], MAX_DEPTH)?;
    Ok(work.steps)
}

struct Work<'g> {
    graph: &'g Graph,
    steps: u64,
}

impl Work<'_> {
    fn visit(&mut self, value: &Value, held: &[(usize, u64)], room: usize) -> Result<(), Unvalidated> {
        if held.is_empty() {
            return Ok(());
        }
        let at_once = self.at_once(value, held)?;
        let room = room.checked_sub(1).ok_or(Unvalidated::AnswerTooDeep)?;
        match value {
            Value::Object(members) => {
                for (key, value) in members {
                    let next = self.member(key, &at_once)?;
                    self.visit(value, &next, room)?;
                }
            }
            Value::Array(elements) => {
                for (idx, value) in elements.iter().enumerate() {
                    let next = self.element(idx, &at_once);
                    self.visit(value, &next, room)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Everything that is held against this very value, and its price.
    fn at_once(&mut self, value: &Value, held: &[(usize, u64)]) -> Result<Held, Unvalidated> {
        let size = own_size(value);
        if let [(only, n)] = held
            && let [(_, 1)] = self.graph.nodes[*only].closure.as_slice()
        {
            self.spend(*n, self.graph.nodes[*only].weight, size)?;
            return Ok(vec![(*only, *n)]);
        }
        let mut sum: HashMap<usize, u64> = HashMap::new();
        for (idx, n) in held {
            for (inner, m) in &self.graph.nodes[*idx].closure {
                let sum = sum.entry(*inner).or_default();
                *sum = sum.saturating_add(n.saturating_mul(*m));
            }
            // Walking through the closure is work too.
            self.spend(1, self.graph.nodes[*idx].closure.len() as u64, 0)?;
        }
        for (idx, n) in &sum {
            self.spend(*n, self.graph.nodes[*idx].weight, size)?;
        }
        Ok(sum.into_iter().collect())
    }

    fn member(&mut self, key: &str, at_once: &Held) -> Result<Held, Unvalidated> {
        let mut next = Held::new();
        for (idx, n) in at_once {
            let node = &self.graph.nodes[*idx];
            next.extend(node.properties.get(key).map(|place| (*place, *n)));
            next.extend(node.members.iter().map(|place| (*place, *n)));
            for name in &node.names {
                let weight: u64 =
                    self.graph.nodes[*name].closure.iter().map(|(idx, m)| self.graph.nodes[*idx].weight * m).sum();
                self.spend(*n, weight, key.len() as u64 / BYTES_PER_STEP)?;
            }
        }
        Ok(next)
    }

    fn element(&self, idx: usize, at_once: &Held) -> Held {
        let mut next = Held::new();
        for (place, n) in at_once {
            let node = &self.graph.nodes[*place];
            next.extend(node.prefix.get(idx).map(|place| (*place, *n)));
            next.extend(node.elements.iter().map(|place| (*place, *n)));
        }
        next
    }

    fn spend(&mut self, n: u64, weight: u64, size: u64) -> Result<(), Unvalidated> {
        self.steps = self.steps.saturating_add(n.saturating_mul(weight.saturating_add(size)));
        if self.steps > MAX_STEPS { Err(Unvalidated::TooMuchWork) } else { Ok(()) }
    }
}

/// A regular expression goes through so many bytes in about one step.
const BYTES_PER_STEP: u64 = 64;

/// What keywords that go through a value spend on it, in steps.
fn own_size(value: &Value) -> u64 {
    match value {
        Value::String(text) => text.len() as u64 / BYTES_PER_STEP,
        Value::Array(elements) => elements.len() as u64 / 2,
        Value::Object(members) => members.len() as u64 / 2,
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}
