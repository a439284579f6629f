use proptest::prelude::*;

use super::*;
use crate::testing::{unhex, vector_token};

/// `reference/hadoop-rpc.md`, section 11.
const VECTOR_FILE: &str = "48445453000100150a0d0a09080310d7dfebcc9f34100110c6cdbabc0714000102030405060708090a0b0c0d0e0f10111213105941524e5f414d5f524d5f544f4b454e0001016b0176";
const VECTOR_URL: &str = "FQoNCgkIAxDX3-vMnzQQARDGzbq8BxQAAQIDBAUGBwgJCgsMDQ4PEBESExBZQVJOX0FNX1JNX1RPS0VOAA";

fn vector_credentials() -> Credentials {
    Credentials {
        tokens: vec![(String::new(), vector_token())],
        secrets: vec![("k".to_owned(), Secret::new(b"v".to_vec()))],
    }
}

#[test]
fn the_file_is_hadoops() {
    assert_eq!(Credentials::parse(&unhex(VECTOR_FILE)), Ok(vector_credentials()));
    assert_eq!(*vector_credentials().to_bytes(), unhex(VECTOR_FILE));
}

#[test]
fn padding_after_the_content_is_ignored() {
    for mut bytes in [vector_credentials().to_bytes(), vector_credentials().to_protobuf_bytes()] {
        bytes.extend_from_slice(&[0; 7]);
        assert_eq!(Credentials::parse(&bytes), Ok(vector_credentials()));
    }
}

#[test]
fn the_text_form_is_hadoops_padded_or_not() {
    assert_eq!(*vector_token().to_url_string(), VECTOR_URL);
    assert_eq!(Token::from_url_string(VECTOR_URL), Ok(vector_token()));
    assert_eq!(Token::from_url_string(&format!("{VECTOR_URL}==")), Ok(vector_token()));
    assert_eq!(Token::from_url_string("a/+b"), Err(TokenError::Base64));
}

#[test]
fn workers_do_not_get_the_masters_token() {
    let mut credentials = vector_credentials();
    let hdfs = Token { kind: kind::HDFS_DELEGATION.to_owned(), ..Token::default() };
    credentials.tokens.push(("ha-hdfs:ns".to_owned(), hdfs.clone()));
    assert_eq!(credentials.token_of_kind(kind::AM_RM), Some(&vector_token()));
    let workers = credentials.without_kind(kind::AM_RM);
    assert_eq!(workers.tokens, [("ha-hdfs:ns".to_owned(), hdfs)]);
    assert_eq!(workers.secret("k").map(Secret::expose), Some(&b"v"[..]));
}

#[test]
fn a_token_is_found_by_one_of_the_services_in_it() {
    let both = service::of_all(["10.0.0.1:8032", "10.0.0.2:8032"]);
    let token = Token { kind: kind::RM_DELEGATION.to_owned(), service: both, ..Token::default() };
    let credentials = Credentials { tokens: vec![(String::new(), token)], secrets: vec![] };
    assert!(credentials.token_for(kind::RM_DELEGATION, "10.0.0.2:8032").is_some());
    assert!(credentials.token_for(kind::RM_DELEGATION, "0.0.0.2:8032").is_none());
    assert!(credentials.token_for(kind::NM, "10.0.0.2:8032").is_none());
}

#[test]
fn no_password_shows() {
    let mut credentials = vector_credentials();
    credentials.tokens[0].1.password = Secret::new(b"hunter2".to_vec());
    let proto = TokenProto::from(&credentials.tokens[0].1);
    let auth = crate::Auth::Token(credentials.tokens[0].1.clone());
    let shown = format!("{credentials:?} {proto:?} {auth:?} {:?}", Secret::new(b"hunter2".to_vec()));
    assert!(!shown.contains("hunter2") && !shown.contains("104, 117"), "{shown}");
    assert!(shown.contains("<redacted>"));
}

#[test]
fn what_is_no_token_file_is_said_to_be_none() {
    let error = |bytes: &[u8]| Credentials::parse(bytes).unwrap_err().to_string();
    assert_eq!(error(b""), "is not a file of Hadoop tokens");
    assert_eq!(error(b"PK\x03\x04"), "is not a file of Hadoop tokens");
    assert_eq!(error(b"HDTS\x02"), "is of version 2, which is unknown");
    assert_eq!(error(b"HDTS\0\x7f"), "has an impossible length of its count of tokens");
    let whole = unhex(VECTOR_FILE);
    for end in 0..whole.len() {
        assert!(Credentials::parse(&whole[..end]).is_err(), "{end}");
    }
}

#[test]
fn reading_a_file_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("container_tokens");
    let missing = Credentials::read(&path).unwrap_err();
    assert!(missing.to_string().starts_with("cannot read the token file /"), "{missing}");
    std::fs::write(&path, unhex(VECTOR_FILE)).unwrap();
    assert_eq!(Credentials::read(&path).unwrap(), vector_credentials());
    std::fs::write(&path, b"nothing").unwrap();
    assert!(Credentials::read(&path).unwrap_err().to_string().ends_with("is not a file of Hadoop tokens"));
}

#[test]
fn an_hdfs_identifier_comes_back() {
    let identifier = HdfsIdentifier {
        owner: "alice".to_owned(),
        renewer: "yarn".to_owned(),
        real_user: String::new(),
        issue_date: 1_700_000_000_000,
        max_date: 1_700_604_800_000,
        sequence_number: 7,
        master_key_id: 2,
    };
    let token = Token { identifier: identifier.to_bytes(), ..Token::default() };
    assert_eq!(HdfsIdentifier::of(&token), Ok(identifier));
}

fn any_token() -> impl Strategy<Value = Token> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..200);
    (bytes(), bytes(), ".{0,20}", ".{0,20}").prop_map(|(identifier, password, kind, service)| Token {
        identifier,
        password: Secret::new(password),
        kind,
        service,
    })
}

proptest! {
    #[test]
    fn files_come_back(
        tokens in prop::collection::vec((".{0,8}", any_token()), 0..5),
        secrets in prop::collection::vec((".{0,8}", prop::collection::vec(any::<u8>(), 0..30)), 0..3),
    ) {
        let secrets = secrets.into_iter().map(|(alias, bytes)| (alias, Secret::new(bytes))).collect();
        let credentials = Credentials { tokens, secrets };
        prop_assert_eq!(Credentials::parse(&credentials.to_bytes()).unwrap(), credentials.clone());
        prop_assert_eq!(Credentials::parse(&credentials.to_protobuf_bytes()).unwrap(), credentials);
    }

    #[test]
    fn texts_come_back(token in any_token()) {
        prop_assert_eq!(Token::from_url_string(&token.to_url_string()).unwrap(), token);
    }

    #[test]
    fn any_file_parses_or_fails(version in 0u8..3, bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let file = [&b"HDTS"[..], &[version], &bytes].concat();
        let _ = Credentials::parse(&file);
        let _ = Credentials::parse(&bytes);
    }

    #[test]
    fn a_damaged_file_parses_or_fails(at in any::<prop::sample::Index>(), byte in any::<u8>(), v1 in any::<bool>()) {
        let mut file = if v1 { vector_credentials().to_protobuf_bytes() } else { vector_credentials().to_bytes() };
        let at = at.index(file.len());
        file[at] = byte;
        let _ = Credentials::parse(&file);
    }

    #[test]
    fn any_text_and_identifier_parse_or_fail(text in "[A-Za-z0-9_=-]{0,60}", bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = Token::from_url_string(&text);
        let _ = HdfsIdentifier::of(&Token { identifier: bytes, ..Token::default() });
    }
}
