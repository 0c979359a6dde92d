//! Replicas, a store, clocks and everything that goes wrong between them, simulated: virtual time, one thread, and a seed
//! that decides all. `docs/redis.md` lists the properties; `WAYPOST_SEEDS` says how many seeds are played.

mod world;

use world::World;

#[test]
fn replicas_agree_whatever_goes_wrong() {
    let given = std::env::var("WAYPOST_SEEDS").ok();
    let seeds = given.map_or(1_500, |n| n.parse().expect("a number of seeds"));
    let mut seen = world::Seen::default();
    for seed in 0..seeds {
        let played = std::panic::catch_unwind(|| {
            let mut world = World::new(seed);
            for _ in 0..4 {
                world.trouble();
                world.quiet();
                world.check();
            }
            world.seen
        });
        match played {
            Ok(played) => seen.add(&played),
            Err(panic) => {
                println!("seed {seed}");
                std::panic::resume_unwind(panic);
            }
        }
    }
    println!("{seeds} seeds: {seen:?}");
    assert!(seen.is_all(), "never happened: {seen:?}");
}
