//! Which values are nobody's business.

/// Parts of keys whose values Flink hides (`GlobalConfiguration`), and those that it forgets: access
/// keys and SASL settings.
const PARTS: [&str; 14] = [
    "password",
    "secret",
    "fs.azure.account.key",
    "apikey",
    "api-key",
    "auth-params",
    "service-key",
    "token",
    "basic-auth",
    "jaas.config",
    "http-headers",
    "access-key",
    "access.key",
    "sasl",
];

/// What is shown in place of a secret.
pub const HIDDEN: &str = "******";

/// Whether the value of this key, or environment variable, is not to be shown.
pub fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase().replace('_', "-");
    PARTS.iter().any(|part| key.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_their_keys() {
        for key in [
            "s3.access-key",
            "s3.secret-key",
            "security.ssl.rest.key-password",
            "AWS_ACCESS_KEY_ID",
            "a.Token",
        ] {
            assert!(is_secret(key), "{key}");
        }
        for key in ["parallelism.default", "rest.port", "security.ssl.enabled"] {
            assert!(!is_secret(key), "{key}");
        }
    }
}
