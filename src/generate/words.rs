//! The words that names are made of. The companies are invented; a likeness is chance.

use super::random::Random;

/// Industries, by number.
pub(super) const INDUSTRIES: [&str; 12] = [
    "manufacturing",
    "retail",
    "education",
    "software",
    "health",
    "construction",
    "logistics",
    "finance",
    "public sector",
    "hospitality",
    "agriculture",
    "media",
];
/// The number of the industry that holds classes.
pub(super) const EDUCATION: u8 = 2;
/// Regions, by number.
pub(super) const REGIONS: [&str; 6] =
    ["East Asia", "Europe", "North America", "South Asia", "Latin America", "Middle East"];
/// Editions, cheapest first.
pub(super) const EDITIONS: [&str; 4] = ["free", "standard", "professional", "dedicated"];
/// Roles outside of schools; the empty one is a user who never said.
pub(super) const ROLES: [&str; 10] =
    ["clerk", "engineer", "sales", "manager", "operator", "designer", "finance", "support", "executive", ""];

const FIRST: [&str; 48] = [
    "Aldor",
    "Bramwell",
    "Castellon",
    "Dunmere",
    "Elstra",
    "Farrow",
    "Galen",
    "Halden",
    "Ilmar",
    "Jorvik",
    "Kestrel",
    "Lumen",
    "Marisol",
    "Norvane",
    "Ostrava",
    "Pellinor",
    "Quillon",
    "Ravelin",
    "Sorrel",
    "Tamsin",
    "Ullmar",
    "Veritas",
    "Westrand",
    "Xanthe",
    "Yarrow",
    "Zephyr",
    "Amberly",
    "Birka",
    "Corvid",
    "Dovetail",
    "Ember",
    "Fjord",
    "Gentian",
    "Harrier",
    "Indigo",
    "Juniper",
    "Kittering",
    "Larkspur",
    "Mistral",
    "Nimbus",
    "Orchard",
    "Pinnacle",
    "Quarry",
    "Redwood",
    "Saffron",
    "Thistle",
    "Umber",
    "Vantage",
];
const SECOND: [&str; 32] = [
    "bridge", "field", "forge", "gate", "harbour", "hill", "house", "lake", "line", "mark", "mill", "moor", "path",
    "peak", "point", "port", "ridge", "river", "rock", "shore", "side", "spring", "stone", "tide", "tower", "vale",
    "view", "ward", "water", "way", "well", "wood",
];
const FORMS: [&str; 8] = ["Ltd", "GmbH", "Inc", "S.A.", "Co., Ltd", "Group", "AB", "& Partners"];
const FIELDS: [&[&str]; 12] = [
    &["Works", "Motors", "Steel", "Electric", "Machinery"],
    &["Stores", "Markets", "Fashion", "Foods"],
    &["School", "Academy", "College", "University"],
    &["Software", "Systems", "Labs", "Cloud"],
    &["Clinic", "Hospital", "Pharma", "Care"],
    &["Construction", "Homes", "Engineering"],
    &["Logistics", "Freight", "Shipping"],
    &["Bank", "Insurance", "Capital"],
    &["City Council", "Water Board", "Transit Authority"],
    &["Hotels", "Kitchens", "Resorts"],
    &["Farms", "Orchards", "Dairy"],
    &["Press", "Studios", "Radio"],
];
// Names with letters, commas and quotes that a careless reader of CSV trips over.
const UNUSUAL: [&str; 6] = [
    "北辰制造有限公司",
    "Žďár Strojírny",
    "\"Blue Door\" Studios",
    "Brandt, Ilves & Sohn",
    "Société Générâle du Café",
    "مخبز النخيل",
];

/// A company's name.
pub(super) fn company(random: &mut Random, industry: u8) -> String {
    if random.chance(15) {
        return random.pick(&UNUSUAL).to_owned();
    }
    let field = random.pick(FIELDS[usize::from(industry) % FIELDS.len()]);
    let name = format!("{}{} {field}", random.pick(&FIRST), random.pick(&SECOND));
    if random.chance(600) { format!("{name} {}", random.pick(&FORMS)) } else { name }
}

/// What a low-code app is called by those who clicked it together.
pub(super) const LOWCODE_NAMES: [&str; 10] = [
    "Visitor Registration",
    "Shift Handover",
    "Tool Lending",
    "Complaint Log",
    "Price Requests",
    "Room Inspection",
    "Sample Tracking",
    "Vehicle Pool",
    "Onboarding Steps",
    "Incident Reports",
];
