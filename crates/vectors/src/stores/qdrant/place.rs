//! Where a collection of Qdrant is.

/// The port of the REST API, where an address names none.
const USUAL_PORT: u16 = 6333;

/// A collection's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    host: String,
    /// Whether the address says by `tls` that there is TLS, or that there is none.
    tls: Option<bool>,
    pub(super) collection: String,
}

impl Place {
    /// Reads what stands after `qdrant:`: `HOST:PORT?tls=yes#COLLECTION`.
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
            return Err(format!(
                "`qdrant:{place}` is no place of Qdrant: write qdrant:HOST:PORT#COLLECTION; the port of REST is {USUAL_PORT} as a rule"
            ));
        }
        let mut tls = None;
        for setting in settings.split('&').filter(|setting| !setting.is_empty()) {
            tls = match setting {
                "tls=yes" => Some(true),
                "tls=no" => Some(false),
                _ => return Err(format!("`{setting}` is none of tls=yes and tls=no")),
            };
        }
        let collection = named(collection)?;
        let is_here = ["localhost:", "127.0.0.1:", "[::1]:"].iter().any(|here| host.starts_with(here));
        if !is_here && tls.is_none() {
            return Err(
                "beyond this machine the address has to say `?tls=yes`, or `?tls=no` where there is none".to_owned()
            );
        }
        Ok(Place { host: host.to_owned(), tls, collection })
    }

    /// Another collection of the same server.
    pub(super) fn with(&self, collection: &str) -> Result<Place, String> {
        let mut place = self.clone();
        place.collection = named(collection)?;
        Ok(place)
    }

    /// Where calls go.
    pub(super) fn base(&self) -> String {
        format!("{}://{}", if self.tls == Some(true) { "https" } else { "http" }, self.host)
    }
}

/// A name that a collection may have.
fn named(collection: &str) -> Result<String, String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if collection.is_empty() || collection.len() > 255 || !collection.bytes().all(is_plain) {
        return Err(format!("`{collection}` is no name here: letters, digits, `.`, `_` and `-`, 255 at most"));
    }
    Ok(collection.to_owned())
}

impl std::fmt::Display for Place {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Place { host, tls, collection } = self;
        let setting = tls.map(|tls| if tls { "?tls=yes" } else { "?tls=no" }).unwrap_or_default();
        write!(formatter, "{host}{setting}#{collection}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_where_a_collection_is_and_what_is_wrong_with_it() {
        for written in ["localhost:6333#kb", "x.cloud.example.com:6333?tls=yes#kb", "10.0.0.1:6333?tls=no#k-b"] {
            assert_eq!(Place::parse(written).unwrap().to_string(), written);
        }
        assert_eq!(Place::parse("localhost:6333").unwrap().to_string(), "localhost:6333#rows");
        assert_eq!(Place::parse("db:443?tls=yes#kb").unwrap().base(), "https://db:443");
        for (written, why) in [
            ("localhost#kb", "write qdrant:HOST:PORT#COLLECTION"),
            ("me:secret@db:6333#kb", "write qdrant:HOST:PORT#COLLECTION"),
            ("db:6333#kb", "has to say `?tls=yes`"),
            ("localhost:6333?user=x#kb", "is none of tls=yes"),
            ("localhost:6333#k/b", "is no name here"),
        ] {
            assert!(Place::parse(written).unwrap_err().contains(why), "{written}");
        }
    }
}
