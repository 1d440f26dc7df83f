//! The prompts there are: files of one directory, and versions in the store.

use std::path::{Path, PathBuf};

use eval::prompt::Prompt;
use store::{Database, PromptLabelRow, PromptRow};

use super::{kept_at, row, short, writing};
use crate::config::{ConfigError, read_prompt};
use crate::load;
use crate::out::Stop;
use crate::verbs::Place;

/// A prompt of a file.
#[derive(Debug)]
pub(super) struct Loaded {
    /// The file.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
    /// What it says.
    pub prompt: Prompt,
}

/// A version with the text it was read from.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    /// The prompt's name.
    pub name: String,
    /// SHA-256 of what it says.
    pub version: String,
    /// The text.
    pub text: String,
    /// What it says.
    pub prompt: Prompt,
}

impl Kept {
    /// The version of a file.
    pub(super) fn of(loaded: &Loaded) -> Kept {
        let Loaded { text, prompt, .. } = loaded;
        Kept { name: prompt.name.clone(), version: prompt.version(), text: text.clone(), prompt: prompt.clone() }
    }
}

/// The prompts of a directory and the store beside them.
#[derive(Debug)]
pub(super) struct Shelf {
    dir: PathBuf,
    prompts: Vec<Loaded>,
    store: PathBuf,
}

