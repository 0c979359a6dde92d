//! Keys of what replicas have in common, and of what is kept: `waypost.redis`, `waypost.ledger`.

use super::{COUNT_32, Kind, Section, Unknown, on};

/// `redis`
pub(super) static REDIS: Section = Section {
    title: "Redis",
    path: "waypost.redis",
    doc: "The Redis (or Valkey) of every group whose router names none of its own: `url`, or `host` and what belongs to it. \
          Without a place the other settings are those of the groups' own.",
    keys: &[&[
        on(
            "url",
            Kind::Secret,
            "`redis://[user][:password@]host[:port][/database]`, `rediss://` for TLS, or `unix:///path?db=0`. User and \
             password are percent-decoded.",
        ),
        on("host", Kind::Text, "Its host, instead of a URL."),
        on("port", Kind::Integer(1, 65535), "Its port.").or("6379"),
        on("username", Kind::Text, "The user to log in as.").or("`default`"),
        on("password", Kind::Secret, "The password."),
        on("db", COUNT_32, "The number of its database.").or("0"),
        on("prefix", Kind::Text, "What every key in it begins with.").or("`waypost:1`"),
        on(
            "timeout",
            Kind::Duration,
            "The longest a request waits for it, where one does: an answer from the cache, an exact limit.",
        )
        .or("100ms"),
        on(
            "interval",
            Kind::Duration,
            "How often replicas exchange what they counted.",
        )
        .or("200ms"),
        on(
            "lease",
            Kind::Duration,
            "How long a replica that is not heard of counts as alive; then its requests in flight are nobody's.",
        )
        .or("10s"),
        on(
            "outage",
            Kind::Choice(&["share", "open", "closed"]),
            "What holds for `rpm` and `tpm` while it is away: each replica keeps to its `share` of a limit, to the whole \
             limit (`open`), or lets nothing through that has a limit (`closed`).",
        )
        .or("`share`"),
    ]],
    unknown: Unknown::Refused,
};

/// `ledger`
pub(super) static LEDGER: Section = Section {
    title: "Ledger",
    path: "waypost.ledger",
    doc: "A record of every attempt: tokens, cost, outcome. `ledger: DIR` has every default.",
    keys: &[&[
        on(
            "dir",
            Kind::Text,
            "The folder it is kept in; of one process at a time.",
        )
        .required(),
        on(
            "fsync",
            Kind::DurationOr(&["never", "always"]),
            "When records are made to survive the machine's end: that often, before the end of each answer (`always`), or \
             when the system likes (`never`). The end of the process they survive anyway.",
        )
        .or("1s"),
        on(
            "when_full",
            Kind::Choice(&["go_on", "refuse"]),
            "While records can't be written: requests are served, and what can't be kept is counted (`go_on`), or refused.",
        )
        .or("`go_on`"),
        on(
            "segment_bytes",
            Kind::Size,
            "A file of the ledger is closed when it is as large as that.",
        )
        .or("64MiB"),
        on(
            "retain",
            Kind::DurationOr(&["forever"]),
            "How long closed files are kept.",
        )
        .or("90d"),
        on(
            "redis",
            Kind::Flag,
            "Totals of all replicas are kept in `waypost.redis`.",
        )
        .or("true if there is one"),
    ]],
    unknown: Unknown::Refused,
};
