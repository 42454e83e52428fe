//! Scrapes: a gzip body that is kept while it is true, and plain text that is written while it is sent.
//!
//! Whoever comes while a body is made waits for it, and takes it if its board is no older than the request. So no scrape shows less
//! than the board held when it was asked for, and a crowd of scrapers costs one rendering.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::gzip::{self, Packer, Part};
use super::{Pages, accept};
use crate::board::View;
use crate::exposition::{self, Format, Pieces, Text};
use crate::process::ProcessStats;

/// What the exporter says of itself is at most this old.
const OWN_AGE: Duration = Duration::from_secs(1);

/// What is kept of each format that was asked for.
#[derive(Debug, Default)]
pub(super) struct Scrapes {
    text: Mutex<Slot>,
    open_metrics: Mutex<Slot>,
}

/// A body, and what it was made with.
#[derive(Debug, Default)]
struct Slot {
    kept: Option<Kept>,
    packer: Packer,
}

/// An exposition, compressed.
#[derive(Debug)]
struct Kept {
    /// When the board was looked at for the clusters, and what it was then.
    taken: Instant,
    revision: u64,
    fresh_until: Option<Instant>,
    clusters: Part,
    /// When it was looked at for the rest.
    own_taken: Instant,
    own: Part,
}

impl Kept {
    /// Whether its clusters are those of the board at `now`, or were when it was `asked`.
    fn has_clusters(&self, revision: u64, asked: Instant, now: Instant) -> bool {
        let same = self.revision == revision && self.fresh_until.is_none_or(|until| now <= until);
        same || self.taken >= asked
    }

    fn has_own(&self, now: Instant) -> bool {
        now.duration_since(self.own_taken) < OWN_AGE
    }
}

/// Answers a scrape.
pub(super) async fn answer(pages: &Arc<Pages>, scrapes: &Scrapes, headers: &HeaderMap) -> Response {
    let format = accept::format(headers.get_all(header::ACCEPT));
    let body = if accept::gzip(headers.get_all(header::ACCEPT_ENCODING)) {
        compressed(pages, scrapes, format).await
    } else {
        plain(pages, format)
    };
    let headers = [(header::CONTENT_TYPE, format.content_type()), (header::VARY, "accept, accept-encoding")];
    match body {
        Ok(body) => (headers, body).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}\n")).into_response(),
    }
}

fn plain(pages: &Pages, format: Format) -> anyhow::Result<Response> {
    let view = Arc::new(pages.board.view(Instant::now()));
    let own = own(pages, view.clone(), format)?;
    let (mut pieces, mut sent) = (exposition::clusters(view, format), Sent::default());
    let clusters = std::iter::from_fn(move || {
        let mut text = sent.room();
        pieces.fill(&mut text).then(|| sent.lend(text))
    });
    let text = std::iter::once(own.into()).chain(clusters).chain([format.end().into()]);
    let text = text.filter(|piece: &Bytes| !piece.is_empty()).map(Ok::<_, Infallible>);
    Ok(Body::from_stream(stream::iter(text)).into_response())
}

/// Pieces of text on their way. One that has gone out makes room for another: to get its memory from the system again would take as
/// long as to write it.
#[derive(Debug, Default)]
struct Sent(VecDeque<Bytes>);

impl Sent {
    fn room(&mut self) -> Text {
        match self.0.pop_front().map(Bytes::try_into_mut) {
            Some(Ok(mut gone)) => {
                // Else what is in it would be copied first.
                gone.clear();
                Text::in_place_of(Vec::from(gone))
            }
            Some(Err(waiting)) => {
                self.0.push_front(waiting);
                Pieces::room()
            }
            None => Pieces::room(),
        }
    }

    fn lend(&mut self, text: Text) -> Bytes {
        let piece = Bytes::from(Vec::from(text));
        self.0.push_back(piece.clone());
        piece
    }
}

