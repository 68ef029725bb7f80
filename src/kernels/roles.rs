//! The roles of users, read in the order of users beside what asks for them. It does not know what is counted by role.

use std::cmp::Ordering;
use std::iter;

use super::Input;
use super::days::read;
use super::segment_day::{ROLE, Segments};
use crate::columns::{Chunk, Wanted, wrong};
use crate::error::Result;
use crate::names::Names;

/// The users and their roles.
pub(super) const PEOPLE: Wanted = Wanted { table: "users", texts: &[USER, ROLE], others: &[] };

const USER: &str = "user_id";
const UNKNOWN: &str = "(unknown)";

/// Who has which role: read beside the seats of a month, since both are in the order of users.
pub(super) struct Roles<'a> {
    files: &'a [Input],
    rest: Box<dyn Iterator<Item = Result<Chunk>>>,
    // Some users, and the one that was asked for last, or would stand behind it.
    users: Names,
    place: u32,
    // By user.
    of_user: Vec<u32>,
    unknown: u32,
}

impl<'a> Roles<'a> {
    /// Begins with the first user.
    pub(super) fn new(files: &'a [Input], segments: &mut Segments) -> Self {
        let unknown = segments.number(ROLE, UNKNOWN);
        let rest = Box::new(iter::empty());
        let mut roles = Self { files, rest, users: Names::default(), place: 0, of_user: Vec::new(), unknown };
        roles.begin();
        roles
    }

    /// Begins with the first user again.
    pub(super) fn begin(&mut self) {
        self.rest = Box::new(read(PEOPLE, self.files));
        (self.users, self.place) = (Names::default(), 0);
    }

    /// The role of a user that comes after all that were asked for.
    pub(super) fn of(&mut self, user: &str, segments: &mut Segments) -> Result<u32> {
        loop {
            while (self.place as usize) < self.users.len() {
                match self.users.text(self.place).cmp(user) {
                    Ordering::Less => self.place += 1,
                    Ordering::Equal => return Ok(self.of_user[self.place as usize]),
                    Ordering::Greater => return Ok(self.unknown),
                }
            }
            let Some(chunk) = self.rest.next() else { return Ok(self.unknown) };
            self.turn_to(&chunk?, segments)?;
        }
    }

    fn turn_to(&mut self, chunk: &Chunk, segments: &mut Segments) -> Result<()> {
        if chunk.rows() == 0 {
            return Ok(());
        }
        let role = |role: &str| segments.number(ROLE, if role.is_empty() { UNKNOWN } else { role });
        let (ids, roles) = (chunk.texts(USER)?.each(|user| user), chunk.texts(ROLE)?.each(role));
        let before = std::mem::take(&mut self.users);
        let mut last = before.last();
        for row in 0..chunk.rows() {
            if last.is_some_and(|last| last >= ids.of(row)) {
                return Err(wrong(PEOPLE.table, "users out of order"));
            }
            last = Some(ids.of(row));
            self.users.push(ids.of(row));
        }
        self.of_user = (0..chunk.rows()).map(|row| roles.of(row)).collect();
        self.place = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::sync::Arc;

    use arrow::array::{ArrayRef, RecordBatch, StringArray};
    use parquet::arrow::ArrowWriter;

    use super::*;

    fn people(folder: &tempfile::TempDir, name: &str, users: &[(&str, &str)]) -> Input {
        let path = folder.path().join(name);
        let column = |texts: Vec<&str>| Arc::new(StringArray::from(texts)) as ArrayRef;
        let ids = column(users.iter().map(|(id, _)| *id).collect());
        let roles = column(users.iter().map(|(_, role)| *role).collect());
        let rows = RecordBatch::try_from_iter([(USER, ids), ("role", roles)]).expect("rows");
        let file = File::create(&path).expect("a file");
        let mut file = ArrowWriter::try_new(file, rows.schema(), None).expect("a writer");
        file.write(&rows).expect("written");
        file.close().expect("closed");
        Input { path, day: None }
    }

    #[test]
    fn roles_are_found_in_the_order_of_users_month_for_month() {
        let folder = tempfile::tempdir().expect("a folder");
        let one = people(&folder, "one", &[("", "x"), ("b", "x"), ("c", ""), ("d", "y")]);
        let files = [one, people(&folder, "none", &[]), people(&folder, "two", &[("e", "x"), ("g", "z")])];
        let mut segments = Segments::default();
        let mut roles = Roles::new(&files, &mut segments);
        for asked in [vec!["a", "b", "c", "e", "f", "g", "h", "i"], vec!["", "d", "d", "g"], vec!["z"], vec!["c"]] {
            roles.begin();
            for user in asked {
                let role = roles.of(user, &mut segments).expect("a role");
                let expected = match user {
                    "" | "b" | "e" => "x",
                    "d" => "y",
                    "g" => "z",
                    _ => UNKNOWN,
                };
                assert_eq!((segments.dimension(role), segments.name(role)), (ROLE, expected), "{user}");
            }
        }
    }

    #[test]
    fn users_out_of_order_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let [a, b] = ["a", "b"].map(|user| people(&folder, user, &[(user, "")]));
        let twice = people(&folder, "twice", &[("a", ""), ("a", "")]);
        for files in [vec![b, a.clone()], vec![twice]] {
            let mut segments = Segments::default();
            let mut roles = Roles::new(&files, &mut segments);
            let error = roles.of("c", &mut segments).expect_err("out of order");
            assert_eq!(error.to_string(), "table `users` has users out of order");
        }
    }
}
