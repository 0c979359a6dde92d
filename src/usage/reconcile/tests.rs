use proptest::prelude::*;

use super::*;

/// A header of each kind.
const HEADERS: [(Provider, &str); 7] = [
    (
        Provider::OpenAi,
        "start_time_iso,model,input_tokens,output_tokens,input_cached_tokens",
    ),
    (
        Provider::OpenAi,
        "start_time\tamount_value\tamount_currency\tline_item",
    ),
    (
        Provider::OpenAi,
        "timestamp;snapshot_id;n_context_tokens_total;n_generated_tokens_total",
    ),
    (
        Provider::Azure,
        "Date,MeterName,Quantity,CostInBillingCurrency,UnitOfMeasure",
    ),
    (
        Provider::Azure,
        "UsageDateTime,MeterName,MeterCategory,UsageQuantity,PreTaxCost,Currency",
    ),
    (
        Provider::Anthropic,
        "usage_date_utc,model_version,usage_input_tokens_no_cache,usage_output_tokens",
    ),
    (
        Provider::Anthropic,
        "usage_date_utc,model,token_type,cost_usd",
    ),
];

fn read_text(provider: Provider, text: &str) -> Result<Export, ExportError> {
    read(provider, &mut text.as_bytes(), None)
}

#[test]
fn each_header_is_known_whatever_its_letters_look_like() {
    for (provider, header) in HEADERS {
        let spaced = header.to_uppercase().replace('_', " ");
        for text in [
            format!("{header}\n"),
            format!("\u{feff}{header}\r\n"),
            spaced,
        ] {
            let known = match read_text(provider, &text) {
                // Nothing of the provider is in it, but it was read.
                Ok(_) | Err(ExportError::Empty(_)) => true,
                Err(_) => false,
            };
            assert!(known, "{text}");
        }
    }
}

#[test]
fn a_usage_without_models_is_of_days() {
    let text = "start_time,model,input_tokens\n1793750400,,10\n1793750400,,5\n";
    let export = read_text(Provider::OpenAi, text).expect("read");
    assert!(!export.by_model);
    let day = Day::parse("2026-11-04").expect("a day");
    assert_eq!(export.days(), Some((day, day)));
    assert_eq!(export.rows[&(day, String::new())][Measure::Input], 15);
    assert_eq!(export.notes.len(), 1);
}

#[test]
fn audio_is_compared_once_there_is_any() {
    let header = "start_time,model,input_tokens,input_text_tokens,input_audio_tokens";
    let without = format!("{header}\n1793750400,m,10,10,0\n");
    let with = format!("{header}\n1793750400,m,10,10,7\n");
    for (text, told) in [(without, false), (with, true)] {
        let export = read_text(Provider::OpenAi, &text).expect("read");
        assert_eq!(export.tells[Measure::AudioInput], told);
    }
}

#[test]
fn the_former_page_as_json() {
    let text = r#"{"object": "list", "data": [{"aggregation_timestamp": 1793790000, "n_requests": 1,
        "operation": "completion", "snapshot_id": "gpt-4-0613", "n_context_tokens_total": 10, "n_generated_tokens_total": 3}]}"#;
    let export = read_text(Provider::OpenAi, text).expect("read");
    let (key, amounts) = export.rows.first_key_value().expect("a row");
    assert_eq!(
        (key.0.to_string(), &*key.1),
        ("2026-11-04".to_owned(), "gpt-4-0613")
    );
    assert_eq!((amounts[Measure::Input], amounts[Measure::Output]), (10, 3));
    let error = read_text(Provider::OpenAi, r#"{"choices": []}"#).expect_err("another JSON");
    assert!(error.to_string().contains("JSON with choices"), "{error}");
}

proptest! {
    /// Whatever is in a file, it is read or refused.
    #[test]
    fn any_file_is_read_or_refused(
        which in 0..HEADERS.len(),
        body in "([0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9.,\t;e\"-]{0,9}|[a-zA-Z ]{0,6}|,|\t|\n|.){0,60}",
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let (provider, header) = HEADERS[which];
        let _read = read_text(provider, &format!("{header}\n{body}"));
        let _read = read_text(provider, &body);
        let _read = read(provider, &mut &*bytes, None);
    }
}