async fn compressed(pages: &Arc<Pages>, scrapes: &Scrapes, format: Format) -> anyhow::Result<Response> {
    let asked = Instant::now();
    let slot = match format {
        Format::Text => &scrapes.text,
        Format::OpenMetrics => &scrapes.open_metrics,
    };
    let mut slot = slot.lock().await;
    let now = Instant::now();
    let clusters = slot.kept.take().filter(|kept| kept.has_clusters(pages.board.revision(), asked, now));
    let kept = match clusters {
        Some(kept) if kept.has_own(now) => kept,
        clusters => {
            let (pages, mut packer) = (pages.clone(), std::mem::take(&mut slot.packer));
            // Not on the threads that polls are on.
            let made = tokio::task::spawn_blocking(move || {
                make(&pages, format, clusters, &mut packer).map(|kept| (kept, packer))
            });
            let kept;
            (kept, slot.packer) = made.await.context("cannot render")??;
            kept
        }
    };
    let (file, length) = gzip::join([&kept.own, &kept.clusters]);
    slot.kept = Some(kept);
    let headers =
        [(header::CONTENT_ENCODING, "gzip".to_owned()), (header::CONTENT_LENGTH, length.to_string())];
    let file = file.into_iter().map(Ok::<Bytes, Infallible>);
    Ok((headers, Body::from_stream(stream::iter(file))).into_response())
}

/// An exposition of now, with the clusters of `before` if those are still true.
fn make(pages: &Pages, format: Format, before: Option<Kept>, packer: &mut Packer) -> anyhow::Result<Kept> {
    let taken = Instant::now();
    let view = Arc::new(pages.board.view(taken));
    let own = packer.pack_all(&own(pages, view.clone(), format)?)?;
    if let Some(before) = before {
        return Ok(Kept { own_taken: taken, own, ..before });
    }
    let (revision, fresh_until) = (view.revision, view.fresh_until);
    let (mut pieces, mut end) = (exposition::clusters(view, format), Some(format.end()));
    let clusters =
        packer.pack(|out| pieces.fill(out) || end.take().inspect(|end| out.push_str(end)).is_some())?;
    Ok(Kept { taken, revision, fresh_until, clusters, own_taken: taken, own })
}

