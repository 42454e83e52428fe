use tracing::Level;

use super::*;

mod shipped;

#[test]
fn the_command_line_is_well_formed() {
    Cli::command().debug_assert();
}

#[test]
fn the_level_is_for_the_exporter_and_not_for_its_libraries() {
    for (text, ours) in [("debug", Level::DEBUG), ("ERROR", Level::ERROR), ("trace", Level::TRACE)] {
        let filter = level(text).unwrap();
        for one in [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE] {
            assert_eq!(filter.would_enable("atlas_backup_exporter::poll", &one), one <= ours, "{text} {one}");
            assert_eq!(filter.would_enable("exporter_web::server", &one), one <= ours, "{text} {one}");
            assert_eq!(filter.would_enable("hyper", &one), one <= Level::WARN, "{text} {one}");
        }
    }
    assert!(level("loud").is_err());
}

#[test]
fn the_telemetry_path_is_a_path_and_not_one_of_ours() {
    assert!(telemetry_path("/").is_ok() && telemetry_path("/a/metrics").is_ok());
    for text in ["", "metrics", "//elsewhere", "/{x}", "/-/healthy", "/api/v1/clusters", "/a b"] {
        assert!(telemetry_path(text).is_err(), "{text}");
    }
}
