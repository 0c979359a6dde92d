use proptest::prelude::*;

use super::*;

const ROLE: &str = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n";
const FILTER: &str = "data: {\"choices\":[],\"prompt_filter_results\":[{}]}\n\n";
const TEXT: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"hé\"},\"finish_reason\":null}],\"usage\":null}\n\n";
const STOP: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\": \"stop\"}]}\n\n";
const USED: &str =
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\n";
const DONE: &str = "data: [DONE]\n\n";

fn run(watch: &mut Watch, parts: &[&str]) -> (String, Ending) {
    let mut out = Vec::new();
    for part in parts {
        out.extend_from_slice(&watch.push(Bytes::from((*part).to_owned())).expect("passes"));
    }
    let (rest, ending) = watch.finish().expect("ends");
    out.extend_from_slice(&rest);
    (String::from_utf8(out).expect("text"), ending)
}

fn plain() -> Watch {
    Watch::new(None, false, None)
}

#[test]
fn content_is_told_from_preamble() {
    for preamble in [
        ROLE,
        FILTER,
        ": ping\n\n",
        "data: {malformed\n\n",
        "event: x\n\n",
    ] {
        let mut watch = plain();
        watch
            .push(Bytes::from(preamble.to_owned()))
            .expect("passes");
        assert!(!watch.has_content(), "{preamble}");
    }
    let tool = "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0}]}}]}\n\n";
    let reasoning = "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"hm\"}}]}\n\n";
    let completion = "data: {\"choices\":[{\"text\":\"x\"}]}\n\n";
    for content in [
        TEXT,
        STOP,
        tool,
        reasoning,
        completion,
        "data: {\"object\":\"other\"}\n\n",
    ] {
        let mut watch = plain();
        watch.push(Bytes::from(content.to_owned())).expect("passes");
        assert!(watch.has_content(), "{content}");
    }
}

#[test]
fn nothing_is_changed_and_the_end_is_known() {
    let all = [ROLE, "data: {bad\n\n", TEXT, STOP, USED, DONE];
    let mut watch = plain();
    assert_eq!(run(&mut watch, &all), (all.concat(), Ending::Complete));
    assert_eq!(
        watch.usage(9),
        TokenUsage {
            input: 3,
            output: 2,
            provenance: Provenance::Reported,
            ..TokenUsage::default()
        }
    );
    assert_eq!(
        run(&mut plain(), &[ROLE, TEXT, STOP]).1,
        Ending::Complete,
        "a finish reason is an end"
    );
    assert_eq!(run(&mut plain(), &[ROLE, TEXT]).1, Ending::Truncated);
    assert_eq!(
        run(&mut plain(), &[TEXT, "data: {\"cho"]),
        (TEXT.to_owned(), Ending::Truncated)
    );
}

#[test]
fn a_whole_chunk_passes_uncopied() {
    let chunk = Bytes::from(format!("{TEXT}{TEXT}"));
    assert_eq!(
        plain().push(chunk.clone()).expect("passes").as_ptr(),
        chunk.as_ptr()
    );
}

#[test]
fn usage_only_we_asked_for_is_hidden_whatever_the_cut() {
    let all = [ROLE, TEXT, STOP, USED, DONE].concat();
    let expected = [ROLE, TEXT, STOP, DONE].concat();
    for cut in 0..all.len() {
        if !all.is_char_boundary(cut) {
            continue;
        }
        let mut watch = Watch::new(None, true, None);
        let (out, ending) = run(&mut watch, &[&all[..cut], &all[cut..]]);
        assert_eq!(
            (out.as_str(), ending),
            (expected.as_str(), Ending::Complete),
            "cut at {cut}"
        );
        assert!(watch.usage(0).provenance == Provenance::Reported);
    }
    let with_choice = "data: {\"choices\":[{\"delta\":{}}],\"usage\":{\"prompt_tokens\":3}}\n\n";
    assert_eq!(
        run(&mut Watch::new(None, true, None), &[with_choice]).0,
        with_choice
    );
}

#[test]
fn groqs_own_usage_counts_as_well() {
    let usage = "{\"prompt_tokens\":3,\"completion_tokens\":2}";
    let groq =
        format!("data: {{\"choices\":[{{}}],\"x_groq\":{{\"id\":\"r\",\"usage\":{usage}}}}}\n\n");
    let error = "data: {\"choices\":[],\"x_groq\":\"odd\"}\n\n";
    let mut watch = plain();
    run(&mut watch, &[TEXT, &groq, error, STOP, DONE]);
    let got = watch.usage(0);
    assert_eq!(
        (got.input, got.output, got.provenance),
        (3, 2, Provenance::Reported)
    );
}

