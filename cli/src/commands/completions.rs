//! `kobel completions` and `kobel man`.

use std::process::ExitCode;

use clap::CommandFactory;
use kobel_conf::Category;

use crate::{
    args::{Cli, CompletionsArgs, ManArgs},
    context::Ctx,
    failure::Failure,
};

/// Prints a completion script.
pub(crate) async fn run(ctx: &Ctx, args: CompletionsArgs) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), env!("CARGO_PKG_NAME"), &mut script);
    ctx.ui.data(&script);
    Ok(ExitCode::SUCCESS)
}

/// Prints the manual page, or writes a page per verb.
pub(crate) async fn man(ctx: &Ctx, args: ManArgs) -> Result<ExitCode, Failure> {
    match args.dir {
        Some(dir) => clap_mangen::generate_to(Cli::command(), &dir).map_err(|e| {
            Failure::new(Category::Environment, format!("cannot write manual pages into {}", dir.display()))
                .because(&e)
        })?,
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command())
                .render(&mut page)
                .map_err(|e| Failure::new(Category::Other, "cannot write the manual page").because(&e))?;
            ctx.ui.data(&page);
        }
    }
    Ok(ExitCode::SUCCESS)
}
