use super::*;

fn of_width(width: u16) -> Terminal {
    Terminal { width: Some(width), colour: false }
}

fn row(project: &str, cluster: Option<&str>) -> Row {
    Row { project: Some(project.to_owned()), cluster_name: cluster.map(str::to_owned), ..Row::default() }
}

fn failed(project: &str, cluster: Option<&str>, hint: &str) -> Row {
    row(project, cluster).with(CheckStatus::Failed, hint)
}

fn pattern(project: &str, pattern: &str) -> Row {
    row(project, None).pattern(pattern, "no match")
}

fn excluded(project: &str) -> Row {
    row(project, Some("free")).with(CheckStatus::Excluded, "the cluster has no exports")
}

fn report() -> Report {
    let rows = vec![
        failed("a", None, "do this"),
        failed("b", None, "do this"),
        failed("c", None, "do that"),
        row("d", Some("prod")).note("fine"),
        pattern("d", "none-*"),
    ];
    Report { rows, ..Report::default() }
}

#[test]
fn repeated_hint_is_written_once() {
    let table = report().text(Terminal::default());
    let hint: Vec<_> = table.lines().skip(1).take(5).map(|line| line.rsplit("  ").next().unwrap()).collect();
    assert_eq!(hint, ["do this", "as above", "do that", "fine", "no match"], "{table}");
    assert!(table.ends_with("\n1 cluster that is known, and it can be watched. 3 projects or organizations cannot be read. 1 warning.\n"), "{table}");
}

#[test]
fn narrow_terminal_gets_a_list_of_whole_words() {
    let list = report().text(of_width(80));
    assert!(list.starts_with("a: failed\n    do this\nb: failed\n    as above\n"), "{list}");
    assert!(list.contains("d / prod: ok\n    fine\n"), "{list}");
    assert!(report().text(of_width(TABLE_WIDTH)).starts_with("PROJECT "));
}

#[test]
fn colors_change_only_the_status() {
    let colours = ["\x1b[32mok", "\x1b[33mwarning", "\x1b[31mfailed", "\x1b[2mexcluded"];
    let mut report = report();
    report.rows.push(excluded("e"));
    for terminal in [Terminal::default(), of_width(80), of_width(TABLE_WIDTH)] {
        let (plain, coloured) = (report.text(terminal), report.text(Terminal { colour: true, ..terminal }));
        assert!(!plain.contains('\x1b'), "{plain}");
        for text in [&plain, &coloured] {
            assert!(!text.replace(['\n', '\x1b'], "").contains(atlas_client::redact::is_hidden), "{text:?}");
        }
        for colour in colours {
            assert!(coloured.contains(&format!("{colour}\x1b[0m")), "{colour:?} in {coloured:?}");
        }
        let bare = ["32", "33", "31", "2", "0"]
            .iter()
            .fold(coloured, |text, code| text.replace(&format!("\x1b[{code}m"), ""));
        assert_eq!(bare, plain);
    }
}

#[test]
fn report_without_clusters_is_not_well() {
    let well = |rows: &[Row]| Report { rows: rows.to_vec(), ..Report::default() }.is_well();
    assert!(!well(&[]));
    assert!(!well(&[pattern("a", "x-*")]), "a pattern is no cluster");
    assert!(!well(&[excluded("a")]));
    assert!(well(&[row("a", Some("x")).warn("w")]));
    assert!(!well(&[row("a", Some("x")), failed("b", Some("y"), "")]));
}

#[test]
fn names_are_escaped_for_the_terminal() {
    let name = "a\u{2061}b\u{1b}]0;c\u{9b}d";
    let shown = "a\\u{2061}b\\u{1b}]0;c\\u{9b}d";
    let named = failed(name, Some("x\u{202e}y"), "\u{200f}z");
    let report = Report { rows: vec![named], ..Report::default() };
    let text = report.text(Terminal { width: None, colour: true });
    let line = text.lines().nth(1).unwrap();
    assert!(
        line.starts_with(&format!("{shown}  x\\u{{202e}}y  ")) && line.contains("\x1b[31mfailed\x1b[0m"),
        "{line:?}"
    );
    let list = report.text(of_width(80));
    assert!(list.starts_with(&format!("{shown} / x\\u{{202e}}y: failed\n    \\u{{200f}}z\n")), "{list:?}");
    let json = report.json();
    assert!(!json.replace('\n', "").contains(atlas_client::redact::is_hidden), "{json:?}");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["rows"][0]["project"], name);
}
