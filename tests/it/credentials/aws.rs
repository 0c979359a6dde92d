//! Each source of AWS keys: what it is asked, and what becomes of its answer.

use std::fs;

use serde_json::json;
use waypost::types::{
    AwsCredential, AwsKeys, AwsRole, AwsSource, Secret, TokenCredential, WebToken,
};

use super::{Endpoint, HIDDEN, Sent, credentials, keys, moment, source};
use crate::support::Logs;

pub(super) fn aws(source: AwsSource) -> AwsCredential {
    AwsCredential {
        source,
        role: None,
        region: "eu-west-1".to_owned(),
        sts_endpoint: None,
    }
}

fn role(external_id: Option<&str>) -> AwsRole {
    AwsRole {
        arn: "arn:aws:iam::1:role/r".to_owned(),
        session_name: "session".to_owned(),
        external_id: external_id.map(Secret::new),
    }
}

fn file_keys() -> AwsKeys {
    AwsKeys {
        access_key_id: Secret::new("AKFILE"),
        secret_access_key: Secret::new("s3cret-file"),
        session_token: None,
    }
}

/// STS, which gives out keys named after the one who asks.
pub(super) async fn sts() -> Endpoint {
    Endpoint::start(|sent| {
        let form = sent.form();
        let who = match form["Action"].as_str() {
            "AssumeRole" => sent.header("authorization").map_or("?", |a| {
                let id = a.split("Credential=").nth(1).expect("a key");
                id.split('/').next().expect("a key")
            }),
            _ => form["WebIdentityToken"].as_str(),
        };
        let role = form["RoleArn"].rsplit('/').next().expect("a role");
        (200, answer(&format!("{role}-of-{who}")))
    })
    .await
}

fn answer(id: &str) -> String {
    format!(
        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><AssumedRoleUser>\
         <Arn>x</Arn></AssumedRoleUser><Credentials><AccessKeyId>{id}</AccessKeyId><SecretAccessKey>s3cret&amp;sts\
         </SecretAccessKey><SessionToken>s3cret-session==</SessionToken><Expiration>{}</Expiration></Credentials>\
         </AssumeRoleResult></AssumeRoleResponse>",
        moment(3600)
    )
}

#[tokio::test]
async fn keys_of_the_file_are_used_as_they_are() {
    let credentials = credentials([("AWS_ACCESS_KEY_ID", "AKENV")]);
    let credential = TokenCredential::Aws(aws(AwsSource::Static(file_keys())));
    let source = source(&credentials, credential);
    let token = source.token().await;
    assert_eq!(keys(&token), &file_keys());
    assert!(
        !source.refused(&token.expect("keys")),
        "there are no others"
    );
}

#[tokio::test]
async fn a_role_is_assumed_with_the_keys_of_the_file() {
    let sts = sts().await;
    let credential = AwsCredential {
        role: Some(role(Some("s3cret id"))),
        sts_endpoint: Some(sts.url.clone()),
        ..aws(AwsSource::Static(file_keys()))
    };
    let credentials = credentials([("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1")]);
    let token = source(&credentials, TokenCredential::Aws(credential))
        .token()
        .await;
    let got = keys(&token);
    assert_eq!(got.access_key_id.expose(), "r-of-AKFILE");
    assert_eq!(got.secret_access_key.expose(), "s3cret&sts");
    let session = got.session_token.as_ref().expect("temporary");
    assert_eq!(session.expose(), "s3cret-session==");
    let sent = &sts.sent()[0];
    assert_eq!(sent.line, "POST /");
    assert_eq!(
        sent.body,
        "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr&RoleSessionName=session&ExternalId=s3cret+id"
    );
    let authorization = sent.header("authorization").expect("signed");
    assert!(
        authorization
            .contains("/eu-west-1/sts/aws4_request, SignedHeaders=content-type;host;x-amz-date,"),
        "{authorization}"
    );
}

