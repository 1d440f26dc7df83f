//! Where a collection of Milvus is.

/// The database where an address names none.
const USUAL_DATABASE: &str = "default";

/// The longest name.
const MAX_NAME: usize = 255;

/// A collection's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    host: String,
    database: String,
    /// Whether the address says by `tls` that there is TLS, or that there is none.
    tls: Option<bool>,
    pub(super) collection: String,
}

impl Place {
    /// Reads what stands after `milvus:`: `HOST:PORT?database=DATABASE&tls=yes#COLLECTION`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(written: &str) -> Result<Place, String> {
        let (place, collection) = written.split_once('#').unwrap_or((written, crate::stores::USUAL_TABLE));
        let (host, settings) = place.split_once('?').unwrap_or((place, ""));
        let is_port = |port: &str| port.parse::<u16>().is_ok();
        if !host.rsplit_once(':').is_some_and(|(name, port)| !name.is_empty() && is_port(port))
            || host.contains(['/', '@'])
        {
            return Err(format!("`milvus:{place}` is no place of Milvus: write milvus:HOST:PORT#COLLECTION"));
        }
        let mut parsed = Place {
            host: host.to_owned(),
            database: USUAL_DATABASE.to_owned(),
            tls: None,
            collection: collection.to_owned(),
        };
        for setting in settings.split('&').filter(|setting| !setting.is_empty()) {
            match setting.split_once('=') {
                Some(("database", name)) => parsed.database = name.to_owned(),
                Some(("tls", "yes")) => parsed.tls = Some(true),
                Some(("tls", "no")) => parsed.tls = Some(false),
                _ => return Err(format!("`{setting}` is none of database=NAME, tls=yes and tls=no")),
            }
        }
        for name in [&parsed.database, &parsed.collection] {
            check_name(name)?;
        }
        let is_here = ["localhost:", "127.0.0.1:", "[::1]:"].iter().any(|here| host.starts_with(here));
        if !is_here && parsed.tls.is_none() {
            return Err(
                "beyond this machine the address has to say `?tls=yes`, or `?tls=no` where there is none".to_owned()
            );
        }
        Ok(parsed)
    }

    /// Where calls go.
    pub(super) fn base(&self) -> String {
        format!("{}://{}", if self.tls == Some(true) { "https" } else { "http" }, self.host)
    }

    /// The database by its name; nothing of the usual one, which older servers know no name of.
    pub(super) fn database(&self) -> &str {
        if self.database == USUAL_DATABASE { "" } else { &self.database }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Place { host, database, tls, collection } = self;
        let mut settings = Vec::new();
        if database != USUAL_DATABASE {
            settings.push(format!("database={database}"));
        }
        settings.extend(tls.map(|tls| format!("tls={}", if tls { "yes" } else { "no" })));
        let mark = if settings.is_empty() { "" } else { "?" };
        write!(formatter, "{host}{mark}{}#{collection}", settings.join("&"))
    }
}

fn check_name(name: &str) -> Result<(), String> {
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let begins = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    if is_plain && begins && name.len() <= MAX_NAME {
        Ok(())
    } else {
        Err(format!("`{name}` is no name in Milvus: letters, digits and _, {MAX_NAME} at most, the first no digit"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_where_a_collection_is_and_what_is_wrong_with_it() {
        for written in
            ["localhost:19530#kb", "in01.example.com:443?database=app&tls=yes#kb", "10.0.0.1:19530?tls=no#kb"]
        {
            assert_eq!(Place::parse(written).unwrap().to_string(), written);
        }
        assert_eq!(Place::parse("localhost:19530").unwrap().to_string(), "localhost:19530#rows");
        assert_eq!(Place::parse("db:443?tls=yes#kb").unwrap().base(), "https://db:443");
        for (written, why) in [
            ("localhost#kb", "write milvus:HOST:PORT#COLLECTION"),
            ("me:secret@db:19530#kb", "write milvus:HOST:PORT#COLLECTION"),
            ("db:19530#kb", "has to say `?tls=yes`"),
            ("localhost:19530?user=x#kb", "is none of database=NAME"),
            ("localhost:19530#k-b", "is no name in Milvus"),
        ] {
            assert!(Place::parse(written).unwrap_err().contains(why), "{written}");
        }
    }
}
