//! What a scripted server does with a call.

use std::time::Duration;

use bytes::Bytes;
use prost::Message;

use crate::error::ErrorCode;
use crate::proto::common::RpcResponseHeaderProto;
use crate::proto::common::rpc_response_header_proto::RpcStatusProto;
use crate::wire::Framing;

/// The answer to one call.
#[derive(Debug, Clone)]
pub struct Reply {
    pub(super) after: Duration,
    pub(super) what: What,
}

#[derive(Debug, Clone)]
pub(super) enum What {
    Message(Vec<u8>),
    Exception {
        class: String,
        message: String,
        code: ErrorCode,
    },
    /// No answer, ever.
    Hang,
    /// Bytes as they are, then the end of the connection if it says so.
    Raw {
        bytes: Vec<u8>,
        close: bool,
    },
}

impl Reply {
    fn new(what: What) -> Self {
        Self { after: Duration::ZERO, what }
    }

    /// A response.
    pub fn message(message: &impl Message) -> Self {
        Self::new(What::Message(message.encode_to_vec()))
    }

    /// An exception of the method, of this class.
    pub fn exception(class: &str, message: &str) -> Self {
        Self::failure(class, message, ErrorCode::ErrorApplication)
    }

    /// An exception of this code. One whose name begins with `Fatal` ends the connection.
    pub fn failure(class: &str, message: &str, code: ErrorCode) -> Self {
        Self::new(What::Exception { class: class.to_owned(), message: message.to_owned(), code })
    }

    /// Silence.
    pub fn hang() -> Self {
        Self::new(What::Hang)
    }

    /// The connection's end, without a word.
    pub fn close() -> Self {
        Self::new(What::Raw { bytes: Vec::new(), close: true })
    }

    /// Bytes instead of a response, protected by nothing.
    pub fn raw(bytes: Vec<u8>) -> Self {
        Self::new(What::Raw { bytes, close: false })
    }

    /// Bytes instead of a response, and the connection's end.
    pub fn raw_and_close(bytes: Vec<u8>) -> Self {
        Self::new(What::Raw { bytes, close: true })
    }

    /// The same, later.
    pub fn after(self, pause: Duration) -> Self {
        Self { after: pause, ..self }
    }
}

pub(super) fn fatal(code: ErrorCode) -> bool {
    code as i32 >= ErrorCode::FatalUnknown as i32
}

/// The frame of an exception.
pub(super) fn exception(id: i32, class: &str, message: &str, code: ErrorCode) -> Bytes {
    let status = if fatal(code) { RpcStatusProto::Fatal } else { RpcStatusProto::Error };
    let text = format!("{message}\n\tat org.example.Scripted.call(Scripted.java:1)");
    let header = RpcResponseHeaderProto {
        exception_class_name: Some(class.to_owned()),
        error_msg: Some(text),
        error_detail: Some(code.into()),
        ..header(id, status)
    };
    Framing::new(&header).finish()
}

pub(super) fn header(id: i32, status: RpcStatusProto) -> RpcResponseHeaderProto {
    RpcResponseHeaderProto {
        call_id: id as u32,
        status: status.into(),
        server_ipc_version_num: Some(9),
        ..RpcResponseHeaderProto::default()
    }
}
