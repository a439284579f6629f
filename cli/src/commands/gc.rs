//! `kobel gc`.

use std::process::ExitCode;

use kobel_conf::Category;
use kobel_session::gc::{self, Bin, How};

use super::news::plural;
use crate::{
    args::GcArgs,
    context::Ctx,
    failure::Failure,
    render::{Leftovers, print, size},
};

/// Finds what nobody uses, and removes it.
pub(crate) async fn run(ctx: &Ctx, args: GcArgs) -> Result<ExitCode, Failure> {
    let how = How { dry_run: args.dry_run, ended_for: args.ended_for };
    let Bin { leftovers: list, spared, errors, .. } = gc::run(&ctx.session()?, how).await;
    for spared in spared {
        ctx.ui.note(format_args!("left alone: {} ({})", spared.location, spared.why));
    }
    let told = summary(&list, args.dry_run);
    let failed = list.iter().filter(|left| left.error.is_some()).count();
    print(&ctx.ui, &Leftovers { list }, args.output.format)?;
    ctx.ui.note(told);
    let unseen = errors.len();
    for error in errors {
        ctx.ui.failure(&error.into());
    }
    match (failed, unseen) {
        (0, 0) => Ok(ExitCode::SUCCESS),
        (0, _) => Err(Failure::new(Category::Other, "could not look everywhere")),
        (n, _) => {
            let things = plural(n, "thing", "things");
            let what = format!("{n} {things} could not be removed");
            Err(Failure::new(Category::Other, what).hint("kobel gc --dry-run -o wide"))
        }
    }
}

/// What was done, or would be.
fn summary(list: &[gc::Leftover], dry_run: bool) -> String {
    let done: Vec<_> = list.iter().filter(|left| left.error.is_none()).collect();
    let (n, bytes) = (done.len(), size(done.iter().map(|left| left.bytes).sum()));
    let things = plural(n, "thing", "things");
    match (n, dry_run) {
        (0, _) => "nothing to remove".into(),
        (_, true) => format!("{n} {things} to remove, {bytes}; do it with: kobel gc"),
        (_, false) => format!("removed {n} {things}, {bytes}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_tells_what_was_done_or_would_be() {
        let left = |error: Option<&str>| gc::Leftover {
            kind: gc::Kind::Download,
            location: "/c/x.part".into(),
            bytes: 3_000_000,
            why: "it stopped".into(),
            removed: error.is_none(),
            error: error.map(str::to_string),
        };
        assert_eq!(summary(&[], true), "nothing to remove");
        assert_eq!(summary(&[left(None)], true), "1 thing to remove, 3.0 MB; do it with: kobel gc");
        let list = [left(None), left(None), left(Some("denied"))];
        assert_eq!(summary(&list, false), "removed 2 things, 6.0 MB");
    }
}
