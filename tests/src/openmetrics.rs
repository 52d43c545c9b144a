//! A page of OpenMetrics text, read strictly, from its specification
//! (<https://prometheus.io/docs/specs/om/open_metrics_spec/>): what a lenient collector forgives is refused.

use std::collections::{BTreeMap, BTreeSet};

/// Labels and their values.
type Labels = BTreeMap<String, String>;

/// A page that follows the rules.
#[derive(Debug, Default)]
pub struct Page {
    families: BTreeMap<String, String>,
    samples: Vec<(String, Labels, f64)>,
}

impl Page {
    /// Reads a page.
    ///
    /// # Errors
    /// The first line that breaks a rule, and which.
    pub fn parse(text: &str) -> Result<Self, String> {
        let body = text.strip_suffix("# EOF\n").ok_or("it does not end with `# EOF`")?;
        let mut page = Self::default();
        let mut family = Family::default();
        for line in body.split_terminator('\n') {
            let wrong = |why: String| format!("{why}: `{line}`");
            if let Some(said) = line.strip_prefix("# ") {
                page.describe(&mut family, said).map_err(wrong)?;
            } else {
                let (name, labels, value) = sample(line).map_err(wrong)?;
                family.admits(&name, &labels, value).map_err(wrong)?;
                if page.samples.iter().any(|(known, with, _)| *known == name && *with == labels) {
                    return Err(wrong("it is there twice".into()));
                }
                page.samples.push((name, labels, value));
            }
        }
        page.look_at_histograms()?;
        Ok(page)
    }

    /// The value of the sample with exactly these labels.
    #[must_use]
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels: Labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.samples.iter().find(|(known, with, _)| known == name && *with == labels).map(|(_, _, value)| *value)
    }

    /// The values that a label has in samples of that name.
    #[must_use]
    pub fn labels(&self, name: &str, label: &str) -> BTreeSet<String> {
        self.samples
            .iter()
            .filter(|(known, ..)| known == name)
            .filter_map(|(_, with, _)| with.get(label).cloned())
            .collect()
    }

    /// The families that are declared, and of which type they are.
    #[must_use]
    pub fn families(&self) -> &BTreeMap<String, String> {
        &self.families
    }

    fn describe(&mut self, family: &mut Family, said: &str) -> Result<(), String> {
        let mut words = said.splitn(3, ' ');
        let (Some(what), Some(name), Some(rest)) = (words.next(), words.next(), words.next()) else {
            return Err("a description has three parts".into());
        };
        if !is_name(name) {
            return Err("that is no name".into());
        }
        if what != "TYPE" && family.name != name {
            return Err("a family is described in one place".into());
        }
        match what {
            "TYPE" => {
                if self.families.insert(name.to_owned(), rest.to_owned()).is_some() {
                    return Err("a family is declared once".into());
                }
                *family = Family { name: name.to_owned(), kind: rest.to_owned(), ..Family::default() };
            }
            "UNIT" if family.has_samples || family.has_unit => return Err("a unit is told once, before samples".into()),
            "UNIT" if !name.ends_with(&format!("_{rest}")) => return Err("a name ends with its unit".into()),
            "UNIT" => family.has_unit = true,
            "HELP" if family.has_samples || family.has_help => return Err("help is told once, before samples".into()),
            "HELP" => family.has_help = true,
            _ => return Err("there is no such description".into()),
        }
        Ok(())
    }

    /// Buckets are cumulative, in order, and the last one holds all.
    fn look_at_histograms(&self) -> Result<(), String> {
        for name in self.families.iter().filter(|(_, kind)| *kind == "histogram").map(|(name, _)| name) {
            let (bucket, mut series) = (format!("{name}_bucket"), BTreeMap::<Labels, Vec<(f64, f64)>>::new());
            for (_, labels, value) in self.samples.iter().filter(|(known, ..)| *known == bucket) {
                let mut labels = labels.clone();
                let bound = labels.remove("le").ok_or_else(|| format!("a bucket of `{name}` has no bound"))?;
                let bound =
                    if bound == "+Inf" { f64::INFINITY } else { bound.parse().map_err(|_| format!("`{bound}`"))? };
                series.entry(labels).or_default().push((bound, *value));
            }
            for (labels, buckets) in series {
                let wrong = |why: &str| Err(format!("`{name}` {labels:?}: {why}"));
                if buckets.windows(2).any(|pair| pair[0].0 >= pair[1].0 || pair[0].1 > pair[1].1) {
                    return wrong("its buckets do not grow");
                }
                let Some((bound, all)) = buckets.last() else { continue };
                let with: Vec<_> = labels.iter().map(|(label, value)| (label.as_str(), value.as_str())).collect();
                let [count, sum] = ["count", "sum"].map(|part| self.value(&format!("{name}_{part}"), &with));
                if bound.is_finite() || count != Some(*all) || sum.is_none() {
                    return wrong("its last bucket does not hold all");
                }
            }
        }
        Ok(())
    }
}

