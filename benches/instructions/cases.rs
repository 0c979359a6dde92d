//! What is counted: the steps of the hot path, each alone, over inputs that are the same every time.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::time::Instant;
use waypost::access_log::{AccessLog, Field, Key};
use waypost::gateway::parts;
use waypost::metrics::Metrics;
use waypost::request::{Edit, RequestHead, splice};
use waypost::router::cooldown::Rule;
use waypost::router::scores::Scores;
use waypost::router::strategy::{Args, build};
use waypost::router::{Ask, Attempt, Deployment, Outcome, Router};
use waypost::telemetry::LogFormat;
use waypost::types::{
    Abilities, Auth, Clocks, Cost, Dialect, Dropping, Operation, Policy, Price, Provenance, Quirks,
    Rates, StrategyKind, Target, TlsOptions, TokenUsage,
};

/// One step, ready to be done again and again.
pub(crate) type Step = Box<dyn FnMut()>;

/// A step that is counted.
pub(crate) struct Case {
    /// Its name in the budgets.
    pub(crate) name: String,
    /// How often it is done for one count.
    pub(crate) times: u32,
    /// Makes what it needs.
    pub(crate) prepare: Box<dyn Fn() -> Step + Sync>,
}

pub(crate) fn case(
    name: impl Into<String>,
    times: u32,
    prepare: impl Fn() -> Step + Sync + 'static,
) -> Case {
    Case {
        name: name.into(),
        times,
        prepare: Box::new(prepare),
    }
}

const STRATEGIES: [StrategyKind; 5] = [
    StrategyKind::SimpleShuffle,
    StrategyKind::LeastBusy,
    StrategyKind::Latency,
    StrategyKind::Cost,
    StrategyKind::Usage,
];
const USAGE: TokenUsage = TokenUsage {
    input: 250,
    output: 80,
    cached_input: 0,
    reasoning: 0,
    provenance: Provenance::Reported,
    cache_write: 0,
    audio_input: 0,
    audio_output: 0,
    image_input: 0,
};
const MS: Duration = Duration::from_millis(1);

/// All cases, in the order of the table.
pub(crate) fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for (kib, times) in [(1, 400), (32, 40), (256, 8)] {
        cases.push(case(format!("head {kib} KB"), times, move || head(kib, 1)));
    }
    for (kib, times) in [(1, 400), (256, 40)] {
        cases.push(case(format!("splice {kib} KB"), times, move || {
            spliced(kib)
        }));
    }
    cases.push(case("attempt", 10_000, || {
        attempts(StrategyKind::SimpleShuffle, 1)
    }));
    for kind in STRATEGIES {
        for (deployments, times) in [(2, 1000), (10, 1000), (100, 200), (1000, 40)] {
            let name = format!("pick {deployments} {}", kind.name());
            cases.push(case(name, times, move || attempts(kind, deployments)));
        }
    }
    cases.push(case("chunk", 10_000, chunk));
    cases.push(case("peek", 400, || {
        let answer = answer();
        Box::new(move || assert!(parts::peek(black_box(&answer))))
    }));
    cases.push(case("metrics", 10_000, metrics));
    cases.push(case("metrics of a failure", 10_000, failure_metrics));
    cases.push(case("access line", 10_000, access_line));
    cases
}

/// What a careless change would do to the first case: the body is read twice.
pub(crate) fn planted() -> Case {
    let Case { name, times, .. } = all().swap_remove(0);
    case(name, times, || head(1, 2))
}

/// A conversation of about `kib` KiB, with escapes as source code and prose have them.
fn body(kib: usize) -> Bytes {
    let mut messages = vec![serde_json::json!({"role": "system", "content": "You are terse."})];
    let text = "She said \"no\":\n\tlet x = a[1] + 2; // naïve\n".repeat(16);
    let mut left = kib * 1024 - 200;
    while left > 0 {
        let end = text.floor_char_boundary(left.min(text.len()));
        messages.push(serde_json::json!({"role": "user", "content": &text[..end]}));
        left -= left.min(text.len());
    }
    let body = serde_json::json!({
        "model": "gpt-4o", "messages": messages, "stream": true, "temperature": 0.2, "max_tokens": 256,
    });
    body.to_string().into()
}

fn head(kib: usize, readings: u32) -> Step {
    let body = body(kib);
    Box::new(move || {
        for _ in 0..readings {
            let head = RequestHead::read(black_box(&body), None).expect("a request");
            assert!(black_box(head).stream);
        }
    })
}

fn spliced(kib: usize) -> Step {
    let body = body(kib);
    let head = RequestHead::read(&body, None).expect("a request");
    let model = Bytes::from_static(b"\"gpt-4o-2024-11-20\"");
    let options = Bytes::from_static(b"{\"include_usage\":true}");
    Box::new(move || {
        let edits = [
            Edit::Set("model", model.clone()),
            Edit::Set("stream_options", options.clone()),
        ];
        black_box(splice(black_box(&body), &head, &edits));
    })
}

