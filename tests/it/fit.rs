//! Deployments that can't serve a request, by what is known before anyone is asked: window, abilities, region, tags.
//!
//! In each group the first deployment is asked first (`order`), unless the request is not for it.

use std::sync::Arc;

use serde_json::{Value, json};
use waypost::clock::SystemClock;
use waypost::config::Deployment;
use waypost::lab::Lab;
use waypost::types::{Abilities, TagFilter};

use crate::support::{
    Answer, Gateway, Model, Yaml, chat_body, first_then_second, lab, load, received,
};

/// Over both deployments of `lab`, with pre-call checks, and the first one changed.
async fn checked(lab: &Lab, first: impl FnOnce(&mut Deployment)) -> Gateway {
    let mut config = load(&first_then_second(lab).to_string());
    let group = &mut config.groups[0];
    group.router.pre_call_checks = true;
    first(&mut group.deployments[0]);
    Gateway::of(&config, Arc::new(SystemClock)).await
}

/// A chat of so many words.
fn words(number: usize) -> Value {
    let mut body = chat_body("g");
    body["messages"][0]["content"] = "token ".repeat(number).into();
    body
}

/// The smallest chat, with these members as well.
fn with(members: &Value) -> Value {
    let mut body = chat_body("g");
    for (name, value) in members.as_object().expect("members") {
        body[name] = value.clone();
    }
    body
}

async fn answered_by(gateway: &Gateway, body: &Value) -> (String, u32) {
    let answer = gateway.chat_with(body).send().await.ok();
    (answer.deployment().to_owned(), answer.attempts())
}

#[tokio::test]
async fn a_prompt_goes_where_it_fits() {
    let lab = lab(["small", "large"]);
    let gateway = checked(&lab, |small| small.max_input_tokens = Some(1000)).await;
    for (number, expected) in [(1, "small"), (500, "small"), (2000, "large")] {
        let answered = answered_by(&gateway, &words(number)).await;
        assert_eq!(answered, (expected.to_owned(), 1), "{number} words");
    }
    assert_eq!(received(&lab), [2, 1]);
}

#[tokio::test]
async fn images_are_no_text() {
    let lab = lab(["small", "large"]);
    let gateway = checked(&lab, |small| small.max_input_tokens = Some(1000)).await;
    let url = format!("data:image/png;base64,{}", "iVBORw0KGgo".repeat(10_000));
    let parts = json!([{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "what is it?"}]);
    let body = with(&json!({"messages": [{"role": "user", "content": parts}]}));
    assert_eq!(answered_by(&gateway, &body).await.0, "small");
}

