//! `kobel-hadoop-rpc` against real daemons: calls by name and by token, under every protection of calls.

use std::{net::TcpListener, time::Duration};

use kobel_hadoop_rpc::{
    Auth, Client, Config, Effect, Method, Protection, Protocol, Qop, Repeat, Retry, RetryPolicy, RpcError,
    Secret, Token,
    proto::common::{GetDelegationTokenRequestProto, GetDelegationTokenResponseProto},
    token::{HdfsIdentifier, kind},
};
use kobel_kit::hadoop::{Cluster, Hadoop, Setup, Site};

const CLIENT_PROTOCOL: Protocol =
    Protocol { name: "org.apache.hadoop.yarn.api.ApplicationClientProtocolPB", version: 1 };
const NAME_NODE: Protocol = Protocol { name: "org.apache.hadoop.hdfs.protocol.ClientProtocol", version: 1 };
const METRICS: Method = Method::new("getClusterMetrics", Repeat::Idempotent);
const DELEGATION: Method = Method::new("getDelegationToken", Repeat::AtMostOnce);
const FILE: Method = Method::new("getFileInfo", Repeat::Idempotent);
const DEADLINE: Duration = Duration::from_secs(20);

/// `getClusterMetrics`: one message with a count in its first field.
#[derive(Clone, PartialEq, prost::Message)]
struct Metrics {
    #[prost(message, tag = "1")]
    metrics: Option<Counts>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Counts {
    #[prost(int32, tag = "1")]
    node_managers: i32,
}

/// `getFileInfo`, as much of it as is looked at.
#[derive(Clone, PartialEq, prost::Message)]
struct Path {
    #[prost(string, required, tag = "1")]
    path: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct File {
    #[prost(message, optional, tag = "1")]
    status: Option<FileStatus>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct FileStatus {
    #[prost(uint64, tag = "3")]
    length: u64,
    #[prost(string, tag = "5")]
    owner: String,
}

/// A cluster that protects calls so, and gives tokens although it has no Kerberos.
fn cluster(protection: &str) -> Option<Cluster> {
    let setup = Setup::yarn().node_managers(1).set(Site::Core, "hadoop.rpc.protection", protection).set(
        Site::Hdfs,
        "dfs.namenode.delegation.token.always-use",
        "true",
    );
    Some(Cluster::start(&Hadoop::from_env()?, setup))
}

fn host(url: &str) -> &str {
    let rest = url.split_once("//").map_or(url, |(_, rest)| rest);
    rest.split(':').next().unwrap_or(rest)
}

fn resource_manager(cluster: &Cluster, auth: Auth) -> Config {
    Config::new(CLIENT_PROTOCOL, vec![format!("{}:8032", host(&cluster.yarn().web()))], auth)
}

fn name_node(cluster: &Cluster, auth: Auth) -> Config {
    Config::new(NAME_NODE, vec![format!("{}:8020", host(&cluster.hdfs().uri()))], auth)
}

fn alice() -> Auth {
    Auth::Simple { user: "alice".to_owned() }
}

async fn nodes(config: Config) -> Result<i32, RpcError> {
    let answer: Metrics = Client::new(config)?.call(&METRICS, &(), DEADLINE).await?;
    Ok(answer.metrics.unwrap_or_default().node_managers)
}

async fn file(config: Config, path: &str) -> Result<Option<FileStatus>, RpcError> {
    let request = Path { path: path.to_owned() };
    let answer: File = Client::new(config)?.call(&FILE, &request, DEADLINE).await?;
    Ok(answer.status)
}

async fn delegation_token(config: Config) -> Token {
    let request = GetDelegationTokenRequestProto { renewer: "yarn".to_owned() };
    let client = Client::new(config).unwrap();
    let answer: GetDelegationTokenResponseProto = client.call(&DELEGATION, &request, DEADLINE).await.unwrap();
    Token::from(answer.token.expect("a token"))
}

#[tokio::test(flavor = "multi_thread")]
async fn real_daemons_take_names_and_tokens_under_every_protection() {
    for (protection, qop) in
        [("authentication", Qop::Auth), ("integrity", Qop::Integrity), ("privacy", Qop::Privacy)]
    {
        let Some(cluster) = tokio::task::block_in_place(|| cluster(protection)) else { return };
        tokio::task::block_in_place(|| cluster.hdfs().put("alice", "/user/alice/text", b"to be"));
        resource_manager_takes_both(&cluster, qop).await;
        name_node_takes_both(&cluster, qop).await;
        println!("{protection}: names and tokens taken");
        tokio::task::block_in_place(|| drop(cluster));
    }
}

async fn resource_manager_takes_both(cluster: &Cluster, qop: Qop) {
    assert_eq!(nodes(resource_manager(cluster, alice())).await.unwrap(), 1);
    let token = delegation_token(resource_manager(cluster, alice())).await;
    assert_eq!(token.kind, kind::RM_DELEGATION);
    let by_token = resource_manager(cluster, Auth::Token(token.clone()));
    assert_eq!(nodes(by_token.clone()).await.unwrap(), 1, "{qop:?}");
    for other in [Qop::Auth, Qop::Integrity, Qop::Privacy] {
        let mut config = by_token.clone();
        config.dial.protection = Protection::only(&[other]);
        let outcome = nodes(config).await;
        assert_eq!(outcome.is_ok(), other == qop, "{other:?} where {qop:?} is offered: {outcome:?}");
    }
    let wrong = Token { password: Secret::new(vec![0; 20]), ..token.clone() };
    let error = nodes(resource_manager(cluster, Auth::Token(wrong))).await.unwrap_err();
    assert_eq!((error.effect(), error.retry()), (Effect::NotApplied, Retry::Never), "{error}");
    assert!(error.token_refused(), "{error:?}");
    // An identifier that is none makes the server close the connection without a word.
    let unreadable = Token { identifier: Vec::new(), ..token };
    let mut config = resource_manager(cluster, Auth::Token(unreadable));
    config.retry = RetryPolicy::none();
    let error = nodes(config).await.unwrap_err();
    assert_eq!(error.effect(), Effect::NotApplied, "{error:?}");
}

async fn name_node_takes_both(cluster: &Cluster, qop: Qop) {
    let status = file(name_node(cluster, alice()), "/user/alice/text").await.unwrap().expect("it exists");
    assert_eq!((status.length, status.owner.as_str()), (5, "alice"));
    assert_eq!(file(name_node(cluster, alice()), "/no/such").await.unwrap(), None);
    let token = delegation_token(name_node(cluster, alice())).await;
    let identifier = HdfsIdentifier::of(&token).unwrap();
    assert_eq!((identifier.owner.as_str(), identifier.renewer.as_str()), ("alice", "yarn"));
    assert_eq!(identifier.to_bytes(), token.identifier);
    for auth in [
        Auth::Token(token.clone()),
        Auth::Negotiate { user: "bob".to_owned(), token: Some(token) },
        Auth::Negotiate { user: "alice".to_owned(), token: None },
    ] {
        let status = file(name_node(cluster, auth), "/user/alice/text").await.unwrap();
        assert_eq!(status.map(|status| status.length), Some(5), "{qop:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn real_daemons_say_what_is_wrong() {
    let Some(cluster) = tokio::task::block_in_place(|| cluster("authentication")) else { return };
    let call = async |config: Config, method| {
        Client::new(config).unwrap().call::<(), ()>(&method, &(), DEADLINE).await.unwrap_err()
    };
    let no_method = Method::new("noSuchMethod", Repeat::Once);
    let error = call(resource_manager(&cluster, alice()), no_method).await;
    assert!(error.is("RpcNoSuchMethodException"), "{error}");
    assert_eq!((error.effect(), error.retry()), (Effect::NotApplied, Retry::Never), "{error}");
    let wrong_protocol = Config { protocol: NAME_NODE, ..resource_manager(&cluster, alice()) };
    let error = call(wrong_protocol, METRICS).await;
    assert!(error.is("RpcNoSuchProtocolException"), "{error}");
    let error = file(name_node(&cluster, alice()), "relative").await.unwrap_err();
    assert!(error.exception().is_some(), "{error}");
    assert!(!error.to_string().contains('\n'), "{error}");
    // The scheduler's port takes tokens only.
    let mut scheduler = resource_manager(&cluster, alice());
    scheduler.addresses = vec![format!("{}:8030", host(&cluster.yarn().web()))];
    let error = call(scheduler, METRICS).await;
    assert!(matches!(error, RpcError::Refused { .. }) && error.is("AccessControlException"), "{error:?}");
    // The web port speaks HTTP.
    let mut web = resource_manager(&cluster, alice());
    web.addresses = vec![format!("{}:8088", host(&cluster.yarn().web()))];
    let error = call(web, METRICS).await;
    assert_eq!(error.retry(), Retry::Never, "{error:?}");
    tokio::task::block_in_place(|| drop(cluster));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_gets_through_a_restart_of_the_resource_manager_and_past_a_dead_one() {
    let Some(cluster) = tokio::task::block_in_place(|| cluster("authentication")) else { return };
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut config = resource_manager(&cluster, alice());
    config.addresses.insert(0, dead);
    config.retry.attempts = u32::MAX;
    let client = Client::new(config).unwrap();
    let metrics = async || client.call::<(), Metrics>(&METRICS, &(), Duration::from_secs(60)).await;
    assert!(metrics().await.is_ok());
    tokio::task::block_in_place(|| cluster.yarn().resource_manager.kill9());
    let (answer, ()) = tokio::join!(metrics(), async {
        tokio::task::block_in_place(|| cluster.yarn().resource_manager.start());
    });
    assert!(answer.is_ok(), "{answer:?}");
    tokio::task::block_in_place(|| drop(cluster));
}
