//! A rule for plans on the cluster: a branch of a union that reads nothing runs on its own.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::placeholder_row::PlaceholderRowExec;
use datafusion::physical_plan::union::UnionExec;

/// Puts an exchange above branches without a table, such as literals or a `count(*)` known from statistics.
/// Without it Ballista 55 hands such a branch to each task of the union with no partition to run, in a form that does
/// not survive the way to the executor: the query never ends.
#[derive(Debug)]
pub(super) struct LiteralBranches;

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

fn reads_nothing(branch: &Arc<dyn ExecutionPlan>) -> Result<bool> {
    let mut found = false;
    branch.apply(|node| {
        found |= node.is::<PlaceholderRowExec>() || node.is::<EmptyExec>();
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}
