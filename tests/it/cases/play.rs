//! Plays a case: its configuration over a lab, step by step.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt as _, join};
use serde::Deserialize;
use serde_json::{Value, json};
use waypost::clock::{ManualClock, SystemClock};
use waypost::config;
use waypost::lab::{Behaviour, Handle, Hold, Lab};

use super::{Act, Case, Object};
use crate::support::{Answer, Gateway, Request, held, lab, received, together};

/// Said of whatever keeps state, and not what a case is about.
const ALONE: [&str; 2] = ["each process counts alone", "replicas do not share them"];

/// What is done, in this order.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Step {
    /// Deployments behave otherwise from now on,
    #[serde(default)]
    lab: BTreeMap<String, Act>,
    /// or for one request.
    #[serde(default)]
    once: BTreeMap<String, Act>,
    /// Time passes.
    wait: Option<String>,
    ask: Option<Ask>,
}

/// Requests.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Ask {
    /// A chat if nothing is said.
    path: String,
    get: bool,
    /// The first group if nothing is said.
    model: Option<String>,
    /// Further members of the body.
    body: Object,
    headers: BTreeMap<String, String>,
    times: usize,
    /// At once, not one after the other.
    together: bool,
    /// Nobody answers until so many have come; then the steps of `meanwhile` are done.
    hold: usize,
    meanwhile: Vec<Step>,
    /// Their client leaves when it has seen some of the answer.
    leave: bool,
    expect: Expect,
}

impl Default for Ask {
    fn default() -> Self {
        Self {
            path: "/v1/chat/completions".to_owned(),
            get: false,
            model: None,
            body: Object::new(),
            headers: BTreeMap::new(),
            times: 1,
            together: false,
            hold: 0,
            meanwhile: Vec::new(),
            leave: false,
            expect: Expect::default(),
        }
    }
}

/// What has to be so. What is said of an answer is said of each.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Expect {
    /// 200 if nothing is said; of several answers how many have which.
    status: Option<u16>,
    statuses: BTreeMap<u16, usize>,
    /// Headers, by what follows `x-waypost-`.
    is: BTreeMap<String, Value>,
    /// Headers by their whole name; null: not there.
    headers: BTreeMap<String, Option<String>>,
    /// The body has at least this, as JSON,
    says: Option<Value>,
    /// these texts, and not those.
    text: Vec<String>,
    no_text: Vec<String>,
    /// Requests that deployments have received, one number or the least and the most; those not named none.
    calls: Option<BTreeMap<String, Count>>,
    /// Members of the last body a deployment got; null: not there.
    sent: BTreeMap<String, Object>,
    /// Requests in flight afterwards, by the gateway's count.
    in_flight: Option<u32>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Count {
    Exactly(u64),
    Between(u64, u64),
}

struct Stage {
    lab: Lab,
    gateway: Gateway,
    clock: Arc<ManualClock>,
    model: String,
}

