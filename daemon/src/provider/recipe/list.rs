//! What an action lists of a reply: a row for each element of an array, without any secret.

use cloud_agent_protocol::{Fault, FaultKind};

use super::json::Json;
use super::request::shown;
use super::take::Document;
use super::values::Values;
use super::verdict::clean;
use crate::cloud::{List, Step};

/// The most rows that are listed: what is listed has to fit into one answer.
const MAX_ROWS: usize = 300;

/// The rows that `list` makes of a reply.
pub(super) fn rows(
    list: &List,
    step: &Step,
    document: &Document<'_>,
    values: &Values,
) -> Result<Vec<Vec<String>>, Fault> {
    let place = list.at.as_deref();
    let array = document.json().and_then(|json| place.map_or(Some(json), |at| json.pointer(at)));
    let Some(Json::Array(elements)) = array else {
        let message = format!("the reply to `{}` is not what it should be", shown(step));
        return Err(Fault::new(FaultKind::MalformedReply, message)
            .because(format!("`{}` is no array", place.unwrap_or("the body"))));
    };
    let row = |element| list.show.iter().map(|pointer| cell(element, pointer, values)).collect();
    Ok(elements.iter().take(MAX_ROWS).map(row).collect())
}

/// All that `pointer` finds, in one cell.
fn cell(element: &Json, pointer: &str, values: &Values) -> String {
    let text = |json: &Json| match json {
        Json::Text(text) => Some(clean(values, text.expose())),
        Json::Number(number) => Some(number.clone()),
        Json::Bool(truth) => Some(truth.to_string()),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    };
    let found = found(element, pointer).into_iter().flat_map(|json| match json {
        Json::Array(inner) => inner.iter().filter_map(text).collect(),
        other => text(other).into_iter().collect::<Vec<_>>(),
    });
    found.collect::<Vec<_>>().join(",")
}

/// What `pointer` points at, `-` standing for every element of an array.
fn found<'a>(json: &'a Json, pointer: &str) -> Vec<&'a Json> {
    let mut each = pointer.match_indices("/-").map(|(at, _)| (&pointer[..at], &pointer[at + 2..]));
    match each.find(|(_, after)| after.is_empty() || after.starts_with('/')) {
        None => json.pointer(pointer).into_iter().collect(),
        Some((before, after)) => match json.pointer(before) {
            Some(Json::Array(elements)) => elements.iter().flat_map(|element| found(element, after)).collect(),
            _ => Vec::new(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dash_finds_every_element_and_nothing_where_there_is_no_array() {
        let json = Json::read(br#"{"a":[{"b":"x","c":[1,2]},{"b":"y"},7],"-x":"z","o":{"-":"w"}}"#).unwrap();
        for (pointer, text) in [
            ("/a/-/b", "x,y"),
            ("/a/-/c", "1,2"),
            ("/a/-/c/-", "1,2"),
            ("/a/-", "7"),
            ("/-x", "z"),
            ("/o/-", ""),
            ("/n/-/b", ""),
        ] {
            assert_eq!(cell(&json, pointer, &Values::default()), text, "{pointer}");
        }
    }
}
