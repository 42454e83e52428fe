//! Names to addresses, one look-up of a name at a time.
//!
//! The system's resolver cannot be told to stop. Where it hangs, each connection would leave a thread behind: five hundred are all there may be, and
//! then nobody could read a secret or the configuration.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::watch;
use tokio::time::Instant;

/// A look-up that takes longer is waited for no more by those who come; another begins beside it.
const PATIENCE: Duration = Duration::from_secs(10);

type Answer = Result<Vec<SocketAddr>, Arc<io::Error>>;
type Awaited = watch::Receiver<Option<Answer>>;

/// Clones share the look-ups that are under way. Answers are not kept: the system's resolver does that, if anyone does.
#[derive(Debug, Clone, Default)]
pub(super) struct Names(Arc<Mutex<HashMap<String, (Instant, Awaited)>>>);

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let name = name.as_str().to_owned();
        let mut awaited = self.ask(&name.clone(), async move {
            // The port is set by whoever connects.
            Ok(tokio::net::lookup_host((name, 0)).await?.collect())
        });
        Box::pin(async move {
            let answer = awaited.wait_for(Option::is_some).await?.clone();
            let addresses = answer.unwrap_or_else(|| Ok(Vec::new()))?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

impl Names {
    /// The answer to a look-up of `name` that is under way, or to `look_up`.
    fn ask(
        &self,
        name: &str,
        look_up: impl Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static,
    ) -> Awaited {
        let mut under_way = self.under_way();
        if let Some((began, awaited)) = under_way.get(name)
            && began.elapsed() < PATIENCE
        {
            return awaited.clone();
        }
        let (answer, awaited) = watch::channel(None);
        under_way.insert(name.to_owned(), (Instant::now(), awaited.clone()));
        let (names, name, own) = (self.clone(), name.to_owned(), awaited.clone());
        tokio::spawn(async move {
            let outcome = look_up.await.map_err(Arc::new);
            names.under_way().retain(|known, (_, awaited)| *known != name || !awaited.same_channel(&own));
            answer.send_replace(Some(outcome));
        });
        awaited
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<String, (Instant, Awaited)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Asks for `name`, which takes so long to look up, and counts the look-ups.
    fn ask(names: &Names, name: &str, takes: Duration, count: &Arc<AtomicUsize>) -> Awaited {
        let count = count.clone();
        names.ask(name, async move {
            count.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(takes).await;
            Ok(vec![([127, 0, 0, 1], 0).into()])
        })
    }

    async fn is_told(mut awaited: Awaited) -> bool {
        awaited.wait_for(Option::is_some).await.unwrap().clone().unwrap().unwrap().len() == 1
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_ask_meanwhile_share_the_answer_and_later_ones_ask_anew() {
        let (names, count) = (Names::default(), Arc::default());
        let all = [(); 9].map(|()| ask(&names, "a.test", Duration::from_secs(1), &count));
        let other = ask(&names, "b.test", Duration::from_secs(1), &count);
        for awaited in all.into_iter().chain([other]) {
            assert!(is_told(awaited).await);
        }
        assert_eq!(count.load(Ordering::Relaxed), 2, "one for each name");
        assert!(is_told(ask(&names, "a.test", Duration::ZERO, &count)).await);
        assert_eq!(count.load(Ordering::Relaxed), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_up_that_hangs_is_passed_after_a_while() {
        let (names, count) = (Names::default(), Arc::default());
        let hour = Duration::from_hours(1);
        for _ in 0..40 {
            drop(ask(&names, "a.test", hour, &count));
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        assert_eq!(count.load(Ordering::Relaxed), 4, "one in ten seconds");
        tokio::time::sleep(PATIENCE).await;
        let good = ask(&names, "a.test", Duration::ZERO, &count);
        assert!(is_told(good).await);
        tokio::time::sleep(hour).await;
        assert!(names.under_way().is_empty());
    }

    #[tokio::test]
    async fn what_does_not_resolve_is_told() {
        let name = format!("{}.test", "a".repeat(64)).parse().unwrap();
        assert!(Names::default().resolve(name).await.is_err());
        let local = Names::default().resolve("localhost".parse().unwrap()).await.unwrap();
        assert!(local.into_iter().all(|address| address.ip().is_loopback()));
    }
}
