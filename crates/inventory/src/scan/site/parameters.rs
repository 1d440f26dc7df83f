//! What parameters of requests are called, in lower case without underscores.

/// Under which names a model is given.
pub(super) const MODELS: [&str; 27] = [
    "model",
    "modelname",
    "modelid",
    "engine",
    "deployment",
    "deploymentid",
    "deploymentname",
    "azuredeployment",
    "chatmodel",
    "azureopenaiapideploymentname",
    "deploymentormodelname",
    "azureopenaiapiembeddingsdeploymentname",
    "embeddingmodelname",
    "languagemodel",
    "modelversion",
    "withmodel",
    "modelurl",
    "foundationmodelid",
    "embeddingmodel",
    "chatmodelname",
    "imagemodel",
    "chatcompletionmodelname",
    "completionmodelname",
    "embeddingsmodelname",
    "embeddingsmodel",
    "completionmodel",
    "defaultmodel",
];

/// Parameters that offer tools.
pub(super) const TOOLS: [&str; 20] = [
    "tools",
    "tool",
    "addtool",
    "functions",
    "addfunction",
    "toolchoice",
    "functioncall",
    "withtools",
    "toolspecifications",
    "toolcallbacks",
    "defaulttools",
    "toolnames",
    "toolcallbehavior",
    "functionchoicebehavior",
    "toolconfig",
    "functiondeclarations",
    "withtoolchoice",
    "toolprovider",
    "defaultfunctions",
    "mcpservers",
];

/// Parameters that bind the answer to a form.
pub(super) const SCHEMAS: [&str; 13] = [
    "responseformat",
    "textformat",
    "schema",
    "responseschema",
    "responsejsonschema",
    "responsemimetype",
    "outputtype",
    "responsemodel",
    "jsonschema",
    "outputschema",
    "outputconfig",
    "withresponseformat",
    "experimentaloutput",
];

/// What images are called where they are sent.
pub(super) const VISION: [&str; 12] = [
    "image_url",
    "input_image",
    "ImageURL",
    "imageUrl",
    "ImageContent",
    "CreateImagePart",
    "CreateImageMessageContentPart",
    "ChatMessageImageContentItem",
    "ChatMessagePartTypeImageURL",
    "inline_data",
    "inlineData",
    "ImagePart",
];

/// Parameters that hold images.
pub(super) const VISION_NAMES: [&str; 4] = ["images", "imageurl", "media", "inputimage"];

/// Parameters and setters under which more parameters are given.
pub(super) const WRAPS: [&str; 18] = [
    "parameters",
    "request",
    "options",
    "req",
    "params",
    "config",
    "clientoptions",
    "configuration",
    "body",
    "defaultoptions",
    "defaultrequestparameters",
    "requestparameters",
    "chatoptions",
    "embeddingoptions",
    "imageoptions",
    "requestoptions",
    "modeloptions",
    "promptoptions",
];

/// Functions that write an object as JSON, or add one to another.
pub(super) const WRITES: [&str; 24] = [
    "stringify",
    "to_string",
    "to_vec",
    "to_value",
    "to_string_pretty",
    "generate",
    "dump",
    "dumps",
    "writeValueAsString",
    "toJson",
    "toJSONString",
    "toJsonStr",
    "Marshal",
    "encodeToString",
    "fast_generate",
    "encode",
    "to_json",
    "Serialize",
    "SerializeObject",
    "SerializeToUtf8Bytes",
    "SerializeToElement",
    "ToJson",
    "FromObject",
    "merge",
];
