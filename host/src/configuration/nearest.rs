//! The name that somebody may have meant.

/// The least likeness of a name to one that is meant.
const LEAST_LIKENESS: f64 = 0.7;

/// The known name that is most like this one, if any is like it.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // What looks like it but for its spelling, such as `memorySize` for `memory_size`, is meant in any case.
    let plain = |name: &str| -> String {
        name.chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|c| c.to_ascii_lowercase())
            .collect()
    };
    let wanted = plain(name);
    known
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&wanted, &plain(candidate)), candidate))
        .filter(|(likeness, _)| *likeness >= LEAST_LIKENESS)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, candidate)| candidate)
}

/// The end of a sentence about a name that is not known.
pub(super) fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    if let Some(nearest) = nearest(name, known.clone()) {
        return format!("did you mean `{nearest}`?");
    }
    let known: Vec<String> = known.into_iter().map(|name| format!("`{name}`")).collect();
    if known.is_empty() {
        "there can be none".to_owned()
    } else {
        format!("there are {}", known.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_meant_is_found_and_what_is_not_is_not() {
        let known = ["memory_size", "timeout", "layers", "handler"];
        for (name, meant) in [
            ("memory_sise", Some("memory_size")),
            ("MemorySize", Some("memory_size")),
            ("memory", Some("memory_size")),
            ("timeuot", Some("timeout")),
            ("layer", Some("layers")),
            ("xyz", None),
            ("", None),
        ] {
            assert_eq!(nearest(name, known), meant, "{name}");
        }
        assert_eq!(did_you_mean("q", ["a", "b"]), "there are `a`, `b`");
    }
}
