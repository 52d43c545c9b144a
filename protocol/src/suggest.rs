//! "Did you mean": the name nearest to one that is not known.

/// The candidate that is fewest edits from `name`, if it is near enough to be what was meant: one edit in a short word, one for
/// each three letters of a longer one.
#[must_use]
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_ascii_lowercase();
    let length = name.chars().count();
    // Of a word of one letter nothing is left by an edit.
    let limit = (length / 3).max(1).min(length.saturating_sub(1));
    candidates
        .into_iter()
        .map(|candidate| (distance(&name, &candidate.to_ascii_lowercase()), candidate))
        .filter(|(edits, _)| *edits <= limit)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// What a command line's parser says of a mistake, with its suggestions told as all hints are.
#[must_use]
pub fn hinted(words: &str) -> String {
    words.replace("\n\n  tip: ", "\nhint: ").replace("\n  tip: ", "\nhint: ")
}

/// Edits from `a` to `b`, a swap of neighbours counting as one.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let swap = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            let edit = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = edit.min(last[j] + 1).min(row[j - 1] + 1);
            if swap {
                best = best.min(before[j - 2] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_strangers_are_not() {
        let keys = ["headers", "header", "hold", "request", "title"];
        assert_eq!(nearest("heders", keys), Some("headers"));
        assert_eq!(nearest("reqeust", keys), Some("request"));
        assert_eq!(nearest("Titel", keys), Some("title"));
        assert_eq!(nearest("banana", keys), None);
        assert_eq!(nearest("", keys), None);
        assert_eq!(nearest("a", ["b"]), None);
        assert_eq!((nearest("home", ["hole"]), nearest("home", ["hale"])), (Some("hole"), None));
    }

    #[test]
    fn a_tip_is_a_hint_and_nothing_else_changes() {
        let said = "error: no '--a'\n\n  tip: one\n  tip: two\n\nUsage: x\n\nFor more information, try '--help'.\n";
        let wanted = "error: no '--a'\nhint: one\nhint: two\n\nUsage: x\n\nFor more information, try '--help'.\n";
        assert_eq!((hinted(said).as_str(), hinted("a tip: b").as_str()), (wanted, "a tip: b"));
    }

    #[test]
    fn a_slip_finds_its_word_and_another_word_does_not() {
        let known = ["username", "password", "access-id"];
        assert_eq!(nearest("user-name", known), Some("username"));
        assert_eq!(nearest("PASSWROD", known), Some("password"));
        assert_eq!(nearest("acess-id", known), Some("access-id"));
        assert_eq!(nearest("colour", known), None);
    }
}
