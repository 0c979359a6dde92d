//! Three masters that share the slots.

use ::redis::{Cmd, FromRedisValue};

use super::{RedisServer, wait};

/// A cluster of three masters without replicas.
pub(crate) struct Cluster {
    /// Its nodes. Each has a third of the slots at first, in this order.
    pub(crate) nodes: Vec<RedisServer>,
    password: Option<String>,
}

impl Cluster {
    /// Without a password.
    pub(crate) async fn start() -> Self {
        Self::with(&[], None).await
    }

    /// With further arguments to each node, which has that password.
    pub(crate) async fn with(args: &[&str], password: Option<&str>) -> Self {
        let mut all = vec!["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"];
        all.extend(args);
        if let Some(password) = password {
            all.extend(["--requirepass", password, "--masterauth", password]);
        }
        let mut nodes = Vec::new();
        for _ in 0..3 {
            nodes.push(RedisServer::launch(&all, Some("--cluster-port"), None).await);
        }
        let cluster = Self {
            nodes,
            password: password.map(str::to_owned),
        };
        let slots = [(0, 5460), (5461, 10922), (10923, 16383)];
        for (at, (first, last)) in slots.into_iter().enumerate() {
            // Nodes that agree on nothing yet take longer to agree on who is right.
            let () = cluster.ask(at, cmd("SET-CONFIG-EPOCH").arg(at + 1)).await;
            let () = cluster
                .ask(at, cmd("ADDSLOTSRANGE").arg(first).arg(last))
                .await;
        }
        for other in &cluster.nodes[1..] {
            let (at, bus) = (other.addr(), other.second_addr().port());
            let mut meet = cmd("MEET");
            meet.arg(at.ip().to_string()).arg(at.port()).arg(bus);
            let () = cluster.ask(0, &meet).await;
        }
        for at in 0..3 {
            while !cluster.is_whole(at).await {
                wait().await;
            }
        }
        cluster
    }

    /// Whether that node sees all of it.
    async fn is_whole(&self, at: usize) -> bool {
        let info: String = self.ask(at, &cmd("INFO")).await;
        [
            "cluster_state:ok",
            "cluster_slots_ok:16384",
            "cluster_size:3",
        ]
        .iter()
        .all(|line| info.contains(line))
    }

    /// The slot of a key.
    pub(crate) async fn slot(&self, key: &str) -> u16 {
        self.ask(0, cmd("KEYSLOT").arg(key)).await
    }

    /// Which node has the slot, by its place in the list; it is to be asked only between moves.
    pub(crate) async fn owner(&self, slot: u16) -> usize {
        for at in 0..self.nodes.len() {
            let shown: String = self.ask(at, &cmd("NODES")).await;
            let own = shown.lines().find(|line| line.contains("myself"));
            let mut ranges = own.expect("itself").split_whitespace().skip(8);
            let has = |range: &str| {
                let (first, last) = range.split_once('-').unwrap_or((range, range));
                let number = |text: &str| text.parse::<u16>().ok();
                number(first).is_some_and(|first| first <= slot)
                    && number(last).is_some_and(|last| slot <= last)
            };
            if ranges.any(has) {
                return at;
            }
        }
        panic!("nobody has slot {slot}");
    }

    /// Gives a slot with its keys to another node. Clients are told by whom they ask (`MOVED`).
    pub(crate) async fn move_slot(&self, slot: u16, to: usize) {
        self.begin_move(slot, to).await;
        self.end_move(slot, to).await;
    }

    /// As far as the keys: the old owner sends clients on, each time they ask (`ASK`).
    pub(crate) async fn begin_move(&self, slot: u16, to: usize) {
        let from = self.owner(slot).await;
        assert_ne!(from, to, "it has the slot already");
        let (old, new) = (self.id(from).await, self.id(to).await);
        let set = |state: &str, node: &str| {
            let mut set = cmd("SETSLOT");
            set.arg(slot).arg(state).arg(node);
            set
        };
        let () = self.ask(to, &set("IMPORTING", &old)).await;
        let () = self.ask(from, &set("MIGRATING", &new)).await;
        let keys: Vec<String> = self
            .ask(from, cmd("GETKEYSINSLOT").arg(slot).arg(1_000_000))
            .await;
        if keys.is_empty() {
            return;
        }
        let at = self.nodes[to].addr();
        let mut migrate = ::redis::cmd("MIGRATE");
        migrate.arg(at.ip().to_string()).arg(at.port()).arg("");
        migrate.arg(0).arg(5000);
        if let Some(password) = &self.password {
            migrate.arg("AUTH").arg(password);
        }
        migrate.arg("KEYS").arg(keys);
        let () = self.ask(from, &migrate).await;
    }

    /// The new owner is known to all.
    pub(crate) async fn end_move(&self, slot: u16, to: usize) {
        let new = self.id(to).await;
        // The new owner first: else it would be told that it has none of it.
        let others = (0..self.nodes.len()).filter(|at| *at != to);
        for at in [to].into_iter().chain(others) {
            let mut set = cmd("SETSLOT");
            set.arg(slot).arg("NODE").arg(&new);
            let () = self.ask(at, &set).await;
        }
    }

    async fn id(&self, at: usize) -> String {
        self.ask(at, &cmd("MYID")).await
    }

    async fn ask<T: FromRedisValue>(&self, at: usize, cmd: &Cmd) -> T {
        self.nodes[at].ask(self.password.as_deref(), cmd).await
    }
}

fn cmd(name: &str) -> Cmd {
    let mut cmd = ::redis::cmd("CLUSTER");
    cmd.arg(name);
    cmd
}