/// An ability that is missing, what asks for it, and the member by which that is told.
fn abilities() -> [(Abilities, Value, &'static str); 3] {
    let image = json!([{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]);
    let tool = json!({"type": "function", "function": {"name": "f"}});
    let schema = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": {}}});
    let (no, all) = (Some(false), Abilities::default());
    [
        (
            Abilities { tools: no, ..all },
            json!({"tools": [tool]}),
            "tools",
        ),
        (
            Abilities { images: no, ..all },
            json!({"messages": [{"role": "user", "content": image}]}),
            "messages",
        ),
        (
            Abilities {
                json_schema: no,
                ..all
            },
            json!({"response_format": schema}),
            "response_format",
        ),
    ]
}

#[tokio::test]
async fn a_request_goes_to_a_model_that_is_able() {
    for (missing, members, _) in abilities() {
        let lab = lab(["unable", "able"]);
        let gateway = checked(&lab, |unable| unable.abilities = missing).await;
        for (_, asked, _) in abilities() {
            let expected = if asked == members { "able" } else { "unable" };
            let answered = answered_by(&gateway, &with(&asked)).await;
            assert_eq!(answered, (expected.to_owned(), 1), "{asked}");
        }
    }
}

#[tokio::test]
async fn where_no_model_is_able_the_request_is_told_in_what() {
    for (missing, members, param) in abilities() {
        let lab = lab(["a", "b"]);
        let mut config = load(&first_then_second(&lab).to_string());
        let group = &mut config.groups[0];
        group.router.pre_call_checks = true;
        for deployment in &mut group.deployments {
            deployment.abilities = missing;
        }
        let gateway = Gateway::of(&config, Arc::new(SystemClock)).await;
        let answer = gateway.chat_with(&with(&members)).send().await;
        let reasons = ["a has a model without", "b has a model without"];
        refused(
            &answer,
            &lab,
            "unsupported_parameter",
            Some(param),
            &reasons,
        );
    }
}

#[tokio::test]
async fn models_are_known_without_being_described() {
    let lab = lab(["gpt-4", "gpt-4o"]);
    let models = (1..)
        .zip(lab.deployments())
        .map(|(n, d)| Model::provider("openai", d).with(&format!("order: {n}")));
    let mut config = load(&Yaml::default().group("g", models).to_string());
    config.groups[0].router.pre_call_checks = true;
    let gateway = Gateway::of(&config, Arc::new(SystemClock)).await;
    for (number, expected) in [(4000, "gpt-4"), (15_000, "gpt-4o")] {
        assert_eq!(
            answered_by(&gateway, &words(number)).await.0,
            expected,
            "{number} words"
        );
    }
}

/// The request is said to be at fault, in what, and what each deployment lacks for it. Nobody was asked, and to ask again
/// is of no use.
#[track_caller]
fn refused(answer: &Answer, lab: &Lab, code: &str, param: Option<&str>, reasons: &[&str]) {
    assert_eq!((answer.status, &*answer.code()), (400, code));
    let error = &answer.json()["error"];
    assert_eq!(
        (&error["type"], error["param"].as_str()),
        (&json!("invalid_request_error"), param)
    );
    for reason in reasons {
        assert!(answer.message().contains(reason), "{}", answer.message());
    }
    assert_eq!(answer.header("x-should-retry"), Some("false"));
    assert_eq!(answer.header("retry-after"), None);
    assert!(received(lab).iter().all(|n| *n == 0));
}

#[tokio::test]
async fn where_it_fits_nowhere_nobody_is_asked() {
    let lab = lab(["a", "b"]);
    let mut config = load(&first_then_second(&lab).to_string());
    let group = &mut config.groups[0];
    group.router.pre_call_checks = true;
    group.deployments[0].max_input_tokens = Some(1000);
    group.deployments[1].max_input_tokens = Some(2000);
    let gateway = Gateway::of(&config, Arc::new(SystemClock)).await;
    let answer = gateway.chat_with(&words(5000)).send().await;
    refused(
        &answer,
        &lab,
        "context_length_exceeded",
        None,
        &[
            "maximum context length of model group `g` is 2000 tokens",
            "a takes prompts of 1000 tokens",
            "b takes prompts of 2000 tokens",
        ],
    );
}

/// One deployment a group, of which the first takes 1000 tokens; `waypost` says who follows it.
fn windows(lab: &Lab, waypost: &str) -> Yaml {
    let yaml = lab.deployments().iter().fold(Yaml::default(), |yaml, d| {
        let small = format!(
            "model_info: {{id: {0}, max_input_tokens: {1}}}",
            d.name(),
            if d.name() == "a" { 1000 } else { 10_000 }
        );
        yaml.group(d.name(), [Model::of(d).with(&small)])
            .router("enable_pre_call_checks: true")
    });
    yaml.waypost(waypost)
}

#[tokio::test]
async fn what_fits_nowhere_in_its_group_follows_the_list_for_long_prompts() {
    for (waypost, expected) in [
        (
            "groups: {a: {fallbacks: [b], context_window_fallbacks: [c]}}",
            "c",
        ),
        ("groups: {a: {fallbacks: [b]}}", "b"),
        ("default_fallbacks: [b]", "b"),
    ] {
        let lab = lab(["a", "b", "c"]);
        let gateway = Gateway::start(&windows(&lab, waypost)).await;
        let ask = async |number, more: Value| {
            let mut body = words(number);
            body["model"] = "a".into();
            for (name, value) in more.as_object().expect("members") {
                body[name] = value.clone();
            }
            gateway.chat_with(&body).send().await
        };
        // Too long for all, or with nobody to turn to, it is the first group's answer.
        for answer in [
            ask(20_000, json!({})).await,
            ask(2000, json!({"disable_fallbacks": true})).await,
        ] {
            let code = "context_length_exceeded";
            refused(&answer, &lab, code, None, &["group `a` is 1000 tokens"]);
        }
        let answer = ask(2000, json!({})).await.ok();
        assert_eq!(
            (answer.deployment(), answer.attempts()),
            (expected, 1),
            "{waypost}"
        );
        assert_eq!(answer.header("x-waypost-fallbacks"), Some("1"));
        assert_eq!(ask(10, json!({})).await.ok().deployment(), "a");
    }
}

#[tokio::test]
async fn a_request_that_fits_nowhere_is_counted_as_wrong_and_one_that_must_wait_is_not() {
    let lab = lab(["small", "large"]);
    let mut config = load(&first_then_second(&lab).to_string());
    let group = &mut config.groups[0];
    group.router.pre_call_checks = true;
    group.deployments[0].max_input_tokens = Some(1000);
    group.deployments[1].max_input_tokens = Some(10_000);
    group.deployments[1].rpm = Some(1);
    let (gateway, _clock) = Gateway::of_with_manual_clock(&config).await;
    assert_eq!(answered_by(&gateway, &words(2000)).await.0, "large");
    let answer = gateway.chat_with(&words(2000)).send().await;
    assert_eq!(
        (answer.status, &*answer.code()),
        (429, "no_deployment_available")
    );
    assert!(answer.header("retry-after").is_some());
    assert_eq!(answer.header("x-should-retry"), Some("true"));
    let answer = gateway.chat_with(&words(20_000)).send().await;
    assert_eq!(answer.status, 400);
    let metrics = gateway.get("/metrics").await;
    for outcome in ["ok", "unavailable", "rejected"] {
        let series = format!("group=\"g\",operation=\"chat\",outcome=\"{outcome}\"}} 1");
        assert!(
            metrics.text().contains(&series),
            "{outcome}: {}",
            metrics.text()
        );
    }
}

#[tokio::test]
async fn nothing_is_checked_unless_asked_for() {
    let lab = lab(["small", "large"]);
    let mut config = load(&first_then_second(&lab).to_string());
    config.groups[0].deployments[0].max_input_tokens = Some(1);
    let gateway = Gateway::of(&config, Arc::new(SystemClock)).await;
    assert_eq!(answered_by(&gateway, &words(100)).await.0, "small");
}

#[tokio::test]
async fn a_region_that_was_asked_for_is_kept_to() {
    let lab = lab(["nowhere", "eu"]);
    let mut config = load(&first_then_second(&lab).to_string());
    config.groups[0].deployments[1].region = Some("eu".into());
    let gateway = Gateway::of(&config, Arc::new(SystemClock)).await;
    let region = |name: &str| with(&json!({"allowed_model_region": name}));
    let answer = gateway.chat_with(&region("us")).send().await;
    refused(
        &answer,
        &lab,
        "no_deployment_in_region",
        Some("allowed_model_region"),
        &["nowhere has no region_name", "eu is in another region"],
    );
    assert_eq!(answered_by(&gateway, &region("eu")).await.0, "eu");
    assert_eq!(answered_by(&gateway, &chat_body("g")).await.0, "nowhere");
}

#[tokio::test]
async fn tags_choose() {
    let lab = lab(["paid", "free"]);
    let mut config = load(&first_then_second(&lab).to_string());
    let group = &mut config.groups[0];
    group.router.tags = Some(TagFilter { match_any: true });
    group.deployments[0].tags = ["paid".to_owned()].into();
    group.deployments[1].tags = ["free".to_owned()].into();
    let gateway = Gateway::of(&config, Arc::new(SystemClock)).await;
    let tagged = |tags: Value| with(&json!({"metadata": {"tags": tags}}));
    let answer = gateway.chat_with(&tagged(json!(["other"]))).send().await;
    refused(
        &answer,
        &lab,
        "no_deployment_for_tags",
        Some("tags"),
        &["paid does not have the tags", "free does not have the tags"],
    );
    for (tags, expected) in [
        (json!(["free"]), "free"),
        (json!(["!paid"]), "free"),
        (json!(["&paid"]), "paid"),
    ] {
        assert_eq!(answered_by(&gateway, &tagged(tags)).await.0, expected);
    }
    let request = gateway
        .chat_with(&chat_body("g"))
        .header("x-litellm-tags", "free,other");
    assert_eq!(request.send().await.ok().deployment(), "free");
}
