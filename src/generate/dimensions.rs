//! The dimension files of a landscape: organisations and apps with their history, users, campaigns, account lists, and
//! the work calendar of its zone. It does not know events.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::period::{Day, format_day};

use super::Plan;
use super::apps::{self, CATALOGUE, HISTORY, OWN};
use super::landscape::{self, Landscape, NEVER, Org, UNLISTED_CAMPAIGN};
use super::people::{self, User};
use super::random::{Random, Topic};
use super::rhythm::{self, Date};
use super::text::{Instants, push_app, push_org, push_user};
use super::words::{EDITIONS, EDUCATION, INDUSTRIES, LOWCODE_NAMES, REGIONS, ROLES};

// Organisations whose rows are made at once.
const BLOCK: usize = 256;
// Blocks that are in memory at once.
const BLOCKS: usize = 64;

/// Writes all six files and returns their paths.
pub(super) fn write(plan: &Plan, landscape: &Landscape, folder: &Path) -> Result<Vec<PathBuf>> {
    let orgs = landscape.companies();
    let write = |name: &str, header: &str, row: &(dyn Fn(&Org, &mut Vec<u8>) + Sync), tail: Vec<u8>, orgs: &[Org]| {
        let path = folder.join(name);
        write_file(&path, header, row, &tail, orgs).map_err(|e| Error::path("write", &path, e))?;
        Ok(path)
    };
    let nothing = |_: &Org, _: &mut Vec<u8>| {};
    Ok(vec![
        write(
            "orgs.csv",
            "org_id,name,headcount,industry,region,edition,registered_at,valid_from",
            &|org, out| org_rows(plan, landscape, org, out),
            Vec::new(),
            orgs,
        )?,
        write(
            "users.csv",
            "user_id,registered_at,role,campaign,invited_by,is_internal",
            &|org, out| user_rows(plan, landscape, org, out),
            Vec::new(),
            &landscape.orgs,
        )?,
        write(
            "apps.csv",
            "app_id,name,category,system,stage,valid_from",
            &|org, out| lowcode_rows(landscape, org, out),
            catalogue_rows(plan, landscape),
            orgs,
        )?,
        write(
            "campaigns.csv",
            "campaign,name,start_on,end_on,cost,reward_per_completion,streak_days",
            &nothing,
            campaign_rows(plan, landscape),
            &[],
        )?,
        write("account_lists.csv", "list,account,org_id", &nothing, account_rows(landscape), &[])?,
        write("calendar.csv", "first_day,last_day,kind,role,name", &nothing, calendar_rows(plan), &[])?,
    ])
}

fn write_file(
    path: &Path,
    header: &str,
    row: &(dyn Fn(&Org, &mut Vec<u8>) + Sync),
    tail: &[u8],
    orgs: &[Org],
) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(header.as_bytes())?;
    file.write_all(b"\n")?;
    for blocks in orgs.chunks(BLOCK * BLOCKS) {
        let rows: Vec<Vec<u8>> = blocks
            .par_chunks(BLOCK)
            .map(|block| {
                let mut out = Vec::new();
                for org in block {
                    row(org, &mut out);
                }
                out
            })
            .collect();
        for block in rows {
            file.write_all(&block)?;
        }
    }
    file.write_all(tail)
}

// Most organisations have one row without `valid_from`; some grow over a size band or change their edition.
fn org_rows(plan: &Plan, landscape: &Landscape, org: &Org, out: &mut Vec<u8>) {
    if !org.is_listed {
        return;
    }
    let random = &mut Random::keyed(landscape.seed, Topic::Dimension, u64::from(org.number), 2);
    let id = text(|out| push_org(out, org.number));
    let name = landscape::name(landscape.seed, org);
    let registered = if random.chance(10) { String::new() } else { iso(plan, org.registered) };
    let edition = usize::from(org.edition);
    let mut row = |headcount: u32, edition: usize, from: &str| {
        let headcount = if headcount == 0 { String::new() } else { headcount.to_string() };
        let (industry, region) = (INDUSTRIES[usize::from(org.industry)], REGIONS[usize::from(org.region)]);
        let values = [&id, &name, &headcount, industry, region, EDITIONS[edition.min(3)], &registered, from];
        push_row(out, &values);
    };
    let change = iso(plan, random.below_signed(landscape.days));
    match random.below(100) {
        // Known only from some day of the range on.
        0 => row(org.headcount, edition, &change),
        1..6 => {
            row(org.headcount, edition, "");
            row(grown(random, org.headcount), edition, &change);
        }
        6..9 => {
            row(org.headcount, edition, "");
            row(org.headcount, edition + 1, &change);
        }
        // Two rows of one day: the later one holds.
        9 => {
            row(org.headcount, edition, "");
            row(org.headcount + 1, edition, &change);
            row(grown(random, org.headcount), edition + 1, &change);
        }
        _ => row(org.headcount, edition, ""),
    }
}

fn grown(random: &mut Random, headcount: u32) -> u32 {
    headcount / 100 * random.between(70, 190) + headcount % 100 + random.below(headcount.min(60) + 1)
}

