//! The apps of the platform: a catalogue with categories, systems and stages, some of which change over time.
//! It does not know who uses them.

/// An app by number: a place in [`CATALOGUE`], or [`OWN`] and more for the low-code apps of an organisation.
pub(super) type App = u16;

/// The first number of an organisation's own low-code apps.
pub(super) const OWN: App = 1000;

/// How an app stands in the catalogue.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) category: &'static str,
    pub(super) system: &'static str,
    pub(super) stage: &'static str,
}

const fn app(
    id: &'static str,
    name: &'static str,
    category: &'static str,
    system: &'static str,
    stage: &'static str,
) -> Entry {
    Entry { id, name, category, system, stage }
}

/// Every app that events name, in the order of the constants below.
pub(super) const CATALOGUE: [Entry; 57] = [
    app("chat", "Chat", "communication", "", ""),
    app("calls", "Calls", "communication", "", ""),
    app("meet", "Video Meetings", "communication", "", ""),
    app("mail", "Mail", "communication", "", ""),
    app("channels", "Channels", "communication", "", ""),
    app("webinar", "Town Hall", "communication", "", ""),
    app("attendance", "Attendance", "hr", "", ""),
    app("leave", "Leave", "hr", "", ""),
    app("payroll", "Payroll", "hr", "", ""),
    app("reviews", "Performance Reviews", "hr", "", ""),
    app("recruiting", "Recruiting", "hr", "", ""),
    app("checkin", "Daily Check-in", "hr", "", ""),
    app("docs", "Documents", "collaboration", "", ""),
    app("sheets", "Spreadsheets", "collaboration", "", ""),
    app("slides", "Slides", "collaboration", "", ""),
    app("calendar", "Calendar", "collaboration", "", ""),
    app("drive", "Drive", "collaboration", "", ""),
    app("wiki", "Knowledge Base", "collaboration", "", ""),
    app("whiteboard", "Whiteboard", "collaboration", "", ""),
    app("tasks", "Tasks", "collaboration", "", ""),
    app("approvals", "Approvals", "workflow", "", ""),
    app("forms", "Forms", "workflow", "", ""),
    app("expenses", "Travel & Expenses", "workflow", "", ""),
    app("contracts", "Contracts", "workflow", "", ""),
    app("projects", "Projects", "workflow", "", ""),
    app("boards", "Boards, Shared", "analytics", "", ""),
    app("assistant", "Assistant", "ai", "", ""),
    app("gizmo", "Gizmo", "", "", ""),
    // Changing entries: see `HISTORY`.
    app("helpdesk", "Help Desk", "collaboration", "", ""),
    app("assets", "Asset Register", "hr", "", ""),
    app("quickboard", "Quickboard", "analytics", "", ""),
    app("fleet", "Fleet", "business", "", ""),
    // Not in the apps file.
    app("beta-canvas", "", "", "", ""),
    app("legacy-fax", "", "", "", ""),
    app("classroom", "Live Classroom", "education", "", ""),
    app("homework", "Homework", "education", "", ""),
    app("erp", "Resource Planning", "business", "erp", "store;process"),
    app("finance", "Ledger", "business", "erp", "store; process"),
    app("crm", "Customers", "business", "crm", "store;process"),
    app("mes", "Shop Floor", "business", "mes", "store;process"),
    app("wms", "Warehouse", "business", "wms", "store;process"),
    app("scm", "Supply Chain", "business", "scm", "store;process"),
    app("pos", "Point of Sale", "business", "pos", "store;process"),
    app("ehr", "Patient Records", "business", "ehr", "store;process"),
    app("sis", "Student Records", "business", "sis", "store;process"),
    app("conn-erp", "ERP Connector", "connector", "erp", "flow"),
    app("conn-crm", "CRM Connector", "connector", "crm", "flow"),
    app("conn-mes", "Machine Gateway", "connector", "mes", "flow"),
    app("conn-scm", "Supplier Exchange", "connector", "scm", "flow"),
    app("conn-bank", "Bank Feed", "connector", "", "flow"),
    app("conn-bus", "Message Bus", "connector", "", "process;flow"),
    app("conn-webhook", "Webhooks", "connector", "", ""),
    app("conn-directory", "Directory Sync", "connector", "", ""),
    app("insight", "Insight", "analytics", "", "decide"),
    app("forecast", "Forecast", "analytics", "", "process;decide"),
    app("cockpit", "Management Cockpit", "analytics", "", "decide"),
    app("lc-builder", "App Builder", "lowcode", "", ""),
];