#[tokio::test]
async fn a_web_identity_is_exchanged_without_a_signature() {
    let sts = sts().await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    let credentials = credentials([("AWS_ENDPOINT_URL_STS", sts.url.as_str())]);
    for (content, token) in [
        ("", WebToken::Text(Secret::new("given"))),
        ("first\n", WebToken::File(file.clone())),
        ("second\n", WebToken::File(file.clone())),
    ] {
        fs::write(&file, content).expect("written");
        let credential = AwsCredential {
            role: Some(role(None)),
            ..aws(AwsSource::WebIdentity(token))
        };
        // Each has a source of its own, so each fetches.
        let token = source(&credentials, TokenCredential::Aws(credential))
            .token()
            .await;
        let who = if content.is_empty() {
            "given"
        } else {
            content.trim()
        };
        assert_eq!(keys(&token).access_key_id.expose(), format!("r-of-{who}"));
    }
    let sent = sts.sent();
    assert_eq!(sent.len(), 3);
    assert!(sent.iter().all(|s| s.header("authorization").is_none()));
    assert!(
        sent[1]
            .body
            .starts_with("Action=AssumeRoleWithWebIdentity&Version=2011-06-15&"),
        "{}",
        sent[1].body
    );
}

#[tokio::test]
async fn profiles_and_their_roles_are_followed() {
    let sts = sts().await;
    let folder = tempfile::tempdir().expect("a folder");
    let (config, shared) = (folder.path().join("c"), folder.path().join("s"));
    let web = folder.path().join("web");
    fs::write(&web, "s3cret-web").expect("written");
    let web = web.display();
    fs::write(
        &config,
        format!(
            "[profile role]\nrole_arn=arn:aws:iam::1:role/outer\nsource_profile=inner\n\
             [profile inner]\nrole_arn=arn:aws:iam::1:role/inner\nsource_profile=base\nexternal_id=x\n\
             [profile own]\nrole_arn=arn:aws:iam::1:role/own\nsource_profile=own\naws_access_key_id=AKOWN\naws_secret_access_key=s3cret\n\
             [profile env]\nrole_arn=arn:aws:iam::1:role/env\ncredential_source=Environment\n\
             [profile web]\nrole_arn=arn:aws:iam::1:role/web\nweb_identity_token_file={web}\n\
             [profile process]\ncredential_process=/bin/false s3cret\n\
             [profile sso]\nsso_session=s\nsso_account_id=1\n\
             [profile circle]\nrole_arn=arn:aws:iam::1:role/a\nsource_profile=circle2\n\
             [profile circle2]\nrole_arn=arn:aws:iam::1:role/b\nsource_profile=circle\n\
             [profile mfa]\nrole_arn=arn:aws:iam::1:role/m\nsource_profile=base\nmfa_serial=1\n\
             [profile half]\nrole_arn=arn:aws:iam::1:role/h\n\
             [profile empty]\nregion=x\n"
        ),
    )
    .expect("written");
    fs::write(
        &shared,
        "[base]\naws_access_key_id=AKBASE\naws_secret_access_key=s3cret\naws_session_token=s3cret-t\n",
    )
    .expect("written");
    let path = |p: &std::path::Path| p.display().to_string();
    let credentials = credentials([
        ("AWS_CONFIG_FILE", path(&config)),
        ("AWS_SHARED_CREDENTIALS_FILE", path(&shared)),
        ("AWS_ENDPOINT_URL_STS", sts.url.clone()),
        ("AWS_ACCESS_KEY_ID", "AKENV".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "s3cret".to_owned()),
    ]);
    for (profile, expected) in [
        ("base", Ok("AKBASE")),
        ("role", Ok("outer-of-inner-of-AKBASE")),
        ("own", Ok("own-of-AKOWN")),
        ("env", Ok("env-of-AKENV")),
        ("web", Ok("web-of-s3cret-web")),
        ("process", Err("no programs are run")),
        ("sso", Err("signs in by a browser")),
        ("circle", Err("leads in a circle")),
        ("mfa", Err("second factor")),
        ("half", Err("without source_profile")),
        ("empty", Err("has no keys")),
        ("missing", Err("there is no profile \"missing\"")),
    ] {
        let credential = TokenCredential::Aws(aws(AwsSource::Profile(profile.to_owned())));
        let token = source(&credentials, credential).token().await;
        match expected {
            Ok(id) => assert_eq!(keys(&token).access_key_id.expose(), id, "{profile}"),
            Err(why) => {
                let error = token.expect_err(profile).to_string();
                assert!(error.contains(why) && !error.contains(HIDDEN), "{error}");
            }
        }
    }
}

/// What a container's endpoint and the instance's give.
pub(super) fn machine_keys(id: &str) -> String {
    json!({"Code": "Success", "AccessKeyId": id, "SecretAccessKey": "s3cret", "Token": "s3cret-t", "Expiration": moment(3600)})
        .to_string()
}

