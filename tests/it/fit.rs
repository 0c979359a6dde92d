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

#[tokio::test]
async fn a_request_goes_to_a_model_that_is_able() {
    let image = json!([{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]);
    let tool = json!({"type": "function", "function": {"name": "f"}});
    let no = Some(false);
    let unable = [
        (
            Abilities {
                tools: no,
                ..Abilities::default()
            },
            json!({"tools": [tool]}),
        ),
        (
            Abilities {
                images: no,
                ..Abilities::default()
            },
            json!({"messages": [{"role": "user", "content": image}]}),
        ),
        (
            Abilities {
                json_schema: no,
                ..Abilities::default()
            },
            json!({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}}}),
        ),
    ];
    for (abilities, members) in &unable {
        let lab = lab(["unable", "able"]);
        let gateway = checked(&lab, |unable| unable.abilities = *abilities).await;
        for (_, asked) in &unable {
            let expected = if asked == members { "able" } else { "unable" };
            let answered = answered_by(&gateway, &with(asked)).await;
            assert_eq!(answered, (expected.to_owned(), 1), "{asked}");
        }
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

/// Nobody was asked, and each deployment's reason is told.
#[track_caller]
fn refused(answer: &Answer, lab: &Lab, reasons: &[&str]) {
    assert!(answer.status >= 400, "{}", answer.text());
    for reason in reasons {
        assert!(answer.message().contains(reason), "{}", answer.message());
    }
    assert_eq!(received(lab), [0, 0]);
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
        &[
            "a takes prompts of 1000 tokens",
            "b takes prompts of 2000 tokens",
        ],
    );
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
