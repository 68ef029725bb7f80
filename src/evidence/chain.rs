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

/// The steps behind a column of a metric, each after what it is behind of.
#[must_use]
pub fn chain<'a>(catalog: &'a Catalog, metric: &'a Query, number: &str) -> Vec<Step<'a>> {
    let mut steps: Vec<Step<'a>> = Vec::new();
    let mut next = vec![metric];
    while !next.is_empty() {
        let mut found = Vec::new();
        for of in next {
            for (query, behind) in catalog.behind(&of.name) {
                if !behind.numbers.is_empty() && !behind.numbers.iter().any(|name| name == number) {
                    continue;
                }
                let link = Link { of, behind };
                match steps.iter_mut().find(|step| step.query.name == query.name) {
                    Some(step) => step.links.push(link),
                    None => {
                        steps.push(Step { query, links: vec![link] });
                        found.push(query);
                    }
                }
            }
        }
        next = found;
    }
    steps
}
