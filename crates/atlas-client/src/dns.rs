//! DNS lookups, coalesced by host.
//!
//! A lookup of the system's resolver cannot be cancelled. If lookups hang, each connection would
//! block one of the 512 threads of tokio's blocking pool, which also reads secrets and the
//! configuration.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::time::Instant;

/// Age of a lookup from which new callers start another one.
const SHARED_FOR: Duration = Duration::from_secs(10);

/// A failed lookup of a host: of Atlas, or of the proxy.
#[derive(Debug)]
pub(crate) struct LookupError {
    host: String,
    cause: Arc<io::Error>,
}

impl std::error::Error for LookupError {}

impl fmt::Display for LookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cause = describe(&*self.cause);
        let cause = cause.strip_prefix("failed to lookup address information: ").unwrap_or(&cause);
        write!(f, "cannot resolve {}: {cause}", self.host)
    }
}

/// Returns the text of an error, that of the operating system without its number.
pub(crate) fn describe(error: &(dyn std::error::Error + 'static)) -> String {
    let text = error.to_string();
    if !error.is::<io::Error>() {
        return text;
    }
    let text = text.split(" (os error ").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

type SharedLookup = Shared<BoxFuture<'static, Result<Vec<SocketAddr>, Arc<io::Error>>>>;

/// Coalesces concurrent lookups of the same host; clones share them. It does not cache results.
#[derive(Debug, Clone, Default)]
pub(crate) struct CoalescingResolver(Arc<Mutex<HashMap<String, (Instant, SharedLookup)>>>);

impl Resolve for CoalescingResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_owned();
        let lookup = self.shared(&host, {
            let host = host.clone();
            // The caller sets the port.
            async move { Ok(tokio::net::lookup_host((host, 0)).await?.collect()) }
        });
        Box::pin(async move {
            let addresses = lookup.await.map_err(|cause| LookupError { host, cause })?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

impl CoalescingResolver {
    /// Returns the lookup of `host` in flight, or else starts `lookup`.
    fn shared(
        &self,
        host: &str,
        lookup: impl Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static,
    ) -> SharedLookup {
        let mut lookups = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((started, shared)) = lookups.get(host)
            && started.elapsed() < SHARED_FOR
            && shared.peek().is_none()
        {
            return shared.clone();
        }
        let shared = lookup.map(|found| found.map_err(Arc::new)).boxed().shared();
        lookups.insert(host.to_owned(), (Instant::now(), shared.clone()));
        shared
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Requests a lookup that takes this long, and counts those that are started.
    fn lookup(
        resolver: &CoalescingResolver,
        host: &str,
        takes: Duration,
        count: &Arc<AtomicUsize>,
    ) -> SharedLookup {
        let count = count.clone();
        resolver.shared(host, async move {
            count.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(takes).await;
            Ok(vec![([127, 0, 0, 1], 0).into()])
        })
    }

    #[tokio::test(start_paused = true)]
    async fn concurrent_lookups_are_coalesced() {
        let (resolver, count) = (CoalescingResolver::default(), Arc::default());
        let all = [(); 9].map(|()| lookup(&resolver, "a.test", Duration::from_secs(1), &count));
        let other = lookup(&resolver, "b.test", Duration::from_secs(1), &count);
        for lookup in all.into_iter().chain([other]) {
            assert_eq!(lookup.await.unwrap().len(), 1);
        }
        assert_eq!(count.load(Ordering::Relaxed), 2, "one for each host");
        lookup(&resolver, "a.test", Duration::ZERO, &count).await.unwrap();
        assert_eq!(count.load(Ordering::Relaxed), 3, "results are not cached");
    }

    #[tokio::test(start_paused = true)]
    async fn lookup_that_hangs_is_replaced_after_a_while() {
        let (resolver, count) = (CoalescingResolver::default(), Arc::default());
        for _ in 0..40 {
            let hanging = lookup(&resolver, "a.test", Duration::from_hours(1), &count);
            // Callers give up, and the lookup outlasts them.
            assert!(tokio::time::timeout(Duration::from_secs(1), hanging).await.is_err());
        }
        assert_eq!(count.load(Ordering::Relaxed), 4, "one in ten seconds");
        tokio::time::sleep(SHARED_FOR).await;
        assert!(lookup(&resolver, "a.test", Duration::ZERO, &count).await.is_ok());
    }

    #[tokio::test]
    async fn failed_lookup_is_an_error() {
        let name = format!("{}.test", "a".repeat(64)).parse().unwrap();
        assert!(CoalescingResolver::default().resolve(name).await.is_err());
        let local = CoalescingResolver::default().resolve("localhost".parse().unwrap()).await.unwrap();
        assert!(local.into_iter().all(|address| address.ip().is_loopback()));
    }
}
