use std::collections::HashMap;
use std::fs;

use super::super::env::{Place, expand_all};
use super::super::finding::{Finding, Findings};
use super::super::parse::parse;
use super::*;
use crate::catalog::{UNKNOWN, find};
use crate::types::{GoogleSource, OAuthGrant, TokenCredential};

mod aws_tests;

/// Reads a model of this text by `reader`, on a machine with these variables.
fn with<T>(
    yaml: &str,
    variables: &[(&str, &str)],
    reader: impl FnOnce(&mut Context<'_>, &Node) -> T,
) -> (T, Vec<Finding>) {
    let variables: HashMap<_, _> = variables.iter().copied().collect();
    let env = |name: &str| variables.get(name).map(|v| (*v).to_owned());
    let mut ctx = Context {
        findings: Findings::new("f"),
        env: &env,
        strict: false,
        litellm: false,
        folder: PathBuf::new(),
    };
    let mut node = parse(yaml).expect("YAML");
    expand_all(&mut ctx, &mut node, "m", Place::Model);
    let read = reader(&mut ctx, &node);
    (read, ctx.findings.finish().0)
}

fn of(family: Family) -> Provider {
    Provider { family, ..UNKNOWN }
}

/// How a model of that family authenticates; the findings as one text.
fn auth_of(family: Family, yaml: &str, variables: &[(&str, &str)]) -> (Option<Auth>, String) {
    let (auth, findings) = with(yaml, variables, |ctx, node| {
        auth(ctx, node, "m", &of(family))
    });
    let said: Vec<_> = findings.iter().map(ToString::to_string).collect();
    let said = said.join("\n");
    assert!(!said.contains("s3cret"), "{said}");
    (auth, said)
}

fn google(auth: Option<Auth>) -> GoogleSource {
    match auth {
        Some(Auth::Token(credential)) => match &*credential {
            TokenCredential::Google(source) => source.clone(),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn credentials_of_google_are_a_file_its_content_or_the_machines() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("key.json");
    fs::write(
        &file,
        r#"{"type": "service_account", "project_id": "of-the-file"}"#,
    )
    .expect("written");
    let path = file.display().to_string();
    let json = r#"{"type":"service_account","project_id":"of-the-text","private_key":"s3cret\n"}"#;
    let variables = [("JSON", json), ("FILE", path.as_str())];
    let text = |text: &str| GoogleSource::Json(Secret::new(text));
    for (yaml, expected, project) in [
        ("{}", GoogleSource::Default, None),
        (
            "vertex_credentials: ${FILE}",
            GoogleSource::File(file.clone()),
            Some("of-the-file"),
        ),
        (
            "vertex_credentials: ${JSON}",
            text(json),
            Some("of-the-text"),
        ),
        (
            "vertex_credentials: {type: service_account, project_id: of-the-map}",
            text(r#"{"type":"service_account","project_id":"of-the-map"}"#),
            Some("of-the-map"),
        ),
        (
            "vertex_credentials: ${FILE}\nvertex_project: given",
            GoogleSource::File(file.clone()),
            Some("given"),
        ),
    ] {
        let (auth, said) = auth_of(Family::Vertex, yaml, &variables);
        let (got, findings) = with(yaml, &variables, |ctx, node| {
            google::project(ctx, node, "m")
        });
        match (google(auth), &expected) {
            (GoogleSource::Json(got), GoogleSource::Json(expected)) => {
                let parse = |s: &Secret| {
                    serde_json::from_str::<serde_json::Value>(s.expose()).expect("JSON")
                };
                assert_eq!(parse(&got), parse(expected), "{yaml}");
            }
            (got, expected) => assert_eq!(&got, expected, "{yaml}: {said}"),
        }
        assert_eq!(got.as_deref(), project, "{yaml}: {findings:?}");
        assert_eq!(
            findings.len(),
            usize::from(project.is_none()),
            "{findings:?}"
        );
    }
    for yaml in [
        "vertex_credentials: /nowhere/s3cret-no",
        "vertex_credentials: '{\"s3cret\": 1}'",
        "vertex_credentials: [s3cret]",
    ] {
        let (auth, said) = auth_of(Family::Vertex, yaml, &[]);
        assert!(
            auth.is_none() && said.contains("m.vertex_credentials"),
            "{said}"
        );
    }
    let variables = [
        ("VERTEXAI_LOCATION", "europe-west4"),
        ("GOOGLE_APPLICATION_CREDENTIALS", &path),
    ];
    let both = |ctx: &mut Context<'_>, node: &Node| {
        (
            google::project(ctx, node, "m"),
            google::location(ctx, node, "m"),
        )
    };
    let (got, _) = with("{}", &variables, both);
    assert_eq!(
        got,
        (
            Some("of-the-file".to_owned()),
            Some("europe-west4".to_owned())
        )
    );
    let (got, _) = with("{vertex_location: global, vertex_project: a/b}", &[], both);
    assert_eq!(got, (None, Some("global".to_owned())));
    let (got, _) = with("vertex_project: p", &[], both);
    assert_eq!(got.1.as_deref(), Some("us-central1"));
}

#[test]
fn watsonx_takes_a_token_a_zen_key_or_a_key_to_exchange() {
    let variables = [
        ("T", "s3cret-t"),
        ("WATSONX_ZENAPIKEY", "s3cret-z"),
        ("WATSONX_APIKEY", "s3cret-k"),
        ("WATSONX_IAM_URL", "https://iam.example.com/identity/token"),
    ];
    let zen = Some(Auth::Header(
        "authorization",
        Secret::new("ZenApiKey s3cret-z"),
    ));
    let (auth, _) = auth_of(Family::Watsonx, "token: ${T}", &variables);
    assert_eq!(auth, Some(Auth::Bearer(Secret::new("s3cret-t"))));
    assert_eq!(auth_of(Family::Watsonx, "{}", &variables).0, zen);
    let exchanged = |(auth, said): (Option<Auth>, String), key: &str, url: &str| {
        let Some(Auth::Token(credential)) = auth else {
            panic!("{said}");
        };
        let TokenCredential::OAuth(oauth) = &*credential else {
            panic!("{credential:?}");
        };
        assert_eq!(oauth.grant, OAuthGrant::IbmApiKey(Secret::new(key)));
        assert_eq!(oauth.url, url);
    };
    // What the file has goes before what a variable has.
    let in_file = auth_of(Family::Watsonx, "api_key: ${T}", &variables);
    exchanged(
        in_file,
        "s3cret-t",
        "https://iam.example.com/identity/token",
    );
    let in_variable = auth_of(Family::Watsonx, "{}", &variables[2..3]);
    exchanged(
        in_variable,
        "s3cret-k",
        "https://iam.cloud.ibm.com/identity/token",
    );
    let (auth, said) = auth_of(Family::Watsonx, "{}", &[]);
    assert!(auth.is_none() && said.contains("no credentials"), "{said}");
}

#[test]
fn databricks_takes_a_service_principal_or_a_key() {
    let databricks = *find("databricks").expect("in the catalog");
    let principal = [
        ("DATABRICKS_CLIENT_ID", "id"),
        ("DATABRICKS_CLIENT_SECRET", "s3cret"),
        ("KEY", "s3cret-k"),
    ];
    let base = "api_base: https://w.cloud.databricks.com/serving-endpoints\n";
    let read = |yaml: &str| {
        let yaml = format!("{base}{yaml}");
        with(&yaml, &principal, |ctx, node| {
            auth(ctx, node, "m", &databricks)
        })
    };
    for yaml in [
        "",
        "client_id: id\nclient_secret: ${DATABRICKS_CLIENT_SECRET}",
    ] {
        let Some(Auth::Token(credential)) = read(yaml).0 else {
            panic!("no token");
        };
        let TokenCredential::OAuth(oauth) = &*credential else {
            panic!("{credential:?}");
        };
        assert_eq!(oauth.url, "https://w.cloud.databricks.com/oidc/v1/token");
        let grant = OAuthGrant::ClientCredentials {
            client_id: Secret::new("id"),
            client_secret: Secret::new("s3cret"),
            scope: "all-apis".to_owned(),
        };
        assert_eq!(oauth.grant, grant);
    }
    let (key, _) = read("api_key: ${KEY}");
    assert_eq!(key, Some(Auth::Bearer(Secret::new("s3cret-k"))));
    let (both, findings) = read("api_key: ${KEY}\nclient_id: id");
    assert!(both.is_none() && findings[0].message.contains("one of the two"));
}

#[test]
fn keys_have_the_header_of_their_provider() {
    for (family, expected) in [
        (Family::OpenAi, Auth::Bearer(Secret::new("k"))),
        (Family::Cohere, Auth::Bearer(Secret::new("k"))),
        (Family::Azure, Auth::Header("api-key", Secret::new("k"))),
        (
            Family::Anthropic,
            Auth::Header("x-api-key", Secret::new("k")),
        ),
        (
            Family::Gemini,
            Auth::Header("x-goog-api-key", Secret::new("k")),
        ),
    ] {
        assert_eq!(auth_of(family, "api_key: k", &[]).0, Some(expected));
    }
}

#[test]
fn keys_of_other_providers_are_said_to_do_nothing() {
    for (family, yaml, count) in [
        (
            Family::OpenAi,
            "{aws_region_name: x, vertex_project: p, token: t}",
            3,
        ),
        (Family::OpenAi, "{client_id: ''}", 1),
        (
            Family::Bedrock,
            "{aws_region_name: x, vertex_project: p}",
            1,
        ),
        (Family::Vertex, "{aws_region_name: x, vertex_project: p}", 1),
        (Family::Vertex, "{api_key: k}", 1),
        (Family::Watsonx, "{token: t}", 0),
    ] {
        let (_, said) = auth_of(family, yaml, &[]);
        let warned = said.matches("without effect here").count();
        assert_eq!(warned, count, "{yaml}: {said}");
    }
}