pub(super) async fn case(case: Case) {
    let names: std::collections::BTreeSet<_> = case
        .deployments()
        .map(|(_, name, _)| name.as_str())
        .collect();
    let lab = lab(names);
    let variable = |name: &str| match name.split_once('_')? {
        ("URL", name) => Some(lab.get(name)?.base_url()),
        ("ROOT", name) => Some(lab.get(name)?.root_url()),
        ("KEY", _) => Some("sk-of-a-test".to_owned()),
        _ => None,
    };
    let read = config::load_str("config.yaml", &case.config(), &variable, false);
    if let Some(wanted) = &case.refused {
        let findings = read.err().unwrap_or_default();
        let texts: Vec<_> = findings.iter().map(ToString::to_string).collect();
        assert!(
            texts.iter().any(|text| text.contains(wanted)),
            "not refused with {wanted:?}: {texts:#?}"
        );
        return;
    }
    let (config, findings) = read.unwrap_or_else(|findings| panic!("{findings:#?}"));
    let texts: Vec<_> = findings.iter().map(ToString::to_string).collect();
    for wanted in &case.said {
        assert!(
            texts.iter().any(|text| text.contains(wanted)),
            "not said: {wanted:?}: {texts:#?}"
        );
    }
    let expected = || {
        ALONE
            .into_iter()
            .chain(case.said.iter().map(String::as_str))
    };
    let expected = |text: &String| expected().any(|part| text.contains(part));
    assert!(texts.iter().all(expected), "said as well: {texts:#?}");
    for (name, act) in &case.lab {
        set(lab.deployment(name), act.behaviour()).await;
    }
    let (gateway, clock) = if case.real_time {
        (
            Gateway::of(&config, Arc::new(SystemClock)).await,
            Arc::new(ManualClock::new()),
        )
    } else {
        Gateway::of_with_manual_clock(&config).await
    };
    let model = case.models.keys().next().cloned().unwrap_or_default();
    let stage = Stage {
        lab,
        gateway,
        clock,
        model,
    };
    stage.play(&case.steps).await;
    stage.gateway.stop().await;
}

async fn set(handle: &Handle, behaviour: Behaviour) {
    handle.set(behaviour);
    handle.settled().await;
}

impl Stage {
    fn play<'a>(&'a self, steps: &'a [Step]) -> BoxFuture<'a, ()> {
        async move {
            for (n, step) in steps.iter().enumerate() {
                for (name, act) in &step.lab {
                    set(self.lab.deployment(name), act.behaviour()).await;
                }
                for (name, act) in &step.once {
                    self.lab.deployment(name).behave_next(1, act.behaviour());
                }
                if let Some(wait) = &step.wait {
                    self.clock
                        .advance(humantime::parse_duration(wait).expect("a time"));
                }
                if let Some(ask) = &step.ask {
                    self.ask(ask, &format!("step {}", n + 1)).await;
                }
            }
        }
        .boxed()
    }

    fn request(&self, ask: &Ask) -> Request {
        let path = &ask.path;
        let mut request = if ask.get {
            self.gateway.request(http::Method::GET, path)
        } else {
            let model = ask.model.as_ref().unwrap_or(&self.model);
            let mut body = json!({"model": model});
            if ask.path.ends_with("/embeddings") {
                body["input"] = "hello".into();
            } else {
                body["messages"] = json!([{"role": "user", "content": "hello"}]);
            }
            for (name, value) in &ask.body {
                body[name] = value.clone();
            }
            self.gateway.post(path).json(&body)
        };
        for (name, value) in &ask.headers {
            request = request.header(name, value);
        }
        request
    }

    async fn ask(&self, ask: &Ask, at: &str) {
        let before = received(&self.lab);
        let request = self.request(ask);
        let answers = if ask.leave {
            self.leave(&request, ask.times).await;
            Vec::new()
        } else if ask.hold > 0 {
            let all = self.lab.deployments();
            all.iter()
                .for_each(|d| d.set(Behaviour::hold(Hold::BeforeHead)));
            let rest = async {
                held(all, ask.hold as u64).await;
                self.play(&ask.meanwhile).await;
                all.iter().for_each(Handle::reset);
                all.iter().for_each(Handle::release);
            };
            join(together(vec![request; ask.times]), rest).await.0
        } else if ask.together {
            together(vec![request; ask.times]).await
        } else {
            let mut answers = Vec::new();
            for _ in 0..ask.times {
                answers.push(request.clone().send().await);
            }
            answers
        };
        let expect = &ask.expect;
        answers
            .iter()
            .for_each(|answer| expect.holds_of(answer, at));
        for (status, wanted) in &expect.statuses {
            let found = answers
                .iter()
                .filter(|answer| answer.status == *status)
                .count();
            assert_eq!(found, *wanted, "{at}: answers with {status}: {answers:#?}");
        }
        if let Some(calls) = &expect.calls {
            let after = received(&self.lab);
            for ((handle, before), after) in self.lab.deployments().iter().zip(before).zip(after) {
                let (least, most) = match calls.get(handle.name()) {
                    None => (0, 0),
                    Some(Count::Exactly(n)) => (*n, *n),
                    Some(Count::Between(least, most)) => (*least, *most),
                };
                let calls = after - before;
                assert!(
                    (least..=most).contains(&calls),
                    "{at}: {} was asked {calls} times",
                    handle.name()
                );
            }
        }
        for (name, members) in &expect.sent {
            let last = self
                .lab
                .deployment(name)
                .last_request()
                .expect("a request")
                .json();
            for (member, value) in members {
                assert_eq!(
                    last[member], *value,
                    "{at}: {member} of what {name} got: {last}"
                );
            }
        }
        if let Some(wanted) = expect.in_flight {
            let count: u32 = self.gateway.in_flight(&self.model).iter().sum();
            assert_eq!(count, wanted, "{at}: in flight");
        }
    }

