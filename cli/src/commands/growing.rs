//! Following what a cluster writes.

use std::{process::ExitCode, time::Duration};

use tokio::time::MissedTickBehavior;

use crate::{context::Ctx, failure::Failure, ui::Signals};

/// Between two looks: soon enough to seem at once.
const LOOK: Duration = Duration::from_millis(200);

/// Shows what was added, again and again, until it is `over`, a signal comes, or nobody reads any more.
pub(super) async fn follow(
    ctx: &Ctx,
    over: impl AsyncFn() -> Result<bool, Failure>,
    mut show: impl FnMut() -> Result<(), Failure>,
) -> Result<ExitCode, Failure> {
    let mut signals = Signals::catch()?;
    let mut tick = tokio::time::interval(LOOK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !ctx.ui.stdout_is_gone() {
        tokio::select! {
            caught = signals.next() => return Ok(caught.exit_code()),
            _ = tick.tick() => {}
        }
        // Asked first: what was written before the end is read after it.
        let over = over().await?;
        show()?;
        if over {
            break;
        }
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn what_was_written_before_the_end_is_shown() {
        let (asked, shown) = (Cell::new(0), Cell::new(0));
        let over = async || {
            asked.set(asked.get() + 1);
            assert_eq!(asked.get(), shown.get() + 1, "asked before it is shown");
            Ok(asked.get() == 3)
        };
        let show = || {
            shown.set(shown.get() + 1);
            Ok(())
        };
        let ctx = Ctx::new(&crate::args::Global::default());
        follow(&ctx, over, show).await.unwrap();
        assert_eq!(shown.get(), 3);
    }
}
