//! Waiting for a condition, with a deadline, and the last thing seen in the failure's text.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Asks `probe` until it answers `Ok`, and panics with its last `Err` when `deadline` is over.
#[track_caller]
pub fn until<T>(what: &str, deadline: Duration, mut probe: impl FnMut() -> Result<T, String>) -> T {
    let end = Instant::now() + deadline;
    loop {
        match probe() {
            Ok(value) => return value,
            Err(state) if Instant::now() > end => {
                panic!("not within {deadline:?}: {what}; last state: {state}")
            }
            Err(_) => thread::sleep(Duration::from_millis(50)),
        }
    }
}
