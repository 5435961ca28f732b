//! Results as markdown, on the screen and in docs/performance.md.

use std::{fmt::Write, fs, path::Path};

use anyhow::{Context, Result};

use super::gauge::machine::Machine;

const BEGIN: &str = "<!-- begin: written by cargo xtask bench -->\n";
const END: &str = "<!-- end: written by cargo xtask bench -->";

/// The results of a measurement.
#[derive(Debug, Default)]
pub struct Section {
    title: &'static str,
    body: String,
    figures: Vec<Figure>,
}

#[derive(Debug)]
struct Figure {
    what: String,
    wanted: String,
    found: String,
    reached: bool,
}

impl Section {
    pub fn new(title: &'static str) -> Self {
        Self {
            title,
            ..Self::default()
        }
    }

    /// The beginning of a part of the section.
    pub fn part(&mut self, title: &str) {
        let _ = writeln!(self.body, "#### {title}\n");
    }

    /// A paragraph.
    pub fn say(&mut self, text: &str) {
        let _ = writeln!(self.body, "{text}\n");
    }

    /// A table; the first row is its head. All columns but the first are numbers.
    pub fn table(&mut self, head: &[&str], rows: &[Vec<String>]) {
        let mut line = |cells: Vec<&str>| {
            let _ = writeln!(self.body, "| {} |", cells.join(" | "));
        };
        line(head.to_vec());
        line(
            (0..head.len())
                .map(|column| if column == 0 { "---" } else { "---:" })
                .collect(),
        );
        for row in rows {
            line(row.iter().map(String::as_str).collect());
        }
        self.body.push('\n');
    }

    /// A target: at most `most`.
    pub fn at_most(&mut self, what: &str, found: f64, most: f64, unit: &str) {
        self.figure(what, format!("≤ {most}{unit}"), found, unit, found <= most);
    }

    /// A target: at least `least`.
    pub fn at_least(&mut self, what: &str, found: f64, least: f64, unit: &str) {
        self.figure(
            what,
            format!("≥ {least}{unit}"),
            found,
            unit,
            found >= least,
        );
    }

    fn figure(&mut self, what: &str, wanted: String, found: f64, unit: &str, reached: bool) {
        let decimals = match unit {
            // It is a count.
            "" => 0,
            // Values close to 100 % need more digits.
            " %" => 3,
            _ if found < 10.0 => 3,
            _ => 1,
        };
        let found = format!("{found:.decimals$}{unit}");
        self.figures.push(Figure {
            what: what.into(),
            wanted,
            found,
            reached,
        });
    }

    pub fn text(&self) -> String {
        format!("### {}\n\n{}", self.title, self.body)
    }
}

/// The targets, and whether they were reached.
pub fn figures(sections: &[Section]) -> String {
    let mut text =
        String::from("| figure | to reach | measured | |\n| --- | ---: | ---: | --- |\n");
    for Figure {
        what,
        wanted,
        found,
        reached,
    } in sections.iter().flat_map(|section| &section.figures)
    {
        let verdict = if *reached { "reached" } else { "**missed**" };
        let _ = writeln!(text, "| {what} | {wanted} | {found} | {verdict} |");
    }
    text
}

/// Puts the results between the marks in the document.
pub fn write(path: &Path, machine: &Machine, sections: &[Section]) -> Result<()> {
    let old =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut text = format!("{machine}\n{}\n", figures(sections));
    for section in sections {
        text.push_str(&section.text());
    }
    let new = replace(&old, &text).with_context(|| {
        format!(
            "{} has no place for the results: it needs the lines {BEGIN}and {END}",
            path.display()
        )
    })?;
    fs::write(path, new).with_context(|| format!("cannot write {}", path.display()))
}

fn replace(old: &str, text: &str) -> Option<String> {
    let (before, rest) = old.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!(
        "{before}{BEGIN}\n{}\n\n{END}{after}",
        text.trim_end()
    ))
}

#[cfg(test)]
mod tests {
    use super::{BEGIN, END, Section, figures, replace};

    #[test]
    fn only_what_is_between_the_marks_changes() {
        let old = format!("a\n{BEGIN}old\n{END}\nb\n");
        let new = replace(&old, "new\n\n").expect("it has the marks");
        assert_eq!(new, format!("a\n{BEGIN}\nnew\n\n{END}\nb\n"));
        assert_eq!(replace(&new, "new").as_deref(), Some(&*new));
        assert_eq!(replace("no marks", "new"), None);
    }

    #[test]
    fn tables_and_figures_are_markdown() {
        let mut section = Section::new("Title");
        section.table(&["a", "b"], &[vec!["x".into(), "1".into()]]);
        assert_eq!(
            section.text(),
            "### Title\n\n| a | b |\n| --- | ---: |\n| x | 1 |\n\n"
        );
        section.at_most("cost", 1.0312, 1.05, "×");
        section.at_least("gain", 8.0, 10.0, "×");
        section.at_most("lost", 12.0, 0.0, "");
        section.at_least("known", 99.95, 99.9, " %");
        let text = figures(&[section]);
        assert!(
            text.contains("| cost | ≤ 1.05× | 1.031× | reached |"),
            "{text}"
        );
        assert!(
            text.contains("| gain | ≥ 10× | 8.000× | **missed** |"),
            "{text}"
        );
        assert!(text.contains("| lost | ≤ 0 | 12 | **missed** |"), "{text}");
        assert!(
            text.contains("| known | ≥ 99.9 % | 99.950 % | reached |"),
            "{text}"
        );
    }
}