#[test]
fn an_error_ends_it() {
    let error = "data: {\"error\":{\"message\":\"m\",\"code\":429}}\n\n";
    let mut watch = plain();
    let (out, ending) = run(&mut watch, &[&format!("{TEXT}{error}{DONE}")]);
    assert_eq!((out.as_str(), ending), (TEXT, Ending::Truncated));
    assert_eq!(
        watch.error().expect("an error").0.code.as_deref(),
        Some("429")
    );
    let quoted =
        "data: {\"choices\":[{\"delta\":{\"content\":\"\\\"error\\\"\"}}],\"x\":\"error\"}\n\n";
    let mut watch = plain();
    assert_eq!(run(&mut watch, &[quoted]).0, quoted);
    assert!(watch.error().is_none());
}

#[test]
fn the_model_can_be_renamed() {
    let mut watch = Watch::new(None, false, Some(Bytes::from_static(b"\"g\"")));
    let event = "data: {\"id\":1,\"model\": \"gpt\",\"choices\":[]}\n\n";
    assert_eq!(
        run(&mut watch, &[event, DONE]).0,
        format!("data: {{\"id\":1,\"model\": \"g\",\"choices\":[]}}\n\n{DONE}")
    );
}

#[test]
fn unreported_usage_is_estimated() {
    let mut watch = plain();
    run(&mut watch, &[ROLE, TEXT, TEXT, STOP, DONE]);
    assert_eq!(
        watch.usage(7),
        TokenUsage {
            input: 7,
            output: 4,
            provenance: Provenance::Counted,
            ..TokenUsage::default()
        }
    );
}

/// What a caller of [`Watch`] sees: it reads no further than an error.
fn seen(
    stream: &[u8],
    cuts: &[usize],
    hide_usage: bool,
    model: Option<Bytes>,
) -> (Vec<u8>, Option<Ending>, TokenUsage) {
    let mut watch = Watch::new(None, hide_usage, model);
    let (mut out, mut from) = (Vec::new(), 0);
    for cut in cuts.iter().copied().chain([stream.len()]) {
        out.extend_from_slice(
            &watch
                .push(Bytes::copy_from_slice(&stream[from..cut]))
                .expect("passes"),
        );
        if watch.error().is_some() {
            return (out, None, watch.usage(0));
        }
        from = cut;
    }
    let (rest, ending) = watch.finish().expect("ends");
    out.extend_from_slice(&rest);
    (out, Some(ending), watch.usage(0))
}

proptest! {
    /// However a stream is cut, the client gets the same bytes, and the same is known of it.
    #[test]
    fn any_cut_gives_the_same_bytes(
        pieces in prop::collection::vec(prop::sample::select(vec![
            ROLE, FILTER, TEXT, STOP, USED, DONE, ": ping\n\n", "\n", "data: {bad\n\n", "event: x\n\n", "data: {\ndata: \"usage\":{\"total_tokens\":1},\"choices\":[]}\n\n",
            "data: {\"model\":\"m\",\ndata: \"choices\":[]}\n\n", "data: {\"error\":{\"message\":\"m\"}}\n\n", "data: half",
        ]), 0..8),
        ends in prop::collection::vec(prop::sample::select(vec!["\n", "\r\n", "\r"]), 8),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
        hide_usage in any::<bool>(),
        rename in any::<bool>(),
    ) {
        let stream: String = pieces.iter().zip(ends).map(|(piece, end)| piece.replace('\n', end)).collect();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.sort_unstable();
        let model = rename.then(|| Bytes::from_static(b"\"g\""));
        let whole = seen(stream.as_bytes(), &[], hide_usage, model.clone());
        prop_assert_eq!(&seen(stream.as_bytes(), &cuts, hide_usage, model.clone()), &whole, "{:?} cut at {:?}", &stream, &cuts);
        let each: Vec<usize> = (1..stream.len()).collect();
        prop_assert_eq!(&seen(stream.as_bytes(), &each, hide_usage, model), &whole, "{:?} cut everywhere", &stream);
        if !hide_usage && !rename && whole.1.is_some() {
            let mut splitter = sse::Splitter::default();
            splitter.push(Bytes::from(stream.clone()));
            let last = splitter.finish();
            let half = if is_readable(&last) { 0 } else { last.len() };
            prop_assert_eq!(&whole.0, &stream.as_bytes()[..stream.len() - half], "nothing to change");
        }
    }
}
