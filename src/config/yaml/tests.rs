use super::*;

fn table(text: &str) -> Map<String, Value> {
    match read(text).unwrap_or_else(|error| panic!("{text}: {error}")).kind {
        ValueKind::Table(table) => table,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_would_exhaust_its_reader_is_refused() {
    let laughs = (1..9).map(|level| {
        let before = format!("*a{},", level - 1).repeat(9);
        format!("a{level}: &a{level} [{before}]\n")
    });
    let laughs = format!("a0: &a0 [x]\n{}", laughs.collect::<String>());
    let one_long = format!("a: &a {}\nb: [{}]\n", "x".repeat(10_000), "*a,".repeat(1000));
    // Each anchor keeps a copy of what is within it.
    let anchors: Vec<_> = (0..28).map(|level| format!("&a{level} [")).collect();
    let kept = format!("a: {}{}{}", anchors.concat(), "1,".repeat(100_000), "]".repeat(28));
    for (text, said) in [
        (laughs, "is larger than 1048576 bytes"),
        (one_long, "is larger than 1048576 bytes"),
        (kept, "is larger than 1048576 bytes"),
        (format!("a:\n {}b", "- ".repeat(100_000)), "nests deeper than 32, at line 2"),
        (format!("a: {}{}", "[".repeat(32), "]".repeat(32)), "nests deeper than 32, at line 1"),
        (format!("a: {}", "[".repeat(100_000)), "at line 1"),
        (format!("{}b", "? ".repeat(100_000)), "no text"),
    ] {
        let error = read(&text).unwrap_err();
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn what_is_not_plain_is_refused() {
    for (text, said) in [
        ("a: 1\na: 2", "has the same key twice, at line 2"),
        ("a: 1\n'a': 2", "has the same key twice, at line 2"),
        ("a: 1\n!!str a: 2", "has the same key twice, at line 2"),
        ("a: !!int x", "has a tag, which nothing here needs, at line 1"),
        ("!!int a: x", "has a tag"),
        ("a: {!!int b: c}", "has a tag"),
        ("a: !!map {}", "has a tag"),
        ("a: !mine x", "has a tag"),
        ("c: 1\n? [x]\n: 1", "has a key that is no text, at line 2"),
        ("&a\nb: *a", "has an alias of what has not ended, at line 2"),
        ("a: *b", "not YAML at line 1: "),
        ("a: &b [*b]", "has an alias of what has not ended"),
        ("a: 1\n---\nb: 2", "has a second document"),
        ("a: 1\n...\nb: 2", "at line"),
        ("a: 1\n\0\nb: 2", "not YAML at line 2: a control character"),
        ("\0\0\0", "not YAML at line 1: a control character"),
        ("# a\u{2028}b: 1", "not YAML at line 1: a control character"),
        ("# a\u{2029}b: 1", "not YAML at line 1: a control character"),
        ("- a", "should be keys and their values"),
        ("a", "should be keys and their values"),
    ] {
        let error = read(text).expect_err(text);
        assert!(error.contains(said), "{text}: {error}");
    }
}

#[test]
fn keys_are_what_is_written() {
    let keys: Vec<_> = table("a.b: 1\na[3]: 2\n7: 3\ntrue: 4\n'<<': 5\n~: 6\nA: 7").into_keys().collect();
    assert_eq!(keys.len(), 7);
    for key in ["a.b", "a[3]", "7", "true", "<<", "~", "A"] {
        assert!(keys.iter().any(|known| known == key), "{key} of {keys:?}");
    }
}

#[test]
fn values_are_what_they_look_like() {
    let table = table(
        "a: [x, 'x', 7, '7', -1, 1.5, .5, true, 'true', ~, yes, 0x1f, 1e3, inf, .inf, !!str 7, \"\\u00e4\"]\nb:\nc: |\n  x\n  y\nd: >\n  x\n  y\n",
    );
    let ValueKind::Array(values) = &table["a"].kind else { panic!("no list") };
    let kinds: Vec<_> = values.iter().map(|value| value.kind.clone()).collect();
    let text = |text: &str| ValueKind::String(text.to_owned());
    let expected = [
        text("x"),
        text("x"),
        ValueKind::I64(7),
        text("7"),
        ValueKind::I64(-1),
        ValueKind::Float(1.5),
        ValueKind::Float(0.5),
        ValueKind::Boolean(true),
        text("true"),
        ValueKind::Nil,
    ];
    assert_eq!(kinds[..10], expected);
    assert!(
        table["b"].kind == ValueKind::Nil
            && table["c"].kind == text("x\ny\n")
            && table["d"].kind == text("x y\n")
    );
    assert!(kinds.contains(&text("yes")) && kinds.contains(&text("0x1f")) && kinds.contains(&text("inf")));
    assert_eq!(kinds.iter().filter(|kind| **kind == text("7")).count(), 2);
    assert!(kinds.contains(&text("\u{e4}")));
}

#[test]
fn aliases_stand_for_what_they_mean() {
    let table = table("a: &a x\nb: [*a, *a]\nc: &c {d: *a}\ne: *c\n");
    assert_eq!(table["b"].clone().try_deserialize::<Vec<String>>().unwrap(), ["x", "x"]);
    assert_eq!(table["e"], table["c"]);
}

#[test]
fn what_is_empty_is_a_table() {
    for text in ["", "\n", "# nothing", "---", "--- # nothing\n", "~", "{}"] {
        assert!(table(text).is_empty(), "{text}");
    }
    assert_eq!(table("a: 1\r\nb: 2\r\n").len(), 2);
}
