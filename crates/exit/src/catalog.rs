//! What a vendor of the OpenAI dialect holds of one's data, and how its API gives it out. From the vendor's published API description (OpenAPI,
//! `openai/openai-openapi`, 2026): a list that is not here has no path there.

/// How a list goes on after a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paging {
    /// `order=asc` and `after`: the oldest first, so that what is new comes at the end.
    OldestFirst,
    /// `after` alone: the newest first.
    NewestFirst,
    /// Days from `start_time`, with a `page` that the answer names.
    Days,
    /// All at once.
    Whole,
    /// There is no list: the ids have to be known.
    ByIds,
}

/// Which key may read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// One of a project.
    Project,
    /// One of the organisation's administration.
    Administration,
}

/// A list that belongs to one object and is kept in its line.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    /// What it is called in the line.
    pub name: &'static str,
    /// Its path; `{id}` is the object's.
    pub path: &'static str,
    /// How it goes on.
    pub paging: Paging,
}

/// One sort of object.
#[derive(Debug, Clone, Copy)]
pub struct Collection {
    /// What it is called: its file is `NAME.jsonl`.
    pub name: &'static str,
    /// What it is, for people.
    pub what: &'static str,
    /// The path of its list; `{of}` is the id of the object it belongs to, `{of_of}` of that one's. For [`Paging::ByIds`] that of one object.
    pub path: &'static str,
    /// The collection that it belongs to, where it does.
    pub of: Option<&'static str>,
    /// How the list goes on.
    pub paging: Paging,
    /// The most that a page may hold.
    pub page: u32,
    /// Lists of each object.
    pub parts: &'static [Part],
    /// The path of its bytes, where it has some; `{id}` is the object's.
    pub content: Option<&'static str>,
    /// Words of `status` after which an object stays as it is. Where it has others, it is asked for again by `{path}/{id}`.
    pub settled: &'static [&'static str],
    /// Which key may read it.
    pub needs: Needs,
}

const PLAIN: Collection = Collection {
    name: "",
    what: "",
    path: "",
    of: None,
    paging: Paging::OldestFirst,
    page: 100,
    parts: &[],
    content: None,
    settled: &[],
    needs: Needs::Project,
};

const fn usage(name: &'static str, what: &'static str, path: &'static str) -> Collection {
    Collection { name, what, path, paging: Paging::Days, page: 31, needs: Needs::Administration, ..PLAIN }
}

