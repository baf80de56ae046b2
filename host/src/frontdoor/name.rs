//! How a request names a function: by its name, a partial or a full ARN, with or without a qualifier.

use super::error::ApiError;

/// The longest name, ARN and qualifier included, that the pattern is tried on.
///
/// Source: documented, the service's model (`NamespacedFunctionName`).
const MAX_NAME_BYTES: usize = 256;

/// The longest qualifier.
///
/// Source: documented, the service's model (`NumericLatestPublishedOrAliasQualifier`).
const MAX_QUALIFIER_BYTES: usize = 128;

/// The patterns, as the service's messages cite them.
const NAME_PATTERN: &str = "(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\\d{1}:)?(\\d{12}:)?\
                            (function:)?([a-zA-Z0-9-_\\.]+)(:(\\$LATEST(\\.PUBLISHED)?|[a-zA-Z0-9-_]+))?";
const QUALIFIER_PATTERN: &str = "\\$(LATEST(\\.PUBLISHED)?)|[a-zA-Z0-9-_$]+";

/// A function as a request names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FunctionReference<'a> {
    /// The region, where the ARN has one.
    pub(super) region: Option<&'a str>,
    /// The account, where the ARN has one.
    pub(super) account_id: Option<&'a str>,
    /// The function's name.
    pub(super) name: &'a str,
    /// The version or alias.
    pub(super) qualifier: Option<&'a str>,
}

impl<'a> FunctionReference<'a> {
    /// Reads a name, and the qualifier that stands beside it.
    ///
    /// # Errors
    ///
    /// Where one of them is none of the service's, or they name different qualifiers.
    pub(super) fn parse(name: &'a str, qualifier: Option<&'a str>) -> Result<Self, ApiError> {
        let mut reference = Self::of_name(name).ok_or_else(|| violation(name, "functionName", NAME_PATTERN))?;
        if let Some(qualifier) = qualifier {
            if !is_qualifier(qualifier) {
                return Err(violation(qualifier, "qualifier", QUALIFIER_PATTERN));
            }
            if reference.qualifier.is_some_and(|named| named != qualifier) {
                return Err(ApiError::invalid_parameter(
                    "The derived qualifier from the function name does not match the specified qualifier.",
                ));
            }
            reference.qualifier = Some(qualifier);
        }
        Ok(reference)
    }

    fn of_name(text: &'a str) -> Option<Self> {
        if text.len() > MAX_NAME_BYTES {
            return None;
        }
        let (is_arn, rest) = match text.strip_prefix("arn:") {
            Some(rest) => {
                let (partition, rest) = rest.split_once(':')?;
                (is_partition(partition), rest.strip_prefix("lambda:")?)
            }
            None => (true, text),
        };
        if !is_arn {
            return None;
        }
        // What could be a region, an account or the word `function` can be a function's name too: it is that where what
        // follows is not one.
        let start = Self {
            region: None,
            account_id: None,
            name: "",
            qualifier: None,
        };
        start.read(rest, Part::Region)
    }

    fn read(self, text: &'a str, part: Part) -> Option<Self> {
        let head = text.split_once(':');
        let skipped = |next| self.read(text, next);
        match (part, head) {
            (Part::Region, Some((head, rest))) if is_region(head) => {
                let with = Self {
                    region: Some(head),
                    ..self
                };
                with.read(rest, Part::Account).or_else(|| skipped(Part::Account))
            }
            (Part::Region, _) => skipped(Part::Account),
            (Part::Account, Some((head, rest))) if is_account(head) => {
                let with = Self {
                    account_id: Some(head),
                    ..self
                };
                with.read(rest, Part::Function).or_else(|| skipped(Part::Function))
            }
            (Part::Account, _) => skipped(Part::Function),
            (Part::Function, Some(("function", rest))) => self.read(rest, Part::Name).or_else(|| skipped(Part::Name)),
            (Part::Function, _) => skipped(Part::Name),
            (Part::Name, head) => {
                let (name, qualifier) = head.map_or((text, None), |(name, qualifier)| (name, Some(qualifier)));
                (is_name(name) && qualifier.is_none_or(is_qualifier_in_name)).then_some(Self {
                    name,
                    qualifier,
                    ..self
                })
            }
        }
    }
}

/// The parts of an ARN that can be left out, and what cannot.
#[derive(Clone, Copy, Debug)]
enum Part {
    Region,
    Account,
    Function,
    Name,
}

fn violation(value: &str, member: &str, pattern: &str) -> ApiError {
    ApiError::validation(format!(
        "1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: Member must satisfy \
         regular expression pattern: {pattern}"
    ))
}

fn is_partition(text: &str) -> bool {
    text.is_empty()
        || text
            .strip_prefix("aws")
            .is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-'))
}

