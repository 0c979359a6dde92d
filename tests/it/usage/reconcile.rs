//! `waypost reconcile` with each kind of export in `tests/data/exports`.

use super::*;

fn export(name: &str) -> String {
    format!("{}/tests/data/exports/{name}", env!("CARGO_MANIFEST_DIR"))
}

async fn reconciled(entries: &[Entry], provider: &str, names: &[&str], more: &[&str]) -> Exit {
    let dir = folder(entries);
    let files: Vec<String> = names.iter().map(|name| export(name)).collect();
    let mut arguments = vec!["reconcile", "--provider", provider];
    arguments.extend(files.iter().map(String::as_str));
    arguments.extend(more);
    over(dir.path(), &arguments).await
}

fn azure() -> Vec<Entry> {
    let prod = used(
        entry(DAY + HOUR, "azure", "chat-prod"),
        [1_000, 500, 300],
        6_125_000_000,
    );
    let mini = used(
        entry(DAY + HOUR, "azure", "gpt-5-mini"),
        [0, 0, 2_000],
        4_000_000_000,
    );
    vec![prod, mini]
}

fn anthropic() -> Vec<Entry> {
    let mut first = used(
        entry(DAY + HOUR, "anthropic", "claude-haiku-4-5-20251001"),
        [1_000, 5_000, 700],
        4_900_000_000,
    );
    first.tokens.cache_write = 300;
    let second = used(
        entry(DAY + 30 * HOUR, "anthropic", "claude-haiku-4-5"),
        [10, 0, 20],
        110_000_000,
    );
    vec![first, second]
}

#[tokio::test]
async fn every_export_of_openai_agrees_with_the_same_requests() {
    for names in [
        &["openai-usage.csv"][..],
        &["openai-usage-former.csv"],
        &["openai-usage.csv", "openai-cost.csv"],
        &["openai-cost.csv"],
        &["openai-cost-by-day.tsv"],
    ] {
        let exit = reconciled(&openai(), "openai", names, &["--tolerance", "0%"]).await;
        assert_eq!(exit.code, Some(0), "{names:?} {exit:?}");
        assert!(
            exit.stdout.contains("2026-11-04 to 2026-11-05"),
            "{}",
            exit.stdout
        );
    }
    // In JSON, tokens of all of it, and a cost of one line.
    let json = ["--tolerance", "0%", "--format", "json"];
    let exit = reconciled(&openai(), "openai", &["openai-usage.json"], &json).await;
    let answer: Value = serde_json::from_str(&exit.stdout).expect("JSON");
    let total = &answer["total"];
    for bucket in ["input", "cached_input", "output"] {
        assert_eq!(total[bucket]["difference"], 0, "{bucket}");
    }
    assert_eq!(total["cost"]["export"], "0.00075");
}

#[tokio::test]
async fn differences_have_a_size_and_a_likely_cause() {
    let mut entries = openai();
    entries[1].tokens.output -= 15;
    entries[3].model = "text-embedding-3-large".into();
    let exit = reconciled(&entries, "openai", &["openai-usage.csv"], &[]).await;
    assert_eq!(exit.code, Some(1), "{exit:?}");
    let text = &exit.stdout;
    assert_eq!(
        words(text, "output"),
        ["output", "300", "285", "-15", "-5.00", "%", "!"]
    );
    assert!(
        words(text, "2026-11-05  text-embedding-3-small").contains(&"export"),
        "{text}"
    );
    assert!(
        words(text, "2026-11-05  text-embedding-3-large").contains(&"ledger"),
        "{text}"
    );
    assert!(text.contains("did not go through Waypost"), "{text}");
    assert!(text.contains("--same NAME=NAME"), "{text}");

    // Said to be the same, and allowed to be that far off.
    let more = [
        "--same",
        "text-embedding-3-large=text-embedding-3-small",
        "--tolerance",
        "5%",
    ];
    let exit = reconciled(&entries, "openai", &["openai-usage.csv"], &more).await;
    assert_eq!(exit.code, Some(0), "{exit:?}");

    let exit = reconciled(
        &entries,
        "openai",
        &["openai-usage.csv"],
        &["--format", "csv"],
    )
    .await;
    assert!(
        exit.stdout
            .contains("2026-11-04,gpt-4o,differs,output,300,285,-15,true"),
        "{}",
        exit.stdout
    );
}

