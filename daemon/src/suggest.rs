//! "Did you mean": the nearest known word.

/// The word of `known` nearest to `given`, if it is near enough to be a slip.
pub(crate) fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let given = given.to_ascii_lowercase();
    known
        .into_iter()
        .map(|word| (distance(&given, &word.to_ascii_lowercase()), word))
        .filter(|(far, word)| *far <= 1 + word.len().min(given.len()) / 4)
        .min_by_key(|(far, _)| *far)
        .map(|(_, word)| word)
}

/// How many single-character edits lie between two words (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_word_and_another_word_does_not() {
        let known = ["username", "password", "access-id"];
        assert_eq!(nearest("user-name", known), Some("username"));
        assert_eq!(nearest("PASSWROD", known), Some("password"));
        assert_eq!(nearest("acess-id", known), Some("access-id"));
        assert_eq!(nearest("colour", known), None);
    }

    #[test]
    fn distance_counts_edits() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", "abc"), 0);
    }
}
