//! The connectors and low-code apps that organisations used in each week. See `queries/states/asset_week/query.sql`.

use std::sync::Arc;

use arrow::array::{Date32Array, RecordBatch, StringArray};
use arrow::datatypes::SchemaRef;
use hashbrown::HashMap;

use super::days::chunks;
use super::divided::Making;
use super::pairs::{FileOfPairs, PERSONAL, Pairs};
use super::parts::{Halt, Halted};
use super::{Frame, Inputs, batch, coded, texts};
use crate::columns::Wanted;
use crate::error::Result;
use crate::names::Names;
use crate::period::{Day, Grain};

const APPS: Wanted = Wanted { table: "apps", texts: &["app_id", "category"], others: &["valid_from", "valid_until"] };
// In their order.
const KINDS: [&str; 2] = ["connector", "lowcode"];

/// The days on which an app is of a kind, by the place of the kind.
type Stretch = (Day, Day, u32);

/// An organisation, the place of a kind, and an app.
type Asset = (u32, u32, u32);

/// The connectors and low-code apps.
struct Apps {
    stretches: HashMap<String, Vec<Stretch>>,
    // By the number of an app; none for what is never an asset.
    of_numbers: Vec<Vec<Stretch>>,
    // By pair: the organisation and the app.
    ids: Vec<(u32, u32)>,
    // By pair: the week in which it was last an asset of each kind.
    last_weeks: Vec<[Option<Day>; KINDS.len()]>,
}

/// The assets of each week.
pub(super) fn run(inputs: &Inputs, frame: Frame, schema: &SchemaRef, pairs: &Arc<Pairs>) -> Halted<Making> {
    let mut apps = Apps::read(inputs)?;
    let mut weeks: Vec<(Day, Vec<Asset>)> = Vec::new();
    let mut held = 0;
    let grain = Grain::Week(frame.week_start);
    for day in pairs.days(inputs)? {
        let (day, files) = day?;
        let week = grain.first_day(grain.index(day));
        if week < frame.wanted.0 || week > frame.wanted.1 {
            continue;
        }
        let assets = match weeks.last_mut() {
            Some((known, assets)) if *known == week => assets,
            _ => &mut weeks.push_mut((week, Vec::new())).1,
        };
        let before = assets.len();
        apps.learn(pairs);
        apps.add(day, week, &files, assets);
        held += assets.len() - before;
        pairs.fit(held * size_of::<Asset>() + apps.bytes())?;
    }
    let known = pairs.known();
    let names = [&known.orgs, &known.others].map(texts);
    let [orgs, apps] = [&known.orgs, &known.others].map(|names: &Names| names.ranks().ranks);
    let schema = Arc::clone(schema);
    let rows = weeks.into_iter().map(move |(week, mut assets)| {
        assets.sort_unstable_by_key(|&(org, kind, app)| (orgs[org as usize], kind, apps[app as usize]));
        of_week(week, &assets, &names, &schema).map_err(Halt::Failed)
    });
    Ok(Box::new(rows))
}

impl Apps {
    fn read(inputs: &Inputs) -> Result<Self> {
        let mut stretches: HashMap<String, Vec<Stretch>> = HashMap::new();
        for chunk in chunks(APPS, inputs)? {
            let chunk = chunk?;
            let ids = chunk.texts("app_id")?.each(|id| id);
            let kinds = chunk.texts("category")?.each(kind_of);
            let (from, until) = (chunk.days("valid_from")?, chunk.days("valid_until")?);
            for row in 0..chunk.rows() {
                if let Some(kind) = kinds.of(row) {
                    stretches.entry_ref(ids.of(row)).or_default().push((from[row], until[row], kind));
                }
            }
        }
        Ok(Self { stretches, of_numbers: Vec::new(), ids: Vec::new(), last_weeks: Vec::new() })
    }

    fn learn(&mut self, pairs: &Pairs) {
        pairs.learn(&mut self.ids);
        let known = pairs.known();
        let stretches = |app: &str| self.stretches.get(app).cloned().unwrap_or_default();
        self.of_numbers.extend(known.others.texts_after(self.of_numbers.len()).map(stretches));
    }

    // What is held by pairs.
    fn bytes(&self) -> usize {
        size_of_val(self.ids.as_slice()) + size_of_val(self.last_weeks.as_slice())
    }

    /// Adds those assets of a day that are not yet of its week.
    fn add(&mut self, day: Day, week: Day, files: &[Arc<FileOfPairs>], assets: &mut Vec<Asset>) {
        let Self { of_numbers, ids, last_weeks, .. } = self;
        last_weeks.resize(ids.len(), Default::default());
        for row in files.iter().flat_map(|file| &file.rows).filter(|row| row.is_human() || row.is_marked()) {
            let (org, app) = ids[row.pair()];
            let of_app = &of_numbers[app as usize];
            if org == PERSONAL || of_app.is_empty() {
                continue;
            }
            let Some((.., kind)) = of_app.iter().find(|(from, until, _)| *from <= day && day <= *until) else {
                continue;
            };
            if last_weeks[row.pair()][*kind as usize].replace(week) != Some(week) {
                assets.push((org, *kind, app));
            }
        }
    }
}

fn kind_of(category: &str) -> Option<u32> {
    (0..).zip(KINDS).find(|(_, kind)| *kind == category).map(|(place, _)| place)
}

fn of_week(week: Day, assets: &[Asset], names: &[StringArray; 2], schema: &SchemaRef) -> Result<RecordBatch> {
    let kinds = StringArray::from(KINDS.to_vec());
    batch(
        schema,
        vec![
            Arc::new(Date32Array::from_value(week, assets.len())),
            Arc::new(coded(&names[0], assets.iter().map(|(org, ..)| *org))?),
            Arc::new(coded(&kinds, assets.iter().map(|(_, kind, _)| *kind))?),
            Arc::new(coded(&names[1], assets.iter().map(|(.., app)| *app))?),
        ],
    )
}
