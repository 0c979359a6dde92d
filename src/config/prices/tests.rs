use super::*;
use crate::types::Cost;
use proptest::prelude::*;

fn input(provider: &str, model: &str) -> Option<f64> {
    look_up(&[], provider, model).map(|found| found.priced.price.rates.input.as_dollars() * 1e6)
}

#[test]
fn the_built_in_table_reads_and_the_longest_name_wins() {
    for (provider, model, expected) in [
        ("openai", "gpt-4o", Some(2.5)),
        ("openai", "openai/gpt-4o", Some(2.5)),
        ("azure", "gpt-4o-2024-11-20", Some(2.5)),
        ("azure_text", "gpt-4o", Some(2.5)),
        ("openai", "gpt-4o-2024-05-13", Some(5.0)),
        ("openai", "gpt-4o-mini-2024-07-18", Some(0.15)),
        ("openrouter", "openai/gpt-4o-mini", Some(0.15)),
        ("litellm_proxy", "gpt-4o-mini", Some(0.15)),
        ("a-gateway-of-our-own", "gpt-4o-mini", Some(0.15)),
        ("openai", "gpt-4-0613", Some(30.0)),
        ("openai", "gpt-4-1106-preview", Some(10.0)),
        ("openai", "text-embedding-3-small", Some(0.02)),
        ("azure", "gpt-35-turbo", Some(0.5)),
        ("anthropic", "claude-sonnet-4-5-20250929", Some(3.0)),
        ("vertex_ai", "claude-sonnet-4-5@20250929", Some(3.0)),
        (
            "bedrock",
            "anthropic.claude-sonnet-4-5-20250929-v1:0",
            Some(3.0),
        ),
        (
            "bedrock",
            "eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
            Some(3.3),
        ),
        // Without a row of its own it is priced without its region.
        ("bedrock", "us.amazon.nova-lite-v1:0", Some(0.06)),
        (
            "bedrock_converse",
            "converse/us.amazon.nova-lite-v1:0",
            Some(0.06),
        ),
        ("azure", "rasa-gpt-4", None),
        ("openai", "gpt-4o-of-tomorrow", None),
        ("openai", "", None),
        // What a server of one's own calls its model says nothing of its price.
        ("self-hosted", "gpt-4o", None),
        ("ollama", "openai/gpt-4o", None),
        // Anyone may run these; DeepSeek's price is only DeepSeek's.
        ("deepseek", "deepseek-chat", Some(0.28)),
        ("openrouter", "deepseek/deepseek-chat", None),
        ("groq", "deepseek-chat", None),
    ] {
        assert_eq!(
            input(provider, model).map(|p| (p * 1e3).round() / 1e3),
            expected,
            "{provider} {model}"
        );
    }
}

#[test]
fn a_match_names_its_row_and_its_table() {
    let found = look_up(&[], "azure", "azure/gpt-4o-2024-11-20").expect("a price");
    assert_eq!(found.row, "azure/gpt-4o");
    let version = &*found.priced.version;
    assert!(version.starts_with("list 20"), "{version}");
    let found = look_up(&[], "openrouter", "openai/gpt-4o-2024-11-20").expect("a price");
    assert_eq!(found.row, "openai/gpt-4o");
}

#[test]
fn tables_of_the_user_come_first() {
    let mut own = Prices::default();
    own.add("gpt-4o", Price::of_tokens(Cost(7), Cost(0)));
    own.add("azure/gpt-4o", Price::of_tokens(Cost(0), Cost(0)));
    let input = |table: &Prices, provider: &str, model: &str| {
        look_up(&[table], provider, model).map(|found| found.priced.price.rates.input)
    };
    assert_eq!(input(&own, "openai", "gpt-4o"), Some(Cost(7)));
    assert_eq!(input(&own, "openai", "gpt-4o-2024-11-20"), Some(Cost(7)));
    assert_eq!(input(&own, "azure", "gpt-4o"), Some(Cost(0)));
    assert_eq!(input(&own, "azure_text", "gpt-4o"), Some(Cost(0)));
    let found = look_up(&[&own], "azure", "gpt-4o").expect("a price");
    assert_eq!(
        (&*found.row, &*found.priced.version),
        ("azure/gpt-4o", "config")
    );
}

