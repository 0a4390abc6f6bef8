//! Keys that an archive is trusted by, and what they have signed.
//!
//! A signature counts if it was made by a key of the keyring, a primary key or a subkey that its primary key has bound
//! for signing (and that has bound itself to it); if neither key nor signature is revoked, expired or from the future;
//! and if hash and key are strong. One such signature is enough: archives sign with old and new keys at once. What is
//! unclear counts as bad.
//!
//! The text of a clear-signed file is the text that was hashed, not what stands in the file: so nothing can stand around
//! it, and an escaped line is what it was before.
//!
//! Source: RFC 9580, sections 5.2, 7 and 10.1.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use pgp::composed::{CleartextSignedMessage, Deserializable, DetachedSignature, SignedPublicKey, SignedPublicSubKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Signature, SignatureType, SubpacketData};
use pgp::ser::Serialize;
use pgp::types::{KeyDetails, PublicParams, Tag};

use super::error::Error;
use super::keys::Keys;

/// A keyring may have so many keys, and a file so many signatures.
const MANY: usize = 1000;
/// Clocks may differ by so much.
pub(super) const SLACK: Duration = Duration::from_secs(24 * 60 * 60);
/// Where an armoured key begins.
const ARMOUR: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";

/// Keys that are trusted.
#[derive(Debug, Default)]
pub(super) struct Keyring {
    keys: Vec<SignedPublicKey>,
    /// Where they are from, for messages.
    names: Vec<String>,
}

/// Who may sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The keys in these files, binary or armoured.
    Files(Vec<PathBuf>),
    /// This key, armoured.
    Key(String),
    /// Of the keys in these files those with these fingerprints, in hexadecimal; a subkey's means that subkey alone.
    Only(Vec<PathBuf>, Vec<String>),
}

impl Keyring {
    /// Reads keys. Those of a kind that is unknown are left out.
    pub(super) fn read(keys: &Keys) -> Result<Keyring, Error> {
        let mut keyring = Keyring::default();
        let without = |path: &Path, cause: &str| Error::Keyring { path: path.to_owned(), cause: cause.to_owned() };
        for (path, bytes) in keys.files() {
            keyring.names.push(path.display().to_string());
            if keyring.add(bytes) == 0 {
                return Err(without(path, "it has no OpenPGP key"));
            }
        }
        if let Trust::Only(_, fingerprints) = keys.trust() {
            keyring.restrict(fingerprints);
        }
        if keyring.keys.is_empty() {
            let path = keys.files().first().map(|(path, _)| path.as_path());
            return Err(without(path.unwrap_or(Path::new("")), "it has no key"));
        }
        Ok(keyring)
    }

    /// Adds the keys in these bytes and says how many there are.
    pub(super) fn add(&mut self, bytes: &[u8]) -> usize {
        let before = self.keys.len();
        match std::str::from_utf8(bytes).ok().filter(|text| text.contains(ARMOUR)) {
            // One file can have many blocks.
            Some(text) => {
                for (at, _) in text.match_indices(ARMOUR) {
                    if let Ok((keys, _)) = SignedPublicKey::from_string_many(&text[at..]) {
                        self.keys.extend(keys.take(MANY).filter_map(Result::ok));
                    }
                }
            }
            None => {
                if let Ok(keys) = SignedPublicKey::from_bytes_many(bytes) {
                    self.keys.extend(keys.take(MANY).filter_map(Result::ok));
                }
            }
        }
        self.keys.len() - before
    }

    /// Leaves those with these fingerprints.
    fn restrict(&mut self, fingerprints: &[String]) {
        let wished = |key: &dyn KeyDetails| {
            let own = format!("{:X}", key.fingerprint());
            fingerprints.iter().any(|other| other.trim_end_matches('!').eq_ignore_ascii_case(&own))
        };
        self.keys.retain_mut(|key| {
            if !wished(&key.primary_key) {
                key.public_subkeys.retain(|subkey| wished(&subkey.key));
                return !key.public_subkeys.is_empty();
            }
            true
        });
    }

    /// The text of a clear-signed file.
    pub(super) fn open(&self, signed: &str, now: SystemTime) -> Result<String, String> {
        let (message, _) =
            CleartextSignedMessage::from_string(signed).map_err(|error| format!("it is not clear-signed: {error}"))?;
        let text = message.signed_text();
        self.check(message.signatures(), text.as_bytes(), now)?;
        Ok(text)
    }

