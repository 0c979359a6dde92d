//! The configuration, in Waypost's dialect or LiteLLM's: whatever the text, loading ends soon, says where each problem is,
//! and repeats no variable's value.
#![no_main]

use std::time::{Duration, Instant};

use libfuzzer_sys::{Corpus, fuzz_target};
use waypost::config::{Severity, load_str};

/// The value of every variable whose name begins with S; nothing else contains it.
const PLANTED: &str = "qzvjx7kwpy3";
/// Where such a variable may stand. The name of a group is shown, wherever it comes from.
const SECRETS: [&str; 8] = [
    "api_key:",
    "client_secret:",
    "client_id:",
    "key:",
    "redis_url:",
    "redis_password:",
    "authorization:",
    "secret:",
];

/// How a file refers to a variable; the last two are LiteLLM's.
const REFERENCES: [&str; 3] = ["${S", "$S", "os.environ/S"];
/// What a file may have that would be read or set besides it. The files it names are read; which ones exist here is no part
/// of the input. A variable that LiteLLM's file sets may hold the value of another one, and stand anywhere.
const BESIDES: [&str; 3] = ["_file", "include", "environment_variables"];

fn only_where_secrets_belong(text: &str) -> bool {
    let mut references = REFERENCES.iter().flat_map(|form| text.match_indices(form));
    references.all(|(at, _)| {
        let before = text[..at].trim_end_matches(['"', '\'', ' ']);
        SECRETS.iter().any(|key| before.ends_with(key))
    })
}

fuzz_target!(|input: &[u8]| -> Corpus {
    let Ok(text) = std::str::from_utf8(input) else {
        return Corpus::Reject;
    };
    let besides = BESIDES.iter().any(|key| text.contains(key));
    if besides || text.contains(PLANTED) || !only_where_secrets_belong(text) {
        return Corpus::Reject;
    }
    let env = |name: &str| match name.bytes().next() {
        Some(b'S') => Some(PLANTED.to_owned()),
        Some(b'U') => None,
        _ => Some("http://127.0.0.1:1".to_owned()),
    };
    for strict in [false, true] {
        let began = Instant::now();
        let loaded = load_str("endpoints.yml", text, &env, strict);
        assert!(
            began.elapsed() < Duration::from_secs(1),
            "took {:?}",
            began.elapsed()
        );
        let findings = match loaded {
            Ok((config, findings)) => {
                assert!(findings.iter().all(|f| f.severity == Severity::Warning));
                assert!(config.groups.iter().all(|g| !g.deployments.is_empty()));
                findings
            }
            Err(findings) => {
                assert!(findings.iter().any(|f| f.severity == Severity::Error));
                findings
            }
        };
        let lines = text.split(['\n', '\r']).count();
        for finding in &findings {
            assert!(!finding.to_string().contains(PLANTED), "{finding}");
            assert!(!finding.message.is_empty());
            assert_eq!(finding.line == 0, finding.column == 0, "{finding}");
            assert!(finding.line <= lines + 1, "{finding}");
            assert!(
                finding.line > 0 || finding.key.is_empty() || finding.key == "model_groups",
                "no place: {finding}"
            );
        }
    }
    Corpus::Keep
});
