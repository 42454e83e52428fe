//! Size of a scrape, compared with the table of `docs/production.md`.

use std::path::Path;
use std::time::{Duration, Instant};

use atlas_simulator::{Cluster, ORGANIZATION, Project, Snapshot, TokenBucket};

use crate::support::atlas::{atlas_state, simulator};
use crate::support::builder::ExporterBuilder;
use crate::support::exporter::{Exporter, http};

const OF_PROJECT: usize = 10;

/// Maximum time until everything has been read.
const READY_TIMEOUT: Duration = Duration::from_mins(1);

#[derive(Debug, Clone, Copy)]
struct Size {
    series: f64,
    plain: f64,
    gzip: f64,
}

impl Size {
    /// Extrapolates to `clusters`: the size grows linearly with the number of clusters.
    fn extrapolated(few: (usize, Self), many: (usize, Self), clusters: usize) -> Self {
        let share = (clusters as f64 - few.0 as f64) / (many.0 - few.0) as f64;
        let value = |of: fn(&Self) -> f64| of(&few.1) + (of(&many.1) - of(&few.1)) * share;
        Self {
            series: value(|size| size.series),
            plain: value(|size| size.plain),
            gzip: value(|size| size.gzip),
        }
    }
}

/// Scrapes an exporter of healthy clusters with daily exports, once everything has been read.
async fn scraped(clusters: usize) -> Size {
    const DAY: Duration = Duration::from_hours(24);
    let mut state = atlas_state([]);
    state.projects.clear();
    for number in 0..clusters.div_ceil(OF_PROJECT) {
        let plenty = || TokenBucket::new(1_000_000, 1_000_000);
        let mut project = Project {
            budget: plenty(),
            clusters_budget: plenty(),
            events_budget: plenty(),
            ..Project::new(&format!("payments-{number:03}"))
        };
        for cluster in 0..OF_PROJECT.min(clusters - number * OF_PROJECT) {
            // Clusters have different times, as equal values would compress too well.
            let age = Duration::from_secs((7919 * (number * OF_PROJECT + cluster) as u64) % 80_021 + 3600);
            let snapshots = [0, 1, 2].map(|days| Snapshot::taken(age + DAY * days, "daily"));
            let cluster_name = format!("prod-{number:03}-{cluster}");
            project.clusters.insert(cluster_name, Cluster::exported(snapshots));
        }
        // Ids with little in common, as those of Atlas.
        let id = (number as u128 + 1) * 0x9e37_79b9_7f4a_7c15_f39c % (1 << 80);
        let id = format!("65a1{id:020x}");
        state.projects.insert(id, project);
    }
    let simulator = simulator(state).await;
    let exporter = ExporterBuilder::at(simulator.url())
        .poll_interval("10m")
        .set("poll.stale_after", "1h")
        .set("poll.concurrency", 16)
        .organization(ORGANIZATION)
        .start()
        .await;
    let projects = clusters.div_ceil(OF_PROJECT);
    let complete = |text: &str| {
        let count = |family: &str| text.lines().filter(|line| line.starts_with(family)).count();
        count("mongodbatlas_backup_export_newest_exported_snapshot_timestamp_seconds{") == clusters
            && count("mongodbatlas_backup_export_bucket_missing{") == clusters
            && count("mongodbatlas_backup_export_collector_success{") == projects * 3
    };
    let start = Instant::now();
    while !complete(&exporter.get("/metrics").await.text().await.unwrap()) {
        assert!(start.elapsed() < READY_TIMEOUT, "not everything is read: {}", exporter.log());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Size::of(&exporter).await
}

impl Size {
    async fn of(exporter: &Exporter) -> Self {
        let http = http();
        let get = async |encoding: &str| {
            let request = http.get(format!("{}/metrics", exporter.url)).header("accept-encoding", encoding);
            request.send().await.unwrap().bytes().await.unwrap()
        };
        let (plain, gzip) = (get("identity").await, get("gzip").await);
        let lines = str::from_utf8(&plain).unwrap().lines();
        let series = lines.filter(|line| !line.starts_with('#')).count() as f64;
        Self { series, plain: plain.len() as f64, gzip: gzip.len() as f64 }
    }
}

/// Returns the rows of the table: clusters, series, and bytes, plain and compressed.
fn documented() -> Vec<(usize, Size)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/production.md");
    let text = std::fs::read_to_string(path).unwrap();
    let section = text.split("\n### Size of a scrape\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let number = |cell: &str| {
        let (number, unit) = cell.split_once(' ').unwrap_or((cell, ""));
        let number: f64 = number.replace(',', "").parse().ok()?;
        Some(
            number
                * match unit {
                    "" => 1.0,
                    "KiB" => 1024.0,
                    "MiB" => 1024.0 * 1024.0,
                    _ => return None,
                },
        )
    };
    let row = |line: &str| {
        let cells: Option<Vec<f64>> =
            line.trim_matches('|').split('|').map(|cell| number(cell.trim())).collect();
        let [clusters, series, plain, gzip] = cells?.try_into().ok()?;
        Some((clusters as usize, Size { series, plain, gzip }))
    };
    section.lines().filter(|line| line.starts_with('|')).filter_map(row).collect()
}

#[tokio::test]
async fn documented_scrape_size_is_accurate() {
    // Above 300 clusters, the lines of one metric exceed gzip's window, and the size is linear.
    let (hundred, few, many) = (scraped(100).await, scraped(300).await, scraped(400).await);
    let documented = documented();
    let counts: Vec<_> = documented.iter().map(|(clusters, _)| *clusters).collect();
    assert_eq!(counts, [100, 1000, 10_000]);
    for (clusters, documented) in documented {
        let extrapolated = Size::extrapolated((300, few), (400, many), clusters);
        let real = if clusters == 100 { hundred } else { extrapolated };
        for (what, documented, real) in [
            ("series", documented.series, real.series),
            ("plain", documented.plain, real.plain),
            ("gzip", documented.gzip, real.gzip),
        ] {
            assert!(
                (documented / real - 1.0).abs() < 0.1,
                "{what} of {clusters} clusters: {documented} documented, {real} real"
            );
        }
    }
}