pub(super) const CHAT: App = 0;
pub(super) const CALLS: App = 1;
pub(super) const MEET: App = 2;
pub(super) const WEBINAR: App = 5;
pub(super) const CHECKIN: App = 11;
pub(super) const CLASSROOM: App = 34;
pub(super) const HOMEWORK: App = 35;
pub(super) const ERP: App = 36;
pub(super) const CRM: App = 38;
pub(super) const WEBHOOK: App = 51;
pub(super) const DIRECTORY: App = 52;

/// Apps that a level `basic` organisation picks from, beside chat.
pub(super) const BASIC: [App; 9] = [1, 2, 3, 4, 6, 7, 8, 9, 10];
/// Apps that a level `workflow` organisation picks from in addition; the rare ones at the end are picked less.
pub(super) const WORK: [App; 16] = [12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27];
/// Apps with a history, and those that the apps file lacks.
pub(super) const UNUSUAL: [App; 6] = [28, 29, 30, 31, 32, 33];
/// The production systems of each industry, most common first.
pub(super) const SYSTEMS: [[App; 3]; 12] = [
    [36, 39, 41],
    [42, 40, 38],
    [44, 37, 38],
    [38, 37, 36],
    [43, 37, 40],
    [36, 41, 37],
    [40, 41, 36],
    [37, 38, 36],
    [36, 37, 38],
    [42, 37, 38],
    [36, 41, 40],
    [38, 37, 36],
];
/// Connectors that pass data on.
pub(super) const FLOWS: [App; 6] = [45, 46, 47, 48, 49, 50];
/// Apps in which decisions are taken.
pub(super) const DECISIONS: [App; 3] = [53, 54, 55];

/// Whether the apps file has the app.
pub(super) fn is_listed(app: App) -> bool {
    !matches!(app, 32 | 33)
}

/// A later row of an app: from a share of the range (in thousandths) on, it is this.
pub(super) const HISTORY: [(u32, Entry); 4] = [
    (450, app("helpdesk", "Help Desk", "workflow", "", "process")),
    (350, app("assets", "Asset Register", "business", "eam", "store")),
    (600, app("quickboard", "Quickboard", "analytics", "", "decide")),
    (300, app("fleet", "Fleet", "business", "", "")),
];

/// What users do in an app of a category; the first is what most events say.
pub(super) fn actions(category: &str) -> &'static [&'static str] {
    match category {
        "communication" => &["use", "send", "read"],
        "hr" => &["use", "view", "submit"],
        "collaboration" | "lowcode" => &["use", "edit", "comment"],
        "workflow" => &["use", "submit", "approve"],
        "business" => &["use", "post", "query"],
        "analytics" => &["use", "view", "export"],
        "education" => &["use", "hand_in", "grade"],
        _ => &["use"],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(app: App, id: &str) {
        assert_eq!(CATALOGUE[usize::from(app)].id, id);
    }

    #[test]
    fn numbers_name_the_apps_that_they_mean() {
        check(CHAT, "chat");
        check(CALLS, "calls");
        check(MEET, "meet");
        check(WEBINAR, "webinar");
        check(CHECKIN, "checkin");
        check(CLASSROOM, "classroom");
        check(HOMEWORK, "homework");
        check(ERP, "erp");
        check(CRM, "crm");
        check(WEBHOOK, "conn-webhook");
        check(DIRECTORY, "conn-directory");
        check(UNUSUAL[0], "helpdesk");
        check(UNUSUAL[5], "legacy-fax");
        let entry = |app: &App| CATALOGUE[usize::from(*app)];
        assert!(BASIC.iter().all(|app| matches!(entry(app).category, "communication" | "hr")));
        assert!(WORK.iter().all(|app| entry(app).stage.is_empty() && entry(app).system.is_empty()));
        assert!(SYSTEMS.iter().flatten().all(|app| entry(app).stage.contains("process")));
        assert!(FLOWS.iter().all(|app| entry(app).stage.contains("flow")));
        assert!(DECISIONS.iter().all(|app| entry(app).stage.contains("decide")));
    }
}