fn user_rows(plan: &Plan, landscape: &Landscape, org: &Org, out: &mut Vec<u8>) {
    let mut instants = Instants::default();
    let today = Date::new(plan.time_zone, plan.first_day);
    for place in 0..org.seats + org.boom {
        let user = User::new(landscape, org, place);
        if !user.is_listed || user.registered >= landscape.days {
            continue;
        }
        let random = &mut Random::keyed(landscape.seed, Topic::Dimension, u64::from(user.number), 4);
        let date = if user.registered == 0 {
            today.clone()
        } else {
            Date::new(plan.time_zone, plan.first_day.saturating_add(user.registered))
        };
        let registered = text(|out| {
            if !random.chance(15) {
                let (us, offset) = date.instant(random.between(420, 1300) * 60_000);
                instants.push(out, us, offset);
            }
        });
        let role = match org.industry {
            EDUCATION if place % 28 == 0 => "teacher",
            EDUCATION => "student",
            _ => random.pick(&ROLES),
        };
        let campaign = user
            .campaign
            .map_or("", |number| landscape.campaigns.get(number).map_or(UNLISTED_CAMPAIGN, |campaign| campaign.id));
        let inviter = people::invited_by(landscape, org, &user).map(|number| text(|out| push_user(out, number)));
        let id = text(|out| push_user(out, user.number));
        let internal = if user.is_internal { "true" } else { "false" };
        push_row(out, &[&id, &registered, role, campaign, inviter.as_deref().unwrap_or(""), internal]);
    }
}

fn catalogue_rows(plan: &Plan, landscape: &Landscape) -> Vec<u8> {
    let mut out = Vec::new();
    for (number, entry) in (0..).zip(&CATALOGUE) {
        // An app whose only row begins in the range was unknown before.
        let is_late = entry.id == "fleet";
        if apps::is_listed(number) && !is_late {
            push_row(&mut out, &[entry.id, entry.name, entry.category, entry.system, entry.stage, ""]);
        }
        for (share, later) in HISTORY.iter().filter(|(_, later)| later.id == entry.id) {
            let from = iso(plan, landscape.day_at(*share));
            push_row(&mut out, &[later.id, later.name, later.category, later.system, later.stage, &from]);
        }
    }
    out
}

fn lowcode_rows(landscape: &Landscape, org: &Org, out: &mut Vec<u8>) {
    for own in 0..u16::from(org.lowcode) {
        let random = &mut Random::keyed(landscape.seed, Topic::Dimension, u64::from(org.number), 16 + u64::from(own));
        let id = text(|out| push_app(out, OWN + own, org.number));
        let stage = random.pick(&["", "", "process", "store"]);
        push_row(out, &[&id, random.pick(&LOWCODE_NAMES), "lowcode", "", stage, ""]);
    }
}

fn campaign_rows(plan: &Plan, landscape: &Landscape) -> Vec<u8> {
    let mut out = Vec::new();
    for campaign in &landscape.campaigns {
        let (start, end) = (iso(plan, campaign.start), iso(plan, campaign.end));
        let streak = campaign.streak_days.to_string();
        push_row(&mut out, &[campaign.id, campaign.name, &start, &end, campaign.cost, campaign.reward, &streak]);
    }
    out
}

// The largest companies by headcount, in accounts of one to three organisations, among companies that are not there.
fn account_rows(landscape: &Landscape) -> Vec<u8> {
    let mut by_size: Vec<&Org> = landscape.companies().iter().filter(|org| !org.is_own_house()).collect();
    by_size.sort_by_key(|org| (std::cmp::Reverse(org.headcount), org.number));
    let mut out = Vec::new();
    let largest = by_size.len().div_ceil(6).min(500);
    for (list, accounts) in [("largest-500", largest), ("strategic-50", largest.div_ceil(10))] {
        let random = &mut Random::keyed(landscape.seed, Topic::Dimension, accounts as u64, 5);
        let mut members = by_size.iter();
        for account in 1..=accounts {
            let name = format!("Account {account:03}");
            let is_there = random.chance(620);
            let orgs = if is_there { random.pick(&[1, 1, 1, 2, 3]) } else { 0 };
            let ids: Vec<String> =
                members.by_ref().take(orgs).map(|org| text(|out| push_org(out, org.number))).collect();
            if ids.is_empty() {
                push_row(&mut out, &[list, &name, ""]);
            }
            for id in &ids {
                push_row(&mut out, &[list, &name, id]);
            }
        }
    }
    out
}

// The public holidays where the platform is at home, in all years of the log.
fn calendar_rows(plan: &Plan) -> Vec<u8> {
    let mut out = Vec::new();
    for (first, last) in
        rhythm::holidays(plan.time_zone, plan.first_day, plan.first_day.saturating_add_unsigned(plan.days))
    {
        let last = if last > first { format_day(last) } else { String::new() };
        push_row(&mut out, &[&format_day(first), &last, "holiday", "", "public holiday"]);
    }
    out
}

fn iso(plan: &Plan, day: i32) -> String {
    if day >= NEVER { String::new() } else { format_day(Day::saturating_add(plan.first_day, day)) }
}

fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::with_capacity(32);
    write(&mut out);
    String::from_utf8_lossy(&out).into_owned()
}

fn push_row(out: &mut Vec<u8>, values: &[&str]) {
    for (place, value) in values.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        if value.contains([',', '"', '\n', '\r']) {
            out.push(b'"');
            out.extend_from_slice(value.replace('"', "\"\"").as_bytes());
            out.push(b'"');
        } else {
            out.extend_from_slice(value.as_bytes());
        }
    }
    out.push(b'\n');
}
