//! Where AWS keys are looked for, and in which order.

use std::fs;

use waypost::types::{AwsSource, TokenCredential};

use super::aws::{aws, machine_keys, sts};
use super::{Endpoint, credentials, keys, source};

/// With every source there, each is taken away in turn, and the next one counts.
#[tokio::test]
async fn the_first_source_there_is_counts() {
    let sts = sts().await;
    let container = Endpoint::start(|_| (200, machine_keys("AKCONTAINER"))).await;
    let instance = Endpoint::start(|sent| {
        let answer = match sent.line.as_str() {
            "PUT /latest/api/token" => "session".to_owned(),
            line if line.ends_with("security-credentials/") => "vm".to_owned(),
            _ => machine_keys("AKINSTANCE"),
        };
        (200, answer)
    })
    .await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("written");
        path.display().to_string()
    };
    let profiles = "[default]\naws_access_key_id=AKDEFAULT\naws_secret_access_key=x\n[other]\naws_access_key_id=AKOTHER\naws_secret_access_key=x\n";
    let groups: [&[(&str, String)]; 5] = [
        &[
            ("AWS_ACCESS_KEY_ID", "AKENV".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "x".to_owned()),
        ],
        &[
            ("AWS_ROLE_ARN", "arn:aws:iam::1:role/irsa".to_owned()),
            ("AWS_WEB_IDENTITY_TOKEN_FILE", file("web", "jwt")),
        ],
        &[("AWS_SHARED_CREDENTIALS_FILE", file("profiles", profiles))],
        &[(
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            format!("{}/x", container.url),
        )],
        &[
            ("AWS_EC2_METADATA_DISABLED", "false".to_owned()),
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", instance.url.clone()),
        ],
    ];
    let expected = [
        "AKENV",
        "irsa-of-jwt",
        "AKDEFAULT",
        "AKCONTAINER",
        "AKINSTANCE",
    ];
    for (first, id) in expected.into_iter().enumerate() {
        let variables = groups[first..].iter().copied().flatten().cloned();
        let variables = variables.chain([("AWS_ENDPOINT_URL_STS", sts.url.clone())]);
        let credentials = credentials(variables);
        let default = TokenCredential::Aws(aws(AwsSource::Default));
        let token = source(&credentials, default).token().await;
        assert_eq!(keys(&token).access_key_id.expose(), id);
    }
    // A profile that the file names goes before all of them, and AWS_PROFILE says which one is the default.
    let all = groups.iter().copied().flatten().cloned();
    let named = TokenCredential::Aws(aws(AwsSource::Profile("other".to_owned())));
    let token = source(&credentials(all), named).token().await;
    assert_eq!(keys(&token).access_key_id.expose(), "AKOTHER");
    let variables = groups[2..].iter().copied().flatten().cloned();
    let variables = variables.chain([("AWS_PROFILE", "other".to_owned())]);
    let default = TokenCredential::Aws(aws(AwsSource::Default));
    let token = source(&credentials(variables), default).token().await;
    assert_eq!(keys(&token).access_key_id.expose(), "AKOTHER");
}

#[tokio::test]
async fn none_at_all_says_where_was_looked() {
    let default = || TokenCredential::Aws(aws(AwsSource::Default));
    let error = source(&credentials::<&str, &str>([]), default())
        .token()
        .await
        .expect_err("none");
    assert_eq!(
        error.to_string(),
        "no AWS keys: none in the environment, no web identity, no profile \"default\", no container; the instance metadata \
         service is switched off by AWS_EC2_METADATA_DISABLED"
    );
    let abroad = [(
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "http://credentials.example.com/x",
    )];
    let error = source(&credentials(abroad), default())
        .token()
        .await
        .expect_err("not to be trusted");
    assert!(error.to_string().contains("neither https nor"), "{error}");
}
