use tracing::Level;

use super::*;

mod shipped;

#[test]
fn the_command_line_is_well_formed() {
    Cli::command().debug_assert();
}

#[test]
fn listen_addresses_are_those_of_prometheus() {
    for text in [":10027", "127.0.0.1:0", "localhost:9", "[::1]:8080"] {
        assert_eq!(text.parse::<ListenAddress>().unwrap().to_string(), text);
    }
    for text in ["", "10027", "::1:80", "host:", "host:http", ":65536"] {
        assert!(text.parse::<ListenAddress>().is_err(), "{text}");
    }
}

#[test]
fn the_level_is_for_the_exporter_and_not_for_its_libraries() {
    for (text, ours) in [("debug", Level::DEBUG), ("ERROR", Level::ERROR), ("trace", Level::TRACE)] {
        let filter = level(text).unwrap();
        for one in [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE] {
            assert_eq!(filter.would_enable("atlas_backup_exporter::poll", &one), one <= ours, "{text} {one}");
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
