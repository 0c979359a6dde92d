//! What the file says of where Bedrock and SageMaker are.

use waypost::types::Dialect;

use crate::support::{Model, Yaml, load};

/// Dialect, base and model of one deployment with these lines.
fn chosen(lines: &[&str]) -> (Dialect, String, String) {
    let keys = ["aws_access_key_id: AKIDEXAMPLE", "aws_secret_access_key: s"];
    let all = lines.iter().chain(&keys).copied();
    let yaml = Yaml::default().group("g", [Model::lines(all)]);
    let target = load(&yaml.to_string()).groups[0].deployments[0]
        .target
        .clone();
    (
        target.dialect.clone(),
        target.base_url.clone(),
        target.model.to_string(),
    )
}

#[test]
fn files_say_where_models_are() {
    let converse = |region: &str| Dialect::Bedrock {
        region: region.to_owned(),
    };
    let openai = |region: &str, service| Dialect::AwsOpenAi {
        region: region.to_owned(),
        service,
    };
    let arn = "arn:aws:bedrock:us-west-2:1:application-inference-profile/x";
    let (with_arn, with_id) = (format!("model: {arn}"), format!("model_id: {arn}"));
    let cases: [(&[&str], Dialect, &str, &str); 10] = [
        (
            &[
                "provider: bedrock",
                "model: us.anthropic.claude-x",
                "aws_region_name: us-east-1",
            ],
            converse("us-east-1"),
            "https://bedrock-runtime.us-east-1.amazonaws.com",
            "us.anthropic.claude-x",
        ),
        (
            &[
                "provider: bedrock_converse",
                "model: bedrock/converse/m",
                "aws_region_name: cn-north-1",
            ],
            converse("cn-north-1"),
            "https://bedrock-runtime.cn-north-1.amazonaws.com.cn",
            "m",
        ),
        (
            &["provider: bedrock", "model: bedrock/eusc-de-east-1/m"],
            converse("eusc-de-east-1"),
            "https://bedrock-runtime.eusc-de-east-1.amazonaws.eu",
            "m",
        ),
        (
            &["provider: bedrock", &with_arn],
            converse("us-west-2"),
            "https://bedrock-runtime.us-west-2.amazonaws.com",
            arn,
        ),
        (
            &[
                "provider: bedrock",
                "model: anthropic.claude-x",
                &with_id,
                "aws_region_name: us-east-1",
            ],
            converse("us-east-1"),
            "https://bedrock-runtime.us-east-1.amazonaws.com",
            arn,
        ),
        (
            &[
                "provider: bedrock",
                "model: m",
                "aws_bedrock_runtime_endpoint: https://vpce-1.bedrock-runtime.eu-west-1.vpce.amazonaws.com/",
            ],
            converse("eu-west-1"),
            "https://vpce-1.bedrock-runtime.eu-west-1.vpce.amazonaws.com",
            "m",
        ),
        (
            &[
                "provider: bedrock",
                "model: openai/m",
                "aws_region_name: us-east-1",
            ],
            openai("us-east-1", "bedrock"),
            "https://bedrock-runtime.us-east-1.amazonaws.com/openai/v1",
            "m",
        ),
        (
            &[
                "provider: bedrock",
                "model: m",
                "api_base: https://bedrock-mantle.us-east-1.api.aws/v1/chat/completions",
            ],
            openai("us-east-1", "bedrock-mantle"),
            "https://bedrock-mantle.us-east-1.api.aws/v1",
            "m",
        ),
        (
            &[
                "provider: bedrock",
                "model: mantle/m",
                "aws_region_name: us-east-2",
            ],
            openai("us-east-2", "bedrock-mantle"),
            "https://bedrock-mantle.us-east-2.api.aws/v1",
            "m",
        ),
        (
            &[
                "provider: sagemaker",
                "model: sagemaker/e",
                "aws_region_name: eu-west-1",
            ],
            Dialect::SageMaker {
                region: "eu-west-1".to_owned(),
                component: None,
            },
            "https://runtime.sagemaker.eu-west-1.amazonaws.com",
            "e",
        ),
    ];
    for (lines, dialect, base, model) in cases {
        let expected = (dialect, base.to_owned(), model.to_owned());
        assert_eq!(chosen(lines), expected, "{lines:?}");
    }
}