/// `us-east-1`, `us-gov-west-1`, `eusc-de-east-1`.
fn is_region(text: &str) -> bool {
    let mut parts = text.strip_prefix("eusc-").unwrap_or(text).split('-');
    let is_lower = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    let Some(country) = parts.next() else { return false };
    let mut rest: Vec<_> = parts.collect();
    if rest.len() == 3 && (rest[0] == "gov" || (rest[0].starts_with("iso") && rest[0].len() <= 4)) {
        rest.remove(0);
    }
    country.len() == 2
        && is_lower(country)
        && matches!(rest[..], [place, number] if is_lower(place) && number.len() == 1 && number.as_bytes()[0].is_ascii_digit())
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

fn is_qualifier_in_name(text: &str) -> bool {
    matches!(text, "$LATEST" | "$LATEST.PUBLISHED")
        || (!text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')))
}

fn is_qualifier(text: &str) -> bool {
    text == "$LATEST.PUBLISHED"
        || ((1..=MAX_QUALIFIER_BYTES).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'$')))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Parts<'a> = (Option<&'a str>, Option<&'a str>, &'a str, Option<&'a str>);

    fn parts<'a>(name: &'a str, qualifier: Option<&'a str>) -> Parts<'a> {
        let reference = FunctionReference::parse(name, qualifier).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        (
            reference.region,
            reference.account_id,
            reference.name,
            reference.qualifier,
        )
    }

    #[test]
    fn every_form_of_a_name_is_read() {
        let (region, account) = (Some("us-east-1"), Some("123456789012"));
        for (name, expected) in [
            ("hello", (None, None, "hello", None)),
            ("hello:live", (None, None, "hello", Some("live"))),
            ("hello:$LATEST", (None, None, "hello", Some("$LATEST"))),
            (
                "hello:$LATEST.PUBLISHED",
                (None, None, "hello", Some("$LATEST.PUBLISHED")),
            ),
            ("function:hello", (None, None, "hello", None)),
            ("123456789012:function:hello", (None, account, "hello", None)),
            ("123456789012:hello:7", (None, account, "hello", Some("7"))),
            (
                "us-east-1:123456789012:function:hello:7",
                (region, account, "hello", Some("7")),
            ),
            (
                "arn:aws:lambda:us-east-1:123456789012:function:hello",
                (region, account, "hello", None),
            ),
            (
                "arn:aws:lambda:us-east-1:123456789012:function:hello:live",
                (region, account, "hello", Some("live")),
            ),
            (
                "arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:a",
                (Some("us-gov-west-1"), account, "a", None),
            ),
            (
                "arn:aws:lambda:eusc-de-east-1:123456789012:function:a",
                (Some("eusc-de-east-1"), account, "a", None),
            ),
            // What looks like a part of an ARN is a name where no name follows it.
            ("function", (None, None, "function", None)),
            ("function:$LATEST", (None, None, "function", Some("$LATEST"))),
            ("us-east-1", (None, None, "us-east-1", None)),
            ("123456789012:$LATEST", (None, None, "123456789012", Some("$LATEST"))),
        ] {
            assert_eq!(parts(name, None), expected, "{name}");
        }
    }

    #[test]
    fn names_that_are_none_are_refused_with_the_pattern() {
        let long = "a".repeat(257);
        for name in [
            "",
            ":",
            "hello:",
            "hello world",
            "hello:live:2",
            "hello:$OTHER",
            "arn:aws:s3:::bucket",
            "arn:gcp:lambda:us-east-1:123456789012:function:hello",
            "arn:aws:lambda:us-east-1:123456789012:layer:hello:1",
            "Grüße",
            &long,
        ] {
            let error = FunctionReference::parse(name, None).expect_err(name);
            assert_eq!(
                (error.status().as_u16(), error.name()),
                (400, "ValidationException"),
                "{name}"
            );
            assert!(
                error
                    .message()
                    .contains("at 'functionName' failed to satisfy constraint"),
                "{name}"
            );
        }
    }

    #[test]
    fn a_qualifier_beside_the_name_must_be_the_one_in_it() {
        assert_eq!(parts("hello", Some("live")), (None, None, "hello", Some("live")));
        assert_eq!(parts("hello:live", Some("live")), (None, None, "hello", Some("live")));
        let error = FunctionReference::parse("hello:live", Some("$LATEST")).expect_err("they differ");
        assert_eq!(error.name(), "InvalidParameterValueException");
        let long = "a".repeat(129);
        for qualifier in ["", "a b", "$LATEST.OTHER", "ü", &long] {
            let error = FunctionReference::parse("hello", Some(qualifier)).expect_err(qualifier);
            assert_eq!(error.name(), "ValidationException", "{qualifier}");
        }
    }
}
