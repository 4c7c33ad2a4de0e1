//! What `check`, `test` and `diff` say of a draft in a repository: what a commit of it could not hold, where that is, and
//! as CI shows it.

use std::{fs, os::unix::fs::symlink};

use crate::{
    harness::{Place, Shop, tidegate},
    repository::{RULES, Repository},
};

/// A container in the folder `shop` of a repository; its rules file has one error, in the third line.
fn broken() -> Repository {
    let repository = Repository::new();
    fs::create_dir_all(repository.folder().join("shop/rules")).expect("a folder");
    repository.place.write("shop/rules/all.yaml", &RULES.replace("Order: { event", "Order: { evnt"));
    repository
}

#[tokio::test]
async fn places_lead_from_where_the_user_stands_and_annotations_from_the_repositorys_root() {
    let repository = broken();
    let file = "shop/rules/all.yaml";
    let absolute = repository.folder().join("shop").display().to_string();
    for (folder, arguments, place) in [
        (".", &["-C", "shop"][..], file),
        (".", &["-C", "./shop/"], file),
        (".", &["-C", &absolute], file),
        ("shop", &[], "rules/all.yaml"),
        ("shop/rules", &["-C", ".."], "../rules/all.yaml"),
        ("rules", &["-C", "../shop"], "../shop/rules/all.yaml"),
    ] {
        let said = async |more: &[&str]| repository.tidegate_in(folder, &[arguments, more].concat()).await;
        let text = said(&["check"]).await;
        assert!(text.out.contains(&format!(" --> {place}:2:12\n")), "{folder} {arguments:?}: {text:?}");
        assert!(text.out.contains("\n2 |   Order: { evnt: purchase }\n"), "{text:?}");
        let github = said(&["check", "--format", "github"]).await;
        assert!(github.out.starts_with(&format!("::error file={file},line=2,col=12,")), "{github:?}");
        let json = said(&["check", "--format", "json"]).await.json();
        assert_eq!(json[0]["place"]["file"], "rules/all.yaml", "within the container");
    }
    repository.place.write(file, RULES);
    let failing = "cases:\n  an order:\n    event: { event: purchase }\n    expect: { fired: [Log orders] }\n";
    repository.place.write("shop/rules/all.test.yaml", failing);
    let text = repository.tidegate(&["-C", "shop", "test"]).await;
    assert!(text.out.contains("FAILED shop/rules/all.test.yaml:2: an order\n"), "{text:?}");
    let github = repository.tidegate_in("shop", &["test", "--format", "github"]).await;
    assert!(github.out.starts_with("::error file=shop/rules/all.test.yaml,line=2,"), "{github:?}");
}

#[tokio::test]
async fn what_a_commit_cannot_hold_fails_the_check_before_there_is_one() {
    let repository = Repository::new();
    fs::rename(repository.folder().join("rules/shop.test.yaml"), repository.folder().join("cases.yaml")).unwrap();
    symlink("../cases.yaml", repository.folder().join("rules/shop.test.yaml")).unwrap();
    let draft = repository.tidegate(&["check"]).await;
    assert_eq!((draft.code, draft.out.matches("symbolic-link").count()), (Some(1), 1), "{draft:?}");
    insta::assert_snapshot!("draft_with_a_link", draft.out);
    let tested = repository.tidegate(&["test"]).await;
    assert_eq!((tested.code, tested.out.matches("symbolic-link").count()), (Some(1), 1), "{tested:?}");
    repository.place.commit();
    assert_eq!(repository.tidegate(&["check"]).await.out, draft.out, "the same words as of the commit");
    let versions = repository.tidegate(&["versions", "--limit", "1"]).await;
    assert!(versions.out.contains("1 error"), "{versions:?}");
}

