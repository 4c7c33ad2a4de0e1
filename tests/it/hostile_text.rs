//! What others wrote (commits, files, visitors) on the terminal of whoever looks: it stays in its line, and steers
//! nothing. What programs read is exact.

use crate::{
    harness::{Place, all_granted, purchase, tidegate},
    repository::{RULES, Repository},
};

/// Clears a screen, begins a line that the runner of GitHub would obey, and turns the direction of writing.
const HOSTILE: &str = "\u{1b}[2Jgone\n::set-env name=PATH::/tmp\r\u{9b}31m\u{202e}lave ##[add-mask]e";

/// Whether a terminal, and a runner that reads its lines, are left in peace.
fn is_harmless(text: &str) -> bool {
    let is_control = |c: char| c.is_control() && c != '\n';
    !text.contains(is_control)
        && !text.contains('\u{202e}')
        && !text.contains("##[")
        && !text.lines().any(|line| line.trim_start().starts_with("::set-env"))
}

fn hostile_repository() -> Repository {
    let repository = Repository::new();
    // Git itself refuses line breaks in a name.
    repository.git(&["config", "user.name", "Ada\u{1b}[31m \u{202e}##[add-mask]a"]);
    repository.place.write("rules/shop.yaml", &RULES.replace("an order", "a sale"));
    repository.git(&["commit", "-q", "-a", "-m", &format!("Mend\u{1b}]0;it\u{7}\u{202e} {}", "all ".repeat(40))]);
    repository
}

#[tokio::test]
async fn versions_are_lines_whatever_their_commits_say() {
    let repository = hostile_repository();
    let versions = repository.tidegate(&["versions"]).await;
    assert!(is_harmless(&versions.out) && versions.out.lines().count() == 2, "{versions:?}");
    let first = versions.out.lines().next().expect("a line");
    assert!(first.contains("Ada\u{fffd}[31m") && first.ends_with('…'), "{first}");
    let json = repository.tidegate(&["versions", "--format", "json"]).await.json();
    let newest = &json["versions"][0];
    assert!(newest["subject"].as_str().expect("text").contains("\u{1b}]0;it\u{7}\u{202e}"), "{newest}");
    assert!(newest["author"]["name"].as_str().expect("text").starts_with("Ada\u{1b}[31m"), "{newest}");
}

#[tokio::test]
async fn names_of_objects_and_files_stay_in_their_line() {
    let repository = hostile_repository();
    // As YAML escapes what must not stand in it as it is.
    let name: String = HOSTILE.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect();
    let rules = format!(
        "triggers: {{ \"{name}\": {{ event: purchase, when: [{{ event_data: title, equals: \"{name}\" }}] }} }}\n\
         tags: {{ \"{name}\": {{ template: log, triggers: \"{name}\", consent: ad_storage, parameters: {{ line: a }} }} }}\n"
    );
    let path = format!("rules/{HOSTILE}.yaml").replace("::/tmp", "");
    repository.place.write(&path, &rules);
    let case = "event: { event: purchase }\n    consent: { ad_storage: granted }\n";
    let cases = format!("cases:\n  \"{name}\":\n    {case}    expect: {{ fired: [\"{name}\"] }}\n");
    repository.place.write("rules/odd.test.yaml", &cases);
    let harmless = async |arguments: &[&str]| {
        for format in ["text", "github"] {
            let ran = repository.tidegate(&[arguments, &["--format", format]].concat()).await;
            assert!(is_harmless(&ran.out) && is_harmless(&ran.err), "{arguments:?}: {}\n{}", ran.out, ran.err);
            assert!(!ran.out.is_empty() || !ran.err.is_empty() || format == "github", "{arguments:?}");
        }
    };
    for arguments in [&["check"][..], &["test", "--coverage"], &["publish", "--dry-run"], &["diff"], &["diff", HOSTILE]]
    {
        harmless(arguments).await;
    }
    repository.place.write("rules/odd.test.yaml", "");
    for arguments in [&["publish", "--dry-run"][..], &["impact"]] {
        harmless(arguments).await;
    }
    repository.place.write(&path, &rules.replace("log", &format!("\"{name}\"")));
    for arguments in [&["check"][..], &["diff"], &["publish", "--dry-run"]] {
        harmless(arguments).await;
    }
    let json = repository.tidegate(&["check", "--format", "json"]).await.json();
    let is_exact = |finding: &serde_json::Value| finding["place"]["file"] == path;
    assert!(json.as_array().expect("findings").iter().any(is_exact), "{json}");
}

#[tokio::test]
async fn what_visitors_send_stays_in_its_line() {
    let rules = "triggers:\n  All: { event_matches: '.*' }\n  Other: { event: x, when: [{ event_data: page_title, equals: a }] }\ntags:\n  Log: { template: log, triggers: All, consent: ad_storage, parameters: { line: '{{Title}}' } }\n  Not: { template: log, triggers: Other, consent: ad_storage, parameters: { line: a } }\nvariables: { Title: { event_data: page_title } }\n";
    let place = Place::with_rules(rules);
    let mut hit = purchase("order-1");
    hit["consent"] = all_granted();
    hit["page_title"] = HOSTILE.into();
    hit["event_id"] = "order-\u{202e}1".into();
    hit["value"] = HOSTILE.into();
    place.write("hit.json", &hit.to_string());
    let file = place.container().join("hit.json");
    for arguments in [&["trace"][..], &["trace", "--format", "github"]] {
        let traced = tidegate(&place, &[arguments, &[file.to_str().expect("text")]].concat()).await;
        assert!(is_harmless(&traced.out) && is_harmless(&traced.err), "{}{}", traced.out, traced.err);
        assert!(traced.out.contains("Log"), "{traced:?}");
    }
}
