//! A target that calls somebody.

use super::super::Importing;
use super::super::VariableKind;
use super::super::address::{Address, address};
use super::super::draft::{Provider, Target, Timeouts, slug};
use super::super::ledger::Outcome;
use super::super::render;
use super::super::tree::{Node, Value};
use super::super::variables::{Text, is_secret_key, looks_secret, shown, to_name};
use super::super::vendors::{Reach, VENDORS, Vendor, by_portkey_name};
use super::Inherited;

type Refused<'n> = (&'n Node, String, String);

/// The target that `node` stands for.
pub(super) fn read<'n>(
    node: &'n Node,
    inherited: &Inherited<'n>,
    route: &str,
    importing: &mut Importing<'_>,
) -> Option<String> {
    match target(node, inherited, route, importing) {
        Ok(target) => Some(target),
        Err((at, why, hint)) => {
            let line = at.place.line;
            let reason = Outcome::Unsupported { why, hint };
            let part = Outcome::Unsupported {
                why: "part of a target that is not carried over".into(),
                hint: format!("see line {line}"),
            };
            let is_whole = std::ptr::eq(at, node);
            if !is_whole {
                importing.ledger.rest(at, &reason);
            }
            // Weight and name are decided by the group it is in.
            for (_, node) in
                node.entries().iter().filter(|(key, _)| !["weight", "name", "retry"].contains(&key.as_str()))
            {
                importing.ledger.rest(node, if is_whole { &reason } else { &part });
            }
            None
        }
    }
}

/// Who answers, and how that is known.
struct Who<'n> {
    vendor: &'static Vendor,
    /// The nodes that say so.
    nodes: Vec<&'n Node>,
    /// It is not said but guessed.
    guessed: Option<&'static str>,
    /// The name of the key that Portkey keeps, when it keeps it.
    kept: Option<&'n str>,
}

const GUESSED: &str = "the vendor is guessed from the name of a key that Portkey keeps: check it";

fn who<'n>(node: &'n Node, model: Option<&'n Node>) -> Result<Who<'n>, Refused<'n>> {
    let provider = node.get("provider").filter(|node| node.text().is_some());
    let virtual_key = node.get("virtual_key").filter(|node| node.text().is_some());
    let nodes: Vec<&Node> = ["provider", "virtual_key"].iter().filter_map(|key| node.get(key)).collect();
    let named = provider.and_then(Node::text).filter(|name| !name.starts_with('@'));
    if let Some(name) = named {
        let vendor = by_portkey_name(name).ok_or_else(|| {
            let hint = "if it is OpenAI-compatible, write its provider, target and route by hand".to_owned();
            (provider.unwrap_or(node), format!("`{}` is no provider that the importer knows", shown(name)), hint)
        })?;
        return Ok(Who { vendor, nodes, guessed: None, kept: virtual_key.and_then(Node::text) });
    }
    // `@name`, in the provider or before the model's name, is a key that Portkey keeps, as a virtual key is.
    let slug =
        provider.and_then(Node::text).or_else(|| model.and_then(Node::text).filter(|model| model.starts_with('@')));
    let kept = virtual_key
        .and_then(Node::text)
        .or(slug.map(|slug| slug.trim_start_matches('@').split('/').next().unwrap_or(slug)));
    let at = virtual_key.or(provider).or(model).unwrap_or(node);
    let vendor = kept.filter(|kept| !looks_secret(kept)).and_then(guess).ok_or_else(|| {
        let why = match kept {
            Some(_) => "whose key it is, only Portkey knows: nothing in its name says so",
            None => "nothing says who answers: Portkey takes it from a header of the request",
        };
        (at, why.to_owned(), "say in `provider` who answers".to_owned())
    })?;
    Ok(Who { vendor, nodes, guessed: Some(GUESSED), kept })
}

/// The vendor whose name a key's name begins with.
fn guess(kept: &str) -> Option<&'static Vendor> {
    let kept = kept.to_lowercase();
    let fits =
        |name: &str| kept.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_', '.']));
    let length = |vendor: &Vendor| vendor.portkey.iter().copied().filter(|name| fits(name)).map(str::len).max();
    VENDORS.iter().filter(|vendor| length(vendor).is_some()).max_by_key(|vendor| length(vendor))
}

