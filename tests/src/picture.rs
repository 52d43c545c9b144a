//! A session at a terminal as a picture: SVG, each step in its turn, whole where nothing moves.
//!
//! It draws what it is given and knows no program. What is another one each time is made the same, so that a picture changes
//! only when the session does.

use std::fmt::Write;

/// Columns of the terminal.
const WIDE: usize = 100;
/// Pixels of a column and of a line, for a font of 14.
const COLUMN: f32 = 8.43;
const LINE: usize = 20;
const MARGIN: usize = 20;
/// Of a token, so many characters are shown.
const TOKEN: usize = 60;
/// Seconds between two things that are typed.
const PAUSE: f32 = 1.5;

/// The picture of a session. A line that begins with `$ ` was typed, one with `# ` is a remark.
#[must_use]
pub fn recording(lines: &[String]) -> String {
    let (mut body, mut row, mut steps, mut remarked) = (String::new(), 0, 0_u8, false);
    for line in lines {
        // A step is what was typed, with the remark before it.
        let remarks = line.starts_with("# ");
        if remarks || body.is_empty() || (line.starts_with("$ ") && !remarked) {
            let open = if body.is_empty() { "" } else { "</g>\n" };
            writeln!(body, "{open}<g style=\"animation-delay:{}s\">", f32::from(steps) * PAUSE).expect("a string");
            steps += 1;
        }
        remarked = remarks;
        let class = match line {
            line if line.starts_with("$ ") => " class=\"typed\"",
            _ if remarks => " class=\"said\"",
            line if ["error: ", "caused by: ", "hint: "].iter().any(|label| line.starts_with(label)) => {
                " class=\"bad\""
            }
            _ => "",
        };
        for text in wrapped(&shortened(line)) {
            if !text.is_empty() {
                let y = MARGIN + 10 + row * LINE;
                writeln!(body, "<text x=\"{MARGIN}\" y=\"{y}\"{class}>{}</text>", escaped(&text)).expect("a string");
            }
            row += 1;
        }
    }
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is small"
    )]
    let width = (WIDE as f32 * COLUMN) as usize + 2 * MARGIN;
    let height = row * LINE + 2 * MARGIN;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         xml:space=\"preserve\" role=\"img\" aria-label=\"A session at a terminal\">\n<style>\n\
         text {{ font: 14px ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace; fill: #cdd6e0; white-space: pre }}\n\
         .typed {{ fill: #ffffff; font-weight: bold }}\n.said {{ fill: #8fa3b5 }}\n.bad {{ fill: #ff9e9e }}\n\
         g {{ animation: shown 0.2s backwards }}\n@keyframes shown {{ from {{ opacity: 0 }} }}\n\
         @media (prefers-reduced-motion: reduce) {{ g {{ animation: none }} }}\n</style>\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"10\" fill=\"#16202b\"/>\n{body}</g>\n</svg>\n"
    )
}

/// Whether two pictures are of the same session, numbers aside.
#[must_use]
pub fn alike(one: &str, other: &str) -> bool {
    let plain = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "");
    plain(one) == plain(other)
}

/// Tokens are cut: their ends are others each time, and nobody reads them.
fn shortened(line: &str) -> String {
    let mut found = String::new();
    let mut run = 0;
    for c in line.chars() {
        run = if c.is_ascii_alphanumeric() || "._-".contains(c) { run + 1 } else { 0 };
        match run {
            0..=TOKEN => found.push(c),
            _ if !found.ends_with('…') => found.push('…'),
            _ => {}
        }
    }
    found
}

/// Broken at blanks; what has none is cut.
fn wrapped(line: &str) -> Vec<String> {
    let mut rows = vec![String::new()];
    for word in line.split_inclusive(' ') {
        let last = rows.last_mut().expect("there is one");
        if last.chars().count() + word.trim_end().chars().count() <= WIDE {
            last.push_str(word);
        } else if word.chars().count() > WIDE / 2 {
            let left = WIDE.saturating_sub(last.chars().count() + 1);
            last.extend(word.chars().take(left));
            last.push('…');
            break;
        } else {
            rows.push(format!("    {word}"));
        }
    }
    rows
}

fn escaped(text: &str) -> String {
    text.trim_end().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_drawn_line_by_line_and_a_token_is_cut() {
        let token = "e".repeat(80);
        let lines = ["# why", "$ a <b>", &token, "error: no"].map(str::to_owned);
        let picture = recording(&lines);
        assert!(
            picture.contains("class=\"typed\">$ a &lt;b&gt;</text>") && picture.contains("class=\"bad\">error: no")
        );
        assert!(picture.contains(&format!(">{}…</text>", "e".repeat(60))), "{picture}");
        assert!(alike(&picture, &picture.replace("30", "31")) && !alike(&picture, &picture.replace("$ a", "$ b")));
    }

    #[test]
    fn a_long_line_goes_on_below_and_one_without_blanks_is_cut() {
        let line = format!("{} {}", "word ".repeat(19).trim_end(), "last words");
        assert_eq!(wrapped(&line).len(), 2);
        assert_eq!(wrapped(&"x:".repeat(80))[0].chars().count(), WIDE);
    }
}
