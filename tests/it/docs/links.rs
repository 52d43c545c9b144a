//! Where the manual points there is something, and its table of contents lists every page.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cloud_agent_tests::skip;

use super::{pages, root};

#[test]
fn no_link_of_the_manual_is_dead() {
    let pages = pages();
    let anchors: BTreeMap<&str, BTreeSet<String>> =
        pages.iter().map(|page| (page.name.as_str(), anchors(&page.text))).collect();
    let (mut dead, mut seen) = (Vec::new(), 0);
    for page in &pages {
        for target in targets(&page.text) {
            seen += 1;
            if ["https://", "http://", "mailto:"].iter().any(|scheme| target.starts_with(scheme)) {
                continue;
            }
            let (file, anchor) = target.split_once('#').map_or((target, None), |(file, anchor)| (file, Some(anchor)));
            let here = Path::new(&page.name).parent().unwrap_or(Path::new(""));
            let at = if file.is_empty() { page.name.clone() } else { plain(&here.join(file)) };
            let known = anchors.get(at.as_str());
            let holds = match (anchor, known) {
                (Some(anchor), Some(known)) => known.contains(anchor),
                (Some(_), None) => false,
                (None, _) => root().join(&at).exists(),
            };
            if !holds {
                dead.push(format!("{}: {target}", page.name));
            }
        }
    }
    assert!(seen > 100, "{seen} links were found");
    assert!(dead.is_empty(), "{dead:#?}");
}

#[test]
fn every_page_is_in_the_table_of_contents_once_and_in_readme() {
    let contents = fs::read_to_string(root().join("docs/SUMMARY.md")).unwrap();
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let listed: Vec<String> = targets(&contents).map(|target| plain(&Path::new("docs").join(target))).collect();
    for page in pages() {
        if page.name == "docs/SUMMARY.md" {
            continue;
        }
        assert_eq!(listed.iter().filter(|name| **name == page.name).count(), 1, "{}", page.name);
        assert!(page.name == "README.md" || targets(&readme).any(|target| target == page.name), "{}", page.name);
    }
}

/// The site, which mdBook makes where it is there.
#[test]
fn no_link_of_the_rendered_site_is_dead() {
    let what = "no_link_of_the_rendered_site_is_dead";
    let Some(_) = skip::unless_optional_tool(what, "mdbook") else { return };
    let into = tempfile::tempdir().unwrap();
    let made = Command::new(root().join("docs/site")).arg(into.path()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let (mut dead, mut seen) = (Vec::new(), 0);
    for file in below(into.path()) {
        if file.extension().is_none_or(|extension| extension != "html") || file.ends_with("404.html") {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        for attribute in ["href=\"", "src=\""] {
            for target in text.split(attribute).skip(1).filter_map(|rest| rest.split('"').next()) {
                seen += 1;
                let is_elsewhere =
                    ["https://", "http://", "mailto:", "data:"].iter().any(|scheme| target.starts_with(scheme));
                let (path, anchor) = target.split_once('#').map_or((target, ""), |(path, anchor)| (path, anchor));
                let at = if path.is_empty() { file.clone() } else { file.parent().unwrap().join(path) };
                let holds = is_elsewhere
                    || (at.exists()
                        && (anchor.is_empty()
                            || fs::read_to_string(&at).unwrap().contains(&format!("id=\"{anchor}\""))));
                if !holds {
                    dead.push(format!("{}: {target}", file.strip_prefix(into.path()).unwrap().display()));
                }
            }
        }
    }
    assert!(seen > 500, "{seen} links were found");
    assert!(dead.is_empty(), "{dead:#?}");
}

fn below(directory: &Path) -> Vec<PathBuf> {
    let (mut found, mut stack) = (Vec::new(), vec![directory.to_owned()]);
    while let Some(directory) = stack.pop() {
        for entry in fs::read_dir(directory).unwrap().flatten() {
            if entry.path().is_dir() { stack.push(entry.path()) } else { found.push(entry.path()) }
        }
    }
    found
}

/// Where the links of a page lead, code aside.
fn targets(text: &str) -> impl Iterator<Item = &str> {
    let lines = prose(text).flat_map(|line| line.split("](").skip(1).filter_map(|rest| rest.split(')').next()));
    lines.filter(|target| !target.contains([' ', '`']) && !target.is_empty())
}

fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// What the headings of a page can be reached by.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for line in prose(text).filter(|line| line.starts_with('#')) {
        let heading = line.trim_start_matches('#').trim();
        // The text of a link counts, and not where it leads.
        let heading = heading.split("](").next().unwrap_or(heading);
        let slug: String = heading
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
            .map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() })
            .collect();
        let again = (1..).map(|number| format!("{slug}-{number}"));
        let free = std::iter::once(slug.clone()).chain(again).find(|slug| !found.contains(slug));
        found.extend(free);
    }
    found
}

/// A path without `..` and `.`.
fn plain(path: &Path) -> String {
    let mut parts: Vec<String> = Vec::new();
    for part in path.components() {
        match part.as_os_str().to_str().expect("pages have plain names") {
            ".." => drop(parts.pop()),
            "." => {}
            name => parts.push(name.to_owned()),
        }
    }
    parts.join("/")
}

#[test]
fn headings_are_reached_as_renderers_name_them() {
    let text = "# A `--x` of *two*, and more\n## Twice\n## Twice\n```sh\n# none\n```\n### [0.1](https://x)\n";
    let found: Vec<String> = anchors(text).into_iter().collect();
    assert_eq!(found, ["01", "a---x-of-two-and-more", "twice", "twice-1"]);
    assert_eq!(targets("[a](b.md#c) `x` [d](e)\n```\n[f](g)\n```\n").collect::<Vec<_>>(), ["b.md#c", "e"]);
    assert_eq!(plain(Path::new("docs/../protocol/./P.md")), "protocol/P.md");
}
