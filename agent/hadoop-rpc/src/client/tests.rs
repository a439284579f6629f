use std::sync::Mutex;

use tokio::net::TcpListener;

use super::*;
use crate::error::{Effect, Retry};
use crate::proto::common::{GetDelegationTokenRequestProto, RenewDelegationTokenResponseProto};
use crate::sasl::Qop;
use crate::testing::{Incoming, Reply, RpcServer, ServerConfig, vector_token};
use crate::token::Secret;

const PROTOCOL: Protocol = Protocol { name: "org.example.TokensPB", version: 1 };
const READ: Method = Method::new("read", Repeat::Idempotent);
const START: Method = Method::new("start", Repeat::Once);
const LONG: Duration = Duration::from_secs(20);

fn config(addresses: Vec<String>) -> Config {
    let retry = RetryPolicy { first: Duration::from_millis(5), ..RetryPolicy::default() };
    Config { retry, ..Config::new(PROTOCOL, addresses, Auth::Simple { user: "alice".to_owned() }) }
}

fn client(servers: &[&RpcServer]) -> Client {
    Client::new(config(servers.iter().map(|server| server.address().to_string()).collect())).unwrap()
}

async fn call(client: &Client, method: &Method) -> Result<u64, RpcError> {
    let request = GetDelegationTokenRequestProto { renewer: "yarn".to_owned() };
    let response: RenewDelegationTokenResponseProto = client.call(method, &request, LONG).await?;
    Ok(response.new_expiry_time)
}

fn number(n: u64) -> Reply {
    Reply::message(&RenewDelegationTokenResponseProto { new_expiry_time: n })
}

async fn answering(n: u64) -> RpcServer {
    RpcServer::start(ServerConfig::default(), move |_: Incoming| async move { number(n) }).await.unwrap()
}

/// Goes through a script, one reply a call, and keeps what came.
async fn scripted(config: ServerConfig, script: Vec<Reply>) -> (RpcServer, Arc<Mutex<Vec<Incoming>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (kept, script) = (seen.clone(), Mutex::new(script.into_iter()));
    let server = RpcServer::start(config, move |call: Incoming| {
        kept.lock().unwrap().push(call);
        let reply = script.lock().unwrap().next().unwrap_or_else(Reply::hang);
        async { reply }
    });
    (server.await.unwrap(), seen)
}

async fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string()
}

