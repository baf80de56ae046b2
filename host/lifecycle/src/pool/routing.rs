//! Which version an alias means.

use std::fmt;

/// How large a part of an alias's invocations its additional version gets: 0.0 to 1.0.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/configuring-alias-routing.html>.
///
/// ```
/// use lambox_lifecycle::pool::Weight;
///
/// assert!(Weight::new(0.05).is_some());
/// assert!(Weight::new(1.5).is_none());
/// assert!(Weight::new(f64::NAN).is_none());
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weight(f64);

impl Weight {
    /// No part.
    pub const NONE: Self = Self(0.0);

    /// A weight; nothing where it is not between 0.0 and 1.0.
    pub fn new(weight: f64) -> Option<Self> {
        (0.0..=1.0).contains(&weight).then_some(Self(weight))
    }

    /// It as a number.
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where an alias leads to: a version, and perhaps another one for some of the invocations.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/configuring-alias-routing.html>.
///
/// ```
/// use lambox_lifecycle::pool::{Route, Weight};
///
/// let route = Route::to("1").with_additional("2", Weight::new(0.25).expect("it is a part"));
/// assert_eq!(route.version(0), "2");
/// assert_eq!(route.version(u32::MAX / 4 + 1), "1");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    version: Box<str>,
    additional: Option<(Box<str>, Weight)>,
}

impl Route {
    /// To this version.
    pub fn to(version: impl Into<Box<str>>) -> Self {
        Self {
            version: version.into(),
            additional: None,
        }
    }

    /// To another version for this part of the invocations.
    #[must_use]
    pub fn with_additional(mut self, version: impl Into<Box<str>>, weight: Weight) -> Self {
        self.additional = Some((version.into(), weight));
        self
    }

    /// The version for an invocation that drew this number of all there are.
    pub fn version(&self, draw: u32) -> &str {
        match &self.additional {
            Some((version, weight)) if f64::from(draw) < weight.0 * (f64::from(u32::MAX) + 1.0) => version,
            Some(_) | None => &self.version,
        }
    }

    /// The version that it leads to in the first place.
    pub fn main(&self) -> &str {
        &self.version
    }

    /// All versions that it may lead to.
    pub fn versions(&self) -> impl Iterator<Item = &str> {
        let additional = self.additional.as_ref().map(|(version, _)| &**version);
        std::iter::once(&*self.version).chain(additional)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_is_the_part_that_draws_the_additional_version() {
        for (weight, of_thousand) in [(0.0, 0), (0.001, 1), (0.25, 250), (0.5, 500), (1.0, 1_000)] {
            let route = Route::to("1").with_additional("2", Weight::new(weight).expect("it is a part"));
            // The middle of each thousandth.
            let draw = |part: u64| u32::try_from(((part << 32) + (1 << 31)) / 1_000).expect("it has 32 bits");
            let draws = (0..1_000).map(draw);
            let count = draws.filter(|draw| route.version(*draw) == "2").count();
            assert_eq!(count, of_thousand, "{weight}");
        }
        let all = Route::to("1").with_additional("2", Weight::new(1.0).expect("it is a part"));
        assert_eq!(all.version(u32::MAX), "2");
        assert_eq!(Route::to("1").version(0), "1");
    }
}