/// A pick, and the attempt to its end, in a group whose deployments have limits, prices and a history.
fn attempts(kind: StrategyKind, deployments: usize) -> Step {
    let group: Vec<_> = (0..deployments).map(deployment).map(Arc::new).collect();
    let args = Args {
        latency_buffer: 0.1,
        ..Args::default()
    };
    let rng = StdRng::seed_from_u64(1);
    let router = Router::new("g".into(), group, build(kind, args), rng);
    let mut now = Instant::now();
    let unix = Duration::from_secs(1_700_000_000);
    let mut begin = move |wait: Duration| {
        now += wait;
        let ask = Ask {
            tried: &[],
            unfit: &[],
            now,
            unix,
            tokens: USAGE,
            streaming: true,
            even_cooling: false,
            conversation: None,
            ticket: None,
        };
        let attempt = router.begin(black_box(&ask)).expect("one is eligible");
        (attempt, now)
    };
    let end = |mut attempt: Attempt, first: Instant| {
        attempt.note_first_content(first);
        attempt.note_usage(USAGE);
        attempt.settle(Outcome::Success, first + 100 * MS);
    };
    // Each has answered once, in a time of its own; then a few are under way for good, as in service.
    for attempt in (0..deployments).map(|_| begin(MS)).collect::<Vec<_>>() {
        let took = 200 * MS + MS * u32::try_from(attempt.0.index() * 7 % 50).expect("small");
        end(attempt.0, attempt.1 + took);
    }
    let under_way: Vec<_> = (0..deployments / 2).map(|_| begin(MS)).collect();
    Box::new(move || {
        assert_eq!(under_way.len(), deployments / 2);
        let (attempt, now) = begin(MS);
        end(attempt, now + 220 * MS);
    })
}

pub(crate) fn deployment(number: usize) -> Deployment {
    let id: Arc<str> = format!("g/{number}").into();
    let target = Target {
        id: Arc::clone(&id),
        provider: "openai".into(),
        dialect: Dialect::OpenAi {
            completions_only: false,
        },
        base_url: "http://127.0.0.1:1/v1".to_owned(),
        model: Arc::clone(&id),
        price_model: id,
        auth: Auth::None,
        defaults: vec![],
        extra_body: vec![],
        extra_headers: vec![],
        renames: &[],
        stream_options: true,
        encoding_format: true,
        quirks: &Quirks::OPENAI,
        dropping: Dropping::default(),
        tls: TlsOptions::default(),
        organization: None,
    };
    Deployment {
        target: Arc::new(target),
        weight: Some(1.0 + (number % 3) as f64),
        rpm: Some(1_000_000),
        tpm: Some(1_000_000_000),
        max_parallel_requests: Some(1_000_000),
        order: None,
        price: Some(
            Price {
                rates: Rates {
                    input: Cost(2_500_000),
                    output: Cost(10_000_000),
                    cached_input: Some(Cost(1_250_000)),
                    ..Rates::default()
                },
                ..Price::default()
            }
            .into(),
        ),
        tags: Arc::default(),
        region: None,
        max_input_tokens: None,
        abilities: Abilities::default(),
        rule: Rule {
            cooldown_time: Duration::from_secs(5),
            allowed_fails: None,
            allowed_fails_policy: Policy::default(),
        },
        num_retries: None,
        clocks: Clocks::default(),
        scores: Arc::new(Scores::default()),
    }
}

/// One event of a stream, in a chunk of its own, as most providers send them.
fn chunk() -> Step {
    let chunk = Bytes::from_static(
        b"data: {\"id\":\"chatcmpl-9xQ3\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\
          \"model\":\"gpt-4o-2024-11-20\",\"system_fingerprint\":\"fp_5f20662549\",\"choices\":[{\"index\":0,\
          \"delta\":{\"content\":\" word\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n",
    );
    let mut watch = parts::watch();
    Box::new(move || assert_eq!(watch(black_box(chunk.clone())), chunk.len()))
}

fn answer() -> Bytes {
    let content = "She said \"no\":\n\tlet x = a[1] + 2;\n".repeat(24);
    let answer = serde_json::json!({
        "id": "chatcmpl-9xQ3", "object": "chat.completion", "created": 1_700_000_000, "model": "gpt-4o-2024-11-20",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 250, "completion_tokens": 80, "total_tokens": 330},
    });
    answer.to_string().into()
}

/// What one answered request does to the series.
fn metrics() -> Step {
    let metrics = Arc::new(Metrics::new());
    let group = metrics.group(&"g".into());
    let deployment = metrics.deployment(&"g".into(), &"g/1".into());
    Box::new(move || {
        deployment.usage(black_box(&USAGE), Some(0.001_425));
        deployment.first_content(black_box(0.22));
        deployment.success();
        group.request(Operation::Chat, "ok", black_box(0.9));
        group.cache("miss");
    })
}

/// What a failed attempt adds.
fn failure_metrics() -> Step {
    let metrics = Arc::new(Metrics::new());
    let deployment = metrics.deployment(&"g".into(), &"g/1".into());
    Box::new(move || {
        deployment.ended(black_box("timeout"));
        deployment.cooled(black_box("timeout"));
    })
}

fn access_line() -> Step {
    let log = AccessLog::new(LogFormat::Text, Box::new(std::io::sink()));
    let mut unix = Duration::from_secs(1_700_000_000);
    Box::new(move || {
        unix += MS;
        let fields = [
            (Key(" request="), Field::Text("req_0123456789abcdef")),
            (Key(" caller="), Field::Text("team-a")),
            (Key(" operation="), Field::Text("chat")),
            (Key(" group="), Field::Text("gpt-4o")),
            (
                Key(" deployment="),
                Field::Text("gpt-4o/azure/gpt-4o-france"),
            ),
            (Key(" status="), Field::Count(200)),
            (Key(" outcome="), Field::Text("ok")),
            (Key(" attempts="), Field::Count(1)),
            (Key(" stream="), Field::Flag(true)),
            (Key(" cache="), Field::Text("miss")),
            (Key(" first_content_ms="), Field::Number(Some(220.123))),
            (Key(" total_ms="), Field::Number(Some(912.75))),
            (Key(" input_tokens="), Field::Count(250)),
            (Key(" output_tokens="), Field::Count(80)),
            (Key(" cost_dollars="), Field::Number(Some(0.001_425))),
            (Key(" failures="), Field::Text("")),
        ];
        log.line(unix, black_box(&fields));
    })
}
