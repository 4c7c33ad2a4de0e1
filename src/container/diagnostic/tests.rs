use super::*;

fn sources() -> Sources {
    Sources::from([
        (Arc::from("rules/a.yaml"), "tags:\n\tSign-up:\r\n  日本: \"é\" # end\n".into()),
        (Arc::from("tags/b.rhai"), b"let x = 1;\nfoo(x\n".to_vec()),
    ])
}

fn at(file: &str, line: u32, column: u32, length: u32) -> Place {
    Place::new(&Arc::from(file), line, column, length)
}

fn report() -> Diagnostics {
    let mut diagnostics = Diagnostics::default();
    diagnostics.extend([
        Diagnostic::error("script", "expected )").at(at("tags/b.rhai", 2, 6, 1)).of("template \"b\""),
        Diagnostic::warning("odd", "100% odd, isn't it: tag \"x\"")
            .at(at("rules/a.yaml", 3, 7, 3))
            .of("tag \"x\"")
            .found("the text \"é\"")
            .help("do this\nor that".to_owned()),
        Diagnostic::error("unknown-key", "unknown key \"Sign-up\"").at(at("rules/a.yaml", 2, 2, 7)),
        Diagnostic::note("shadowed", "the container's tags/b.rhai shadows the built-in one"),
    ]);
    diagnostics
}

