//! A selection as a list of contents in the form of SPDX 2.3.
//!
//! Source: the SPDX specification, version 2.3, chapters 6, 7 and 11; the package URL's type `deb`.

use std::fmt::Write;
use std::time::SystemTime;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::archive::{Selection, Stand};
use super::package::Package;
use crate::store::listing::hex;

impl Selection {
    /// The packages as a document of SPDX 2.3 in JSON. The same selection has the same document: it is dated by the
    /// newest archive.
    pub fn to_spdx(&self, name: &str) -> Value {
        let packages: Vec<Value> = self.packages.iter().filter_map(|package| self.item(package)).collect();
        let relationships: Vec<Value> = packages
            .iter()
            .map(|package| {
                json!({
                    "spdxElementId": "SPDXRef-DOCUMENT",
                    "relationshipType": "DESCRIBES",
                    "relatedSpdxElement": package["SPDXID"],
                })
            })
            .collect();
        let date = self.archives.iter().map(|stand| stand.date).max().unwrap_or(SystemTime::UNIX_EPOCH);
        let hash = hex(&Sha256::digest(Value::from(packages.clone()).to_string()));
        json!({
            "spdxVersion": "SPDX-2.3",
            "dataLicense": "CC0-1.0",
            "SPDXID": "SPDXRef-DOCUMENT",
            "name": name,
            // What the specification proposes to who has no address of their own.
            "documentNamespace": format!("https://spdx.org/spdxdocs/{}-{hash}", escape(name)),
            "creationInfo": {
                "created": humantime::format_rfc3339_seconds(date).to_string(),
                "creators": [concat!("Tool: holm-", env!("CARGO_PKG_VERSION"))],
            },
            "packages": packages,
            "relationships": relationships,
        })
    }

    fn item(&self, package: &Package) -> Option<Value> {
        let Stand { archive, origin, .. } = self.archives.get(package.archive)?;
        let (source, version) = &package.source;
        let locator = format!(
            "pkg:deb/{}/{}@{}?arch={}&distro={}",
            escape(&origin.to_lowercase()),
            escape(&package.name),
            escape(&package.version),
            package.architecture,
            escape(&archive.suite),
        );
        // An identifier has letters, digits, dots and dashes.
        let plain =
            |character: char| if character.is_ascii_alphanumeric() || character == '.' { character } else { '-' };
        let id: String = package.name.replace('+', "-plus").chars().map(plain).collect();
        Some(json!({
            "SPDXID": format!("SPDXRef-Package-{id}-{}", package.architecture),
            "name": package.name,
            "versionInfo": package.version,
            "packageFileName": package.filename.rsplit('/').next(),
            "downloadLocation": format!("{}/{}", archive.uri, package.filename),
            "filesAnalyzed": false,
            "checksums": [{ "algorithm": "SHA256", "checksumValue": hex(&package.sha256) }],
            "sourceInfo": format!("built from {source} {version}"),
            "licenseConcluded": "NOASSERTION",
            "licenseDeclared": "NOASSERTION",
            "copyrightText": "NOASSERTION",
            "supplier": "NOASSERTION",
            "externalRefs": [{
                "referenceCategory": "PACKAGE-MANAGER",
                "referenceType": "purl",
                "referenceLocator": locator,
            }],
        }))
    }
}

/// A text with all but what needs no escape in an address escaped.
fn escape(text: &str) -> String {
    text.bytes().fold(String::new(), |mut escaped, byte| {
        match byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            true => escaped.push(char::from(byte)),
            // A string takes everything.
            false => drop(write!(escaped, "%{byte:02X}")),
        }
        escaped
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::debian::keyring::Trust;
    use crate::debian::source::Archive;
    use std::time::Duration;

    pub(in crate::debian) fn selection() -> Selection {
        let archive = Archive {
            uri: "http://a.example/debian".to_owned(),
            suite: "bookworm".to_owned(),
            components: vec!["main".to_owned()],
            trust: Trust::Files(vec!["/k.gpg".into()]),
            ends: true,
        };
        let package = Package {
            name: "bash".to_owned(),
            version: "1:5.2+b1".to_owned(),
            architecture: "amd64".to_owned(),
            priority: "required".to_owned(),
            section: "shells".to_owned(),
            essential: true,
            source: ("bash".to_owned(), "1:5.2".to_owned()),
            archive: 0,
            filename: "pool/main/b/bash/bash_5.2+b1_amd64.deb".to_owned(),
            size: 5,
            sha256: [7; 32],
        };
        let date = SystemTime::UNIX_EPOCH + Duration::from_secs(86_400);
        let stand = Stand { archive, origin: "Debian".to_owned(), date, sha256: [1; 32] };
        Selection { archives: vec![stand], packages: vec![package] }
    }

    #[test]
    fn a_package_is_named_by_its_address_and_hash() {
        let document = selection().to_spdx("debian:bookworm");
        assert_eq!(document["spdxVersion"], "SPDX-2.3");
        assert_eq!(document["creationInfo"]["created"], "1970-01-02T00:00:00Z");
        let package = &document["packages"][0];
        assert_eq!(
            package["externalRefs"][0]["referenceLocator"],
            "pkg:deb/debian/bash@1%3A5.2%2Bb1?arch=amd64&distro=bookworm"
        );
        assert_eq!(package["checksums"][0]["checksumValue"], "07".repeat(32));
        assert_eq!(package["downloadLocation"], "http://a.example/debian/pool/main/b/bash/bash_5.2+b1_amd64.deb");
        assert_eq!(document["relationships"][0]["relatedSpdxElement"], package["SPDXID"]);
        assert_eq!(document, selection().to_spdx("debian:bookworm"));
    }
}
