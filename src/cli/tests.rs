use super::*;

mod shipped;

#[test]
fn command_line_is_well_formed() {
    Cli::command().debug_assert();
    command().debug_assert();
}

#[test]
fn log_level_does_not_apply_to_libraries() {
    for (text, ours) in [("debug", Level::DEBUG), ("ERROR", Level::ERROR), ("trace", Level::TRACE)] {
        let flag = format!("--log.level={text}");
        let filter = Cli::parse_from(["atlas-backup-exporter", &flag]).filter();
        for one in [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE] {
            assert_eq!(filter.would_enable("atlas_backup_exporter::poll", &one), one <= ours, "{text} {one}");
            assert_eq!(filter.would_enable("exporter_web::server", &one), one <= ours, "{text} {one}");
            assert_eq!(filter.would_enable("hyper", &one), one <= Level::WARN, "{text} {one}");
        }
    }
    assert!(Cli::try_parse_from(["atlas-backup-exporter", "--log.level=loud"]).is_err());
}

#[test]
fn telemetry_path_is_an_unused_path() {
    assert!(telemetry_path("/").is_ok() && telemetry_path("/a/metrics").is_ok());
    for text in ["", "metrics", "//elsewhere", "/{x}", "/-/healthy", "/api/v1/clusters", "/a b"] {
        assert!(telemetry_path(text).is_err(), "{text}");
    }
}