#[test]
fn the_format_of_litellm() {
    let text = r#"{"sample_spec": {"mode": "one of"},
        "m": {"input_cost_per_token": 1e-06, "mode": "chat"},
        "free": {"input_cost_per_token": 0, "output_cost_per_token": 0.0},
        "half": {"output_cost_per_token": 1e-06},
        "odd": {"input_cost_per_token": 1.5e-12},
        "steps": {"input_cost_per_token": 1e-6, "input_cost_per_token_above_128k_tokens": 2e-6,
            "input_cost_per_token_above_200k_tokens": 3e-6},
        "all": {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6, "cache_read_input_token_cost": 1e-7,
            "cache_creation_input_token_cost": 1.25e-6, "output_cost_per_reasoning_token": 3e-6,
            "input_cost_per_audio_token": 4e-6, "output_cost_per_audio_token": 5e-6, "input_cost_per_image_token": 6e-6,
            "input_cost_per_request": 0.005, "input_cost_per_token_above_512k_tokens": 7e-6,
            "input_cost_per_token_above_512k_tokens_priority": 9e-6, "cache_creation_input_token_cost_above_1hr": 8e-6,
            "output_cost_per_token_above_512k_tokens": 8e-6, "input_cost_per_token_batches": 1e-9}}"#;
    let read = Prices::from_litellm(text).expect("JSON");
    let file = &read.prices;
    let price = |model: &str| look_up(&[file], "x", model).map(|found| found.priced.price);
    let of = |input: u64| Some(Price::of_tokens(Cost(input), Cost(0)));
    assert_eq!(price("m"), of(1_000_000));
    assert_eq!(price("free"), of(0), "0 is a price");
    assert_eq!(price("half"), None);
    assert_eq!(price("steps"), None);
    assert_eq!(price("odd"), of(2));
    assert_eq!(
        (read.rounded, read.left_out),
        (vec!["odd".into()], vec!["steps".into()])
    );
    let all = price("all").expect("a price");
    let rates = crate::types::Rates {
        input: Cost(1_000_000),
        output: Cost(2_000_000),
        cached_input: Some(Cost(100_000)),
        cache_write: Some(Cost(1_250_000)),
        reasoning: Some(Cost(3_000_000)),
        audio_input: Some(Cost(4_000_000)),
        audio_output: Some(Cost(5_000_000)),
        image_input: Some(Cost(6_000_000)),
    };
    let above = crate::types::Rates {
        input: Cost(7_000_000),
        output: Cost(8_000_000),
        ..rates
    };
    let whole = Price {
        rates,
        above: Some((512_000, above)),
        request: Cost(5_000_000_000),
    };
    assert_eq!(all, whole);
    // `printf %s "$text" | sha256sum` says the same.
    let version = look_up(&[file], "x", "m").expect("a price").priced.version;
    assert_eq!(version.len(), "file ".len() + 8);
    assert!(version.starts_with("file "), "{version}");
    assert!(Prices::from_litellm("- 1").is_err());
}

#[test]
fn what_is_given_stands_before_what_is_known() {
    let known = Price {
        rates: crate::types::Rates {
            input: Cost(10),
            output: Cost(20),
            cached_input: Some(Cost(1)),
            reasoning: Some(Cost(30)),
            ..Default::default()
        },
        above: Some((
            200_000,
            crate::types::Rates {
                input: Cost(100),
                output: Cost(200),
                cached_input: Some(Cost(11)),
                ..Default::default()
            },
        )),
        request: Cost(5),
    };
    let over = |given: &[(&str, f64)]| {
        let get = |name: &str| {
            given
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, v)| *v * 1e-12)
        };
        Sheet::read(get, THRESHOLDS).over(Some(&known)).price
    };
    // Who says what input costs has said it of cached input too, and the threshold's prices belong to the others.
    let own_input = over(&[("input_cost_per_token", 7.0)]);
    assert_eq!(own_input.rates.input, Cost(7));
    assert_eq!(own_input.rates.cached_input, None);
    assert_eq!(
        (own_input.rates.output, own_input.rates.reasoning),
        (Cost(20), Some(Cost(30)))
    );
    assert_eq!((own_input.above, own_input.request), (None, Cost(5)));
    let own_cached = over(&[("cache_read_input_token_cost", 3.0)]);
    assert_eq!(own_cached.rates.input, Cost(10));
    assert_eq!(own_cached.rates.cached_input, Some(Cost(3)));
    let above = own_cached.above.expect("still there").1;
    assert_eq!(
        (above.input, above.cached_input),
        (Cost(100), Some(Cost(3)))
    );
    let own_above = over(&[("input_cost_per_token_above_128k_tokens", 9.0)]);
    let (threshold, above) = own_above.above.expect("given");
    assert_eq!(
        (threshold, above.input, above.output),
        (128_000, Cost(9), Cost(20))
    );
}

proptest! {
    #[test]
    fn never_panics(provider in ".*", model in ".*") {
        let _ = look_up(&[], &provider, &model);
        let _ = look_up(&[], "bedrock", &model);
    }
}
