//! Identifiers.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// The identifier with these 128 bits.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// Its 128 bits.
            pub const fn as_uuid(&self) -> &Uuid {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self.0.as_hyphenated(), f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            /// Reads the 36-character form, in either case of letters.
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                // `Uuid` also reads braced, simple and URN forms, which the service does not write.
                text.parse::<uuid::fmt::Hyphenated>().map(|uuid| Self(uuid.into_uuid()))
            }
        }
    };
}

identifier! {
    /// Identifies an invocation. All attempts of one asynchronous event share it.
    RequestId
}
identifier! {
    /// Identifies a registered extension within one generation of an execution environment.
    ExtensionIdentifier
}
identifier! {
    /// Identifies one attempt of an invocation. No two attempts share it, even those of one event with one request id.
    ///
    /// Source: observed, the official clients: `Lambda-Runtime-Invocation-Id`.
    InvocationId
}
