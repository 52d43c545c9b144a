//! What a person reads in the end: tables, and each budget with met or missed.

use std::fmt::Write as _;

/// The text so far, and the budgets judged so far.
#[derive(Default)]
pub(crate) struct Report {
    text: String,
    verdicts: Vec<[String; 5]>,
}

/// What a budget asks of a figure.
#[derive(Clone, Copy)]
pub(crate) enum Bound {
    /// It may not be more.
    AtMost(f64),
    /// It may not be less.
    AtLeast(f64),
}

impl Bound {
    fn allows(self, figure: f64) -> bool {
        match self {
            Self::AtMost(bound) => figure <= bound,
            Self::AtLeast(bound) => figure >= bound,
        }
    }

    fn words(self) -> String {
        match self {
            Self::AtMost(bound) => format!("≤ {}", number(bound)),
            Self::AtLeast(bound) => format!("≥ {}", number(bound)),
        }
    }
}

impl Report {
    /// Starts a section.
    pub(crate) fn section(&mut self, title: &str) {
        self.line(&format!("\n## {title}\n"));
    }

    /// A paragraph, shown at once: a run takes minutes.
    pub(crate) fn line(&mut self, line: &str) {
        println!("{line}");
        let _ = writeln!(self.text, "{line}");
    }

    /// Says that something was not measured, and why.
    pub(crate) fn skip(&mut self, what: &str, why: &str) {
        eprintln!("SKIPPED {what}: {why}");
        let why = why.lines().next().unwrap_or_default();
        self.line(&format!("- **not measured**: {what}: {why}"));
    }

    /// The same for several: what, and why.
    pub(crate) fn skip_all(&mut self, missing: &[(String, String)]) {
        for (what, why) in missing {
            self.skip(what, why);
        }
    }

    /// A table.
    pub(crate) fn table(&mut self, head: &[&str], rows: &[Vec<String>]) {
        let mut text = format!("| {} |\n|{}\n", head.join(" | "), "---|".repeat(head.len()));
        for row in rows {
            let _ = writeln!(text, "| {} |", row.join(" | "));
        }
        self.line(text.trim_end());
        self.line("");
    }

    /// Holds `figure` against what it must be and, where there is one, what would be better still.
    pub(crate) fn judge(&mut self, what: &str, figure: Option<f64>, must: Bound, stretch: Option<Bound>) {
        let verdict = match figure {
            None => "not measured",
            Some(figure) if !must.allows(figure) => "**missed**",
            Some(figure) if stretch.is_some_and(|stretch| stretch.allows(figure)) => "met, stretch too",
            Some(_) => "met",
        };
        self.verdicts.push([
            what.to_owned(),
            figure.map_or_else(|| "–".to_owned(), number),
            must.words(),
            stretch.map_or_else(|| "–".to_owned(), Bound::words),
            verdict.to_owned(),
        ]);
    }

    /// The verdicts as the last section, and the whole text.
    pub(crate) fn finish(mut self) -> String {
        if !self.verdicts.is_empty() {
            self.section("Budgets");
            let rows: Vec<Vec<String>> = self.verdicts.iter().map(|verdict| verdict.to_vec()).collect();
            self.table(&["what", "measured", "must", "stretch", "verdict"], &rows);
        }
        self.text
    }
}

/// As many digits as mean something.
pub(crate) fn number(figure: f64) -> String {
    match figure.abs() {
        size if size == 0.0 || (size >= 10.0 && figure.fract() == 0.0) => format!("{figure:.0}"),
        size if size >= 100.0 => format!("{figure:.0}"),
        size if size >= 10.0 => format!("{figure:.1}"),
        _ => format!("{figure:.2}"),
    }
}

/// `part / whole`, where both are known.
pub(crate) fn ratio(part: Option<f64>, whole: Option<f64>) -> Option<f64> {
    Some(part? / whole.filter(|whole| *whole > 0.0)?)
}

/// A cell: the figure or a dash.
pub(crate) fn cell(figure: Option<f64>) -> String {
    figure.map_or_else(|| "–".to_owned(), number)
}
