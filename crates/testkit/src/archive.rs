//! A Debian archive on a server on loopback, signed by a key that was made for it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use pgp::composed::{CleartextSignedMessage, DetachedSignature, KeyType, SecretKeyParamsBuilder, SignedSecretKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::ser::Serialize;
use pgp::types::Password;
use sha2::{Digest, Sha256};

use crate::server::Server;

/// One suite of a server's archive.
pub struct Archive<'s> {
    server: &'s Server,
    /// Address of the archive below the server's, with a slash before it.
    pub base: &'static str,
    /// Its directory below `dists`.
    pub suite: String,
    /// Fields of `Release`, whose order is that of their names.
    pub fields: BTreeMap<&'static str, String>,
    /// Endings of the index's forms.
    pub forms: Vec<&'static str>,
    /// What packages are added to.
    pub component: &'static str,
    /// Paragraphs of packages by component.
    packages: BTreeMap<&'static str, Vec<String>>,
}

/// A key that can sign, good for Debian's archives.
///
/// # Panics
/// There are no random numbers.
pub fn key() -> SignedSecretKey {
    let mut parameters = SecretKeyParamsBuilder::default();
    parameters.key_type(KeyType::Ed25519Legacy).can_certify(true).can_sign(true).primary_user_id("archive".to_owned());
    let parameters = parameters.build().expect("all is said");
    parameters.generate(rand::thread_rng()).expect("there are random numbers")
}

/// Writes the public half into a file.
///
/// # Panics
/// The file can't be written.
pub fn write_keyring(keys: &[&SignedSecretKey], path: &Path) {
    let mut bytes = Vec::new();
    for key in keys {
        key.to_public_key().to_writer(&mut bytes).expect("memory takes it");
    }
    std::fs::write(path, bytes).expect("the file can be written");
}

/// A text that is clear-signed.
///
/// # Panics
/// The key can't sign.
pub fn clear_sign(text: &str, key: &SignedSecretKey) -> String {
    let message = CleartextSignedMessage::sign(rand::thread_rng(), text, &key.primary_key, &Password::empty());
    message.expect("it can sign").to_armored_string(Default::default()).expect("memory takes it")
}

impl<'s> Archive<'s> {
    /// An empty archive at `/debian`.
    pub fn new(server: &'s Server, suite: &str) -> Archive<'s> {
        let now = SystemTime::now();
        let fields = [
            ("Origin", "Debian".to_owned()),
            ("Suite", "teststable".to_owned()),
            ("Codename", suite.to_owned()),
            ("Date", date(now - Duration::from_secs(60))),
            ("Valid-Until", date(now + Duration::from_secs(86_400))),
            ("Acquire-By-Hash", "yes".to_owned()),
            ("Architectures", "all amd64".to_owned()),
            ("Components", "main".to_owned()),
            ("No-Support-for-Architecture-all", "Packages".to_owned()),
        ];
        Archive {
            server,
            base: "/debian",
            suite: suite.to_owned(),
            fields: fields.into(),
            forms: vec![".xz", ".gz"],
            component: "main",
            packages: BTreeMap::from([("main", Vec::new())]),
        }
    }

    /// Adds a package whose file has this content; `fields` are lines of its paragraph, such as `Depends: a\n`.
    pub fn add(&mut self, name: &str, version: &str, fields: &str, content: &[u8]) -> &mut Self {
        let file = format!("pool/{}/{name}_{}_amd64.deb", self.component, version.replace(':', "%3a"));
        self.server.put(&format!("{}/{file}", self.base), content);
        let architecture = if fields.contains("Architecture:") { "" } else { "Architecture: amd64\n" };
        let (size, hash) = (content.len(), hex(content));
        self.add_raw(&format!(
            "Package: {name}\nVersion: {version}\n{architecture}{fields}Filename: {file}\nSize: {size}\nSHA256: {hash}\n"
        ))
    }

    /// Adds a paragraph as it is.
    pub fn add_raw(&mut self, paragraph: &str) -> &mut Self {
        self.packages.entry(self.component).or_default().push(paragraph.to_owned());
        self
    }

    /// The text of `Release`, with all files that it names on the server.
    ///
    /// # Panics
    /// Memory is short.
    pub fn release(&self) -> String {
        let mut list = "SHA256:\n".to_owned();
        for (component, packages) in &self.packages {
            let packages = packages.join("\n");
            let index = format!("{component}/binary-amd64");
            // A string takes everything.
            let _ = writeln!(list, " {} {} {index}/Packages", hex(packages.as_bytes()), packages.len());
            for form in &self.forms {
                let bytes = compress(packages.as_bytes(), form);
                let _ = writeln!(list, " {} {} {index}/Packages{form}", hex(&bytes), bytes.len());
                let directory = self.path(&index);
                self.server.put(&format!("{directory}/by-hash/SHA256/{}", hex(&bytes)), bytes.clone());
                self.server.put(&format!("{directory}/Packages{form}"), bytes);
            }
        }
        let fields: String = self.fields.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
        fields + &list
    }

    /// Puts all on the server, signed.
    pub fn publish(&self, key: &SignedSecretKey) {
        self.server.put(&self.path("InRelease"), clear_sign(&self.release(), key));
    }

    /// The same, with the signature in a file of its own.
    ///
    /// # Panics
    /// The key can't sign.
    pub fn publish_apart(&self, key: &SignedSecretKey) {
        let release = self.release();
        let (random, password) = (rand::thread_rng(), Password::empty());
        let signed = DetachedSignature::sign_binary_data(
            random,
            &key.primary_key,
            &password,
            HashAlgorithm::Sha512,
            release.as_bytes(),
        );
        let signature = signed.expect("it can sign").to_armored_string(Default::default()).expect("memory takes it");
        self.server.remove(&self.path("InRelease"));
        self.server.put(&self.path("Release"), release);
        self.server.put(&self.path("Release.gpg"), signature);
    }

    /// Where a file of the suite is on the server.
    pub fn path(&self, file: &str) -> String {
        format!("{}/dists/{}/{file}", self.base, self.suite)
    }
}

fn compress(bytes: &[u8], form: &str) -> Vec<u8> {
    match form {
        ".xz" => {
            let mut writer = liblzma::write::XzEncoder::new(Vec::new(), 6);
            writer.write_all(bytes).and_then(|()| writer.finish()).expect("memory takes it")
        }
        ".gz" => {
            let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            writer.write_all(bytes).and_then(|()| writer.finish()).expect("memory takes it")
        }
        _ => bytes.to_vec(),
    }
}

/// SHA-256 in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A date as archives write it.
///
/// # Panics
/// It is before 1970.
pub fn date(time: SystemTime) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let text = humantime::format_rfc3339_seconds(time).to_string();
    let month: usize = text[5..7].parse().expect("it is a number");
    format!("Sat, {} {} {} {} UTC", &text[8..10], MONTHS[month - 1], &text[..4], &text[11..19])
}
