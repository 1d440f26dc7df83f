//! What in a request makes whoever serves it reach out: addresses to fetch from, tool servers to call. For requests that may not
//! leave the house, because a model server in the house would carry part of them out, or bring something in, by itself.
//!
//! The walk sees every value of the body, whatever the endpoint, and looks at names as servers that ignore case would. Text is text
//! even when it is an address. What describes a tool or holds its arguments is not looked into: nobody fetches from there.

use std::borrow::Cow;

use crate::multipart;
use crate::scan::cursor::{Array, Object, begins_with};
use crate::scan::{Kind, ScanError, unescape_lossy};

/// Members that are fetched from, or called, whatever else is said: nothing but `data:` may be in them.
const FETCHED: [&str; 12] = [
    "image_url",
    "image_uri",
    "img_url",
    "video_url",
    "audio_url",
    "file_url",
    "file_uri",
    "document_url",
    "server_url",
    "connector_id",
    "mcp_servers",
    "callback_url",
];

/// Members that hold a picture, a sound, a film or where to get it.
const MEDIA: [&str; 10] =
    ["image", "images", "img", "video", "videos", "audio", "audios", "file", "source", "input_reference"];

/// Types of objects whose texts say where to get something.
const TYPES: [&str; 14] = [
    "url",
    "image",
    "image_url",
    "input_image",
    "video",
    "video_url",
    "input_video",
    "audio",
    "audio_url",
    "input_audio",
    "file",
    "input_file",
    "document",
    "mcp",
];

/// Texts in such objects that say something else.
const SAYING: [&str; 11] = [
    "data",
    "type",
    "text",
    "title",
    "context",
    "name",
    "filename",
    "id",
    "detail",
    "server_label",
    "server_description",
];

/// Members that describe a tool, an answer or the request, or hold the arguments of a call that was made.
const OPAQUE: [&str; 6] = ["parameters", "input_schema", "json_schema", "schema", "arguments", "metadata"];

/// Objects whose `input` is the arguments of a call.
const CALLS: [&str; 3] = ["tool_use", "server_tool_use", "mcp_tool_use"];

/// The first member of the JSON object `body` that makes a server reach out, as a path such as `messages[0].content[1].image_url`.
///
/// # Errors
/// When `body` is not such an object.
pub fn reaches_out(body: &[u8]) -> Result<Option<String>, ScanError> {
    let start = body.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let mut end = start;
    let found = object(body, &mut end, Around { below: "", in_tools: false })?;
    Ok(found.map(|path| path.strip_prefix('.').map_or_else(|| path.clone(), str::to_owned)))
}

/// The same for the items of a conversation, a JSON array.
///
/// # Errors
/// When `items` is no JSON.
pub fn items_reach_out(items: &[u8]) -> Result<Option<String>, ScanError> {
    let mut at = items.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    value(items, &mut at, Around { below: "", in_tools: false })
}

/// The same for a form: the first field of text that is one.
///
/// # Errors
/// When the form cannot be read.
pub fn form_reaches_out(boundary: &str, body: &[u8]) -> Result<Option<String>, ScanError> {
    let mut found = None;
    multipart::each_part(boundary, body, |name, value| {
        let bare = name.trim_end_matches("[]").to_ascii_lowercase();
        let text = &body[value];
        let is_out = is_one_of(&FETCHED, &bare) && !is_data(text)
            || (bare == "url" || is_one_of(&MEDIA, &bare)) && is_address(text);
        if is_out && found.is_none() {
            found = Some(name.to_owned());
        }
        Ok(())
    })?;
    Ok(found)
}

/// Purposes of uploaded files that are read line by line as requests: batches, data to tune on, evaluations.
const REQUESTS: [&[u8]; 3] = [b"batch", b"fine-tune", b"evals"];

/// Purposes of uploaded files that are documents and pictures: an address in them is text.
const DOCUMENTS: [&[u8]; 3] = [b"assistants", b"vision", b"user_data"];