#[test]
fn text_shows_the_extract_with_a_marker_under_it() {
    insta::assert_snapshot!(text(&report(), &sources(), Colour::Off), @r#"
    note[shadowed]: the container's tags/b.rhai shadows the built-in one

    error[unknown-key]: unknown key "Sign-up"
     --> rules/a.yaml:2:2
      |
    2 |     Sign-up:
      |     ^^^^^^^

    warning[odd]: 100% odd, isn't it: tag "x"
     --> rules/a.yaml:3:7
      |
    3 |   日本: "é" # end
      |         ^^^
      = help: do this�or that

    error[script]: expected )
     --> tags/b.rhai:2:6
      |
    2 | foo(x
      |      ^
      = in template "b"
    "#);
}

#[test]
fn colours_wrap_and_never_change_the_text() {
    let coloured = text(&report(), &sources(), Colour::On);
    assert!(coloured.contains("\x1b[1;31merror[unknown-key]\x1b[0m: "));
    let stripped: String =
        coloured.split("\x1b[").map(|part| part.split_once('m').map_or(part, |(_, rest)| rest)).collect();
    // The first part has no escape before it.
    assert!(text(&report(), &sources(), Colour::Off).ends_with(stripped.rsplit("error[script]").next().unwrap()));
}

#[test]
fn json_is_one_array_with_every_field() {
    insta::assert_snapshot!(json(&report()).unwrap(), @r#"
    [
      {
        "severity": "note",
        "code": "shadowed",
        "message": "the container's tags/b.rhai shadows the built-in one",
        "owner": null,
        "place": null,
        "found": null,
        "help": null
      },
      {
        "severity": "error",
        "code": "unknown-key",
        "message": "unknown key \"Sign-up\"",
        "owner": null,
        "place": {
          "file": "rules/a.yaml",
          "line": 2,
          "column": 2,
          "length": 7
        },
        "found": null,
        "help": null
      },
      {
        "severity": "warning",
        "code": "odd",
        "message": "100% odd, isn't it: tag \"x\"",
        "owner": "tag \"x\"",
        "place": {
          "file": "rules/a.yaml",
          "line": 3,
          "column": 7,
          "length": 3
        },
        "found": "the text \"é\"",
        "help": "do this\nor that"
      },
      {
        "severity": "error",
        "code": "script",
        "message": "expected )",
        "owner": "template \"b\"",
        "place": {
          "file": "tags/b.rhai",
          "line": 2,
          "column": 6,
          "length": 1
        },
        "found": null,
        "help": null
      }
    ]
    "#);
}

#[test]
fn github_commands_are_escaped() {
    insta::assert_snapshot!(github(&report()), @r#"
    ::notice title=shadowed::the container's tags/b.rhai shadows the built-in one
    ::error file=rules/a.yaml,line=2,col=2,endColumn=9,title=unknown-key::unknown key "Sign-up"
    ::warning file=rules/a.yaml,line=3,col=7,endColumn=10,title=odd::100%25 odd, isn't it: tag "x"%0Ahelp: do this%0Aor that
    ::error file=tags/b.rhai,line=2,col=6,endColumn=7,title=script::expected ) (in template "b")
    "#);
    let mut odd = Diagnostics::default();
    odd.push(Diagnostic::error("x", "50% of a:b, c\r\nd").at(at("rules/100%:a,b\n.yaml", 1, 1, 0)));
    assert_eq!(
        github(&odd),
        "::error file=rules/100%25%3Aa%2Cb%0A.yaml,line=1,col=1,endColumn=2,title=x::50%25 of a:b, c\u{FFFD}%0Ad\n"
    );
}

#[test]
fn a_place_that_does_not_exist_does_no_harm() {
    let places = [
        at("nowhere.yaml", 1, 1, 1),
        at("rules/a.yaml", 0, 0, 0),
        at("rules/a.yaml", 99, 1, 1),
        at("rules/a.yaml", 2, u32::MAX, u32::MAX),
        at("rules/a.yaml", u32::MAX, 1, 1),
    ];
    for place in places {
        let mut diagnostics = Diagnostics::default();
        diagnostics.push(Diagnostic::error("x", "y").at(place));
        assert!(text(&diagnostics, &sources(), Colour::Off).starts_with("error[x]: y\n"));
    }
}

#[test]
fn what_steers_a_terminal_is_not_printed() {
    let mut diagnostics = Diagnostics::default();
    let hostile = "a\x1b[2J\u{202E}b\u{9b}c";
    diagnostics.push(Diagnostic::error("x", hostile).at(at("f", 1, 1, 1)).of(hostile).help(hostile.to_owned()));
    let sources = Sources::from([(Arc::from("f"), hostile.into())]);
    let report = text(&diagnostics, &sources, Colour::Off);
    assert!(!report.contains(['\x1b', '\u{202E}', '\u{9b}']), "{report:?}");
}

#[test]
fn markers_stay_under_their_text_in_long_lines() {
    for (before, length) in [(0, 1), (50, 200), (99, 1), (100, 1), (5_000, 3), (9_999, 1)] {
        let line = format!("{}{}{}", "é".repeat(before), "x".repeat(length), "日".repeat(10_000 - before));
        let mut diagnostics = Diagnostics::default();
        let number = |count: usize| u32::try_from(count).unwrap();
        diagnostics.push(Diagnostic::error("x", "y").at(at("f", 1, number(before + 1), number(length))));
        let report = text(&diagnostics, &Sources::from([(Arc::from("f"), line.into())]), Colour::Off);
        let rows: Vec<Vec<char>> = report.lines().map(|row| row.chars().collect()).collect();
        let (extract, marker) = (&rows[3], &rows[4]);
        let marked = marker.iter().position(|&c| c == '^').unwrap();
        assert_eq!(extract.get(marked), Some(&'x'), "{report}");
        assert!(extract.len() < 120, "{report}");
        let shown = extract.iter().filter(|&&c| c == 'x').count();
        assert_eq!(marker.iter().filter(|&&c| c == '^').count(), shown, "{report}");
    }
}

#[test]
fn the_same_problem_counts_once_and_too_many_are_counted_only() {
    let mut diagnostics = Diagnostics::default();
    for line in (1..=1_500).chain(1..=10) {
        diagnostics.push(Diagnostic::error("x", "y").at(at("f", line, 1, 1)));
    }
    diagnostics.push(Diagnostic::warning("x", "y"));
    assert_eq!(diagnostics.summary(), "1500 errors and 1 warning");
    assert_eq!(diagnostics.iter().count(), 1_001);
    assert_eq!(diagnostics.iter().last().unwrap().message, "501 more are not shown");
    assert_eq!(Diagnostics::default().summary(), "no problems");
    assert!(!Diagnostics::default().has_errors());
}

#[test]
fn neighbours_are_near() {
    let names = ["triggers", "template", "ad_storage", "ad_user_data", "on"];
    for (name, neighbour) in [
        ("trigers", Some("triggers")),
        ("Triggers", Some("triggers")),
        ("tirggers", Some("triggers")),
        ("ad-storage", Some("ad_storage")),
        ("ad user data", Some("ad_user_data")),
        ("no", None),
        ("ON", Some("on")),
        ("banana", None),
        ("", None),
    ] {
        assert_eq!(closest(name, names), neighbour, "{name}");
    }
    assert_eq!(closest(&"a".repeat(1_000_000), names), None);
    assert_eq!(closest("triggers", [&*"a".repeat(1_000_000)]), None);
}

#[test]
fn quotes_are_one_short_line() {
    assert_eq!(quoted("a \"b\"\n'c'"), r#""a \"b\"\n'c'""#);
    assert_eq!(quoted(&"é".repeat(61)), format!("\"{}\"…", "é".repeat(60)));
}