#[tokio::test]
async fn a_period_cuts_both_sides() {
    let mut entries = openai();
    entries[0].tokens.input = 1;
    let more = ["--since", "2026-11-05"];
    let exit = reconciled(&entries, "openai", &["openai-usage.csv"], &more).await;
    assert_eq!(exit.code, Some(0), "{exit:?}");
}

#[tokio::test]
async fn azure_is_matched_by_meter() {
    let same = ["--same", "chat-prod=gpt-4o", "--tolerance", "0%"];
    let exit = reconciled(&azure(), "azure", &["azure-enterprise.csv"], &same).await;
    assert_eq!(exit.code, Some(0), "{exit:?}");
    assert!(
        exit.stdout.contains("resources left out: 1."),
        "{}",
        exit.stdout
    );
    // Without the name of the deployment the same tokens stand on either side.
    let exit = reconciled(&azure(), "azure", &["azure-enterprise.csv"], &[]).await;
    assert_eq!(exit.code, Some(1));
    assert!(exit.stdout.contains("--same NAME=NAME"), "{}", exit.stdout);
    // One of the resources, and euros.
    let east = [&same[..], &["--resource", "accounts/east"]].concat();
    let exit = reconciled(&azure()[..1], "azure", &["azure-enterprise.csv"], &east).await;
    assert_eq!(exit.code, Some(0), "{exit:?}");
    let exit = reconciled(&azure()[..1], "azure", &["azure-pay-as-you-go.csv"], &same).await;
    assert_eq!(exit.code, Some(0), "{exit:?}");
    assert!(exit.stdout.contains("not in US dollars"), "{}", exit.stdout);
    let nowhere = ["--resource", "nowhere"];
    let exit = reconciled(&azure(), "azure", &["azure-enterprise.csv"], &nowhere).await;
    assert_eq!(exit.code, Some(1));
    assert!(
        exit.stderr.contains("no row of Azure OpenAI"),
        "{}",
        exit.stderr
    );
}

#[tokio::test]
async fn anthropic_tells_cache_writes_and_rounds_costs() {
    let exact = ["--tolerance", "0%"];
    let exit = reconciled(&anthropic(), "anthropic", &["anthropic-usage.csv"], &exact).await;
    assert_eq!(exit.code, Some(0), "{exit:?}");
    // 0.0049 of two rows of 0.00 is rounding; a search on the web is nothing the ledger has.
    let more = ["--until", "2026-11-04", "--tolerance", "0%"];
    let exit = reconciled(&anthropic(), "anthropic", &["anthropic-cost.csv"], &more).await;
    assert_eq!(exit.code, Some(0), "{exit:?}");
    assert!(
        exit.stdout.contains("rounds each cost to cents"),
        "{}",
        exit.stdout
    );
    let exit = reconciled(&anthropic(), "anthropic", &["anthropic-cost.csv"], &exact).await;
    assert_eq!(exit.code, Some(1));
    assert!(
        words(&exit.stdout, "2026-11-05  web-search").contains(&"export"),
        "{}",
        exit.stdout
    );
}

#[tokio::test]
async fn what_is_no_known_export_is_named_with_what_is() {
    for (provider, name, parts) in [
        (
            "openai",
            "anthropic-usage.csv",
            ["usage_date_utc", "start_time"],
        ),
        ("azure", "openai-usage.csv", ["start_time", "MeterName"]),
        (
            "anthropic",
            "azure-enterprise.csv",
            ["MeterName", "usage_input_tokens_no_cache"],
        ),
    ] {
        let exit = reconciled(&openai(), provider, &[name], &[]).await;
        assert_eq!(exit.code, Some(1));
        for part in [&[name, "Found:", "Known:"][..], &parts].concat() {
            assert!(exit.stderr.contains(part), "{part}: {}", exit.stderr);
        }
    }
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("bad.csv");
    let text = "start_time,model,input_tokens\n1793750400,m,many\n";
    fs::write(&file, text).expect("written");
    let ledger = folder(&openai());
    let name = file.display().to_string();
    let exit = over(ledger.path(), &["reconcile", "--provider", "openai", &name]).await;
    assert_eq!(exit.code, Some(1));
    for part in ["bad.csv", "line 2", "input_tokens", "many"] {
        assert!(exit.stderr.contains(part), "{part}: {}", exit.stderr);
    }
}