/// Whether what is uploaded for this purpose is read as requests.
pub fn is_of_requests(purpose: &[u8]) -> bool {
    REQUESTS.contains(&purpose)
}

/// The same for a form that uploads a file: the first request in the file that is one, as a path such as
/// `file[2].body.messages[0].content[1].image_url.url`, where `file[2]` is its third line. A document is not looked into.
///
/// # Errors
/// When the form cannot be read, or a file whose purpose says that it holds requests.
pub fn upload_reaches_out(boundary: &str, body: &[u8]) -> Result<Option<String>, ScanError> {
    let (mut purposes, mut files) = (Vec::new(), Vec::new());
    multipart::each_named(boundary, body, |part, value| {
        if part.is_file {
            files.push((part.name.to_owned(), value));
        } else if part.name == "purpose" {
            purposes.push(&body[value]);
        }
        Ok(())
    })?;
    let is_document = |purpose: &&[u8]| DOCUMENTS.contains(purpose);
    if !purposes.is_empty() && purposes.iter().all(is_document) {
        return form_reaches_out(boundary, body);
    }
    let must_be_read = purposes.iter().any(|purpose| is_of_requests(purpose));
    for (name, file) in files {
        if let Some(path) = lines_reach_out(&body[file], must_be_read)? {
            return Ok(Some(name + &path));
        }
    }
    form_reaches_out(boundary, body)
}

/// The first line of a file that reaches out. A line that is no JSON is an error when `must_be_read`, else it is text.
fn lines_reach_out(file: &[u8], must_be_read: bool) -> Result<Option<String>, ScanError> {
    let file = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
    for (idx, line) in file.split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() || !must_be_read && !line.starts_with(b"{") && !line.starts_with(b"[") {
            continue;
        }
        match line_reaches_out(line) {
            Ok(Some(path)) => return Ok(Some(format!("[{idx}]{path}"))),
            Err(error) if must_be_read => return Err(error.about("file")),
            Ok(None) | Err(_) => {}
        }
    }
    Ok(None)
}

fn line_reaches_out(line: &[u8]) -> Result<Option<String>, ScanError> {
    let mut end = 0;
    let found = value(line, &mut end, Around { below: "", in_tools: false })?;
    // A second value on the line is one that somebody else may read.
    if found.is_none() && end < line.len() {
        return Err(ScanError::new(end, "a line of the file has more than one JSON value"));
    }
    Ok(found)
}

/// What is known of the place of a value.
#[derive(Clone, Copy)]
struct Around<'a> {
    /// The name of the member it is, or is in; in lower case.
    below: &'a str,
    /// Whether it is among the tools.
    in_tools: bool,
}

/// The path below a value at `at` to what reaches out. `at` is moved behind the value.
fn value(body: &[u8], at: &mut usize, around: Around<'_>) -> Result<Option<String>, ScanError> {
    if begins_with(body, *at, b'{') {
        return object(body, at, around);
    }
    if begins_with(body, *at, b'[') {
        let mut array = Array::open(body, *at)?;
        let mut idx = 0_usize;
        while array.next_value()? {
            let mut end = array.at();
            if let Some(path) = value(body, &mut end, around)? {
                return Ok(Some(format!("[{idx}]{path}")));
            }
            array.resume(end);
            idx += 1;
        }
        *at = array.at();
        return Ok(None);
    }
    let (kind, end) = crate::scan::skip_value(body, *at)?;
    let start = std::mem::replace(at, end);
    if kind != Kind::String {
        return Ok(None);
    }
    let text = text_of(body, start..end);
    let is_out = if is_one_of(&FETCHED, around.below) {
        !is_data(&text)
    } else {
        is_one_of(&MEDIA, around.below) && is_address(&text)
    };
    Ok(is_out.then(String::new))
}

