"""Daily active organisations."""

import polars as pl

import sql.terms as terms

from .terms import c, date_of, lit, when


class Dag:
    def dag_orgs(self):
        self.write("dag_orgs", self.named(self.org_day.filter("is_dag")).sort("day", "org_id").select(
            date_of(c("day")).alias("day"), "org_id", "name", "users", "apps", "apps_over_threshold",
            c("usage_ms").alias("usage_seconds")))

    def dag_near_misses(self):
        short = lambda least, name: pl.max_horizontal(lit(least) - c(name), lit(0))
        ruled = self.org_day.select(
            "day", "org_id", usage=short(terms.ORG_MIN_USAGE_MS, "usage_ms"), lacking=short(terms.MIN_APPS, "apps_over_threshold"),
            seats=short(terms.MIN_USERS, "users"))
        failed = sum((c(n) > 0).cast(pl.Int32) for n in ("usage", "lacking", "seats"))
        missed = self.named(ruled.filter((failed == 1) & (c("lacking") <= 1))).sort("day", "org_id")
        self.write("dag_near_misses", missed.select(
            date_of(c("day")).alias("day"), "org_id", "name",
            when(c("usage") > 0).then(lit("a")).when(c("lacking") > 0).then(lit("b")).otherwise(lit("c")).alias("failed_rule"),
            c("lacking").alias("apps_short"), c("usage").alias("usage_seconds_short")))

    def dag_sensitivity(self):
        steps = (0, 1, 2, 4, 8)
        app = sorted({(terms.APP_MIN_USAGE_MS * s + 1) // 2 for s in steps})
        org = sorted({(terms.ORG_MIN_USAGE_MS * s + 1) // 2 for s in steps})
        active = self.org_day.filter((c("day") == self.d) & (c("users") >= terms.MIN_USERS)).select("org_id", "usage_ms")
        used = self.org_app_day.filter((c("day") == self.d) & (c("human_events") > 0)).join(
            active, on="org_id", suffix="_org").group_by("org_id", "usage_ms_org").agg(
                *((c("usage_ms") >= a).sum().alias(f"apps_{a}") for a in app))
        rows = [{"day": self.last, "min_apps": n, "app_min_usage_seconds": a, "org_min_usage_seconds": o,
                 "dag": used.filter((c(f"apps_{a}") >= n) & (c("usage_ms_org") >= o)).height}
                for n in range(1, 7) for a in app for o in org]
        self.write("dag_sensitivity", pl.DataFrame(rows))
