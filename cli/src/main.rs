//! kobel: starts, feeds, watches and fails over Apache Flink clusters.
//!
//! The way through this crate: [`args`] says what may be typed, [`commands`] does it by way of
//! kobel-session ([`compat`] under Flink's own names), [`render`] forms the data, [`ui`] brings it to the person, and [`failure`] is the
//! only place where an error becomes text and an exit code.

mod args;
mod commands;
mod compat;
mod context;
mod failure;
mod render;
mod ui;

use std::process::ExitCode;

fn main() -> ExitCode {
    match commands::parse(std::env::args_os()) {
        Ok(cli) => commands::run(cli),
        Err(code) => code,
    }
}
