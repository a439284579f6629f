//! A client that shows exactly what went over the wire.

use std::path::Path;

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UnixStream},
};

use super::soon;

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// Sends a request (its first line, and headers if any) and reads until the server closes.
pub(crate) async fn call(port: u16, request: &str, body: &str) -> Answer {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    exchange(stream, request, body).await
}

/// The same over a Unix socket.
pub(crate) async fn call_unix(socket: &Path, request: &str, body: &str) -> Answer {
    exchange(UnixStream::connect(socket).await.unwrap(), request, body).await
}

async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str, body: &str) -> Answer {
    let (line, headers) = request.split_once('\n').unwrap_or((request, ""));
    let headers: String = headers.lines().map(|header| format!("{}\r\n", header.trim())).collect();
    let host = if headers.to_lowercase().contains("host:") { "" } else { "Host: localhost\r\n" };
    let length = body.len();
    let text = format!(
        "{line} HTTP/1.1\r\n{host}{headers}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    let mut answer = vec![];
    soon(request, async {
        stream.write_all(text.as_bytes()).await.unwrap();
        stream.read_to_end(&mut answer).await.unwrap();
    })
    .await;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Answer { status, head: head.to_lowercase(), body: body.into() }
}
