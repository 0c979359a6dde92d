//! The soak of `examples/soak`, short: too short to speak of memory, long enough for every count to have to be exact.

#[path = "../../examples/soak/mod.rs"]
mod run;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_is_counted_once_and_nothing_is_left() {
    let options = run::Options {
        requests: 3_000,
        clients: 64,
        seed: 1,
        waypost: env!("CARGO_BIN_EXE_waypost").into(),
        serve: Vec::new(),
    };
    let mut report = Vec::new();
    if let Err(error) = run::run(&options, &mut report).await {
        panic!("{error}\n{}", String::from_utf8_lossy(&report));
    }
}
