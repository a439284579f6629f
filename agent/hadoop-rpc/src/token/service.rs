//! What a token's owner writes into its `service`, to find it again. Servers do not look at it.

use std::net::SocketAddr;

/// A service at one address, by IP: `hadoop.security.token.service.use_ip` is true, which it is by default.
pub fn by_ip(address: SocketAddr) -> String {
    // Java writes an IPv6 address without brackets.
    format!("{}:{}", address.ip(), address.port())
}

/// A service at one address, by name.
pub fn by_name(host: &str, port: u16) -> String {
    format!("{}:{port}", host.to_ascii_lowercase())
}

/// A service at several addresses, such as a ResourceManager with standbys: all of them, in the order of
/// `yarn.resourcemanager.ha.rm-ids`.
pub fn of_all<'a>(services: impl IntoIterator<Item = &'a str>) -> String {
    services.into_iter().collect::<Vec<_>>().join(",")
}

/// An HDFS with several NameNodes.
pub fn ha_hdfs(nameservice: &str) -> String {
    format!("ha-hdfs:{nameservice}")
}
