//! Which evidence stands behind a number, and in which order it is looked at: from the report down to events.

use crate::catalog::{Behind, Catalog, Query};

/// A query of the chain and what it is behind of there.
#[derive(Debug, Clone)]
pub struct Step<'a> {
    /// The evidence.
    pub query: &'a Query,
    /// What its rows add up to; the first is how the chain came to it.
    pub links: Vec<Link<'a>>,
}

/// What the rows of a step add up to.
#[derive(Debug, Clone, Copy)]
pub struct Link<'a> {
    /// The metric, or the step before.
    pub of: &'a Query,
    /// How.
    pub behind: &'a Behind,
}

/// The steps behind a column of a metric, each after all that it is behind of.
#[must_use]
pub fn chain<'a>(catalog: &'a Catalog, metric: &'a Query, number: &str) -> Vec<Step<'a>> {
    let mut found: Vec<Step<'a>> = Vec::new();
    let mut next = vec![metric];
    while let Some(of) = next.pop() {
        for (query, behind) in catalog.behind(&of.name) {
            if !behind.numbers.is_empty() && !behind.numbers.iter().any(|name| name == number) {
                continue;
            }
            let link = Link { of, behind };
            if let Some(step) = found.iter_mut().find(|step| step.query.name == query.name) {
                step.links.push(link);
            } else {
                found.push(Step { query, links: vec![link] });
                next.push(query);
            }
        }
    }
    in_order(metric, found)
}

// What is nearest to the report comes first, and of that by name. The catalog has no circle, so every round places a step.
fn in_order<'a>(metric: &Query, mut steps: Vec<Step<'a>>) -> Vec<Step<'a>> {
    steps.sort_by_key(|step| &step.query.name);
    let mut ordered: Vec<Step<'a>> = Vec::with_capacity(steps.len());
    while !steps.is_empty() {
        let is_placed =
            |link: &Link| link.of.name == metric.name || ordered.iter().any(|step| step.query.name == link.of.name);
        let (ready, rest): (Vec<_>, Vec<_>) = steps.into_iter().partition(|step| step.links.iter().all(is_placed));
        if ready.is_empty() {
            break;
        }
        ordered.extend(ready);
        steps = rest;
    }
    ordered
}
