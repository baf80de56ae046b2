//! What one environment lets its programs in with: tokens of its own, and the credentials behind one of them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use lambox_lifecycle::{Config, InitType, Phase, Timestamp};
use uuid::Uuid;

use crate::transport::{IssuedCredentials, Metadata, NoCredentials};

/// How long the metadata may be kept: 12 hours.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/configuration-metadata-endpoint.html>.
const METADATA_MAX_AGE: Duration = Duration::from_hours(12);

/// How long they may be kept where a snapshot is about to be taken, so that they are asked for again after the restore:
/// 1 second.
///
/// Source: documented that it is less than otherwise; assumed how much. A recording of a SnapStart function's
/// initialisation would settle it.
const METADATA_MAX_AGE_BEFORE_SNAPSHOT: Duration = Duration::from_secs(1);

/// How long credentials are given out for: 30 minutes.
///
/// Source: observed, the service's own emulator (`core/credentials.go`).
const CREDENTIALS_LIFETIME: Duration = Duration::from_mins(30);

/// What guests call AWS with: made up, unless a test has others.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub(crate) access_key_id: Arc<str>,
    pub(crate) secret_access_key: Arc<str>,
    pub(crate) session_token: Arc<str>,
}

impl Credentials {
    /// Credentials of a role.
    pub fn new(
        access_key_id: impl Into<Arc<str>>,
        secret_access_key: impl Into<Arc<str>>,
        session_token: impl Into<Arc<str>>,
    ) -> Self {
        Self {
            access_key_id: access_key_id.into(),
            secret_access_key: secret_access_key.into(),
            session_token: session_token.into(),
        }
    }
}

impl Default for Credentials {
    /// Credentials that look like a role's, and that nothing accepts.
    fn default() -> Self {
        Self::new(
            "ASIAIOSFODNN7EXAMPLE",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "IQoJb3JpZ2luX2VjEXAMPLETOKEN",
        )
    }
}

/// What is secret stays out of logs.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("access_key_id", &self.access_key_id)
            .finish_non_exhaustive()
    }
}

/// The tokens of one environment.
pub(super) struct Secrets {
    metadata_token: String,
    /// Where credentials are given out: with SnapStart, for those in variables would be in the snapshot.
    credentials_token: Option<String>,
    credentials: Credentials,
    availability_zone_id: Arc<str>,
}

impl Secrets {
    pub(super) fn new(config: &Config, credentials: Credentials, availability_zone_id: Arc<str>) -> Self {
        let token = || Uuid::new_v4().simple().to_string();
        Self {
            metadata_token: token(),
            credentials_token: (config.initialization_type == InitType::SnapStart).then(token),
            credentials,
            availability_zone_id,
        }
    }

    /// The variables that the environment's own programs have beside those of every environment of the function, where its
    /// APIs are at this address.
    pub(super) fn variables(&self, address: SocketAddr) -> Vec<(String, String)> {
        let mut variables = vec![
            ("AWS_LAMBDA_METADATA_API".to_owned(), address.to_string()),
            ("AWS_LAMBDA_METADATA_TOKEN".to_owned(), self.metadata_token.clone()),
        ];
        if let Some(token) = &self.credentials_token {
            variables.push((
                "AWS_CONTAINER_CREDENTIALS_FULL_URI".to_owned(),
                format!("http://{address}/2021-04-23/credentials"),
            ));
            variables.push(("AWS_CONTAINER_AUTHORIZATION_TOKEN".to_owned(), token.clone()));
        }
        variables
    }

    pub(super) fn availability_zone_id(&self) -> Arc<str> {
        Arc::clone(&self.availability_zone_id)
    }

    pub(super) fn metadata(&self, token: Option<&str>, config: &Config, phase: Phase) -> Option<Metadata> {
        if token != Some(self.metadata_token.as_str()) {
            return None;
        }
        let is_before_snapshot = config.initialization_type == InitType::SnapStart && phase == Phase::Init;
        Some(Metadata {
            availability_zone_id: self.availability_zone_id(),
            max_age: if is_before_snapshot {
                METADATA_MAX_AGE_BEFORE_SNAPSHOT
            } else {
                METADATA_MAX_AGE
            },
        })
    }

