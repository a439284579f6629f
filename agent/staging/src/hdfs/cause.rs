//! What an error of hdfs-native means to us.

use std::io::ErrorKind;

use hdfs_native::HdfsError;

use crate::Cause;

impl From<HdfsError> for Cause {
    fn from(error: HdfsError) -> Self {
        match error {
            HdfsError::FileNotFound(_) => Cause::Absent,
            HdfsError::AlreadyExists(_) => Cause::Exists,
            HdfsError::RPCError(class, text) | HdfsError::FatalRPCError(class, text) => remote(&class, &text),
            HdfsError::SASLError(text) => Cause::Login(text),
            HdfsError::GSSAPIError(..) | HdfsError::NoSASLMechanism => Cause::Login(error.to_string()),
            HdfsError::IOError(error) if error.kind() == ErrorKind::ConnectionAborted => {
                Cause::Unreachable("the connection was closed, as by a service that is not HDFS's".into())
            }
            HdfsError::IOError(error) => Cause::Unreachable(error.to_string()),
            HdfsError::InvalidRPCResponse(_) => Cause::Unreachable("the answer is not a NameNode's".into()),
            HdfsError::UrlParseError(_) | HdfsError::InvalidArgument(_) => {
                Cause::Unreachable(error.to_string())
            }
            other => Cause::Other(other.to_string()),
        }
    }
}

/// What `BlockManager.chooseTarget4NewBlock` says after the file's name, in a plain IOException.
const TOO_FEW_NODES: &str = "could only be written to";

/// A Java exception of the NameNode's. Its text is a stack trace, of which the first line counts.
fn remote(class: &str, text: &str) -> Cause {
    let name = class.rsplit(['.', '$']).next().unwrap_or(class);
    let mut lines = text.lines();
    let line = lines.next().unwrap_or_default().trim();
    let line = line.strip_prefix(class).map_or(line, |rest| rest.trim_start_matches(':').trim());
    let text = if line.is_empty() { name.to_string() } else { line.to_string() };
    // The second line of a SafeModeException says what the NameNode waits for; a trace's line begins with "at".
    let why = lines
        .next()
        .map(str::trim)
        .filter(|why| !why.is_empty() && !why.starts_with("at "))
        .map(String::from);
    match name {
        "FileNotFoundException" => Cause::Absent,
        "FileAlreadyExistsException" | "AlreadyBeingCreatedException" => Cause::Exists,
        "AccessControlException" | "AuthorizationException" => {
            Cause::Denied(text.strip_prefix("Permission denied: ").unwrap_or(&text).into())
        }
        "InvalidToken" | "SaslException" => Cause::Login(text),
        "SafeModeException" | "RetriableException" => Cause::SafeMode(why.unwrap_or(text)),
        "StandbyException" => Cause::Unreachable(text),
        "DSQuotaExceededException" | "NSQuotaExceededException" | "QuotaExceededException" => {
            Cause::NoRoom(text)
        }
        "IOException" if text.contains(TOO_FEW_NODES) => {
            Cause::NoRoom(text.find(TOO_FEW_NODES).map_or(text.clone(), |at| format!("it {}", &text[at..])))
        }
        "RpcNoSuchProtocolException" | "RpcServerException" | "VersionMismatch" => Cause::Unreachable(text),
        _ => Cause::Other(format!("{name}: {text}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn java_exceptions_are_told_by_class_and_shown_in_one_line() {
        let said = |class: &str, text: &str| Cause::from(HdfsError::RPCError(class.into(), text.into()));
        let denied = "Permission denied: user=bob, access=WRITE, inode=\"/user\":hdfs:hdfs:drwxr-xr-x";
        assert_eq!(
            said(
                "org.apache.hadoop.security.AccessControlException",
                &format!("{denied}\n\tat org.x.Y(Z.java:1)")
            ),
            Cause::Denied(denied.replace("Permission denied: ", ""))
        );
        let safe = "org.apache.hadoop.hdfs.server.namenode.SafeModeException";
        assert_eq!(
            said(safe, &format!("{safe}: Cannot create file.")),
            Cause::SafeMode("Cannot create file.".into())
        );
        let waits = "Cannot create file.\nThe reported blocks 0 needs additional 7.\n\tat org.x.Y(Z.java:1)";
        assert_eq!(said(safe, waits), Cause::SafeMode("The reported blocks 0 needs additional 7.".into()));
        let full = "File /x could only be written to 0 of the 1 minReplication nodes.";
        assert_eq!(said("java.io.IOException", full), Cause::NoRoom(full.replace("File /x", "it")));
        assert_eq!(said("java.io.IOException", "odd"), Cause::Other("IOException: odd".into()));
        assert_eq!(said("java.io.FileNotFoundException", "x"), Cause::Absent);
        assert_eq!(said("", ""), Cause::Other(": ".into()));
        let quota = "org.apache.hadoop.hdfs.protocol.DSQuotaExceededException";
        assert!(matches!(said(quota, "The DiskSpace quota is exceeded"), Cause::NoRoom(_)));
    }
}
