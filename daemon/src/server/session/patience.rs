//! How long a client is waited for.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// One timer for all the waits of a connection. A client that asks ten thousand times a second has none set and cancelled as
/// often: it stays at the end of an earlier wait, and is set anew only if it comes to that.
#[derive(Debug, Default)]
pub(super) struct Patience {
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    /// Ends `given` from when it is first polled.
    pub(super) async fn ends(&mut self, given: Duration) {
        let end = Instant::now() + given;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(end)));
        if timer.deadline() > end {
            timer.as_mut().reset(end);
        }
        loop {
            timer.as_mut().await;
            if Instant::now() >= end {
                return;
            }
            timer.as_mut().reset(end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_wait_ends_at_its_own_time_whatever_the_timer_was_set_to_before() {
        let mut patience = Patience::default();
        for given in [2, 60, 2, 1, 60] {
            let given = Duration::from_secs(given);
            let cut_short = tokio::time::timeout(given / 2, patience.ends(given)).await;
            assert!(cut_short.is_err(), "{given:?}");
            let begun = Instant::now();
            patience.ends(given).await;
            assert_eq!(begun.elapsed(), given);
        }
    }
}
