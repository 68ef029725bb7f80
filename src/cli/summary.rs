//! The demo's last page: what the reports say, for a person. It reads the published CSV files and nothing else.

use std::collections::BTreeMap;
use std::path::Path;

use crate::error::{Error, Result};

use super::terminal::{align, grouped};

/// A report as rows of text by column name.
type Rows = Vec<BTreeMap<String, String>>;

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const LAST_DAYS: usize = 7;
const LAST_COHORTS: usize = 8;

/// The page for the reports in a folder.
pub(super) fn summary(reports: &Path) -> Result<String> {
    let sections = [
        last_days(&read(reports, "daily_activity")?),
        trends(&read(reports, "daily_activity")?),
        levels(&read(reports, "deep_integration_levels")?),
        near_misses(&read(reports, "dag_near_misses")?),
        cohorts(&read(reports, "org_retention")?),
    ];
    Ok(sections.join("\n\n"))
}

fn read(reports: &Path, name: &str) -> Result<Rows> {
    let path = reports.join(format!("{name}.csv"));
    let broken = |e: csv::Error| Error::path("read", &path, e);
    csv::Reader::from_path(&path).map_err(broken)?.into_deserialize().collect::<csv::Result<_>>().map_err(broken)
}

fn cell<'a>(row: &'a BTreeMap<String, String>, column: &str) -> &'a str {
    row.get(column).map_or("", String::as_str)
}

fn number(row: &BTreeMap<String, String>, column: &str) -> u64 {
    cell(row, column).parse().unwrap_or(0)
}

// `0.123456` as ` 12 %`; an empty rate stays empty.
fn percent(rate: &str) -> String {
    rate.parse::<f64>().map_or(String::new(), |rate| format!("{:.0} %", rate * 100.0))
}

fn last_days(daily: &Rows) -> String {
    let columns = ["day", "dau", "wau", "mau", "active_orgs", "dag", "dag_28d", "deep_orgs"];
    let mut rows = vec![columns.map(str::to_owned).to_vec()];
    rows[0].push("stickiness".to_owned());
    for day in daily.iter().skip(daily.len().saturating_sub(LAST_DAYS)) {
        let mut row = vec![cell(day, "day").to_owned()];
        row.extend(columns[1..].iter().map(|column| grouped(number(day, column))));
        row.push(percent(cell(day, "stickiness")));
        rows.push(row);
    }
    format!("The last days\n{}", align(&rows, 1))
}

fn trends(daily: &Rows) -> String {
    let line = |label: &str, column: &str| {
        let weekly: Vec<u64> =
            daily.chunks(7).map(|week| week.iter().map(|day| number(day, column)).max().unwrap_or(0)).collect();
        let most = weekly.iter().copied().max().unwrap_or(0).max(1);
        // The heights are for the eye, so a bar in eighths of the highest is exact enough.
        let bar = |&value: &u64| BARS[usize::try_from(value * 7 / most).unwrap_or(0)];
        vec![label.to_owned(), weekly.iter().map(bar).collect::<String>(), format!("at most {}", grouped(most))]
    };
    let rows = [line("users a day", "dau"), line("DAG", "dag"), line("deep-integration customers", "deep_orgs")];
    format!("Week by week\n{}", align(&rows, 2))
}

fn levels(levels: &Rows) -> String {
    let last = levels.last().map_or("", |row| cell(row, "day"));
    let today: Vec<_> = levels.iter().filter(|row| cell(row, "day") == last).collect();
    let most = today.iter().map(|row| number(row, "orgs")).max().unwrap_or(0).max(1);
    let rows: Vec<Vec<String>> = today
        .iter()
        .map(|row| {
            let orgs = number(row, "orgs");
            let width = usize::try_from((orgs * 32).div_ceil(most)).unwrap_or(0);
            vec![format!("{} {}", cell(row, "level"), cell(row, "name")), "█".repeat(width), grouped(orgs)]
        })
        .collect();
    format!("Organisations by level of deep integration on {last}\n{}", align(&rows, 2))
}

fn near_misses(misses: &Rows) -> String {
    let last = misses.last().map_or("", |row| cell(row, "day"));
    let today: Vec<_> = misses.iter().filter(|row| cell(row, "day") == last).collect();
    let failing = |rule: &str| today.iter().filter(|row| cell(row, "failed_rule") == rule).count();
    format!(
        "Nearly DAG on {last}: {} lack one app, {} lack some usage, {} lack users",
        failing("b"),
        failing("a"),
        failing("c")
    )
}

fn cohorts(retention: &Rows) -> String {
    let mut triangle: BTreeMap<&str, Vec<&BTreeMap<String, String>>> = BTreeMap::new();
    for row in retention.iter().filter(|row| cell(row, "grain") == "week") {
        triangle.entry(cell(row, "cohort")).or_default().push(row);
    }
    let skipped = triangle.len().saturating_sub(LAST_COHORTS);
    let mut rows = vec![vec!["week of".to_owned(), "orgs".to_owned()]];
    rows[0].extend((0..LAST_COHORTS).map(|period| format!("+{period}")));
    for (cohort, periods) in triangle.into_iter().skip(skipped) {
        let size = periods.first().map_or(0, |row| number(row, "cohort_size"));
        let mut row = vec![cohort.to_owned(), grouped(size)];
        row.extend(periods.iter().take(LAST_COHORTS).map(|row| percent(cell(row, "on_rate"))));
        rows.push(row);
    }
    format!("Organisations still active, weeks after their first (an unfinished week is empty)\n{}", align(&rows, 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, name: &str, content: &str) {
        std::fs::write(folder.join(format!("{name}.csv")), content).expect("a report");
    }

    #[test]
    fn the_page_shows_what_the_reports_say() {
        let folder = tempfile::tempdir().expect("a folder");
        let daily =
            "day,dau,wau,mau,active_orgs,dag,dag_28d,deep_orgs,stickiness\n2026-01-05,1200,1,2400,3,4,5,6,0.500000\n";
        write(folder.path(), "daily_activity", daily);
        write(folder.path(), "deep_integration_levels", "day,level,name,orgs\n2026-01-05,5,deep,6\n");
        write(folder.path(), "dag_near_misses", "day,org_id,failed_rule\n2026-01-05,o,b\n");
        let retention = "grain,cohort,period,cohort_size,on_rate\nday,2026-01-05,0,9,1.000000\n\
                         week,2026-01-05,0,9,1.000000\nweek,2026-01-05,1,9,\n";
        write(folder.path(), "org_retention", retention);
        let page = summary(folder.path()).expect("a page");
        for part in ["1,200", "50 %", "5 deep", "1 lack one app", "100 %"] {
            assert!(page.contains(part), "{part:?} is not in:\n{page}");
        }
    }

    #[test]
    fn reports_without_rows_make_a_page_too() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["daily_activity", "deep_integration_levels", "dag_near_misses", "org_retention"] {
            write(folder.path(), name, "day\n");
        }
        assert!(summary(folder.path()).is_ok());
    }
}
