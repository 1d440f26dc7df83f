//! What counts the tokens of answers whose server does not: its own tokenizer, or one in a file.

use std::path::Path;
use std::sync::Arc;

use bench::engine::Target;
use bench::tokens::OfServer;
use providers::{BaseUrl, Dialect, ProviderConfig, Shared};

use crate::out::Stop;

/// Finds them: each server is asked for its tokenizer, and the file is read.
pub(super) fn find(targets: &mut [Target], shared: &Shared, file: Option<&Path>) -> Result<(), Stop> {
    let here = file.map(here::read).transpose()?;
    for target in targets {
        if let Some(of_server) = of_server(target, shared) {
            target.counters.push(Arc::new(of_server));
        }
        target.counters.extend(here.clone());
    }
    Ok(())
}

fn of_server(target: &Target, shared: &Shared) -> Option<OfServer> {
    let config = target.provider.config();
    if config.is_simulated() || !matches!(config.dialect, Dialect::Openai) {
        return None;
    }
    let base = config.base_url.as_str();
    let root = BaseUrl::origin(base.strip_suffix("/v1").unwrap_or(base)).ok()?;
    let root = shared.provider(Arc::new(ProviderConfig { base_url: root, ..config.clone() })).ok()?;
    OfServer::find(&root, &target.model)
}

#[cfg(feature = "tokenizer")]
mod here {
    use std::path::Path;
    use std::sync::Arc;

    use bench::sample::TokenSource;
    use bench::tokens::Count;
    use encoder::Tokenizer;

    use crate::out::Stop;

    struct Here(Tokenizer);

    impl Count for Here {
        fn source(&self) -> TokenSource {
            TokenSource::Tokenizer
        }

        fn count(&self, texts: &[&str]) -> Vec<Option<u64>> {
            texts.iter().map(|text| self.0.count(text)).collect()
        }
    }

    pub(super) fn read(path: &Path) -> Result<Arc<dyn Count>, Stop> {
        let found = Tokenizer::read(path).map_err(|error| Stop::usage(format!("{}: {error}", path.display())))?;
        Ok(Arc::new(Here(found)))
    }
}

#[cfg(not(feature = "tokenizer"))]
mod here {
    use std::path::Path;
    use std::sync::Arc;

    use bench::tokens::Count;

    use crate::out::Stop;

    pub(super) fn read(_: &Path) -> Result<Arc<dyn Count>, Stop> {
        let stop = Stop::usage("this binary was built without tokenizers");
        Err(stop.hint("build it with `--features tokenizer`; a server that has a tokenizer of its own (llama.cpp, vLLM) is asked anyway"))
    }
}