    /// Checks a file's signature, armoured or binary, that stands apart.
    pub(super) fn verify(&self, data: &[u8], signature: &[u8], now: SystemTime) -> Result<(), String> {
        let read = match std::str::from_utf8(signature) {
            Ok(text) => DetachedSignature::from_string_many(text).map(|(all, _)| all),
            Err(_) => DetachedSignature::from_bytes_many(signature),
        };
        let all = read.map_err(|error| format!("its signature is unreadable: {error}"))?;
        let all: Vec<Signature> = all.take(MANY).filter_map(Result::ok).map(|one| one.signature).collect();
        self.check(&all, data, now)
    }

    fn check(&self, signatures: &[Signature], data: &[u8], now: SystemTime) -> Result<(), String> {
        let mut reasons = Vec::new();
        for signature in signatures.iter().take(MANY) {
            for key in &self.keys {
                match signed_by(key, signature, data, now) {
                    Ok(true) => return Ok(()),
                    Ok(false) => {}
                    Err(reason) => reasons.push(format!("key {:X}: {reason}", key.fingerprint())),
                }
            }
        }
        let issuers = signatures.iter().flat_map(Signature::issuer_key_id).map(|id| id.to_string());
        Err(match reasons.first() {
            Some(_) => format!("it has no good signature ({})", reasons.join("; ")),
            None => format!(
                "it is signed by {}, none of which is in {}",
                listed(issuers.collect(), "nobody that is named"),
                listed(self.names.clone(), "the keyring")
            ),
        })
    }
}

fn listed(mut words: Vec<String>, none: &str) -> String {
    const SHOWN: usize = 3;
    words.dedup();
    match words.len() {
        0 => none.to_owned(),
        count if count > SHOWN => format!("{} and {} more", words[..SHOWN].join(", "), count - SHOWN),
        _ => words.join(", "),
    }
}

/// Whether this key made the signature; an error says why it doesn't count, though it names this key.
fn signed_by(key: &SignedPublicKey, signature: &Signature, data: &[u8], now: SystemTime) -> Result<bool, &'static str> {
    if names(signature, &key.primary_key) {
        check_signature(signature, now)?;
        signature.verify(&key.primary_key, data).map_err(|_| "the signature is not of this text")?;
        return check_primary(key, signature, now, Signer::Primary).map(|()| true);
    }
    for subkey in &key.public_subkeys {
        if names(signature, &subkey.key) {
            check_signature(signature, now)?;
            signature.verify(&subkey.key, data).map_err(|_| "the signature is not of this text")?;
            check_primary(key, signature, now, Signer::Subkey)?;
            return check_subkey(key, subkey, signature, now).map(|()| true);
        }
    }
    Ok(false)
}

/// Whether a signature says that it is by this key. One that doesn't say counts for nothing.
fn names(signature: &Signature, key: &impl KeyDetails) -> bool {
    match signature.issuer_fingerprint().as_slice() {
        [] => signature.issuer_key_id().into_iter().any(|id| *id == key.legacy_key_id()),
        all => all.iter().any(|fingerprint| **fingerprint == key.fingerprint()),
    }
}

fn check_signature(signature: &Signature, now: SystemTime) -> Result<(), &'static str> {
    if !matches!(signature.typ(), Some(SignatureType::Binary | SignatureType::Text)) {
        return Err("the signature is not of a text");
    }
    if !is_strong(signature) {
        return Err("the signature's hash is too weak");
    }
    let config = signature.config().ok_or("the signature is of an unknown version")?;
    let unknown = |data: &SubpacketData| {
        matches!(data, SubpacketData::Other(..) | SubpacketData::Experimental(..) | SubpacketData::Notation(_))
    };
    if config.hashed_subpackets().any(|subpacket| subpacket.is_critical && unknown(&subpacket.data)) {
        return Err("the signature depends on something unknown");
    }
    let created = created(signature).ok_or("the signature has no date")?;
    if created > now + SLACK {
        return Err("the signature is from the future");
    }
    match ends(created, signature.signature_expiration_time()) {
        Some(end) if end <= now => Err("the signature has expired"),
        _ => Ok(()),
    }
}

/// Which key of the keys that belong together.
enum Signer {
    Primary,
    Subkey,
}