    pub(super) fn credentials(&self, token: Option<&str>, now: Timestamp) -> Result<IssuedCredentials, NoCredentials> {
        match &self.credentials_token {
            None => Err(NoCredentials::NotFound),
            Some(own) if token == Some(own) => Ok(IssuedCredentials {
                access_key_id: Arc::clone(&self.credentials.access_key_id),
                secret_access_key: Arc::clone(&self.credentials.secret_access_key),
                session_token: Arc::clone(&self.credentials.session_token),
                expiration: now + CREDENTIALS_LIFETIME,
            }),
            Some(_) => Err(NoCredentials::WrongToken),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(initialization_type: InitType) -> (Config, Secrets) {
        let config = Config {
            initialization_type,
            ..crate::log::tests::config()
        };
        let secrets = Secrets::new(&config, Credentials::new("id", "secret", "session"), "use1-az5".into());
        (config, secrets)
    }

    fn variable(secrets: &Secrets, name: &str) -> Option<String> {
        let variables = secrets.variables(SocketAddr::from(([127, 0, 0, 1], 9001)));
        variables
            .into_iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value)
    }

    #[test]
    fn metadata_are_kept_for_long_unless_a_snapshot_is_about_to_be_taken() {
        for (initialization_type, phase, seconds) in [
            (InitType::SnapStart, Phase::Init, 1),
            (InitType::SnapStart, Phase::Restore, 43_200),
            (InitType::SnapStart, Phase::Invoke, 43_200),
            (InitType::OnDemand, Phase::Init, 43_200),
            (InitType::ProvisionedConcurrency, Phase::Init, 43_200),
        ] {
            let (config, secrets) = of(initialization_type);
            let token = variable(&secrets, "AWS_LAMBDA_METADATA_TOKEN");
            let metadata = secrets.metadata(token.as_deref(), &config, phase);
            let expected = Metadata {
                availability_zone_id: "use1-az5".into(),
                max_age: Duration::from_secs(seconds),
            };
            assert_eq!(metadata, Some(expected), "{initialization_type:?} {phase:?}");
            for other in [None, Some(""), Some("another")] {
                assert_eq!(secrets.metadata(other, &config, phase), None, "{other:?}");
            }
        }
    }

    #[test]
    fn credentials_are_given_out_for_half_an_hour_and_with_snap_start_only() {
        let now = Timestamp::from_epoch_ms(1_000);
        let (_, secrets) = of(InitType::SnapStart);
        let token = variable(&secrets, "AWS_CONTAINER_AUTHORIZATION_TOKEN");
        let issued = secrets.credentials(token.as_deref(), now);
        let expected = IssuedCredentials {
            access_key_id: "id".into(),
            secret_access_key: "secret".into(),
            session_token: "session".into(),
            expiration: Timestamp::from_epoch_ms(1_801_000),
        };
        assert_eq!(issued, Ok(expected));
        let of_metadata = variable(&secrets, "AWS_LAMBDA_METADATA_TOKEN");
        for other in [None, Some(""), of_metadata.as_deref()] {
            assert_eq!(
                secrets.credentials(other, now),
                Err(NoCredentials::WrongToken),
                "{other:?}"
            );
        }
        for initialization_type in [InitType::OnDemand, InitType::ProvisionedConcurrency] {
            let (_, secrets) = of(initialization_type);
            assert_eq!(variable(&secrets, "AWS_CONTAINER_AUTHORIZATION_TOKEN"), None);
            assert_eq!(variable(&secrets, "AWS_CONTAINER_CREDENTIALS_FULL_URI"), None);
            assert_eq!(secrets.credentials(None, now), Err(NoCredentials::NotFound));
        }
    }

    #[test]
    fn no_two_environments_have_the_same_tokens_and_no_secret_is_printed() {
        let [(_, first), (_, second)] = [of(InitType::SnapStart), of(InitType::SnapStart)];
        for name in ["AWS_LAMBDA_METADATA_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN"] {
            assert_ne!(variable(&first, name), variable(&second, name), "{name}");
        }
        let printed = format!("{:?}", first.credentials);
        assert!(
            printed.contains("id") && !printed.contains("\"secret\"") && !printed.contains("\"session\""),
            "{printed}"
        );
    }
}