    /// Clients that see the first of a stream and go.
    async fn leave(&self, request: &Request, times: usize) {
        let all = self.lab.deployments();
        all.iter()
            .for_each(|d| d.set(Behaviour::hold(Hold::After(2))));
        let mut streams = Vec::new();
        for _ in 0..times {
            let mut stream = request.clone().stream().await;
            stream
                .chunk()
                .await
                .expect("a first chunk")
                .expect("in order");
            streams.push(stream);
        }
        drop(streams);
        for handle in all {
            handle.wait_for(|stats| stats.in_flight == 0).await;
            handle.reset();
        }
        while self.gateway.in_flight(&self.model).iter().any(|n| *n > 0) {
            tokio::task::yield_now().await;
        }
    }
}

impl Expect {
    fn holds_of(&self, answer: &Answer, at: &str) {
        if self.statuses.is_empty() {
            let text = String::from_utf8_lossy(&answer.body);
            assert_eq!(answer.status, self.status.unwrap_or(200), "{at}: {text}");
        }
        for (name, wanted) in &self.is {
            let header = match name.as_str() {
                "group" => "x-waypost-model-group".to_owned(),
                other => format!("x-waypost-{other}"),
            };
            let found = answer.header(&header);
            let same = |wanted: &Value| match wanted {
                Value::Null => found.is_none(),
                Value::String(text) => found == Some(text),
                other => found == Some(&*other.to_string()),
            };
            let any = wanted
                .as_array()
                .map_or_else(|| same(wanted), |all| all.iter().any(same));
            assert!(
                any,
                "{at}: {header} is {found:?}, not {wanted}; {:?}",
                answer.headers
            );
        }
        for (name, wanted) in &self.headers {
            let found = answer.header(name);
            assert_eq!(
                found,
                wanted.as_deref(),
                "{at}: {name}: {:?}",
                answer.headers
            );
        }
        if let Some(wanted) = &self.says {
            let found = answer.json();
            assert!(has(&found, wanted), "{at}: {wanted} is not in {found:#}");
        }
        let text = String::from_utf8_lossy(&answer.body);
        for wanted in &self.text {
            assert!(text.contains(wanted), "{at}: no {wanted:?} in {text}");
        }
        for wanted in &self.no_text {
            assert!(!text.contains(wanted), "{at}: {wanted:?} in {text}");
        }
    }
}

/// Whether all of `wanted` is in `found`: of an object the members it names.
fn has(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => wanted
            .iter()
            .all(|(name, wanted)| has(found.get(name).unwrap_or(&Value::Null), wanted)),
        (Value::Array(found), Value::Array(wanted)) => {
            found.len() == wanted.len() && found.iter().zip(wanted).all(|(f, w)| has(f, w))
        }
        (Value::Number(found), Value::Number(wanted)) => found.as_f64() == wanted.as_f64(),
        _ => found == wanted,
    }
}
