//! Waiting for a condition, with a deadline: a sleep is either too short on a busy machine or too long on an idle one.

use std::thread;
use std::time::{Duration, Instant};

/// How long a test waits for something that takes milliseconds when the machine is idle.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Between two looks at a condition that cannot announce itself.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Waits until `condition` holds; `false` if it did not within `deadline`.
#[must_use]
pub fn until(deadline: Duration, mut condition: impl FnMut() -> bool) -> bool {
    value(deadline, || condition().then_some(())).is_some()
}

/// Waits until `look` finds something; `None` if it did not within `deadline`.
pub fn value<T>(deadline: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + deadline;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() >= end {
            return None;
        }
        thread::sleep(LOOK_AGAIN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_that_comes_true_ends_the_wait_and_one_that_does_not_meets_the_deadline() {
        let mut looks = 0;
        assert!(until(PATIENCE, || {
            looks += 1;
            looks == 3
        }));
        assert!(!until(Duration::from_millis(20), || false));
    }
}