#[tokio::test]
async fn what_git_ignores_is_told_by_check_and_diff() {
    let repository = Repository::new();
    repository.place.write("tags/own.yaml", "description: A template.\n");
    repository.place.write("tags/own.rhai", "skip(\"nothing\")\n");
    repository.place.write("rules/own.yaml", "tags:\n  Own: { template: own, triggers: Order, consent: ad_storage }\n");
    assert_eq!(repository.tidegate(&["check"]).await.code, Some(0));
    repository.place.write(".gitignore", "own.rhai\n");
    let check = repository.tidegate(&["check"]).await;
    assert_eq!(check.code, Some(1), "what is published would be without the script");
    insta::assert_snapshot!("draft_with_an_ignored_script", check.out);
    let diff = repository.tidegate(&["diff"]).await;
    let announced = "warning: git is told to ignore tags/own.rhai, so no commit holds it; own.rhai in .gitignore:1 says so: \
                     change that, git add --force the file, or delete it\n";
    assert!(diff.out.ends_with(announced), "{diff:?}");
    repository.place.write(".gitignore", "/rules/\n");
    repository.git(&["rm", "-q", "--cached", "-r", "rules"]);
    let check = repository.tidegate(&["check"]).await;
    let words = "error[no-rules]: a commit would have no rules: git is told to ignore all that lies in rules/\n";
    assert!(check.out.starts_with(words), "{check:?}");
}

#[tokio::test]
async fn denied_warnings_are_the_errors_that_they_count_as() {
    let repository = Repository::new();
    repository.place.write("rules/none.yaml", "");
    let fine = repository.tidegate(&["check", "--format", "github"]).await;
    assert_eq!((fine.code, fine.out.starts_with("::warning file=rules/none.yaml,")), (Some(0), true), "{fine:?}");
    let denied = repository.tidegate(&["check", "--format", "github", "--deny", "warnings"]).await;
    assert_eq!((denied.code, denied.out.starts_with("::error file=rules/none.yaml,")), (Some(1), true), "{denied:?}");
    let text = repository.tidegate(&["check", "--deny", "warnings"]).await;
    let end = "1 warning; 1 tag, 1 trigger, 0 variables, no cookie\nthis fails because of --deny warnings\n";
    assert_eq!((text.code, text.out.ends_with(end)), (Some(1), true), "{text:?}");
    let json = repository.tidegate(&["check", "--deny", "warnings", "--format", "json"]).await;
    assert_eq!((json.code, &json.json()[0]["severity"]), (Some(1), &"warning".into()));
}

#[tokio::test]
async fn a_folder_without_rules_is_served_with_the_warning_that_check_gives() {
    let place = Place::empty();
    let check = tidegate(&place, &["check"]).await;
    let warning = "warning[no-rules]: there is no rules/*.yaml, so no tag ever fires";
    assert_eq!((check.code, check.out.starts_with(warning)), (Some(0), true), "{check:?}");
    let shop = Shop::spawn(place, &[]).await;
    shop.server().logs(|line| line == warning).await;
    shop.close().await;
}

#[tokio::test]
async fn rules_of_which_none_is_read_are_an_error_before_and_in_a_commit_and_without_git() {
    let repository = Repository::new();
    let rules = repository.folder().join("rules");
    let (file, head) = (repository.read("rules/shop.yaml"), repository.head());
    fs::remove_dir_all(&rules).expect("the rules");
    repository.place.write("rules", "no folder\n");
    let draft = repository.tidegate(&["check"]).await;
    let words = "error[rules-file]: rules is a file, not a folder\n --> rules:1:1\n";
    assert!(draft.code == Some(1) && draft.out.starts_with(words), "{draft:?}");
    assert!(draft.out.ends_with("\n1 error\n"), "{draft:?}");
    let refused = repository.tidegate(&["publish", "-m", "x"]).await;
    assert!(refused.code == Some(1) && refused.out.contains(words), "{refused:?}");
    assert_eq!(repository.head(), head);
    repository.place.commit();
    assert_eq!(repository.tidegate(&["check"]).await.out, draft.out, "the same words as of the commit");
    let plain = Place::empty();
    fs::remove_dir_all(plain.container().join("rules")).expect("the rules");
    plain.write("rules", "no folder\n");
    let told = tidegate(&plain, &["check"]).await;
    assert!(told.code == Some(2) && told.err.contains("is no container: rules is a file, not a folder"), "{told:?}");

    fs::remove_file(&rules).expect("the file");
    fs::create_dir_all(rules.join("deeper")).expect("a folder");
    repository.place.write("rules/deeper/shop.yaml", &file);
    let draft = repository.tidegate(&["check"]).await;
    assert!(draft.code == Some(1) && draft.out.contains("no-rules]: a commit would have no rules"), "{draft:?}");
    assert!(draft.out.contains("move it up, to rules/shop.yaml"), "{draft:?}");
    let refused = repository.tidegate(&["publish", "-m", "x"]).await;
    assert!(refused.code == Some(2) && refused.err.contains("no file in rules/ is read"), "{refused:?}");
}
