//! Scripts that attack the compiler: too large for a file of their own.

use super::{load, on_a_thread};

/// How the compiler likes it, on a small stack: the last message, or `None` if the script is one.
fn problem(script: &str) -> Option<String> {
    on_a_thread(|| {
        let problems = load("hostile", script).err()?;
        problems.iter().filter(|problem| problem.code == "bad-script").map(|problem| problem.message.to_string()).last()
    })
}

#[test]
fn what_stands_too_deep_is_refused_before_the_stack_is_used_up() {
    const DEEP: usize = 10_000;
    // What opens, what stands inside, what closes.
    for (open, inner, close) in [
        ("(", "1", ")"),
        ("[", "1", "]"),
        ("#{ a: ", "1", "}"),
        ("{ ", "1", " }"),
        ("if true { ", "1", " }"),
        ("if true { 1 } else ", "{ 1 }", ""),
        ("while true { ", "", " }"),
        ("do { ", "", " } while true"),
        ("for i in 0..1 { ", "", " }"),
        ("switch 1 { 1 => ", "1", " }"),
        ("try { ", "", " } catch { }"),
        ("|| ", "1", ""),
        ("|x| { ", "1", " }"),
        ("`${", "1", "}`"),
        ("!", "true", ""),
        ("- ", "1", ""),
        ("log(", "1", ")"),
        ("1 + ", "1", ""),
        ("1 + (", "1", ")"),
        ("1 ** ", "1", ""),
        ("params ?? ", "1", ""),
        ("true && ", "true", ""),
        ("params.a.", "a", ""),
        ("params?.a?.", "a", ""),
        ("params.a(", "1", ")"),
        ("params[", "1", "]"),
        ("Fn(", "1", ")"),
        ("return ", "1", ""),
        ("throw ", "1", ""),
        ("/* ", "", " */"),
        ("let x = ", "1", ""),
        ("x::", "y", ""),
    ] {
        let script = format!("{}{inner}{}", open.repeat(DEEP / open.len()), close.repeat(DEEP / open.len()));
        // Most are refused, some are flat or no script at all; none may use up the stack.
        let _ = problem(&script);
    }
    let nested = format!("{}1{}", "[".repeat(DEEP), "]".repeat(DEEP));
    assert_eq!(problem(&nested).as_deref(), Some("expressions or blocks stand too deep inside each other"));
}

#[test]
fn chains_of_any_length_are_refused_before_the_stack_is_used_up() {
    for link in [
        " + 1",
        " - 1",
        " * 1",
        ".a",
        "[0]",
        ".a()",
        "?.a",
        " && true",
        " ?? 1",
        " == 1",
        " in 1",
        "\n;1",
        "; let a = 1",
    ] {
        let _ = problem(&format!("params{}", link.repeat(65_000 / link.len())));
    }
}

#[test]
fn a_script_is_no_longer_than_it_may_be() {
    let line = "let name = event.event_name;\n";
    assert_eq!(problem(&line.repeat(60_000 / line.len() / 200)), None);
    assert_eq!(problem(&line.repeat(70_000 / line.len())).as_deref(), Some("the script is longer than 64 KB"));
    assert_eq!(problem(&format!("let {} = 1;", "n".repeat(60_000))), None, "a long name is merely silly");
    assert!(problem(&format!("let x = \"{}\";", "n".repeat(66_000))).is_some());
    let functions: String = (0..101).map(|n| format!("fn f{n}() {{}}\n")).collect();
    assert!(problem(&functions).is_some(), "more functions than there may be");
}
