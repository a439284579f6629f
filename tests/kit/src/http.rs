//! The few HTTP calls that tests make themselves, in HTTP/1.0 so that a reply ends with its connection.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

/// A reply.
#[derive(Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The whole body.
    pub body: String,
}

/// Sends a request without a body.
pub fn request(method: &str, url: &str, headers: &[(&str, &str)]) -> Result<Reply, String> {
    send(method, url, headers, &[])
}

/// Sends a request with a body.
pub fn send(method: &str, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Reply, String> {
    let rest = url.strip_prefix("http://").ok_or("not http")?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut head = format!("{method} /{path} HTTP/1.0\r\n");
    if !headers.iter().any(|(name, _)| *name == "Host") {
        head += &format!("Host: {authority}\r\n");
    }
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    if !body.is_empty() {
        head += &format!("Content-Length: {}\r\n", body.len());
    }
    head += "\r\n";
    let text =
        exchange(authority, &[head.as_bytes(), body].concat()).map_err(|e| format!("{method} {url}: {e}"))?;
    // `100 Continue` comes before the reply of some servers, asked for or not.
    let text = text.strip_prefix("HTTP/1.1 100 Continue\r\n\r\n").unwrap_or(&text);
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(|| format!("no reply head: {text:?}"))?;
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or_else(|| format!("{head:?}"))?;
    Ok(Reply { status, body: body.to_string() })
}

/// GET.
pub fn get(url: &str) -> Result<Reply, String> {
    request("GET", url, &[])
}

/// Sends bytes and reads the answer until the other side closes.
pub(crate) fn exchange(authority: &str, bytes: &[u8]) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(authority)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.write_all(bytes)?;
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply)?;
    Ok(String::from_utf8_lossy(&reply).into_owned())
}
