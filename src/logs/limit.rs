//! Rate limits of log lines: for each kind, and for each kind and resource.

use std::collections::{BTreeMap, HashMap};
use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Rate limit of lines of one kind about one resource. A cluster reports at most 20 failed jobs.
const PER_RESOURCE: Rate = (20, Duration::from_mins(3));

/// Rate limit of lines of one kind about all resources.
const PER_KIND: Rate = (500, Duration::from_secs(6));

/// Tokens of a full bucket, and the interval between new tokens.
type Rate = (u32, Duration);

/// Fields that identify a resource. Other fields, such as reasons, change from line to line.
const RESOURCE_FIELDS: [&str; 6] =
    ["organization_id", "project_id", "cluster_name", "collector", "client_id", "resource"];

/// Suppresses and counts events beyond the rate limits. Clones share the counts.
///
/// The kind of an event is its location in the source.
#[derive(Debug, Clone, Default)]
pub(super) struct Limiter(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Times at which token buckets are full again, by kind and resource; other buckets are full.
    full_at: HashMap<(Identifier, Option<String>), Instant>,
    suppressed: BTreeMap<String, u64>,
}

impl State {
    /// Takes a token from the buckets of the kind and of the resource, unless one is empty.
    fn allows(&mut self, kind: &Identifier, resource: Option<String>, now: Instant) -> bool {
        let mut taken = vec![(None, PER_KIND)];
        taken.extend(resource.map(|resource| (Some(resource), PER_RESOURCE)));
        let mut buckets = Vec::new();
        for (resource, (burst, interval)) in taken {
            let key = (kind.clone(), resource);
            let full_at = self.full_at.get(&key).map_or(now, |at| now.max(*at)) + interval;
            if full_at - now > interval * burst {
                return false;
            }
            buckets.push((key, full_at));
        }
        // Only an allowed line adds a bucket, which bounds their number.
        self.full_at.retain(|_, full_at| *full_at > now);
        self.full_at.extend(buckets);
        true
    }
}

impl Limiter {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Logs the number of lines suppressed since the previous report.
    pub(super) fn report(&self) {
        let suppressed = std::mem::take(&mut self.state().suppressed);
        if suppressed.is_empty() {
            return;
        }
        let lines: u64 = suppressed.values().sum();
        let kinds: Vec<_> =
            suppressed.into_iter().map(|(location, lines)| format!("{location} {lines}")).collect();
        tracing::warn!(lines, kinds = kinds.join(", "), "suppressed repeated log lines");
    }
}

impl<S: Subscriber> Layer<S> for Limiter {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        let mut resource = Resource::default();
        event.record(&mut resource);
        let resource = Some(resource.0).filter(|resource| !resource.is_empty());
        let mut state = self.state();
        let is_allowed = state.allows(&metadata.callsite(), resource, Instant::now());
        if !is_allowed {
            let location =
                format!("{}:{}", metadata.file().unwrap_or_default(), metadata.line().unwrap_or_default());
            *state.suppressed.entry(location).or_default() += 1;
        }
        is_allowed
    }
}

/// The fields that identify the resource of an event.
#[derive(Default)]
struct Resource(String);

impl Visit for Resource {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if RESOURCE_FIELDS.contains(&field.name()) {
            // Writing to a string does not fail.
            let _ = write!(self.0, "{field}={value:?} ");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::iter;

    use super::*;

    fn kind() -> Identifier {
        struct Place;
        impl tracing::Callsite for Place {
            fn set_interest(&self, _: tracing::subscriber::Interest) {}
            fn metadata(&self) -> &tracing::Metadata<'_> {
                unreachable!()
            }
        }
        static PLACE: Place = Place;
        Identifier(&PLACE)
    }

    #[test]
    fn rate_limit_of_a_resource_does_not_affect_others() {
        let (mut state, start) = (State::default(), Instant::now());
        let mut allowed = |resource: &str, minutes: u64, lines| {
            let now = start + Duration::from_mins(minutes);
            let line = || state.allows(&kind(), Some(resource.to_owned()), now);
            iter::repeat_with(line).take(lines).filter(|is_allowed| *is_allowed).count()
        };
        assert_eq!(allowed("a", 0, 1000), 20);
        assert_eq!(allowed("b", 0, 5), 5);
        assert_eq!(allowed("a", 3, 9), 1);
        assert_eq!(allowed("a", 9, 9), 2);
        assert_eq!(allowed("a", 999, 99), 20);
    }

    #[test]
    fn rate_limit_of_a_kind_covers_all_resources() {
        let (mut state, start) = (State::default(), Instant::now());
        let allowed =
            (0..10_000).filter(|number| state.allows(&kind(), Some(number.to_string()), start)).count();
        assert_eq!(allowed, 500);
        let later = start + Duration::from_mins(1);
        let without = iter::repeat_n((), 99).filter(|()| state.allows(&kind(), None, later)).count();
        assert_eq!(without, 10);
        // Full buckets are removed.
        assert!(state.allows(&kind(), Some("1".to_owned()), start + Duration::from_hours(1)));
        assert_eq!(state.full_at.len(), 2);
    }
}
