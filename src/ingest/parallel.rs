//! Work on the parts of a file in many threads, with the results in the order of the parts.
//! It does not know what the work is.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};

use crate::error::Result;

// Results of one job that may wait to be taken.
const WAITING: usize = 2;

/// Runs `work` on each job, in `threads` threads, while `jobs` makes the next one in a thread of its own; gives each
/// result to `take` in the order of the jobs. A job gives any number of results, and ends early if it is told `false`.
/// No more than about `2 * threads` jobs are in memory. The first error in this order ends everything.
pub(super) fn in_order<J: Send, T: Send>(
    threads: usize,
    mut jobs: impl FnMut() -> Result<Option<J>> + Send,
    work: impl Fn(J, &mut dyn FnMut(T) -> bool) -> Result<()> + Sync,
    mut take: impl FnMut(T) -> Result<()>,
) -> Result<()> {
    if threads < 2 {
        return alone(jobs, work, take);
    }
    let (queue, queued) = sync_channel::<(J, SyncSender<Result<T>>)>(1);
    let (order, ordered) = sync_channel::<Result<Receiver<Result<T>>>>(threads);
    let (queued, work) = (&Mutex::new(queued), &work);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            loop {
                let job = match jobs() {
                    Ok(Some(job)) => job,
                    Ok(None) => break,
                    Err(error) => {
                        // Nobody listens any more if an earlier error has ended the work.
                        let _ = order.send(Err(error));
                        break;
                    }
                };
                let (results, waiting) = sync_channel(WAITING);
                if order.send(Ok(waiting)).is_err() || queue.send((job, results)).is_err() {
                    break;
                }
            }
        });
        for _ in 0..threads {
            scope.spawn(move || {
                loop {
                    let next = queued.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok((job, results)) = next else { break };
                    if let Err(error) = work(job, &mut |result| results.send(Ok(result)).is_ok()) {
                        let _ = results.send(Err(error));
                    }
                }
            });
        }
        for results in ordered {
            for result in results? {
                take(result?)?;
            }
        }
        Ok(())
    })
}

fn alone<J, T>(
    mut jobs: impl FnMut() -> Result<Option<J>>,
    work: impl Fn(J, &mut dyn FnMut(T) -> bool) -> Result<()>,
    mut take: impl FnMut(T) -> Result<()>,
) -> Result<()> {
    while let Some(job) = jobs()? {
        let mut taken = Ok(());
        work(job, &mut |result| {
            taken = take(result);
            taken.is_ok()
        })?;
        taken?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::error::Error;

    use super::*;

    fn run(threads: usize, jobs: u32, failing: Option<u32>) -> (Vec<u32>, bool) {
        let mut next = 0..jobs;
        let mut taken = Vec::new();
        let outcome = in_order(
            threads,
            || Ok(next.next()),
            |job, give| {
                // Later jobs are done sooner.
                std::thread::sleep(std::time::Duration::from_micros(u64::from(jobs - job) % 7 * 100));
                if failing == Some(job) {
                    return Err(Error::Data("broken".into()));
                }
                for part in 0..job % 5 {
                    give(job * 10 + part);
                }
                Ok(())
            },
            |result| {
                taken.push(result);
                Ok(())
            },
        );
        (taken, outcome.is_ok())
    }

    #[test]
    fn results_come_in_the_order_of_the_jobs() {
        let expected = run(1, 100, None);
        assert!(expected.1 && expected.0.is_sorted());
        for threads in [2, 3, 8] {
            assert_eq!(run(threads, 100, None), expected);
        }
    }

    #[test]
    fn the_first_error_ends_the_work() {
        for threads in [1, 2, 8] {
            let (taken, is_ok) = run(threads, 1000, Some(50));
            assert!(!is_ok);
            assert_eq!(taken, run(1, 1000, None).0.into_iter().filter(|result| result / 10 < 50).collect::<Vec<_>>());
        }
        for threads in [1, 2, 8] {
            let mut jobs = 0..;
            let outcome = in_order(
                threads,
                || Ok(jobs.next()),
                |job: u32, give| {
                    give(job);
                    Ok(())
                },
                |result| if result == 100 { Err(Error::Data("full".into())) } else { Ok(()) },
            );
            assert!(outcome.is_err());
        }
    }
}
