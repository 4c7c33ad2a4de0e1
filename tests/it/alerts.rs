//! The alert rules and the documentation of metrics, held against what `/metrics` really exposes: a rule on a metric that
//! does not exist would never fire, and nobody would notice.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use regex::Regex;
use serde::Deserialize;

use crate::harness::{Shop, purchase};

#[derive(Deserialize)]
struct File {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    name: String,
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    alert: Option<String>,
    record: Option<String>,
    expr: String,
    #[serde(rename = "for", default)]
    _lasting: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

fn doc(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)).expect("a document")
}

fn rules() -> Vec<Rule> {
    let File { groups } = serde_yaml::from_str(&doc("alerts.yaml")).expect("rules");
    let names: Vec<_> = groups.iter().map(|group| &*group.name).collect();
    assert_eq!(names, ["tidegate-availability", "tidegate-latency", "tidegate-downstream", "tidegate-volume"]);
    groups.into_iter().flat_map(|group| group.rules).collect()
}

fn all<'t>(pattern: &str, text: &'t str) -> BTreeSet<&'t str> {
    let pattern = Regex::new(pattern).expect("a pattern");
    pattern.captures_iter(text).map(|found| found.get(1).expect("a group").as_str()).collect()
}

/// Every series that a scrape gives, by name, with the labels that it has in any sample.
async fn exposed() -> BTreeMap<String, BTreeSet<String>> {
    let shop = Shop::open().await;
    shop.accept(&purchase("measured")).await;
    shop.wait_for(1).await;
    let text = shop.metrics().await;
    shop.close().await;

    let mut series: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in text.lines() {
        if let Some(family) = line.strip_prefix("# TYPE ") {
            let (name, kind) = family.split_once(' ').expect("a name and a kind");
            let suffixes: &[&str] = match kind {
                "counter" => &["_total"],
                "gauge" => &[""],
                "histogram" => &["_bucket", "_sum", "_count"],
                "info" => &["_info"],
                other => panic!("{name} is of a new kind: {other}"),
            };
            for suffix in suffixes {
                series.entry(format!("{name}{suffix}")).or_default();
            }
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().expect("a name");
            let labels = series.get_mut(name).unwrap_or_else(|| panic!("{name} has no type"));
            labels.extend(all(r#"[{,]([a-z_]+)=""#, line).into_iter().map(str::to_owned));
        }
    }
    series
}

#[tokio::test(flavor = "multi_thread")]
async fn every_rule_is_about_metrics_that_exist() {
    let exposed = exposed().await;
    let rules = rules();
    let recorded: BTreeSet<&str> = rules.iter().filter_map(|rule| rule.record.as_deref()).collect();
    for Rule { expr, alert, record, .. } in &rules {
        let rule = alert.as_ref().or(record.as_ref()).expect("a name");
        let names = all(r"\b(tidegate_[a-z0-9_]+)", expr);
        let own = all(r"\b(tidegate:[a-z0-9_:]+)", expr);
        assert!(!names.is_empty() || !own.is_empty() || expr.contains("up{"), "{rule} looks at nothing of ours");
        for name in own {
            assert!(recorded.contains(name), "{rule}: nothing records {name}");
        }
        // Scraping adds these two.
        let mut labels = BTreeSet::from(["instance", "job"]);
        for name in &names {
            let known = exposed.get(*name).unwrap_or_else(|| panic!("{rule}: there is no metric {name}"));
            labels.extend(known.iter().map(String::as_str));
        }
        let by = all(r"by \(([a-z_, ]+)\)", expr);
        let by = by.into_iter().flat_map(|list| list.split(", "));
        for label in by.chain(all(r#"[{,]\s*([a-z_]+)\s*(?:=~|!~|!=|=)""#, expr)) {
            assert!(labels.contains(label), "{rule}: none of {names:?} has a label {label}");
        }
        for outcome in all(r#"outcome=~?"([a-z_|]+)""#, expr).into_iter().flat_map(|list| list.split('|')) {
            assert!(doc("operations.md").contains(&format!("`{outcome}`")), "{rule}: there is no outcome {outcome}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_is_documented_and_no_other() {
    let documentation = doc("operations.md");
    let (_, table) = documentation.split_once("## Metrics").expect("a part on metrics");
    let (table, _) = table.split_once("\n## ").expect("a part after it");
    let documented = all(r"`(tidegate_[a-z_]+)`", table);
    let exposed = exposed().await;
    let names = exposed.keys().map(|name| name.strip_suffix("_bucket").unwrap_or(name));
    let names: BTreeSet<&str> = names.filter(|name| !name.ends_with("_sum") && !name.ends_with("_count")).collect();
    assert_eq!(documented, names);
}

#[test]
fn every_alert_says_how_bad_it_is_and_what_to_do() {
    let documentation = doc("operations.md");
    let anchor = |heading: &str| heading.to_lowercase().replace(' ', "-");
    let anchors: BTreeSet<String> = all(r"(?m)^#+ (.+)$", &documentation).into_iter().map(anchor).collect();
    let rules = rules();
    for Rule { alert, labels, annotations, .. } in rules.iter().filter(|rule| rule.alert.is_some()) {
        let alert = alert.as_deref().expect("an alert");
        assert!(labels.get("severity").is_some_and(|severity| ["page", "ticket"].contains(&&**severity)), "{alert}");
        assert!(annotations.contains_key("summary"), "{alert}");
        let runbook = annotations.get("runbook").and_then(|runbook| runbook.strip_prefix("docs/operations.md#"));
        assert!(runbook.is_some_and(|runbook| anchors.contains(runbook)), "{alert}: {runbook:?} is not in {anchors:?}");
        assert!(documentation.contains(alert), "{alert} is not documented");
    }
    for link in all(r"\]\(#([a-z0-9-]+)\)", &documentation) {
        assert!(anchors.contains(link), "#{link} leads nowhere");
    }
}
