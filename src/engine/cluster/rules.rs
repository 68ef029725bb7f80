//! Rules that make DataFusion's plans fit for Ballista 55, which cuts them into stages and does not ship all that it cuts.
//! They run after all others. They do not know queries.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::placeholder_row::PlaceholderRowExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};

/// Puts an exchange above branches of a union without a table, such as literals or a `count(*)` known from statistics.
/// Without it Ballista hands such a branch to each task of the union with no partition to run, in a form that does
/// not survive the way to the executor: the query never ends.
#[derive(Debug)]
pub(super) struct LiteralBranches;

/// Sorts after each exchange that is to keep an order. Ballista's shuffle does not keep it, and a merge join above then
/// silently loses rows.
#[derive(Debug)]
pub(super) struct SortAfterExchange;

impl PhysicalOptimizerRule for LiteralBranches {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let rewritten = plan.transform_up(|node| {
            if !node.is::<UnionExec>() {
                return Ok(Transformed::no(node));
            }
            let mut branches = Vec::new();
            let mut changed = false;
            for branch in node.children() {
                let alone = reads_nothing(branch)?;
                changed |= alone;
                let branch = Arc::clone(branch);
                branches.push(if alone { Arc::new(CoalescePartitionsExec::new(branch)) } else { branch });
            }
            Ok(if changed { Transformed::yes(UnionExec::try_new(branches)?) } else { Transformed::no(node) })
        });
        Ok(rewritten?.data)
    }

    fn name(&self) -> &'static str {
        "literal_branches"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

impl PhysicalOptimizerRule for SortAfterExchange {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let rewritten = plan.transform_up(|node| {
            let Some(exchange) = node.downcast_ref::<RepartitionExec>().filter(|exchange| exchange.preserve_order())
            else {
                return Ok(Transformed::no(node));
            };
            let Some(order) = node.output_ordering().cloned() else { return Ok(Transformed::no(node)) };
            let unordered = RepartitionExec::try_new(Arc::clone(exchange.input()), exchange.partitioning().clone())?;
            let sorted = SortExec::new(order, Arc::new(unordered)).with_preserve_partitioning(true);
            Ok(Transformed::yes(Arc::new(sorted) as Arc<dyn ExecutionPlan>))
        });
        Ok(rewritten?.data)
    }

    fn name(&self) -> &'static str {
        "sort_after_exchange"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn reads_nothing(branch: &Arc<dyn ExecutionPlan>) -> Result<bool> {
    let mut found = false;
    branch.apply(|node| {
        found |= node.is::<PlaceholderRowExec>() || node.is::<EmptyExec>();
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}
