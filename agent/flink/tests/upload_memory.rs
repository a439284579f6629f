//! What an upload holds in memory. It has a process of its own: what that ever held is measured, and tests beside it
//! hold something, too.

#![allow(clippy::unwrap_used, reason = "in a test")]

use std::sync::Arc;

use kobel_flink::FlinkRest;
use kobel_kit::sockets::peak_memory_kib;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

#[tokio::test]
async fn an_upload_does_not_go_through_memory_as_a_whole() {
    const SIZE: u64 = 256 << 20;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("large.jar");
    std::fs::File::create(&path).unwrap().set_len(SIZE).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let rest = FlinkRest::new(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let sink = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (mut received, mut chunk) = (0, vec![0; 1 << 16]);
        while received < SIZE {
            received += stream.read(&mut chunk).await.unwrap() as u64;
        }
        let body = r#"{"filename":"/x/large.jar"}"#;
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
        stream.write_all((head + body).as_bytes()).await.unwrap();
    });
    let held = || peak_memory_kib(std::process::id() as i32);
    let before = held();
    rest.upload_jar(&path, Arc::default()).await.unwrap();
    sink.await.unwrap();
    assert!(held() - before < 64 << 10, "{} KiB more", held() - before);
}
