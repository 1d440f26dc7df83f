//! What is used for other things than language models, too, and must not be taken for one.

use super::{Confidence, Kind, Owners, Read, check, link, read};

/// The confidence of every dependency that the files name.
fn named(files: &[(&str, &str)]) -> Vec<Confidence> {
    let files: Vec<(String, Read)> =
        files.iter().map(|(path, text)| ((*path).to_owned(), read(path, text, true))).collect();
    let findings = link(&files, &Owners::default());
    findings.iter().filter(|finding| finding.kind == Kind::Dependency).map(|finding| finding.confidence).collect()
}

#[test]
fn a_cloud_library_is_a_dependency_only_where_its_models_are_used() {
    let manifest = ("requirements.txt", "boto3==1.34.0\n");
    let storage = ("a.py", "import boto3\ns3 = boto3.client('s3')\n");
    let models = ("b.py", "import boto3\nbedrock = boto3.client('bedrock-runtime')\n");
    assert_eq!(named(&[manifest, storage]), [Confidence::Possible]);
    assert_eq!(named(&[manifest, storage, models]), [Confidence::Certain]);
    assert_eq!(
        named(&[("composer.json", "{\n  \"require\": {\n    \"aws/aws-sdk-php\": \"^3.322.9\"\n  }\n}\n")]),
        [Confidence::Possible]
    );
    assert_eq!(named(&[("requirements.txt", "openai==1.3.0\n")]), [Confidence::Certain]);
}

#[test]
fn a_client_of_mail_is_none_of_a_model_in_php() {
    check(
        "a.php",
        "<?php\nuse OpenAI;\nuse Resend;\n$mail = Resend::client($key);\n$other = Resend::factory();\n$ai = OpenAI::client($key);\n$same = \\OpenAI::factory()->make();\n",
        "6 client client openai unknown certain
         7 client client openai unknown certain",
    );
}
