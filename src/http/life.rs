//! How long a connection is worth its place.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// What a connection may take until its first request has been read, the handshake included.
pub(super) const FIRST_REQUEST: Duration = Duration::from_secs(10);

/// What it may take to answer and to be read, which no Prometheus waits for.
pub(super) const ANSWER: Duration = Duration::from_mins(2);

/// How long the next request may be waited for: a Prometheus that asks once a minute keeps its connection.
pub(super) const IDLE: Duration = Duration::from_mins(3);

/// What a connection does, and since when.
#[derive(Debug, Clone)]
pub(super) struct Life(Arc<Mutex<Doing>>);

#[derive(Debug)]
struct Doing {
    under_way: u32,
    /// When the first of the requests under way was read, or the last was answered.
    since: Instant,
    /// Whether there was one.
    asked: bool,
}

impl Life {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Doing { under_way: 0, since: Instant::now(), asked: false })))
    }

    fn doing(&self) -> MutexGuard<'_, Doing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request was read.
    pub(super) fn asked(&self) {
        let mut doing = self.doing();
        doing.asked = true;
        if doing.under_way == 0 {
            doing.since = Instant::now();
        }
    }

    /// It is being answered, until what is returned is dropped.
    pub(super) fn begin(&self) -> UnderWay {
        let mut doing = self.doing();
        if doing.under_way == 0 {
            doing.since = Instant::now();
        }
        doing.under_way += 1;
        UnderWay(self.clone())
    }

    /// When it is over if nothing happens before.
    fn end(&self) -> Instant {
        let doing = self.doing();
        let most = match (doing.under_way, doing.asked) {
            (0, false) => FIRST_REQUEST,
            (0, true) => IDLE,
            _ => ANSWER,
        };
        doing.since + most
    }

    /// Waits until it is, or its place is needed and it does nothing.
    pub(super) async fn over(&self, needed: &Notify) {
        loop {
            tokio::select! {
                () = sleep_until(self.end()) => if self.end() <= Instant::now() { return },
                () = needed.notified() => if self.doing().under_way == 0 { return },
            }
        }
    }
}

/// An answer under way.
#[derive(Debug)]
pub(super) struct UnderWay(Life);

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut doing = self.0.doing();
        doing.under_way -= 1;
        // Else one that is stuck would last for as long as others come and go beside it.
        if doing.under_way == 0 {
            doing.since = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    const SOON: Duration = Duration::from_millis(1);

    #[tokio::test(start_paused = true)]
    async fn only_a_connection_that_does_nothing_makes_room() {
        let (life, needed) = (Life::new(), Notify::new());
        let under_way = life.begin();
        let give_way = async {
            needed.notify_one();
            sleep(SOON).await;
            needed.notify_one();
        };
        tokio::select! {
            () = life.over(&needed) => panic!("it had something to do"),
            () = give_way => {}
        }
        drop(under_way);
        let start = Instant::now();
        tokio::join!(life.over(&needed), async { needed.notify_one() });
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn others_that_come_and_go_do_not_lengthen_the_life_of_one_that_is_stuck() {
        let (life, start) = (Life::new(), Instant::now());
        let _stuck = life.begin();
        for _ in 0..5 {
            sleep(ANSWER / 10).await;
            life.asked();
            drop(life.begin());
        }
        life.over(&Notify::new()).await;
        assert_eq!(start.elapsed(), ANSWER);
    }
}
