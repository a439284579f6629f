use super::*;

fn exception(class: &str, message: &str, code: Option<ErrorCode>) -> RemoteException {
    RemoteException::new(Some(class.to_owned()), Some(message), code)
}

fn remote(class: &str, message: &str, code: Option<ErrorCode>) -> RpcError {
    let exception = exception(class, message, code);
    RpcError::Remote { method: "allocate", address: "rm:8030".to_owned(), exception }
}

const ATTEMPT: &str = "org.apache.hadoop.yarn.exceptions.ApplicationAttemptNotFoundException";
const INVALID_TOKEN: &str = "org.apache.hadoop.security.token.SecretManager$InvalidToken";

#[test]
fn of_a_message_the_first_line_is_kept_and_the_class_is_not_said_twice() {
    let text = format!("{ATTEMPT}: Application attempt is gone\n\tat org.apache.hadoop.X.y(X.java:1)\n");
    let exception = exception(ATTEMPT, &text, None);
    assert_eq!(exception.message, "Application attempt is gone");
    assert_eq!(exception.to_string(), "ApplicationAttemptNotFoundException: Application attempt is gone");
    assert!(exception.is("ApplicationAttemptNotFoundException") && exception.is(ATTEMPT));
    assert!(!exception.is("NotFoundException"));
    assert_eq!(RemoteException::new(None, None, None).to_string(), "Throwable");
}

#[test]
fn an_inner_class_goes_by_both_names() {
    assert!(exception(INVALID_TOKEN, "m", None).is("SecretManager$InvalidToken"));
}

#[test]
fn an_attempt_that_is_over_is_fenced() {
    assert_eq!(remote(ATTEMPT, "m", None).retry(), Retry::Fenced);
    let over = "appattempt_1_0001_000001 not found in AMRMTokenSecretManager.";
    let refused = |message| RpcError::Refused {
        address: "rm:8030".to_owned(),
        exception: exception(INVALID_TOKEN, message, Some(ErrorCode::FatalUnauthorized)),
    };
    assert_eq!(refused(over).retry(), Retry::Fenced);
    assert_eq!(refused("token is expired").retry(), Retry::Never);
    assert!(refused("token is expired").token_refused());
    assert_eq!(refused(over).effect(), Effect::NotApplied);
}

#[test]
fn what_took_effect_follows_from_who_failed() {
    let effect = |class: &str, code| remote(class, "m", Some(code)).effect();
    let application = ErrorCode::ErrorApplication;
    assert_eq!(effect(ATTEMPT, application), Effect::NotApplied);
    assert_eq!(effect("org.apache.hadoop.ipc.StandbyException", application), Effect::NotApplied);
    assert_eq!(effect("org.apache.hadoop.security.AccessControlException", application), Effect::NotApplied);
    assert_eq!(effect("java.io.IOException", application), Effect::Unknown);
    assert_eq!(effect("org.apache.hadoop.yarn.exceptions.YarnException", application), Effect::Unknown);
    assert_eq!(effect("java.io.IOException", ErrorCode::ErrorNoSuchMethod), Effect::NotApplied);
    assert_eq!(effect("java.io.IOException", ErrorCode::ErrorSerializingResponse), Effect::Applied);
}

#[test]
fn a_request_that_left_only_in_part_was_not_applied() {
    let (address, method) = ("nm:8041".to_owned(), "startContainers");
    let lost = |sent| RpcError::Lost { method, address: address.clone(), sent, source: Lost::Closed };
    assert_eq!((lost(true).effect(), lost(false).effect()), (Effect::Unknown, Effect::NotApplied));
    assert_eq!(lost(true).retry(), Retry::Now);
    assert_eq!(lost(true).to_string(), "lost the connection to nm:8041 with startContainers under way");
    let after = Duration::from_secs(5);
    let late = |sent| RpcError::Deadline { method, address: address.clone(), sent, after };
    assert_eq!((late(true).effect(), late(false).effect()), (Effect::Unknown, Effect::NotApplied));
    assert_eq!(late(true).to_string(), "nm:8041 did not answer startContainers within 5s");
}

#[test]
fn what_speaks_another_protocol_is_not_asked_again() {
    let source = Lost::Wire(WireError::Foreign("HTTP"));
    let error = RpcError::Lost { method: "m", address: "rm:8088".to_owned(), sent: true, source };
    assert_eq!(error.retry(), Retry::Never);
}