/// Whether a primary key is good, and if it signs itself may do so.
fn check_primary(
    key: &SignedPublicKey,
    signature: &Signature,
    now: SystemTime,
    signer: Signer,
) -> Result<(), &'static str> {
    let (primary, details) = (&key.primary_key, &key.details);
    if details.revocation_signatures.iter().any(|one| one.verify_key(primary).is_ok()) {
        return Err("it is revoked");
    }
    let direct = details.direct_signatures.iter().filter(|one| one.verify_key(primary).is_ok());
    let users = details.users.iter().flat_map(|user| {
        let good = |one: &&Signature| one.verify_certification(primary, Tag::UserId, &user.id).is_ok();
        let all: Vec<&Signature> = user.signatures.iter().filter(good).collect();
        let revoked = all.iter().any(|one| one.typ() == Some(SignatureType::CertRevocation));
        if revoked { Vec::new() } else { all }
    });
    // A weak one isn't passed over for an older one, which may say that the key is good for longer.
    let newest = direct.chain(users).max_by_key(|one| one.created()).filter(|one| is_strong(one));
    let newest = newest.ok_or("it has not signed itself with a strong hash")?;
    check_time(primary, newest, signature, now)?;
    check_strength(primary)?;
    match signer {
        Signer::Primary => check_use(newest),
        Signer::Subkey => Ok(()),
    }
}

/// Whether a subkey is good and may sign.
fn check_subkey(
    key: &SignedPublicKey,
    subkey: &SignedPublicSubKey,
    signature: &Signature,
    now: SystemTime,
) -> Result<(), &'static str> {
    let good = |one: &&Signature| one.verify_subkey_binding(&key.primary_key, &subkey.key).is_ok();
    let all: Vec<&Signature> = subkey.signatures.iter().filter(good).collect();
    if all.iter().any(|one| one.typ() == Some(SignatureType::SubkeyRevocation)) {
        return Err("the subkey is revoked");
    }
    let newest = all.into_iter().max_by_key(|one| one.created()).filter(|one| is_strong(one));
    let newest = newest.ok_or("the subkey is not bound to it with a strong hash")?;
    // Without that anybody could take another's subkey for their own.
    let back = newest.embedded_signature().ok_or("the subkey has not bound itself to it")?;
    if back.verify_primary_key_binding(&subkey.key, &key.primary_key).is_err() || !is_strong(back) {
        return Err("the subkey has not bound itself to it");
    }
    check_time(&subkey.key, newest, signature, now)?;
    check_strength(&subkey.key)?;
    check_use(newest)
}

/// Whether a key was there when it signed and has not expired, by what it says of itself.
fn check_time(
    key: &impl KeyDetails,
    of: &Signature,
    signature: &Signature,
    now: SystemTime,
) -> Result<(), &'static str> {
    let start = SystemTime::from(key.created_at());
    if created(signature).is_none_or(|signed| signed < start) {
        return Err("the signature is older than the key");
    }
    match ends(start, of.key_expiration_time()) {
        Some(end) if end <= now => Err("the key has expired"),
        _ => Ok(()),
    }
}

/// Whether a key may sign, by what it says of itself; it may where it says nothing.
fn check_use(of: &Signature) -> Result<(), &'static str> {
    let mut all = of.config().into_iter().flat_map(|config| config.hashed_subpackets());
    let says = all.any(|subpacket| matches!(subpacket.data, SubpacketData::KeyFlags(_)));
    if says && !of.key_flags().sign() { Err("the key may not sign") } else { Ok(()) }
}

fn check_strength(key: &impl KeyDetails) -> Result<(), &'static str> {
    // A number of 2,048 bits and its length.
    const RSA: usize = 258;
    match key.public_params() {
        PublicParams::RSA(params) if params.write_len() < RSA => Err("the key is too short"),
        PublicParams::DSA(_) | PublicParams::Unknown { .. } => Err("the key is of a weak or unknown kind"),
        _ => Ok(()),
    }
}

fn is_strong(signature: &Signature) -> bool {
    use HashAlgorithm::{Sha3_256, Sha3_512, Sha256, Sha384, Sha512};
    matches!(signature.hash_alg(), Some(Sha256 | Sha384 | Sha512 | Sha3_256 | Sha3_512))
}

fn created(signature: &Signature) -> Option<SystemTime> {
    signature.created().map(SystemTime::from)
}

/// When something ends that lasts so long; none is for ever.
fn ends(start: SystemTime, lasts: Option<pgp::types::Duration>) -> Option<SystemTime> {
    let seconds = lasts.map_or(0, |lasts| lasts.as_secs());
    (seconds != 0).then(|| start + Duration::from_secs(u64::from(seconds)))
}

#[cfg(test)]
mod tests;