fn object(body: &[u8], at: &mut usize, around: Around<'_>) -> Result<Option<String>, ScanError> {
    let kind = type_of(body, *at)?;
    let searches =
        around.in_tools && ["web_search", "web_fetch", "url_context"].iter().any(|tool| kind.starts_with(tool));
    if searches {
        return Ok(Some(".type".to_owned()));
    }
    // An address may be in it under any name.
    let is_place = is_one_of(&TYPES, &kind) || is_one_of(&FETCHED, around.below) || is_one_of(&MEDIA, around.below);
    let mut walk = Object::open(body, *at)?;
    while let Some(key) = walk.next_key()? {
        let name = String::from_utf8_lossy(&key.name);
        let folded = name.to_ascii_lowercase();
        let start = walk.at();
        let is_call = name == "input" && is_one_of(&CALLS, &kind);
        if is_one_of(&OPAQUE, &name) || is_call {
            walk.skip()?;
            continue;
        }
        let mut end = start;
        let in_tools = around.in_tools || folded == "tools";
        let mut found = value(body, &mut end, Around { below: &folded, in_tools })?;
        let is_text = begins_with(body, start, b'"');
        if found.is_none() && is_text && is_place && !is_one_of(&SAYING, &folded) {
            found = is_address(&text_of(body, start..end)).then(String::new);
        }
        // Chat completions that search before they answer.
        if found.is_none() && folded == "web_search_options" && begins_with(body, start, b'{') {
            found = Some(String::new());
        }
        if let Some(path) = found {
            return Ok(Some(format!(".{name}{path}")));
        }
        walk.resume(end);
    }
    *at = walk.at();
    Ok(None)
}

/// What the object at `at` says it is; nothing when it does not say.
fn type_of(body: &[u8], at: usize) -> Result<String, ScanError> {
    let mut walk = Object::open(body, at)?;
    while let Some(key) = walk.next_key()? {
        let (kind, range) = walk.skip()?;
        if kind == Kind::String && key.name.eq_ignore_ascii_case(b"type") {
            return Ok(String::from_utf8_lossy(&text_of(body, range)).to_ascii_lowercase());
        }
    }
    Ok(String::new())
}

fn text_of(body: &[u8], literal: std::ops::Range<usize>) -> Cow<'_, [u8]> {
    let mut text = Vec::new();
    unescape_lossy(body, literal, &mut text);
    Cow::Owned(text)
}

fn is_one_of(names: &[&str], name: &str) -> bool {
    names.contains(&name)
}

/// The beginning of a text as those read it who look for a URL in it: they drop white space and control characters first.
fn beginning(text: &[u8]) -> String {
    let seen = text.iter().filter(|byte| **byte > b' ' && **byte != 0x7f).take(64);
    seen.map(|byte| char::from(byte.to_ascii_lowercase())).collect()
}

/// Whether nothing is fetched for this text: it holds the bytes itself, or is empty.
fn is_data(text: &[u8]) -> bool {
    let text = beginning(text);
    text.is_empty() || text.starts_with("data:")
}

