//! Each strategy, end to end: who is asked, by counts.

use crate::support::{Gateway, Yaml, lab, received};

#[tokio::test]
async fn simple_shuffle_spreads_over_all_deployments() {
    let lab = lab(["a", "b", "c"]);
    let gateway = Gateway::start(&Yaml::over(&lab)).await;
    for _ in 0..60 {
        let answer = gateway.chat("g").await.ok();
        assert_eq!(answer.attempts(), 1);
        assert_eq!(answer.header("x-lab-deployment"), Some(answer.deployment()));
    }
    let counts = received(&lab);
    assert!(counts.iter().all(|n| *n >= 10), "{counts:?}");
    assert_eq!(gateway.stop().await.gateway().snapshot().groups().len(), 1);
}
