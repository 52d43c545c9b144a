//! The few settings of an account.

use std::collections::BTreeMap;

/// Names and values, in the order of the names. A tree would keep room for eleven where most accounts have one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings(Vec<(Box<str>, Box<str>)>);

impl Settings {
    /// The value of `name`.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| **known == *name).map(|(_, value)| &**value)
    }

    /// Sets `name`.
    pub fn insert(&mut self, name: &str, value: &str) {
        match self.0.binary_search_by(|(known, _)| (**known).cmp(name)) {
            Ok(at) => self.0[at].1 = value.into(),
            Err(at) => {
                self.0.reserve_exact(1);
                self.0.insert(at, (name.into(), value.into()));
            }
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// All of them, as a provider takes them.
    #[must_use]
    pub fn to_map(&self) -> BTreeMap<String, String> {
        self.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }
}

impl FromIterator<(String, String)> for Settings {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        let mut settings = Self::default();
        for (name, value) in pairs {
            settings.insert(&name, &value);
        }
        settings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_found_replaced_and_kept_in_order() {
        let mut settings: Settings =
            [("user", "me"), ("domain", "x")].map(|(n, v)| (n.into(), v.into())).into_iter().collect();
        settings.insert("user", "you");
        assert_eq!(settings.iter().collect::<Vec<_>>(), [("domain", "x"), ("user", "you")]);
        assert_eq!((settings.value("user"), settings.value("nobody")), (Some("you"), None));
    }
}