/// Every sort, parents before what belongs to them.
pub const COLLECTIONS: &[Collection] = &[
    Collection {
        name: "files",
        what: "uploaded and produced files with their bytes",
        path: "/files",
        page: 1000,
        content: Some("/files/{id}/content"),
        ..PLAIN
    },
    Collection {
        name: "chat_completions",
        what: "chat completions that were stored, with their messages",
        path: "/chat/completions",
        parts: &[Part { name: "messages", path: "/chat/completions/{id}/messages", paging: Paging::OldestFirst }],
        ..PLAIN
    },
    Collection {
        name: "responses",
        what: "stored responses with their input, by the ids that are known",
        path: "/responses/{id}",
        paging: Paging::ByIds,
        parts: &[Part { name: "input_items", path: "/responses/{id}/input_items", paging: Paging::OldestFirst }],
        settled: &["completed", "failed", "cancelled", "incomplete"],
        ..PLAIN
    },
    Collection {
        name: "conversations",
        what: "conversations with their items, by the ids that are known",
        path: "/conversations/{id}",
        paging: Paging::ByIds,
        parts: &[Part { name: "items", path: "/conversations/{id}/items", paging: Paging::OldestFirst }],
        ..PLAIN
    },
    Collection {
        name: "vector_stores",
        what: "vector stores (their vectors are not given out)",
        path: "/vector_stores",
        settled: &["completed", "expired"],
        ..PLAIN
    },
    Collection {
        name: "vector_store_files",
        what: "the files of vector stores with the text that was read from them",
        path: "/vector_stores/{of}/files",
        of: Some("vector_stores"),
        content: Some("/vector_stores/{of}/files/{id}/content"),
        settled: &["completed", "failed", "cancelled"],
        ..PLAIN
    },
    Collection {
        name: "batches",
        what: "batches; what went in and came out is among the files",
        path: "/batches",
        paging: Paging::NewestFirst,
        settled: &["completed", "failed", "expired", "cancelled"],
        ..PLAIN
    },
    Collection {
        name: "fine_tuning_jobs",
        what: "fine-tuning jobs with events and checkpoints (weights are not given out)",
        path: "/fine_tuning/jobs",
        paging: Paging::NewestFirst,
        parts: &[
            Part { name: "events", path: "/fine_tuning/jobs/{id}/events", paging: Paging::NewestFirst },
            Part { name: "checkpoints", path: "/fine_tuning/jobs/{id}/checkpoints", paging: Paging::NewestFirst },
        ],
        settled: &["succeeded", "failed", "cancelled"],
        ..PLAIN
    },
    Collection { name: "evals", what: "evaluations", path: "/evals", ..PLAIN },
    Collection {
        name: "eval_runs",
        what: "runs of evaluations",
        path: "/evals/{of}/runs",
        of: Some("evals"),
        settled: &["completed", "failed", "canceled"],
        ..PLAIN
    },
    Collection {
        name: "eval_output_items",
        what: "what came of each item of a run",
        path: "/evals/{of_of}/runs/{of}/output_items",
        of: Some("eval_runs"),
        ..PLAIN
    },
    Collection { name: "containers", what: "containers of the code interpreter", path: "/containers", ..PLAIN },
    Collection {
        name: "container_files",
        what: "the files in containers with their bytes",
        path: "/containers/{of}/files",
        of: Some("containers"),
        content: Some("/containers/{of}/files/{id}/content"),
        ..PLAIN
    },
    Collection {
        name: "videos",
        what: "generated videos with their bytes",
        path: "/videos",
        content: Some("/videos/{id}/content"),
        settled: &["completed", "failed"],
        ..PLAIN
    },
    Collection {
        name: "models",
        what: "models, one's own among them",
        path: "/models",
        paging: Paging::Whole,
        ..PLAIN
    },
    Collection { page: 180, ..usage("costs", "what was spent, by day", "/organization/costs") },
    usage("usage_completions", "tokens of answers, by day", "/organization/usage/completions"),
    usage("usage_embeddings", "tokens of embeddings, by day", "/organization/usage/embeddings"),
    usage("usage_images", "images, by day", "/organization/usage/images"),
    usage("usage_moderations", "tokens of moderation, by day", "/organization/usage/moderations"),
    usage("usage_audio_speeches", "characters spoken, by day", "/organization/usage/audio_speeches"),
    usage("usage_audio_transcriptions", "seconds transcribed, by day", "/organization/usage/audio_transcriptions"),
    usage("usage_vector_stores", "bytes in vector stores, by day", "/organization/usage/vector_stores"),
    usage(
        "usage_code_interpreter",
        "sessions of the code interpreter, by day",
        "/organization/usage/code_interpreter_sessions",
    ),
    Collection {
        name: "audit_log",
        what: "the organisation's audit log",
        path: "/organization/audit_logs",
        paging: Paging::NewestFirst,
        needs: Needs::Administration,
        ..PLAIN
    },
];

/// What the API does not give out at all, and what to do about it.
pub const NOT_GIVEN: &[(&str, &str)] = &[
    ("weights of fine-tuned models", "train anew on the files and parameters of `fine_tuning_jobs`"),
    ("vectors of vector stores", "embed the text of `vector_store_files` anew with an open model"),
    (
        "chat completions, responses and conversations that were not stored, or whose ids nobody kept",
        "take them from the record of the gateway",
    ),
    ("prompts made in the dashboard", "copy them by hand"),
    ("assistants and threads", "the API was shut down on 2026-08-26"),
];

/// The collection of this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Collection> {
    COLLECTIONS.iter().find(|collection| collection.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_to_another_comes_after_it_and_names_it_in_its_path() {
        for (place, collection) in COLLECTIONS.iter().enumerate() {
            assert_eq!(collection.path.contains("{of}"), collection.of.is_some(), "{}", collection.name);
            if let Some(of) = collection.of {
                assert!(COLLECTIONS[..place].iter().any(|before| before.name == of), "{}", collection.name);
            }
            assert_eq!(collection.paging == Paging::ByIds, collection.path.contains("{id}"), "{}", collection.name);
            assert_eq!(COLLECTIONS.iter().filter(|other| other.name == collection.name).count(), 1);
        }
    }
}