impl Shelf {
    /// Reads every `.yaml` and `.yml` of the directory.
    pub(super) fn open(place: &Place, dir: Option<PathBuf>) -> Result<Shelf, Stop> {
        let store = load::places(&place.config)?.store;
        let dir = dir.unwrap_or_else(|| place.config.parent().unwrap_or(Path::new("")).join("prompts"));
        let mut paths: Vec<PathBuf> = Vec::new();
        let entries = std::fs::read_dir(&dir).map_err(|error| {
            let stop = Stop::usage(format!("cannot read the directory {}: {error}", dir.display()));
            stop.hint("prompts are files in `prompts` beside the config; `--dir DIRECTORY` names another place")
        })?;
        for entry in entries {
            let path = entry.map_err(|error| Stop::failed(anyhow::Error::from(error)))?.path();
            if path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml") {
                paths.push(path);
            }
        }
        paths.sort();
        let (mut prompts, mut errors): (Vec<Loaded>, Vec<ConfigError>) = (Vec::new(), Vec::new());
        for path in paths {
            let shown = path.display().to_string();
            let text = std::fs::read_to_string(&path)
                .map_err(|error| Stop::failed(anyhow::anyhow!("cannot read {shown}: {error}")))?;
            match read_prompt(&shown, &text) {
                Ok(prompt) => prompts.push(Loaded { path, text, prompt }),
                Err(found) => errors.extend(found),
            }
        }
        if !errors.is_empty() {
            return Err(Stop::config(errors));
        }
        for (idx, one) in prompts.iter().enumerate() {
            if let Some(other) = prompts.iter().take(idx).find(|other| other.prompt.name == one.prompt.name) {
                let (first, second) = (other.path.display(), one.path.display());
                return Err(Stop::usage(format!("{first} and {second} are both called `{}`", one.prompt.name)));
            }
        }
        Ok(Shelf { dir, prompts, store })
    }

    /// Every prompt that has a file.
    pub(super) fn prompts(&self) -> &[Loaded] {
        &self.prompts
    }

    /// The prompts of these names; all when none is named.
    pub(super) fn named(&self, names: &[String]) -> Result<Vec<&Loaded>, Stop> {
        if names.is_empty() {
            return Ok(self.prompts.iter().collect());
        }
        names.iter().map(|name| self.get(name)).collect()
    }

    /// The prompt of this name that has a file.
    pub(super) fn get(&self, name: &str) -> Result<&Loaded, Stop> {
        self.prompts.iter().find(|loaded| loaded.prompt.name == name).ok_or_else(|| {
            let known: Vec<&str> = self.prompts.iter().map(|loaded| loaded.prompt.name.as_str()).collect();
            let stop = Stop::usage(format!("there is no prompt `{name}` in {}", self.dir.display()));
            stop.hint(if known.is_empty() {
                "there is none at all".to_owned()
            } else {
                format!("there are: {}", known.join(", "))
            })
        })
    }

    /// The version that a label names, or whose hash begins so.
    pub(super) fn kept(&self, name: &str, version: &str) -> Result<Kept, Stop> {
        let labelled = self.labels(name)?.into_iter().find(|row| row.label == version).map(|row| row.version);
        let versions = self.versions(name)?;
        let wanted = labelled.as_deref().unwrap_or(version);
        let mut found = versions.iter().filter(|row| row.version.starts_with(wanted));
        match (found.next(), found.next()) {
            (Some(row), None) => self.read(row),
            (Some(_), Some(_)) => Err(Stop::usage(format!("several versions of `{name}` begin with `{version}`"))),
            (None, _) => {
                let known: Vec<String> =
                    versions.iter().take(5).map(|row| format!("{} of {}", short(&row.version), kept_at(row))).collect();
                let hint = if known.is_empty() {
                    format!(
                        "no version of it is kept; `crossfade prompts label {name} production` keeps the one in the file"
                    )
                } else {
                    format!("kept: {}", known.join(", "))
                };
                Err(Stop::usage(format!("`{name}` has no version or label `{version}`")).hint(hint))
            }
        }
    }

    /// A version that is kept, read again.
    pub(super) fn read(&self, row: &PromptRow) -> Result<Kept, Stop> {
        let source = format!("{}@{}.yaml", row.name, short(&row.version));
        let prompt = read_prompt(&source, &row.text).map_err(|errors| {
            Stop::config(errors).hint("this version was kept by a build that read prompts otherwise")
        })?;
        // A prompt without a name in its file takes that of the file, which a version in the store has not.
        let prompt = Prompt { name: row.name.clone(), ..prompt };
        Ok(Kept { name: row.name.clone(), version: row.version.clone(), text: row.text.clone(), prompt })
    }

    /// Keeps the version of a file.
    pub(super) fn keep(&self, loaded: &Loaded, actor: &str) -> Result<Kept, Stop> {
        let kept = Kept::of(loaded);
        self.writing()?.keep_prompt(&row(&kept, actor)).map_err(Stop::failed)?;
        Ok(kept)
    }

    /// What each label names now.
    pub(super) fn labels(&self, name: &str) -> Result<Vec<PromptLabelRow>, Stop> {
        let mut labels: Vec<PromptLabelRow> = Vec::new();
        for row in self.history(name)? {
            if !labels.iter().any(|newer| newer.label == row.label) {
                labels.push(row);
            }
        }
        Ok(labels)
    }

    /// What the labels name and named, the newest first.
    pub(super) fn history(&self, name: &str) -> Result<Vec<PromptLabelRow>, Stop> {
        match self.reading()? {
            None => Ok(Vec::new()),
            Some(database) => database.prompt_labels(name).map_err(Stop::failed),
        }
    }

    /// The versions that are kept, the newest first.
    pub(super) fn versions(&self, name: &str) -> Result<Vec<PromptRow>, Stop> {
        match self.reading()? {
            None => Ok(Vec::new()),
            Some(database) => database.prompt_versions(name).map_err(Stop::failed),
        }
    }

    /// The store for writing.
    pub(super) fn writing(&self) -> Result<Database, Stop> {
        writing(&self.store)
    }

    fn reading(&self) -> Result<Option<Database>, Stop> {
        if !self.store.exists() {
            return Ok(None);
        }
        Database::open_read_only(&self.store).map(Some).map_err(Stop::failed)
    }
}

/// There is no such variant.
pub(super) fn no_variant(prompt: &Prompt, variant: &str) -> Stop {
    let known: Vec<&str> = prompt.variants.keys().map(String::as_str).collect();
    let stop = Stop::usage(format!("`{}` has no variant `{variant}`", prompt.name));
    stop.hint(if known.is_empty() { "it has none".to_owned() } else { format!("it has: {}", known.join(", ")) })
}
