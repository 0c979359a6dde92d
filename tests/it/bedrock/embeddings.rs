//! Embeddings by InvokeModel.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use tokio::sync::Semaphore;

use super::{SESSION, assert_signed, gateway};
use crate::support::{Reply, Scripted, Seen};

#[tokio::test]
async fn twenty_texts_go_to_titan_a_few_at_a_time() {
    let gates: Vec<_> = (0..20).map(|_| Arc::new(Semaphore::new(0))).collect();
    let (closed, arrived) = (gates.clone(), Arc::new(Semaphore::new(0)));
    let (counter, count) = (Arc::clone(&arrived), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&count);
    let server = Scripted::start(move |seen: &Seen| {
        counted.fetch_add(1, Ordering::SeqCst);
        counter.add_permits(1);
        let text = seen.json()["inputText"]
            .as_str()
            .expect("a text")
            .to_owned();
        let rest = format!("\"embedding\":[{text}.0],\"inputTextTokenCount\":2}}");
        let number: usize = text.parse().expect("a number");
        Reply::chunks("application/json", ["{".to_owned(), rest]).gate(&closed[number])
    })
    .await;
    let gateway = gateway(&server, "amazon.titan-embed-text-v2:0").await;
    let texts: Vec<String> = (0..20).map(|n| n.to_string()).collect();
    let asked = json!({"model": "g", "input": texts, "dimensions": 256});
    let asking = gateway.post("/v1/embeddings").json(&asked).send();
    let serving = async {
        // Eight at first; then each answer, in order, lets one more in.
        for (answered, gate) in gates.iter().enumerate() {
            let new = match answered {
                0 => 8,
                1..=12 => 1,
                _ => 0,
            };
            let more = arrived.acquire_many(new).await;
            more.expect("never closed").forget();
            assert_eq!(count.load(Ordering::SeqCst), 20.min(8 + answered));
            gate.add_permits(1);
        }
    };
    let (got, ()) = tokio::join!(asking, serving);
    let got = got.ok().json();
    let data = got["data"].as_array().expect("a list");
    for (index, one) in data.iter().enumerate() {
        assert_eq!(one["index"], index);
        assert_eq!(one["embedding"][0].as_f64(), Some(index as f64));
    }
    assert_eq!(
        (data.len(), &got["usage"]["prompt_tokens"]),
        (20, &json!(40))
    );
    assert_eq!(server.seen().len(), 20);
    for seen in server.seen() {
        assert_eq!(seen.uri, "/model/amazon.titan-embed-text-v2%3A0/invoke");
        assert_eq!(seen.json()["dimensions"], 256);
        assert_signed(&seen, "bedrock", "eu-central-1", Some(SESSION));
    }
    gateway.stop().await;
}
