//! Retries under a paused clock.

use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use super::*;

fn answer(status: u16, retry_after: Option<u64>) -> Error {
    let mut headers = HeaderMap::new();
    if let Some(seconds) = retry_after {
        headers.insert(reqwest::header::RETRY_AFTER, seconds.into());
    }
    Error::response(StatusCode::from_u16(status).unwrap(), &headers, b"")
}

/// Plays `script`, one outcome for each attempt; attempts beyond it hang. Returns the outcome, the
/// number of attempts and the seconds.
async fn play(script: Vec<Result<(), Error>>, timeout: u64) -> (Result<(), Error>, usize, u64) {
    let tries = AtomicUsize::new(0);
    let start = Instant::now();
    let once = async || match script.get(tries.fetch_add(1, Ordering::Relaxed)) {
        Some(outcome) => outcome.clone(),
        None => std::future::pending().await,
    };
    let outcome = retry(once, "a:443", MAX_RETRIES, start + Duration::from_secs(timeout)).await;
    (outcome, tries.load(Ordering::Relaxed), start.elapsed().as_secs())
}

#[tokio::test(start_paused = true)]
async fn passing_error_is_tried_four_times() {
    let (outcome, tries, _) = play(vec![Err(answer(503, None)); 9], 60).await;
    assert_eq!((outcome, tries), (Err(answer(503, None)), 4));
    let (outcome, tries, _) =
        play(vec![Err(answer(429, None)), Err(Error::Connect("x".into())), Ok(())], 60).await;
    assert_eq!((outcome, tries), (Ok(()), 3));
}

#[tokio::test(start_paused = true)]
async fn pauses_are_jittered() {
    let mut waits = std::collections::BTreeSet::new();
    for _ in 0..9 {
        let start = Instant::now();
        let tries = AtomicUsize::new(0);
        let once = async || match tries.fetch_add(1, Ordering::Relaxed) {
            0 => Err(answer(503, None)),
            _ => Ok(()),
        };
        retry(once, "a:443", MAX_RETRIES, start + Duration::from_mins(1)).await.unwrap();
        waits.insert(start.elapsed());
    }
    assert!(waits.len() > 1, "{waits:?}");
}

#[tokio::test(start_paused = true)]
async fn final_error_is_tried_once() {
    for error in [
        answer(401, None),
        answer(403, None),
        answer(404, None),
        answer(400, None),
        Error::Invalid("x".into()),
        Error::Tls("x".into()),
        Error::TooLarge("x".into()),
    ] {
        let (outcome, tries, seconds) = play(vec![Err(error.clone())], 60).await;
        assert_eq!((outcome, tries, seconds), (Err(error), 1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn retry_waits_for_retry_after() {
    let (outcome, tries, seconds) = play(vec![Err(answer(429, Some(20))), Ok(())], 60).await;
    assert_eq!((outcome, tries), (Ok(()), 2));
    assert!((20..23).contains(&seconds), "{seconds}");
}

#[tokio::test(start_paused = true)]
async fn unsent_request_is_no_attempt() {
    let limited = || Err(Error::RateLimited { left: Duration::from_secs(2), limited: true });
    let script = vec![limited(), limited(), limited(), limited(), limited(), Err(answer(503, None)), Ok(())];
    let (outcome, tries, seconds) = play(script.clone(), 60).await;
    assert_eq!((outcome, tries), (Ok(()), 7));
    assert!((12..18).contains(&seconds), "{seconds}");
    assert_eq!(
        play(script, 5).await.0,
        Err(Error::RateLimited { left: Duration::from_secs(2), limited: true })
    );
}

#[tokio::test(start_paused = true)]
async fn pause_beyond_the_deadline_is_not_waited_for() {
    for wait in [60, 3600, u64::MAX] {
        let (outcome, tries, seconds) = play(vec![Err(answer(429, Some(wait))), Ok(())], 30).await;
        assert_eq!((outcome, tries, seconds), (Err(answer(429, Some(wait))), 1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn last_error_is_returned_at_the_deadline() {
    let (outcome, tries, seconds) = play(vec![Err(answer(500, None))], 30).await;
    assert_eq!((outcome, tries, seconds), (Err(answer(500, None)), 2, 30));
    let (outcome, ..) = play(vec![], 30).await;
    assert_eq!(outcome, Err(Error::Timeout("no response from a:443 within 30s".to_owned())));
}