#[tokio::test]
async fn typed_calls_share_a_connection() {
    let server = answering(5).await;
    let client = client(&[&server]);
    let (a, b) = tokio::join!(call(&client, &READ), call(&client, &START));
    assert_eq!((a.unwrap(), b.unwrap()), (5, 5));
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_server_that_is_down_is_passed_over_and_the_other_one_kept() {
    let server = answering(6).await;
    let addresses = vec![free_address().await, server.address().to_string()];
    let client = Client::new(config(addresses.clone())).unwrap();
    assert_eq!(call(&client, &START).await.unwrap(), 6);
    assert_eq!(client.active(), addresses[1]);
    assert_eq!(call(&client, &START).await.unwrap(), 6);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_standby_sends_on_even_what_may_be_done_only_once() {
    let standby = Reply::exception("org.apache.hadoop.ipc.StandbyException", "not active");
    let (standby, seen) = scripted(ServerConfig::default(), vec![standby]).await;
    let active = answering(7).await;
    let client = client(&[&standby, &active]);
    assert_eq!(call(&client, &START).await.unwrap(), 7);
    assert_eq!(seen.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_repeated_call_keeps_its_number_and_counts() {
    let retriable = Reply::exception("org.apache.hadoop.ipc.RetriableException", "busy");
    let (server, seen) = scripted(ServerConfig::default(), vec![retriable, Reply::close(), number(8)]).await;
    let client = client(&[&server]);
    assert_eq!(call(&client, &READ).await.unwrap(), 8);
    let seen = seen.lock().unwrap();
    let who = |call: &Incoming| (call.call_id, call.client_id.clone());
    assert_eq!(seen.iter().map(|call| call.retries).collect::<Vec<_>>(), [0, 1, 2]);
    assert!(seen.iter().all(|call| who(call) == who(&seen[0])));
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn what_may_be_done_once_is_not_repeated_after_a_lost_answer() {
    let (server, seen) = scripted(ServerConfig::default(), vec![Reply::close(), number(9)]).await;
    let client = client(&[&server]);
    let error = call(&client, &START).await.unwrap_err();
    assert_eq!((error.effect(), error.retry()), (Effect::Unknown, Retry::Now), "{error}");
    assert_eq!(seen.lock().unwrap().len(), 1);
    assert_eq!(call(&client, &START).await.unwrap(), 9);
}

#[tokio::test]
async fn a_server_that_hangs_loses_its_turn_to_the_next() {
    let (hung, seen) = scripted(ServerConfig::default(), vec![Reply::hang()]).await;
    let active = answering(10).await;
    let mut config = config(vec![hung.address().to_string(), active.address().to_string()]);
    config.retry.attempt_timeout = Some(Duration::from_millis(50));
    let client = Client::new(config).unwrap();
    assert_eq!(call(&client, &READ).await.unwrap(), 10);
    assert_eq!(seen.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn the_deadline_is_for_all_tries_together() {
    let client = Client::new(config(vec![free_address().await])).unwrap();
    let begun = Instant::now();
    let allowed = Duration::from_millis(100);
    let error = client.call::<(), ()>(&READ, &(), allowed).await.unwrap_err();
    assert!(matches!(error, RpcError::Connect { .. } | RpcError::Deadline { sent: false, .. }), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn a_server_that_comes_back_is_found_again() {
    let server = answering(11).await;
    let bind = server.address();
    let client = client(&[&server]);
    assert_eq!(call(&client, &START).await.unwrap(), 11);
    drop(server);
    let config = ServerConfig { bind, ..ServerConfig::default() };
    let again = loop {
        // The old listener ends a moment after its handle.
        match RpcServer::start(config.clone(), async |_: Incoming| number(12)).await {
            Ok(server) => break server,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    assert_eq!(call(&client, &READ).await.unwrap(), 12);
    assert_eq!(again.connections(), 1);
}

#[tokio::test]
async fn a_new_token_is_shown_at_the_next_connect() {
    let new = Token { identifier: b"new".to_vec(), ..vector_token() };
    let passwords = [vector_token(), new.clone()].map(|token| (token.identifier, token.password));
    let config = ServerConfig { tokens: passwords.into(), simple: false, ..ServerConfig::default() };
    let (server, seen) = scripted(config, vec![number(1), number(2), number(3)]).await;
    let mut config = self::config(vec![server.address().to_string()]);
    config.auth = Auth::Token(vector_token());
    let client = Client::new(config).unwrap();
    call(&client, &START).await.unwrap();
    client.set_token(new.clone());
    call(&client, &START).await.unwrap();
    client.close().await;
    call(&client, &START).await.unwrap();
    let shown: Vec<_> = seen.lock().unwrap().iter().map(|call| call.token.clone().unwrap()).collect();
    assert_eq!(shown, [vector_token().identifier, vector_token().identifier, new.identifier]);
}

#[tokio::test]
async fn a_refused_token_is_not_shown_again() {
    let config = ServerConfig { simple: false, protection: vec![Qop::Auth], ..ServerConfig::default() };
    let (server, _) = scripted(config, vec![]).await;
    let mut config = self::config(vec![server.address().to_string()]);
    config.auth = Auth::Token(Token { password: Secret::default(), ..vector_token() });
    let error = call(&Client::new(config).unwrap(), &READ).await.unwrap_err();
    assert!(error.token_refused(), "{error}");
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_response_of_another_type_is_applied_but_useless() {
    let server = RpcServer::start(ServerConfig::default(), async |_: Incoming| {
        Reply::message(&GetDelegationTokenRequestProto { renewer: "text, not a number".to_owned() })
    });
    let server = server.await.unwrap();
    let error = call(&client(&[&server]), &READ).await.unwrap_err();
    assert_eq!((error.effect(), error.retry()), (Effect::Applied, Retry::Never), "{error}");
}

#[test]
fn a_client_without_addresses_is_refused() {
    let error = Client::new(config(vec![])).unwrap_err();
    assert_eq!(error.to_string(), "no address of a org.example.TokensPB to call");
}