/// Whether this text is the address of something: one of the schemes that servers fetch from, whatever follows it, or any scheme
/// with a host.
fn is_address(text: &[u8]) -> bool {
    const SCHEMES: [&str; 12] = ["http", "https", "file", "ftp", "ftps", "s3", "gs", "gcs", "az", "hf", "blob", "oss"];
    let text = beginning(text);
    let Some((scheme, rest)) = text.split_once(':') else {
        return text.starts_with("//") || text.starts_with("\\\\");
    };
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    let has_host = rest.starts_with("//") || rest.starts_with("\\\\");
    scheme.starts_with("//") || SCHEMES.contains(&scheme) || is_scheme && has_host
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expected: Option<&str>) {
        assert_eq!(reaches_out(body.as_bytes()).unwrap().as_deref(), expected, "{body}");
    }

    fn chat(part: &str) -> String {
        format!(
            r#"{{"model":"m","messages":[{{"role":"user","content":[{{"type":"text","text":"https://a.example/x"}},{part}]}}]}}"#
        )
    }

    #[test]
    fn remote_images_of_every_dialect_are_found_by_their_place() {
        check(
            &chat(r#"{"type":"image_url","image_url":{"url":"https://a.example/x.png"}}"#),
            Some("messages[0].content[1].image_url.url"),
        );
        check(
            &chat(r#"{"type":"image_url","image_url":"HTTP://a.example/x.png"}"#),
            Some("messages[0].content[1].image_url"),
        );
        check(
            &chat(r#"{"type":"image","source":{"type":"url","url":"http://a.example"}}"#),
            Some("messages[0].content[1].source.url"),
        );
        check(
            &chat(r#"{"type":"document","source":{"type":"url","url":"https://a.example/a.pdf"}}"#),
            Some("messages[0].content[1].source.url"),
        );
        check(&chat(r#"{"type":"image","url":"https://a.example"}"#), Some("messages[0].content[1].url"));
        check(&chat(r#"{"type":"image","image":"https://a.example"}"#), Some("messages[0].content[1].image"));
        check(
            &chat(r#"{"type":"video_url","video_url":{"url":"file:///etc/passwd"}}"#),
            Some("messages[0].content[1].video_url.url"),
        );
        let responses = |part: &str| format!(r#"{{"model":"m","input":[{{"role":"user","content":[{part}]}}]}}"#);
        check(
            &responses(r#"{"type":"input_image","image_url":"https://a.example"}"#),
            Some("input[0].content[0].image_url"),
        );
        check(
            &responses(r#"{"type":"input_file","file_url":"https://a.example"}"#),
            Some("input[0].content[0].file_url"),
        );
        check(
            r#"{"prompt":{"id":"p","variables":{"x":{"type":"input_image","image_url":"https://a"}}}}"#,
            Some("prompt.variables.x.image_url"),
        );
        check(r#"{"input":[{"type":"image_url","image_url":{"url":"https://a"}}]}"#, Some("input[0].image_url.url"));
        check(r#"{"input":[{"image":"https://a"}]}"#, Some("input[0].image"));
        check(r#"{"images":["data:image/png;base64,AA","https://a"]}"#, Some("images[1]"));
    }

    #[test]
    fn tool_servers_connectors_and_searches_are_found() {
        check(
            r#"{"tools":[{"type":"function","name":"f"},{"type":"mcp","server_url":"https://mcp.example"}]}"#,
            Some("tools[1].server_url"),
        );
        check(r#"{"tools":[{"type":"mcp","connector_id":"connector_gmail"}]}"#, Some("tools[0].connector_id"));
        check(r#"{"mcp_servers":[{"type":"url","url":"https://mcp.example","name":"x"}]}"#, Some("mcp_servers[0].url"));
        check(r#"{"tools":[{"type":"web_search_preview"}]}"#, Some("tools[0].type"));
        check(r#"{"tools":[{"type":"web_fetch_20250910","name":"web_fetch"}]}"#, Some("tools[0].type"));
        check(r#"{"web_search_options":{}}"#, Some("web_search_options"));
    }

    #[test]
    fn neither_case_nor_escapes_nor_white_space_hide_an_address() {
        check(
            &chat(r#"{"type":"image_url","Image_URL":{"URL":"https://a"}}"#),
            Some("messages[0].content[1].Image_URL.URL"),
        );
        check(
            &chat(r#"{"type":"image_url","image\u005furl":{"\u0075rl":"\u0068ttps://a"}}"#),
            Some("messages[0].content[1].image_url.url"),
        );
        check(
            &chat(r#"{"type":"image_url","image_url":{"url":" \nht\ttps://a"}}"#),
            Some("messages[0].content[1].image_url.url"),
        );
        check(
            &chat(r#"{"type":"image_url","image_url":{"url":"//a/x"}}"#),
            Some("messages[0].content[1].image_url.url"),
        );
        check(
            &chat(r#"{"image_url":{"url":"data:,x","url":"https://a"}}"#),
            Some("messages[0].content[1].image_url.url"),
        );
        check(&chat(r#"{"TYPE":"IMAGE","source":{"x":"https://a"}}"#), Some("messages[0].content[1].source.x"));
    }

    #[test]
    fn what_carries_its_bytes_along_and_what_is_only_text_passes() {
        check(&chat(r#"{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA","detail":"low"}}"#), None);
        check(&chat(r#"{"type":"image_url","image_url":{"url":"DATA:image/png;base64,AAAA"}}"#), None);
        check(&chat(r#"{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}}"#), None);
        check(&chat(r#"{"type":"document","title":"https://a.example","source":{"type":"text","data":"a: b"}}"#), None);
        check(&chat(r#"{"type":"input_audio","input_audio":{"data":"AAAA","format":"wav"}}"#), None);
        check(r#"{"documents":[{"url":"https://wiki.house/a","text":"a"}],"user":"https://a"}"#, None);
        check(
            r#"{"tools":[{"type":"function","function":{"name":"f","parameters":{"properties":{"image_url":{"default":"https://a"}}}}}]}"#,
            None,
        );
        check(
            r#"{"messages":[{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"{\"url\":\"https://a\"}"}}]}]}"#,
            None,
        );
        check(
            r#"{"messages":[{"role":"assistant","content":[{"type":"tool_use","name":"f","input":{"url":"https://a"}}]}]}"#,
            None,
        );
        check(r#"{"metadata":{"image_url":"https://a"},"tools":[{"type":"mcp","server_label":"in_house"}]}"#, None);
        check(r#"{"input":[[1,2,3],[4]]}"#, None);
    }

    #[test]
    fn a_form_is_looked_at_too_but_for_its_files() {
        let form = |head: &str, value: &str| {
            format!("--b\r\ncontent-disposition: form-data; {head}\r\n\r\n{value}\r\n--b--\r\n")
        };
        let check = |head: &str, value: &str| form_reaches_out("b", form(head, value).as_bytes()).unwrap();
        assert_eq!(check("name=\"url\"", "https://a").as_deref(), Some("url"));
        assert_eq!(check("name=\"image[]\"", "http://a").as_deref(), Some("image[]"));
        assert_eq!(check("name=\"prompt\"", "https://a"), None);
        assert_eq!(check("name=\"image\"; filename=\"x\"", "https://a"), None);
    }

    #[test]
    fn the_requests_in_an_uploaded_file_are_looked_at_and_documents_are_not() {
        let form = |purpose: &str, file: &str| {
            format!(
                "--b\r\ncontent-disposition: form-data; name=\"purpose\"\r\n\r\n{purpose}\r\n--b\r\ncontent-disposition: \
                 form-data; name=\"file\"; filename=\"in.jsonl\"\r\n\r\n{file}\r\n--b--\r\n"
            )
        };
        let check = |purpose: &str, file: &str| upload_reaches_out("b", form(purpose, file).as_bytes());
        let line = |part: &str| {
            format!(r#"{{"custom_id":"1","method":"POST","url":"/v1/chat/completions","body":{}}}"#, chat(part))
        };
        let (near, far) = (
            line(r#"{"type":"image_url","image_url":{"url":"data:image/png;base64,AA"}}"#),
            line(r#"{"type":"image_url","image_url":{"url":"https://a.example/x.png"}}"#),
        );
        let place = Some("file[2].body.messages[0].content[1].image_url.url".to_owned());
        assert_eq!(check("batch", &near).unwrap(), None);
        assert_eq!(check("batch", &format!("\u{feff}{near}\r\n\n{far}\n")).unwrap(), place);
        assert_eq!(
            check("fine-tune", &far).unwrap().as_deref(),
            Some("file[0].body.messages[0].content[1].image_url.url")
        );
        // What is to be read as requests and cannot be is an error; of others only what is JSON is looked at.
        assert!(check("batch", "custom_id,url").is_err() && check("batch", &far[1..]).is_err());
        assert_eq!(check("ocr", "%PDF-1.7").unwrap(), None);
        assert!(check("ocr", &far).unwrap().is_some());
        assert_eq!(check("user_data", &far).unwrap(), None);
    }

    #[test]
    fn what_is_no_object_is_an_error() {
        assert!(reaches_out(b"[]").is_err());
        assert!(reaches_out(b"{\"a\":").is_err());
    }
}
