//! Runs the real kobel and the real Flink for the tests.
//!
//! A [`Lab`] is one test's world: its own state, data and temp directories, an environment made from
//! nothing, and a check at the end that no process is left. When the test fails the directory stays,
//! and its path and the last lines of every log are in the failure's output.

mod artifacts;
mod command;
pub mod hadoop;
pub mod http;
mod lab;
mod relay;
mod scene;
pub mod sockets;
pub mod wait;

pub use artifacts::{Flink, compile_job, compile_job_in_two, example_jar};
pub use command::{Done, Running};
pub use lab::{Lab, kobel_binary};
pub use relay::Relay;

/// Makes one test per supported Flink out of a function that takes a [`Flink`].
#[macro_export]
macro_rules! on_each_flink {
    ($($(#[$meta:meta])* fn $name:ident($flink:ident: Flink) $body:block)*) => {$(
        mod $name {
            use super::*;

            $(#[$meta])*
            fn story($flink: $crate::Flink) $body

            #[test]
            fn on_flink_1_20() {
                if let Some(flink) = $crate::Flink::v1() {
                    story(flink)
                }
            }

            #[test]
            fn on_flink_2_3() {
                if let Some(flink) = $crate::Flink::v2() {
                    story(flink)
                }
            }
        }
    )*};
}