fn target<'n>(
    node: &'n Node,
    inherited: &Inherited<'n>,
    route: &str,
    importing: &mut Importing<'_>,
) -> Result<String, Refused<'n>> {
    let model = inherited.override_params.iter().rev().find_map(|params| params.get("model"));
    let who = who(node, model)?;
    if let Reach::No { why, hint } = who.vendor.reach {
        let at = who.nodes.first().copied().unwrap_or(node);
        return Err((at, format!("{}: {why}", who.vendor.name), hint.to_owned()));
    }
    if let Some(mode) = node.get("azure_auth_mode").filter(|mode| mode.text().is_some_and(|mode| mode != "apiKey")) {
        return Err((
            mode,
            "Crossfade fetches no tokens from Entra ID".to_owned(),
            "use an API key of the resource".to_owned(),
        ));
    }
    let name = model_name(node, model, &who, route)?;
    let (base_url, called) = base_url(node, inherited, &who)?;
    let api_key = key(node, &who, importing);
    let api_version = node.get("api_version").and_then(Node::word).filter(|_| who.vendor.reach == Reach::Azure);
    let is_version = |version: &&str| {
        version.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte)) && version.len() <= 64
    };
    let patience = inherited.request_timeout.and_then(Node::milliseconds);
    let provider = Provider {
        dialect: who.vendor.reach.dialect(),
        base_url,
        api_version: api_version.filter(is_version).map(Text::literal),
        kind: who.vendor.kind,
        api_key,
        class: who.vendor.reach.class(),
        timeouts: Timeouts { first_token: patience, answer: patience, ..Timeouts::default() },
    };
    let provider = importing.draft.provider(&called, provider);
    if let (Some(note), Some(provider)) = (who.guessed, importing.draft.provider_mut(&provider)) {
        provider.comment(note);
    }
    let mut target = Target::new(provider.clone(), Text::literal(name.clone()));
    target.max_attempts = inherited.retry.and_then(|retry| retry.get("attempts")).and_then(Node::attempts);
    for params in &inherited.override_params {
        parameters(params, &mut target, importing);
    }
    let wanted = node.get("name").and_then(Node::text).filter(|name| !looks_secret(name));
    let wanted = wanted.map_or_else(|| format!("{}-{name}", who.vendor.name), str::to_owned);
    let target = importing.draft.target(&slug(&wanted), target);
    let line = node.place.line;
    if let Some(target) = importing.draft.target_mut(&target) {
        target.comment(format!("line {line}"));
    }
    settle(node, &who, &provider, &target, importing);
    Ok(target)
}

fn model_name<'n>(node: &'n Node, model: Option<&'n Node>, who: &Who<'_>, route: &str) -> Result<String, Refused<'n>> {
    let deployment = node.get("deployment_id").or_else(|| node.get("azure_deployment_name"));
    let written = match who.vendor.reach {
        Reach::Azure => deployment.or(model),
        _ => model,
    };
    let Some(written) = written else { return Ok(route.to_owned()) };
    let text = written.text().unwrap_or_default();
    let text = if text.starts_with('@') { text.split_once('/').map_or("", |(_, model)| model) } else { text };
    if text.is_empty() || text.contains('*') || looks_secret(text) {
        return Err((written, "not the name of a model".to_owned(), "correct it at the source".to_owned()));
    }
    Ok(text.to_owned())
}

fn base_url<'n>(node: &'n Node, inherited: &Inherited<'n>, who: &Who<'n>) -> Result<(Text, String), Refused<'n>> {
    let vendor = who.vendor;
    let host = inherited.custom_host.filter(|host| host.text().is_some());
    let resource = node.get("resource_name").and_then(Node::text);
    let written = match (host, resource) {
        (Some(host), _) => host.text().unwrap_or_default().to_owned(),
        (None, Some(resource)) if vendor.reach == Reach::Azure => format!("https://{resource}.openai.azure.com"),
        (None, _) => vendor.reach.base_url().to_owned(),
    };
    let at = host.or_else(|| node.get("resource_name")).or(who.nodes.first().copied()).unwrap_or(node);
    if written.is_empty() {
        return Err((
            at,
            format!("{} has no usual address and the target names none", vendor.name),
            "say in `custom_host` where it is".to_owned(),
        ));
    }
    let Address { url, host: word, is_near, .. } =
        address(&written).map_err(|why| (at, why.to_owned(), "write `providers.*.base_url` by hand".to_owned()))?;
    let is_usual = host.is_none() && vendor.reach != Reach::Azure;
    let name = if is_usual || word.is_empty() || is_near { vendor.name.to_owned() } else { slug(&word) };
    Ok((Text::literal(url), name))
}