#[tokio::test]
async fn a_container_shows_its_token_which_may_change() {
    let endpoint = Endpoint::start(|_| (200, machine_keys("AKPOD"))).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    let variables = [
        (
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            format!("{}/v1/credentials", endpoint.url),
        ),
        (
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
            file.display().to_string(),
        ),
    ];
    for token in ["s3cret-1", "s3cret-2"] {
        fs::write(&file, format!("{token}\n")).expect("written");
        let credentials = credentials(variables.clone());
        let got = source(&credentials, TokenCredential::Aws(aws(AwsSource::Default)))
            .token()
            .await;
        assert_eq!(keys(&got).access_key_id.expose(), "AKPOD");
    }
    let seen: Vec<_> = endpoint
        .sent()
        .iter()
        .map(|s| format!("{} {}", s.line, s.header("authorization").unwrap_or("-")))
        .collect();
    let line = "GET /v1/credentials";
    assert_eq!(
        seen,
        [format!("{line} s3cret-1"), format!("{line} s3cret-2")]
    );
}

#[tokio::test]
async fn an_instance_is_asked_in_a_session() {
    let service = Endpoint::start(|sent: &Sent| {
        let session = sent.header("x-aws-ec2-metadata-token");
        match (sent.line.as_str(), session) {
            ("PUT /latest/api/token", None) => {
                assert_eq!(
                    sent.header("x-aws-ec2-metadata-token-ttl-seconds"),
                    Some("21600")
                );
                (200, "s3cret-session".to_owned())
            }
            ("GET /latest/meta-data/iam/security-credentials/", Some("s3cret-session")) => {
                (200, "the-role".to_owned())
            }
            ("GET /latest/meta-data/iam/security-credentials/the-role", Some("s3cret-session")) => {
                (200, machine_keys("AKVM"))
            }
            other => panic!("{other:?}"),
        }
    })
    .await;
    let credentials = credentials([
        ("AWS_EC2_METADATA_DISABLED", "false"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", service.url.as_str()),
    ]);
    let token = source(&credentials, TokenCredential::Aws(aws(AwsSource::Default)))
        .token()
        .await;
    assert_eq!(keys(&token).access_key_id.expose(), "AKVM");
    assert_eq!(service.sent().len(), 3);
}

#[tokio::test]
async fn nothing_secret_is_logged_or_said_when_it_fails() {
    let logs = Logs::listen();
    let refusals = [
        (403, "<ErrorResponse><Error><Code>AccessDenied</Code><Message>s3cret-session s3cret-file</Message></Error></ErrorResponse>".to_owned(), "403 Forbidden AccessDenied"),
        (200, "<Credentials><AccessKeyId>s3cret</AccessKeyId></Credentials>".to_owned(), "holds no Expiration"),
        (200, answer("s3cret").replace(&moment(3600)[..4], "2001"), "have expired"),
        (200, format!("<SessionToken>{}</SessionToken>", "s3cret".repeat(100_000)), "too much"),
    ];
    for (status, body, expected) in refusals {
        let sts = Endpoint::start(move |_| (status, body.clone())).await;
        let credential = AwsCredential {
            role: Some(role(Some("s3cret-external"))),
            sts_endpoint: Some(sts.url.clone()),
            ..aws(AwsSource::Static(AwsKeys {
                session_token: Some(Secret::new("s3cret-session")),
                ..file_keys()
            }))
        };
        let credentials = credentials::<&str, &str>([]);
        let source = source(&credentials, TokenCredential::Aws(credential.clone()));
        let error = source.token().await.expect_err("refused");
        let said = format!("{error} {error:?} {source:?} {credential:?}");
        assert!(said.contains(expected) && !said.contains(HIDDEN), "{said}");
        assert!(
            said.starts_with("no AWS keys: AWS's token service"),
            "{said}"
        );
    }
    // And when it works.
    let sts = sts().await;
    let credential = AwsCredential {
        role: Some(role(None)),
        sts_endpoint: Some(sts.url.clone()),
        ..aws(AwsSource::WebIdentity(WebToken::Text(Secret::new(
            "s3cret-web",
        ))))
    };
    let credentials = credentials::<&str, &str>([]);
    let token = source(&credentials, TokenCredential::Aws(credential))
        .token()
        .await;
    assert!(!format!("{token:?}").contains(HIDDEN));
    let text = logs.text();
    assert!(text.contains("could not be fetched"), "it listens");
    let leaked = text.lines().find(|line| line.contains(HIDDEN));
    assert_eq!(leaked, None);
}