fn own(pages: &Pages, view: Arc<View>, format: Format) -> anyhow::Result<String> {
    let poll_interval = pages.settings.borrow().poll.interval;
    Ok(exposition::own(view, pages.metrics.clone(), poll_interval, ProcessStats::read(), format)?)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use axum::http::HeaderValue;
    use flate2::read::GzDecoder;
    use jiff::Timestamp;
    use tokio::sync::watch;
    use tokio::time::advance;

    use super::*;
    use crate::board::{Board, GoodPoll};
    use crate::model::{ClusterReport, Expected, ProjectId, Target};
    use crate::self_metrics::SelfMetrics;
    use crate::settings::{Lanes, Settings};

    const STALE_AFTER: Duration = Duration::from_mins(15);
    const JOBS: &str = "mongodbatlas_backup_export_jobs{";

    fn target() -> Target {
        let project_id = ProjectId::parse("32b6e34b3d91647abb20e7b8").unwrap();
        Target { project_id, cluster_name: "prod".to_owned() }
    }

    fn pages() -> Arc<Pages> {
        let board = Board::new(STALE_AFTER);
        board.watch_project(&target().project_id);
        board.name_project(&target().project_id, "payments".to_owned());
        board.watch(&target(), Expected::default());
        let settings = Settings {
            poll: crate::config::PollConfig::default(),
            discovery_interval: Duration::from_mins(10),
            reloads: 0,
            detail: crate::config::DetailConfig::default(),
            projects: std::collections::BTreeMap::new(),
            organizations: std::collections::BTreeMap::new(),
            polls: Lanes::new(1),
            readings: Lanes::new(1),
        };
        Arc::new(Pages {
            board: Arc::new(board),
            metrics: Arc::new(SelfMetrics::new(&["exports"], Timestamp::now())),
            settings: watch::channel(Arc::new(settings)).1,
            telemetry_path: "/metrics".to_owned(),
            reload: None,
            max_requests: 0,
        })
    }

    fn publish(pages: &Pages) {
        let (finished_at, finished) = (Timestamp::now().into(), Instant::now());
        let good = GoodPoll { report: ClusterReport::default(), last_progress: None, finished_at, finished };
        pages.board.publish(&target(), finished_at, Duration::ZERO, Ok(good));
    }

    async fn scrape(pages: &Arc<Pages>, scrapes: &Scrapes) -> String {
        let headers = [(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"))].into_iter().collect();
        let response = answer(pages, scrapes, &headers).await;
        let length: usize = response.headers()[header::CONTENT_LENGTH].to_str().unwrap().parse().unwrap();
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        assert_eq!(body.len(), length);
        let mut text = String::new();
        GzDecoder::new(&body[..]).read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn a_piece_that_has_gone_out_makes_room_for_another_and_one_that_waits_does_not() {
        let mut sent = Sent::default();
        let mut lend = |scrap: &str| {
            let mut text = sent.room();
            text.push_str(scrap);
            sent.lend(text)
        };
        let (first, second) = (lend("first"), lend("second"));
        let place = first.as_ptr();
        drop(first);
        let third = lend("third");
        assert_eq!(third.as_ptr(), place);
        let fourth = lend("fourth");
        assert_eq!([&second[..], &third[..], &fourth[..]], [&b"second"[..], b"third", b"fourth"]);
    }

    /// When the clusters and the rest of the body that is kept were looked at.
    async fn taken(scrapes: &Scrapes) -> (Instant, Instant) {
        let slot = scrapes.text.lock().await;
        let kept = slot.kept.as_ref().unwrap();
        (kept.taken, kept.own_taken)
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_is_kept_until_the_board_changes() {
        let (pages, scrapes, start) = (pages(), Scrapes::default(), Instant::now());
        assert!(!scrape(&pages, &scrapes).await.contains(JOBS));
        advance(OWN_AGE / 2).await;
        scrape(&pages, &scrapes).await;
        assert_eq!(taken(&scrapes).await, (start, start));
        publish(&pages);
        assert!(scrape(&pages, &scrapes).await.contains(JOBS));
        assert_eq!(taken(&scrapes).await, (start + OWN_AGE / 2, start + OWN_AGE / 2));
    }

    #[tokio::test(start_paused = true)]
    async fn the_exporters_own_figures_are_at_most_a_second_old() {
        let (pages, scrapes, start) = (pages(), Scrapes::default(), Instant::now());
        let requests = |text: &str| {
            text.lines()
                .any(|line| line == "mongodbatlas_api_requests_total{endpoint=\"exports\",code=\"200\"} 1")
        };
        assert!(!requests(&scrape(&pages, &scrapes).await));
        pages.metrics.count_request("exports", Some(200), Duration::ZERO);
        advance(OWN_AGE).await;
        assert!(requests(&scrape(&pages, &scrapes).await));
        assert_eq!(taken(&scrapes).await, (start, start + OWN_AGE), "the clusters are still true");
    }

    #[tokio::test(start_paused = true)]
    async fn what_grows_stale_is_withdrawn_though_nothing_was_written() {
        let (pages, scrapes) = (pages(), Scrapes::default());
        publish(&pages);
        assert!(scrape(&pages, &scrapes).await.contains(JOBS));
        advance(STALE_AFTER).await;
        assert!(scrape(&pages, &scrapes).await.contains(JOBS));
        advance(Duration::from_millis(1)).await;
        assert!(!scrape(&pages, &scrapes).await.contains(JOBS));
    }

    #[test]
    fn who_waited_for_a_body_takes_it_unless_it_was_begun_before() {
        let begun = Instant::now();
        let part = || Packer::default().pack(|_| false).unwrap();
        let kept = Kept {
            taken: begun,
            revision: 1,
            fresh_until: Some(begun),
            clusters: part(),
            own_taken: begun,
            own: part(),
        };
        let (before, after) =
            (begun.checked_sub(Duration::from_millis(1)).unwrap(), begun + Duration::from_millis(1));
        assert!(kept.has_clusters(2, before, after), "the board was written while it was made");
        assert!(!kept.has_clusters(2, after, after));
        assert!(kept.has_clusters(1, begun, begun) && !kept.has_clusters(1, after, after));
    }

    /// An exposition without what the process did meanwhile.
    fn timeless(text: &[u8]) -> String {
        let lines = str::from_utf8(text).unwrap().lines().filter(|line| !line.starts_with("process_"));
        lines.collect::<Vec<_>>().join("\n")
    }

    #[tokio::test]
    async fn plain_and_compressed_tell_the_same() {
        let (pages, scrapes) = (pages(), Scrapes::default());
        publish(&pages);
        for accept in ["text/plain", "application/openmetrics-text; version=1.0.0"] {
            let accept = (header::ACCEPT, HeaderValue::from_static(accept));
            let plain = answer(&pages, &scrapes, &[accept.clone()].into_iter().collect()).await;
            let plain = axum::body::to_bytes(plain.into_body(), usize::MAX).await.unwrap();
            let offer = (header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
            let packed = answer(&pages, &scrapes, &[accept, offer].into_iter().collect()).await;
            let packed = axum::body::to_bytes(packed.into_body(), usize::MAX).await.unwrap();
            let mut text = Vec::new();
            GzDecoder::new(&packed[..]).read_to_end(&mut text).unwrap();
            assert_eq!(timeless(&text), timeless(&plain));
            assert!(text.len() > 1000);
        }
    }
}
