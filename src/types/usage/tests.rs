use super::*;
use proptest::prelude::*;

fn used() -> impl Strategy<Value = TokenUsage> {
    // Mostly nothing of a kind, sometimes more than there can be.
    let part = || prop_oneof![3 => Just(0), 2 => 0..400_u64, 1 => any::<u64>()];
    let whole = prop_oneof![0..500_u64, any::<u64>()];
    (proptest::array::uniform6(part()), whole.clone(), whole).prop_map(
        |(
            [
                cached_input,
                cache_write,
                reasoning,
                audio_input,
                audio_output,
                image_input,
            ],
            input,
            output,
        )| TokenUsage {
            input,
            output,
            cached_input,
            cache_write,
            reasoning,
            audio_input,
            audio_output,
            image_input,
            provenance: Provenance::Reported,
        },
    )
}

fn rates() -> impl Strategy<Value = Rates> {
    let rate = || (0..1_000_000_000_u64).prop_map(Cost);
    let own = || proptest::option::of(rate());
    let further = (own(), own(), own(), own(), own(), own());
    (rate(), rate(), further).prop_map(
        |(
            input,
            output,
            (cached_input, cache_write, reasoning, audio_input, audio_output, image_input),
        )| Rates {
            input,
            output,
            cached_input,
            cache_write,
            reasoning,
            audio_input,
            audio_output,
            image_input,
        },
    )
}

#[test]
fn each_token_is_charged_once_by_the_rate_of_its_bucket() {
    let rates = Rates {
        input: Cost(1),
        output: Cost(10),
        cached_input: Some(Cost(100)),
        cache_write: Some(Cost(1_000)),
        reasoning: Some(Cost(10_000)),
        audio_input: Some(Cost(100_000)),
        audio_output: Some(Cost(1_000_000)),
        image_input: Some(Cost(10_000_000)),
    };
    let price = Price {
        rates,
        above: Some((500, Rates::default())),
        request: Cost(7_000_000_000),
    };
    let usage = TokenUsage {
        input: 15,
        output: 12,
        cached_input: 2,
        cache_write: 3,
        reasoning: 4,
        audio_input: 5,
        audio_output: 6,
        image_input: 1,
        provenance: Provenance::Reported,
    };
    assert_eq!(
        price.of(&usage),
        Cost(
            7_000_000_000
                + 4
                + 2 * 10
                + 2 * 100
                + 3 * 1_000
                + 4 * 10_000
                + 5 * 100_000
                + 6 * 1_000_000
                + 10_000_000
        )
    );
    let of = |input, output| TokenUsage {
        input,
        output,
        ..TokenUsage::default()
    };
    assert_eq!(price.of(&of(500, 1)), Cost(7_000_000_510));
    assert_eq!(
        price.of(&of(501, 1)),
        Cost(7_000_000_000),
        "above the threshold"
    );
    assert_eq!(
        price.of(&of(0, 0)),
        Cost(0),
        "nothing used, nothing charged"
    );
    let like = Price::of_tokens(Cost(3), Cost(5));
    assert_eq!(
        like.of(&usage),
        Cost(15 * 3 + 12 * 5),
        "kinds without a rate"
    );
}

proptest! {
    #[test]
    fn buckets_add_up_to_the_total(usage in used()) {
        let parts = usage.buckets();
        let [mut input, mut output] = [0_u64; 2];
        for (name, of) in TokenBuckets::ALL {
            let sum = match name {
                "output" | "reasoning" | "audio_output" => &mut output,
                _ => &mut input,
            };
            *sum += of(&parts);
        }
        prop_assert_eq!((input, output), (usage.input, usage.output));
        prop_assert_eq!(parts.total(), usage.total());
    }

    #[test]
    fn what_is_cheap_to_reckon_is_right(usage in used(), rates in rates(), request in 0..1_000_u64) {
        let price = Price { rates, above: None, request: Cost(request) };
        let plain = TokenUsage { input: usage.input, output: usage.output, ..TokenUsage::default() };
        // The same without the short way: one token is of a kind that costs what any input does.
        let like = Price { rates: Rates { image_input: None, ..rates }, ..price };
        let long = TokenUsage { image_input: 1, ..plain };
        prop_assert_eq!(price.of(&plain), like.of(&long));
    }
}
