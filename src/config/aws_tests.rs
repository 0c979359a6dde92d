use super::*;
use crate::types::{AwsCredential, AwsKeys, AwsRole, AwsSource, WebToken};

fn aws(auth: Option<Auth>) -> AwsCredential {
    match auth {
        Some(Auth::Token(credential)) => match &*credential {
            TokenCredential::Aws(aws) => aws.clone(),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

fn keys(id: &str, secret: &str, token: Option<&str>) -> AwsSource {
    AwsSource::Static(AwsKeys {
        access_key_id: Secret::new(id),
        secret_access_key: Secret::new(secret),
        session_token: token.map(Secret::new),
    })
}

const TWO_KEYS: &str = "aws_access_key_id: AK\naws_secret_access_key: ${SECRET}\n";

#[test]
fn what_the_file_says_about_aws_goes_before_the_machine() {
    let variables = [
        ("SECRET", "s3cret"),
        ("TOKEN", "s3cret-t"),
        ("EMPTY", ""),
        ("AWS_ACCESS_KEY_ID", "s3cret"),
        ("AWS_SECRET_ACCESS_KEY", "s3cret"),
    ];
    let web = |token| AwsSource::WebIdentity(token);
    let role = "aws_role_name: arn:aws:iam::1:role/r\n";
    for (yaml, expected) in [
        ("{}".to_owned(), AwsSource::Default),
        (TWO_KEYS.to_owned(), keys("AK", "s3cret", None)),
        (
            format!("{TWO_KEYS}aws_session_token: ${{TOKEN}}\naws_profile_name: p"),
            keys("AK", "s3cret", Some("s3cret-t")),
        ),
        (
            "aws_profile_name: work".to_owned(),
            AwsSource::Profile("work".to_owned()),
        ),
        (
            "aws_access_key_id: ${EMPTY}\naws_secret_access_key: ''".to_owned(),
            AwsSource::Default,
        ),
        (
            format!("{role}aws_web_identity_token: ${{TOKEN}}\n{TWO_KEYS}"),
            web(WebToken::Text(Secret::new("s3cret-t"))),
        ),
        (
            format!("{role}aws_web_identity_token: oidc/env/TOKEN"),
            web(WebToken::Text(Secret::new("s3cret-t"))),
        ),
        (
            format!("{role}aws_web_identity_token: oidc/file//var/run/token"),
            web(WebToken::File("/var/run/token".into())),
        ),
        (
            format!("{role}aws_web_identity_token: oidc/env_path/TOKEN"),
            web(WebToken::File("s3cret-t".into())),
        ),
        (
            format!("{role}aws_web_identity_token: /var/run/token"),
            web(WebToken::File("/var/run/token".into())),
        ),
    ] {
        for family in [Family::Bedrock, Family::SageMaker] {
            let (auth, said) = auth_of(family, &yaml, &variables);
            assert_eq!(aws(auth).source, expected, "{yaml}: {said}");
        }
    }
}

#[test]
fn a_role_has_a_name_for_its_session() {
    let yaml = "aws_role_name: arn:aws:iam::1:role/r\naws_sts_endpoint: http://h:1/\naws_region_name: eu-west-1\n";
    let (auth, _) = auth_of(Family::Bedrock, yaml, &[]);
    let credential = AwsCredential {
        source: AwsSource::Default,
        role: Some(AwsRole {
            arn: "arn:aws:iam::1:role/r".to_owned(),
            session_name: "waypost".to_owned(),
            external_id: None,
        }),
        region: "eu-west-1".to_owned(),
        sts_endpoint: Some("http://h:1".to_owned()),
    };
    assert_eq!(aws(auth), credential);
    let more = format!("{yaml}aws_session_name: s\naws_external_id: 123456");
    let (auth, _) = auth_of(Family::Bedrock, &more, &[]);
    let role = aws(auth).role.expect("a role");
    assert_eq!(role.session_name, "s");
    assert_eq!(role.external_id.expect("an id").expose(), "123456");
}

#[test]
fn a_bearer_key_of_bedrock_is_the_files_or_else_behind_the_files_other_keys() {
    let variables = [
        ("AWS_BEARER_TOKEN_BEDROCK", "s3cret-b"),
        ("SECRET", "s3cret"),
    ];
    let bearer = |key: &str| Some(Auth::Bearer(Secret::new(key)));
    let (auth, _) = auth_of(Family::Bedrock, "api_key: ${SECRET}", &variables);
    assert_eq!(auth, bearer("s3cret"));
    let (auth, _) = auth_of(Family::Bedrock, "{}", &variables);
    assert_eq!(auth, bearer("s3cret-b"));
    for yaml in [TWO_KEYS, "aws_profile_name: p", "aws_role_name: r"] {
        let (auth, _) = auth_of(Family::Bedrock, yaml, &variables);
        assert!(matches!(auth, Some(Auth::Token(_))), "{yaml}");
    }
    let (auth, _) = auth_of(Family::SageMaker, "{}", &variables);
    assert!(matches!(auth, Some(Auth::Token(_))));
}

#[test]
fn what_cannot_work_at_aws_is_said() {
    let variables = [("SECRET", "s3cret"), ("BROKEN", "s3cret\nx")];
    for (yaml, expected) in [
        ("aws_access_key_id: AK", "without aws_secret_access_key"),
        (
            "aws_secret_access_key: ${SECRET}",
            "without aws_access_key_id",
        ),
        (
            "aws_web_identity_token: ${SECRET}",
            "aws_role_name is required",
        ),
        (
            "{aws_web_identity_token: oidc/github/x, aws_role_name: r}",
            "allowed: a token, the absolute path",
        ),
        (
            "{aws_web_identity_token: oidc/env/UNSET, aws_role_name: r}",
            "with a variable that is set",
        ),
        (
            "{aws_role_name: r, aws_sts_endpoint: sts}",
            "not an address",
        ),
        ("api_key: ${BROKEN}", "no header can carry"),
    ] {
        let (auth, said) = auth_of(Family::Bedrock, yaml, &variables);
        assert!(auth.is_none() && said.contains(expected), "{yaml}: {said}");
    }
}

#[test]
fn the_region_is_the_files_a_variables_or_the_profiles() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("config");
    let profiles = "[default]\nregion=of-the-default\n[profile work]\nregion=of-work\n";
    fs::write(&file, profiles).expect("written");
    let file = file.display().to_string();
    let config = ("AWS_CONFIG_FILE", file.as_str());
    let region = |yaml: &str, variables: &[(&str, &str)]| {
        let (region, findings) = with(yaml, variables, |ctx, node| aws::region(ctx, node, "m"));
        let said = findings.iter().map(ToString::to_string).collect::<String>();
        region.ok_or(said)
    };
    let all = [
        ("AWS_REGION", "eu-central-1"),
        ("AWS_DEFAULT_REGION", "eu-west-1"),
        config,
    ];
    for (yaml, variables, expected) in [
        ("aws_region_name: us-east-1", &all[..], "us-east-1"),
        ("{}", &all[..], "eu-central-1"),
        ("{}", &all[1..], "eu-west-1"),
        ("{}", &all[2..], "of-the-default"),
        ("aws_profile_name: work", &all[2..], "of-work"),
        ("{}", &[config, ("AWS_PROFILE", "work")], "of-work"),
    ] {
        assert_eq!(region(yaml, variables).as_deref(), Ok(expected), "{yaml}");
    }
    let none = region("{}", &[]).expect_err("none");
    assert!(
        none.contains("no region: aws_region_name is not given"),
        "{none}"
    );
    let bad = region("aws_region_name: us-east-1.evil.example/x", &[]);
    assert!(
        bad.expect_err("no region")
            .contains("not the name of a region")
    );
}
