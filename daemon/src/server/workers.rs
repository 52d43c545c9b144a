//! Tasks that serve one connection after another.
//!
//! A task for each connection is some kilobytes to allocate and free thousands of times a second. Some allocators give such
//! memory back to the system at once and get it again with the next connection (musl's does), and a page that the system has
//! just given costs more than an answer. So a task that has served its connection waits for the next.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;

/// So many tasks wait for work; those beyond end. As many as a busy machine has clients at once.
const WAITING: usize = 64;

/// Runs `work` on jobs.
pub(super) struct Workers<J, F> {
    shared: Arc<Shared<J>>,
    work: F,
}

struct Shared<J> {
    state: Mutex<State<J>>,
    /// A permit for each job that was left to a task that waits.
    more: Semaphore,
}

struct State<J> {
    jobs: VecDeque<J>,
    waiting: usize,
}

impl<J, F, W> Workers<J, F>
where
    J: Send + 'static,
    F: Fn(J) -> W + Clone + Send + 'static,
    W: Future<Output = ()> + Send,
{
    pub(super) fn new(work: F) -> Self {
        let state = Mutex::new(State { jobs: VecDeque::new(), waiting: 0 });
        Self { shared: Arc::new(Shared { state, more: Semaphore::new(0) }), work }
    }

    /// Has `job` done, by a task that waits or by a new one.
    pub(super) fn give(&self, job: J) {
        let mut state = self.shared.state();
        state.jobs.push_back(job);
        if state.waiting >= state.jobs.len() {
            drop(state);
            self.shared.more.add_permits(1);
            return;
        }
        drop(state);
        let (shared, work) = (self.shared.clone(), self.work.clone());
        tokio::spawn(async move {
            while let Some(job) = shared.next().await {
                work(job).await;
            }
        });
    }
}

impl<J> Shared<J> {
    /// The next job; `None` if enough others wait for it.
    async fn next(&self) -> Option<J> {
        {
            let mut state = self.state();
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            if state.waiting >= WAITING {
                return None;
            }
            state.waiting += 1;
        }
        loop {
            self.more.acquire().await.expect("the semaphore is never closed").forget();
            let mut state = self.state();
            // Whoever ended its work in between may have taken the job that this was called for.
            if let Some(job) = state.jobs.pop_front() {
                state.waiting -= 1;
                return Some(job);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State<J>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn every_job_is_done_once_however_they_come() {
        let done = Arc::new(AtomicUsize::new(0));
        let gate = Arc::new(Semaphore::new(0));
        let workers = Workers::new({
            let (done, gate) = (done.clone(), gate.clone());
            move |_: usize| {
                let (done, gate) = (done.clone(), gate.clone());
                async move {
                    gate.acquire().await.unwrap().forget();
                    done.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
        let mut given = 0;
        for burst in [1, 1, 100, 3, 1000, 64, 65, 1] {
            for job in 0..burst {
                workers.give(job);
                if job % 7 == 0 {
                    tokio::task::yield_now().await;
                }
            }
            given += burst;
            gate.add_permits(burst);
            while done.load(Ordering::SeqCst) < given {
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(done.load(Ordering::SeqCst), given);
        tokio::task::yield_now().await;
        assert!(workers.shared.state().waiting <= WAITING);
    }

    #[tokio::test]
    async fn a_job_that_never_ends_holds_up_no_other() {
        let done = Arc::new(AtomicUsize::new(0));
        let seen = done.clone();
        let workers = Workers::new(move |hangs: bool| {
            let seen = seen.clone();
            async move {
                if hangs {
                    std::future::pending::<()>().await;
                }
                seen.fetch_add(1, Ordering::SeqCst);
            }
        });
        for job in 0..300 {
            workers.give(job % 3 == 0);
        }
        while done.load(Ordering::SeqCst) < 200 {
            tokio::task::yield_now().await;
        }
    }
}
