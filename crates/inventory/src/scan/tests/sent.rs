//! Plain HTTP whose address is said in one branch of several, and names that only look as if they sent something.

use super::{check, check_files};

#[test]
fn an_address_of_one_branch_is_the_address_of_the_call() {
    check(
        "a.php",
        "<?php\nfunction ask($which) {\n    if ($which === 'deepseek') {\n        $url = 'https://api.deepseek.com/chat/completions';\n    \
         } elseif ($which === 'openai') {\n        $url = 'https://api.openai.com/v1/chat/completions';\n    } else {\n        \
         $url = get_option('custom_url');\n    }\n    $ch = curl_init($url);\n    return curl_exec($ch);\n}\n",
        "10 http chat deepseek unknown certain",
    );
}

#[test]
fn a_variable_of_a_function_is_seen_by_no_other_file() {
    check_files(
        &[
            (
                "a.php",
                "<?php\nfunction ask() {\n    $url = 'https://api.openai.com/v1/chat/completions';\n    return $this->client->run(compact('url'));\n}\n",
            ),
            (
                "b.php",
                "<?php\nfunction mail_it() {\n    $url = 'https://example.com/mail';\n    return post_mail($url);\n}\n",
            ),
        ],
        "a.php:3 http chat openai unknown likely",
    );
}

#[test]
fn what_is_checked_is_not_sent() {
    check(
        "a.php",
        "<?php\nclass ATest extends TestCase {\n    public function test() {\n        \
         $this->assertSame('https://example.com/v1/audio/speech', $this->url());\n        \
         $ok = isset($all['https://api.openai.com/v1/models']);\n        \
         if (strpos($url, 'https://api.openai.com/v1/files') !== false) {}\n    }\n}\n",
        "",
    );
}

#[test]
fn members_in_a_text_and_defined_names_are_read_in_php() {
    check(
        "a.php",
        "<?php\ndefine('CLAUDE_URL', 'https://api.anthropic.com/v1/messages');\nclass A {\n    \
         private string $base = 'https://api.openai.com/v1';\n    public function f() {\n        \
         $this->http->post(\"{$this->base}/embeddings\", []);\n        $this->http->post(\"$this->base/audio/speech\", []);\n        \
         wp_remote_post(CLAUDE_URL, $args);\n    }\n}\n",
        "6 http embeddings openai unknown certain
         7 http audio openai unknown certain
         8 http chat anthropic unknown certain",
    );
}

#[test]
fn a_model_that_is_put_into_a_body_is_found() {
    check(
        "A.java",
        "class A {\n  void f() {\n    Map<String, Object> body = new HashMap<>();\n    body.put(\"model\", \"gpt-4o\");\n    body.put(\"messages\", all);\n    \
         ResponseEntity<Map> response = rest.exchange(\"https://api.openai.com/v1/chat/completions\", HttpMethod.POST, entity, Map.class);\n  }\n  \
         void g() {\n    RequestBody body = RequestBody.create(JSON, \"{\\\"model\\\": \\\"gpt-4-turbo\\\", \\\"messages\\\": []}\");\n    \
         Request request = new Request.Builder().url(\"https://api.openai.com/v1/chat/completions\").post(body).build();\n  }\n}\n",
        "6 http chat openai gpt-4o certain
         10 http chat openai gpt-4-turbo certain",
    );
}