fn key(node: &Node, who: &Who<'_>, importing: &mut Importing<'_>) -> Option<Text> {
    let usual = who.vendor.reach.key();
    if let Some((node, key)) = node.get("api_key").and_then(|node| Some((node, node.text()?))) {
        let wanted = if usual.is_empty() { to_name(&format!("{}_API_KEY", who.vendor.name)) } else { usual.to_owned() };
        return Some(importing.variables.secret(key.trim(), &wanted, node.place.line));
    }
    if let Some(kept) = who.kept.filter(|kept| !looks_secret(kept)) {
        return Some(
            importing.variables.kept(&to_name(&format!("{kept}_API_KEY")), "the vendor's own key, which Portkey keeps"),
        );
    }
    (!usual.is_empty()).then(|| importing.variables.named(usual, VariableKind::Key))
}

/// What Portkey overrides is set for every caller.
fn parameters(params: &Node, target: &mut Target, importing: &mut Importing<'_>) {
    for (field, value) in params.entries() {
        if ["model", "messages", "stream"].contains(&field.as_str()) || value.value == Value::Nothing {
            continue;
        }
        let mut text = |node: &Node, text: &str, key: &str| {
            if is_secret_key(key) || looks_secret(text) {
                importing.variables.secret(text, &to_name(key), node.place.line)
            } else {
                Text::literal(text)
            }
        };
        target.set.insert(field.clone(), render::flow(value, field, &mut text));
    }
}

fn settle(node: &Node, who: &Who<'_>, provider: &str, target: &str, importing: &mut Importing<'_>) {
    let ledger = &mut importing.ledger;
    for node in &who.nodes {
        match who.guessed {
            Some(note) => ledger.mapped_but(node, format!("providers.{provider}"), note),
            None => ledger.mapped(node, format!("providers.{provider}")),
        }
    }
    let base_url = format!("providers.{provider}.base_url");
    let one_to_one = [
        ("api_key", format!("providers.{provider}.api_key")),
        ("custom_host", base_url.clone()),
        ("resource_name", base_url),
        ("deployment_id", format!("targets.{target}.model")),
        ("azure_deployment_name", format!("targets.{target}.model")),
        ("api_version", format!("providers.{provider}.api_version")),
    ];
    for (key, to) in one_to_one {
        if let Some(node) = node.get(key) {
            ledger.mapped(node, to);
        }
    }
    if let Some(node) = node.get("azure_auth_mode") {
        ledger.harmless(node, "it is the key that is used");
    }
    if let Some(node) = node.get("request_timeout") {
        match node.milliseconds() {
            Some(_) => ledger.mapped(
                node,
                format!("providers.{provider}.timeouts.answer, providers.{provider}.timeouts.first_token"),
            ),
            None => ledger.unsupported(
                node,
                "not a number of milliseconds",
                format!("write `providers.{provider}.timeouts`"),
            ),
        }
    }
    for (field, value) in node.get("override_params").map(Node::entries).unwrap_or_default() {
        match field.as_str() {
            "model" => ledger.mapped(value, format!("targets.{target}.model")),
            "messages" | "stream" => {
                ledger.unsupported(value, format!("`{field}` is the caller's or Crossfade's own to set"), "drop it")
            }
            _ if value.value == Value::Nothing => ledger.harmless(value, "nothing is set"),
            _ => ledger.mapped(value, format!("targets.{target}.parameters.set.{field}")),
        }
    }
    if let Some(headers) = node.get("forward_headers") {
        ledger.unsupported(
            headers,
            "a caller's headers do not reach a provider, but for those named in docs/reference/endpoints.md",
            "name `openai-organization` or `openai-project` in `providers.*.forward_headers`",
        );
    }
}
