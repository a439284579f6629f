//! `kobel exec`: a worker's process, for the agent.

use std::{error::Error, process::ExitCode};

use kobel_agent::leash;

use crate::args::ExecArgs;

/// Runs it and ends as it ends.
pub(super) fn run(args: &ExecArgs) -> ExitCode {
    let [program, rest @ ..] = &args.what[..] else { return ExitCode::FAILURE };
    if args.train {
        return match kobel_agent::train(program.as_ref()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failed(&error),
        };
    }
    match args.leash {
        Some(parent) => failed(&leash::become_leashed(parent, program, rest)),
        None => match kobel_agent::deputy::exec(program.as_ref(), leash::THIS_PROGRAM.as_ref()) {
            Ok(code) => ExitCode::from(code),
            Err(error) => failed(&error),
        },
    }
}

/// What goes to standard error here is what the node shows of a container that failed.
fn failed(error: &dyn Error) -> ExitCode {
    eprintln!("{}{}", kobel_agent::exec::WORDS, kobel_conf::chain(error));
    ExitCode::FAILURE
}