/// What is known of the family that is being read.
#[derive(Default)]
struct Family {
    name: String,
    kind: String,
    has_unit: bool,
    has_help: bool,
    has_samples: bool,
}

impl Family {
    fn admits(&mut self, name: &str, labels: &Labels, value: f64) -> Result<(), String> {
        self.has_samples = true;
        let suffix = name.strip_prefix(&self.name).ok_or("it is in another family's place")?;
        let fits = match (self.kind.as_str(), suffix) {
            ("gauge", "") => true,
            ("counter", "_total") | ("histogram", "_count" | "_sum") => value >= 0.0 && value.is_finite(),
            ("histogram", "_bucket") => labels.contains_key("le") && value >= 0.0 && value.fract() == 0.0,
            ("info", "_info") => (value - 1.0).abs() < f64::EPSILON,
            _ => false,
        };
        if fits { Ok(()) } else { Err(format!("a {} has no such sample", self.kind)) }
    }
}

fn sample(line: &str) -> Result<(String, Labels, f64), String> {
    let end = line.find(['{', ' ']).ok_or("it has no value")?;
    let (name, mut rest) = line.split_at(end);
    if !is_name(name) {
        return Err("that is no name".into());
    }
    let mut labels = Labels::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, after) = rest.split_once("=\"").ok_or("a label has no value")?;
            let (value, after) = quoted(after)?;
            if !is_name(label) || labels.insert(label.to_owned(), value).is_some() {
                return Err(format!("`{label}` is no label, or there twice"));
            }
            if let Some(more) = after.strip_prefix(',') {
                rest = more;
                continue;
            }
            rest = after.strip_prefix('}').ok_or("the labels do not end")?;
            break;
        }
    }
    let value = rest.strip_prefix(' ').ok_or("there is no space before the value")?;
    value.parse().map(|value| (name.to_owned(), labels, value)).map_err(|_| "that is no number".into())
}

/// What is before the closing quote, and what is behind it.
fn quoted(text: &str) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => match characters.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, escaped @ ('\\' | '"'))) => value.push(escaped),
                _ => return Err("that is no escape".into()),
            },
            other => value.push(other),
        }
    }
    Err("a quote is not closed".into())
}

fn is_name(text: &str) -> bool {
    let first = text.bytes().next();
    first.is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "# TYPE a counter\n# HELP a what it is\na_total{x=\"1\\\"\\\\\",y=\"\"} 3\n\
        # TYPE b_seconds histogram\n# UNIT b_seconds seconds\n\
        b_seconds_bucket{le=\"0.1\"} 1\nb_seconds_bucket{le=\"+Inf\"} 2\nb_seconds_count 2\nb_seconds_sum 0.5\n\
        # TYPE c info\nc_info{version=\"1\"} 1\n# EOF\n";

    #[test]
    fn a_page_that_follows_the_rules_is_read() {
        let page = Page::parse(GOOD).unwrap();
        assert_eq!(page.value("a_total", &[("x", "1\"\\"), ("y", "")]), Some(3.0));
        assert_eq!(page.labels("c_info", "version"), ["1".to_owned()].into());
        assert_eq!(page.families().len(), 3);
    }

    #[test]
    fn whatever_breaks_a_rule_is_refused() {
        for (from, to) in [
            ("# EOF\n", ""),
            ("# EOF\n", "# EOF\na 1\n"),
            ("a_total{", "a{"),
            (" 3\n", " -3\n"),
            (" 3\n", " x\n"),
            ("y=\"\"", "x=\"\""),
            ("y=\"\"", "y=\""),
            ("1\\\"", "1\\t"),
            ("# UNIT b_seconds seconds", "# UNIT b_seconds bytes"),
            ("# TYPE c info", "# TYPE a info"),
            ("{le=\"0.1\"} 1", "{le=\"0.1\"} 3"),
            ("{le=\"+Inf\"} 2", "{le=\"5\"} 2"),
            ("b_seconds_count 2", "b_seconds_count 3"),
            ("c_info{version=\"1\"} 1", "c_info{version=\"1\"} 2"),
            ("# TYPE c info\n", ""),
            ("b_seconds_sum 0.5\n", ""),
        ] {
            let bad = GOOD.replacen(from, to, 1);
            assert_ne!(bad, GOOD, "{from}");
            assert!(Page::parse(&bad).is_err(), "{from} -> {to}");
        }
    }
}
