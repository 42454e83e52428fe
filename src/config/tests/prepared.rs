//! Files of other editors, other formats, and misspelled variables.

use super::*;

/// Returns `text` as editors and shells of other systems write it.
fn variants(text: &str) -> [Vec<u8>; 4] {
    let utf16: Vec<_> = format!("\u{feff}{text}\r\n").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let crlf = text.replace('\n', "\r\n");
    [
        format!("\u{feff}{text}").into_bytes(),
        format!("{crlf}\r\n\r\n").into_bytes(),
        format!("\u{feff}{crlf} \t \u{feff}").into_bytes(),
        utf16,
    ]
}

#[test]
fn files_of_any_editor_are_read_alike() {
    let folder = tempfile::tempdir().unwrap();
    let (file, secret) = (folder.path().join("exporter.toml"), folder.path().join("secret"));
    let toml = GOOD.replace("client_secret = \"hush\"", "client_secret_file = \"secret\"");
    for (toml, hush) in variants(&toml).into_iter().zip(variants("hush")) {
        std::fs::write(&file, toml).unwrap();
        std::fs::write(&secret, hush).unwrap();
        let config = Config::layered(&from(&file), []).unwrap();
        assert_eq!(secret_of(&config), "hush");
        assert!(config.projects[0].selection.names.iter().eq(["prod"]));
    }
    let inline = GOOD.replace("\"hush\"", "\"\"\"\n\u{feff}hush \n\"\"\"");
    assert_eq!(secret_of(&load(&inline, &[]).unwrap()), "hush");
    let variables =
        [("MONGODB_ATLAS_CLIENT_ID", "\u{feff}id\r\n"), ("MONGODB_ATLAS_CLIENT_SECRET", "\u{feff}env\r\n")];
    let config = load(GOOD, &variables).unwrap();
    assert_eq!(secret_of(&config), "env");
    assert_eq!(config.projects[0].credentials.to_string(), "service account id");

    std::fs::write(&secret, b"hush\nhu\xe4sh").unwrap();
    let error = Config::layered(&from(&file), []).unwrap_err().to_string();
    assert!(error.contains("secret: not UTF-8 at line 2") && !error.contains("hush"), "{error}");
    std::fs::write(&file, b"# f\xe4r alle\n").unwrap();
    let error = Config::layered(&from(&file), []).unwrap_err().to_string();
    assert!(
        error.contains("exporter.toml: failed to read the configuration file: not UTF-8 at line 1"),
        "{error}"
    );
}

#[test]
fn configuration_in_another_format_is_recognized() {
    for (text, form) in [
        ("atlas:\n  service_account:\n    client_secret: hush\n", "YAML"),
        ("# ours\n---\natlas:\n\tbroken: hush\n", "YAML"),
        ("poll: {interval: 1m}\n", "YAML"),
        ("- hush\n", "YAML"),
        ("basic_auth_users:\n  hush: hush\n", "YAML"),
        ("{\"atlas\": {\"x\": \"hush\"}}\n", "JSON"),
    ] {
        refused(text, &[], &[&format!("exporter.toml: not TOML but {form}; expected lines such as [poll]")]);
    }
    // TOML stays TOML, whatever it is called and wherever it breaks.
    for text in ["[atlas\n", "a = \"b: c\n", "x = [\n", "[poll]\ninterval: 1m\n"] {
        assert!(load(text, &[]).unwrap_err().contains("not TOML: "), "{text}");
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("exporter.yaml");
    std::fs::write(&file, GOOD).unwrap();
    assert!(Config::layered(&from(&file), []).is_ok());
}

#[test]
fn variable_without_double_underscore_is_a_warning() {
    let warnings = |variable: &str| {
        let config = load(GOOD, &[(variable, "30s")]).unwrap_or_else(|error| panic!("{variable}: {error}"));
        assert_eq!(config.poll.interval, Duration::from_mins(1), "{variable}");
        config.warnings.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let interval = "ATLAS_BACKUP_EXPORTER__POLL__INTERVAL";
    let secret = "ATLAS_BACKUP_EXPORTER__ATLAS__SERVICE_ACCOUNT__CLIENT_SECRET";
    for (variable, meant) in [
        ("ATLAS_BACKUP_EXPORTER_POLL_INTERVAL", interval),
        ("ATLAS_BACKUP_EXPORTER_POLL__INTERVAL", interval),
        ("atlas_backup_exporter_poll_interval", interval),
        ("ATLAS_BACKUP_EXPORTER_POLL_INTERVALL", interval),
        ("ATLAS_BACKUP_EXPORTER_POLL_STALE_AFTER", "ATLAS_BACKUP_EXPORTER__POLL__STALE_AFTER"),
        ("ATLAS_BACKUP_EXPORTER_SHARD_INDEX", "ATLAS_BACKUP_EXPORTER__SHARD__INDEX"),
        ("ATLAS_BACKUP_EXPORTER_ATLAS_SERVICE_ACCOUNT_CLIENT_SECRET", secret),
    ] {
        let expected = format!("{variable} is ignored: not a key; did you mean {meant}?");
        assert_eq!(warnings(variable), [expected], "{variable}");
    }
    for variable in [
        // Kubernetes sets these in a namespace with a service of that name.
        "ATLAS_BACKUP_EXPORTER_SERVICE_HOST",
        "ATLAS_BACKUP_EXPORTER_SERVICE_PORT",
        "ATLAS_BACKUP_EXPORTER_SERVICE_PORT_METRICS",
        "ATLAS_BACKUP_EXPORTER_PORT",
        "ATLAS_BACKUP_EXPORTER_PORT_10027_TCP",
        "ATLAS_BACKUP_EXPORTER_PORT_10027_TCP_PROTO",
        "ATLAS_BACKUP_EXPORTER_PORT_10027_TCP_ADDR",
        // Packages and scripts set these.
        "ATLAS_BACKUP_EXPORTER_VERSION",
        "ATLAS_BACKUP_EXPORTER_IMAGE",
        "ATLAS_BACKUP_EXPORTER_HOME",
        "ATLAS_BACKUP_EXPORTER_CONFIG_FILE",
        "ATLAS_BACKUP_EXPORTER_URL",
        "ATLAS_BACKUP_EXPORTER",
        "ATLAS_BACKUP_EXPORTER_",
        "ATLAS_BACKUP_EXPORTERS_POLL_INTERVAL",
        "POLL_INTERVAL",
    ] {
        assert_eq!(warnings(variable), [""; 0], "{variable}");
    }
    assert!(load(GOOD, &[("ATLAS_BACKUP_EXPORTER_POLL_INTERVAL", "")]).unwrap().warnings.is_empty());
}
