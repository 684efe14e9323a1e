//! The table in `docs/reliability.md`: the last figures of each long test, a row for each.

use std::path::Path;

use anyhow::{Context as _, Result};

/// Where it is.
pub(super) const PAGE: &str = "docs/reliability.md";
/// What stands around it.
const START: &str = "<!-- The figures, written by `cargo xtask torture`: -->\n";
const END: &str = "<!-- The end of the figures. -->";
const HEAD: &str =
    "| what | figures | seed | when | commit | command |\n|---|---|---|---|---|---|\n";

/// How the tests say the seed that they were given, and their figures.
const SEED: &str = "GERBANG_TEST_SEED=";
const FIGURES: &str = "figures of ";

/// The run that the figures are of.
pub(super) struct Run {
    /// The command.
    pub(super) command: String,
    /// The date and the time at its start.
    pub(super) when: String,
    /// What was built.
    pub(super) commit: String,
}

/// What the output of the tests has said so far.
#[derive(Default)]
pub(super) struct Reader {
    /// Of the test that runs.
    seed: Option<String>,
}

impl Reader {
    /// Reads a line: what its figures are of, the figures and the seed, when it has some.
    fn figures(&mut self, line: &str) -> Option<[String; 3]> {
        // The runner does not end its line before a test has printed its first one.
        if line.starts_with("test ") {
            self.seed = None;
        }
        if let Some((_, seed)) = line.split_once(SEED) {
            self.seed = Some(seed.trim().to_owned());
        }
        let (_, figures) = line.split_once(FIGURES)?;
        let (what, figures) = figures.split_once(": ")?;
        let seed = self.seed.clone().unwrap_or_else(|| "–".to_owned());
        Some([what.to_owned(), figures.trim().to_owned(), seed])
    }

    /// Reads a line, and puts the figures in it into the table.
    pub(super) fn read(&mut self, root: &Path, run: &Run, line: &str) {
        let Some([what, figures, seed]) = self.figures(line) else { return };
        let cells =
            [&*what, &figures, &seed, &run.when, &run.commit, &format!("`{}`", run.command)];
        if let Err(error) = write(root, &cells) {
            println!("{PAGE} cannot be written: {error:#}");
        }
    }
}

fn write(root: &Path, cells: &[&str; 6]) -> Result<()> {
    let path = root.join(PAGE);
    let page = std::fs::read_to_string(&path)?;
    std::fs::write(&path, with_row(&page, cells).context("it has no table")?)?;
    Ok(())
}

/// The page with a row in place of the one of the same name, or after the others.
fn with_row(page: &str, cells: &[&str; 6]) -> Option<String> {
    let (before, rest) = page.split_once(START)?;
    let (table, after) = rest.split_once(END)?;
    let cells = cells.map(|cell| cell.replace('|', "/"));
    let row = format!("| {} |", cells.join(" | "));
    let beginning = format!("| {} |", cells[0]);
    let mut rows: Vec<&str> = table.lines().skip(HEAD.lines().count()).collect();
    match rows.iter_mut().find(|line| line.starts_with(&beginning)) {
        Some(known) => *known = &row,
        None => rows.push(&row),
    }
    Some(format!("{before}{START}{HEAD}{}\n{END}{after}", rows.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_with_the_seed_of_their_own_test() {
        let mut reader = Reader::default();
        let lines = [
            "test crash::one ... GERBANG_TEST_SEED=7",
            "round 0: Plain, 9 acknowledged",
            "figures of kills, SQLite: 200 kills: 9 acknowledged",
            "ok",
            "test disk::two ... figures of a full disk: 50 points",
        ];
        let found: Vec<_> = lines.iter().filter_map(|line| reader.figures(line)).collect();
        assert_eq!(
            found,
            [
                ["kills, SQLite", "200 kills: 9 acknowledged", "7"],
                ["a full disk", "50 points", "–"]
            ]
        );
    }

    #[test]
    fn a_row_takes_the_place_of_its_own_and_leaves_the_others() {
        let page = format!("# Figures\n\n{START}{HEAD}{END}\n\nMore.\n");
        let row = |what, figures| [what, figures, "7", "today", "abc", "`cargo xtask torture`"];
        let page = with_row(&page, &row("kills", "9")).unwrap();
        let page = with_row(&page, &row("a | disk", "8")).unwrap();
        let page = with_row(&page, &row("kills", "10")).unwrap();
        let end = "7 | today | abc | `cargo xtask torture` |";
        let rows = format!("| kills | 10 | {end}\n| a / disk | 8 | {end}\n");
        assert_eq!(page, format!("# Figures\n\n{START}{HEAD}{rows}{END}\n\nMore.\n"));
        assert_eq!(with_row("# No table\n", &row("kills", "9")), None);
    }

    #[test]
    fn the_page_has_a_table() {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(PAGE);
        let page = std::fs::read_to_string(page).unwrap();
        assert!(with_row(&page, &["kills", "9", "7", "today", "abc", "`x`"]).is_some());
    }
}
