//! Work on the parts of a file in many threads, with the results in the order of the parts.
//! It does not know what the work is.

use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::sync::{Mutex, PoisonError};

use crate::error::Result;

// Results of one job that may wait to be taken.
const WAITING: usize = 2;
/// Jobs for each thread: one at work, one that is next, and one that is done while an earlier one is not.
pub(super) const PLACES: usize = 3;

/// What is next.
pub(super) enum Job<J, T> {
    /// A result that is there already.
    Ready(T),
    /// Work that gives results.
    Work(J),
}

/// Runs `work` on each job, in `threads` threads, while `jobs` makes the next one in a thread of its own; gives each
/// result to `take` in the order of the jobs. A job gives any number of results, and ends early if it is told `false`.
/// No more than `PLACES * threads` jobs are in memory; what is ready takes no place. The first error in this order ends
/// everything.
pub(super) fn in_order<J: Send, T: Send>(
    threads: usize,
    mut jobs: impl FnMut() -> Result<Option<Job<J, T>>> + Send,
    work: impl Fn(J, &mut dyn FnMut(T) -> bool) -> Result<()> + Sync,
    mut take: impl FnMut(T) -> Result<()>,
) -> Result<()> {
    if threads < 2 {
        return alone(jobs, work, take);
    }
    let (places, freed) = sync_channel::<()>(PLACES * threads);
    let (queue, queued) = channel::<(J, SyncSender<Result<T>>)>();
    let (order, ordered) = channel::<Result<Job<Receiver<Result<T>>, T>>>();
    let (queued, work) = (&Mutex::new(queued), &work);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // Nobody listens any more if an error has ended the work.
            loop {
                let next = match jobs() {
                    Ok(Some(Job::Ready(result))) => Ok(Job::Ready(result)),
                    Ok(Some(Job::Work(job))) => {
                        let (results, waiting) = sync_channel(WAITING);
                        if places.send(()).is_err() || queue.send((job, results)).is_err() {
                            break;
                        }
                        Ok(Job::Work(waiting))
                    }
                    Ok(None) => break,
                    Err(error) => Err(error),
                };
                let is_error = next.is_err();
                if order.send(next).is_err() || is_error {
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
        // Ends with this closure, however it ends, so that the thread that makes jobs does not wait for a place forever.
        let freed = freed;
        for next in ordered {
            match next? {
                Job::Ready(result) => take(result)?,
                Job::Work(results) => {
                    for result in results {
                        take(result?)?;
                    }
                    let _ = freed.recv();
                }
            }
        }
        Ok(())
    })
}

fn alone<J, T>(
    mut jobs: impl FnMut() -> Result<Option<Job<J, T>>>,
    work: impl Fn(J, &mut dyn FnMut(T) -> bool) -> Result<()>,
    mut take: impl FnMut(T) -> Result<()>,
) -> Result<()> {
    while let Some(next) = jobs()? {
        let job = match next {
            Job::Ready(result) => {
                take(result)?;
                continue;
            }
            Job::Work(job) => job,
        };
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
    use std::sync::atomic::{AtomicUsize, Ordering};

    use crate::error::Error;

    use super::*;

    fn run(threads: usize, jobs: u32, failing: Option<u32>) -> (Vec<u32>, bool) {
        let mut next = 0..jobs;
        let mut taken = Vec::new();
        let outcome = in_order(
            threads,
            || Ok(next.next().map(|job| if job % 7 == 3 { Job::Ready(job * 10) } else { Job::Work(job) })),
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
                || Ok(jobs.next().map(Job::Work)),
                |job: u32, give| {
                    give(job);
                    Ok(())
                },
                |result| if result == 100 { Err(Error::Data("full".into())) } else { Ok(()) },
            );
            assert!(outcome.is_err());
        }
    }

    #[test]
    fn no_more_jobs_are_made_than_have_a_place() {
        let made = AtomicUsize::new(0);
        let mut taken = 0;
        let jobs = || {
            let job = made.fetch_add(1, Ordering::Relaxed);
            Ok((job < 1000).then_some(if job.is_multiple_of(3) { Job::Ready(job) } else { Job::Work(job) }))
        };
        let work = |job, give: &mut dyn FnMut(usize) -> bool| {
            give(job);
            Ok(())
        };
        let take = |_| {
            // Two of three take a place, one is at hand, and one is just being taken.
            assert!(made.load(Ordering::Relaxed) <= taken + (2 * PLACES + 2) * 3 / 2 + 3);
            taken += 1;
            std::thread::yield_now();
            Ok(())
        };
        in_order(2, jobs, work, take).expect("taken");
        assert_eq!(taken, 1000);
    }
}
