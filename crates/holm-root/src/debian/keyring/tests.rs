//! Keys and signatures that don't count.

use pgp::composed::{KeyType, SecretKeyParamsBuilder, SignedSecretKey, SubkeyParamsBuilder};
use pgp::packet::{KeyFlags, SignatureConfig, Subpacket};
use pgp::types::{Password, SigningKey, Timestamp};

use super::*;

/// A key that may certify and sign if it has no subkey, else that subkey may sign.
fn key(subkey: bool) -> SignedSecretKey {
    let mut parameters = SecretKeyParamsBuilder::default();
    parameters.key_type(KeyType::Ed25519Legacy).can_certify(true).can_sign(!subkey).primary_user_id("a".to_owned());
    if subkey {
        let signs = SubkeyParamsBuilder::default().key_type(KeyType::Ed25519Legacy).can_sign(true).build();
        parameters.subkeys(vec![signs.expect("all is said")]);
    }
    parameters.build().expect("all is said").generate(rand::thread_rng()).expect("there are random numbers")
}

fn in_seconds(from_now: i64) -> Timestamp {
    Timestamp::from_secs(
        Timestamp::now().as_secs().saturating_add_signed(i32::try_from(from_now).expect("it is small")),
    )
}

/// What a signature says of itself: by whom and when, and more.
fn config(
    typ: SignatureType,
    by: &impl SigningKey,
    hash: HashAlgorithm,
    created: Timestamp,
    more: Vec<SubpacketData>,
) -> SignatureConfig {
    let mut config = SignatureConfig::v4(typ, by.algorithm(), hash);
    let first = [SubpacketData::SignatureCreationTime(created), SubpacketData::IssuerFingerprint(by.fingerprint())];
    let all = first.into_iter().chain(more);
    config.hashed_subpackets = all.map(|data| Subpacket::critical(data).expect("it is small")).collect();
    config
}

/// The signature of `text` by a key.
fn sign(by: &impl SigningKey, hash: HashAlgorithm, created: Timestamp, more: Vec<SubpacketData>) -> Signature {
    let config = config(SignatureType::Text, by, hash, created, more);
    config.sign(by, &Password::empty(), &b"text"[..]).expect("it can sign")
}

fn good(by: &impl SigningKey) -> Signature {
    sign(by, HashAlgorithm::Sha256, Timestamp::now(), Vec::new())
}

fn check(keys: Vec<SignedPublicKey>, signature: Signature, now: SystemTime) -> Result<(), String> {
    Keyring { keys, names: vec!["k".to_owned()] }.check(&[signature], b"text", now)
}

#[track_caller]
fn refused(key: SignedPublicKey, signature: Signature, cause: &str) {
    let error = check(vec![key], signature, SystemTime::now()).expect_err(cause);
    assert!(error.contains(cause), "{error}");
}

#[test]
fn a_primary_key_and_its_subkey_can_sign() {
    let (alone, with) = (key(false), key(true));
    let now = SystemTime::now();
    assert_eq!(check(vec![alone.to_public_key()], good(&alone.primary_key), now), Ok(()));
    assert_eq!(check(vec![with.to_public_key()], good(&with.secret_subkeys[0].key), now), Ok(()));
    refused(with.to_public_key(), good(&with.primary_key), "the key may not sign");
    refused(with.to_public_key(), good(&alone.primary_key), "none of which is in k");
    let error = check(vec![alone.to_public_key()], good(&alone.primary_key), now - Duration::from_secs(90_000));
    assert!(error.expect_err("it is early").contains("from the future"));
}

#[test]
fn a_signature_that_has_expired_or_has_a_weak_hash_counts_for_nothing() {
    let key = key(false);
    let of = |created, lasts| {
        let lasts = SubpacketData::SignatureExpirationTime(pgp::types::Duration::from_secs(lasts));
        sign(&key.primary_key, HashAlgorithm::Sha256, created, vec![lasts])
    };
    assert_eq!(check(vec![key.to_public_key()], of(Timestamp::now(), 60), SystemTime::now()), Ok(()));
    let later = SystemTime::now() + Duration::from_secs(61);
    let error = check(vec![key.to_public_key()], of(Timestamp::now(), 60), later).expect_err("it is late");
    assert!(error.contains("the signature has expired"), "{error}");
    refused(key.to_public_key(), of(in_seconds(-100), 0), "the signature is older than the key");
    let unknown = vec![SubpacketData::Experimental(101, vec![1].into())];
    let signature = sign(&key.primary_key, HashAlgorithm::Sha256, Timestamp::now(), unknown);
    refused(key.to_public_key(), signature, "depends on something unknown");
    // A signature with a weak hash can't be made here, so one is made to say that it has one.
    let strong = good(&key.primary_key);
    let weak = Signature::from_config(
        SignatureConfig { hash_alg: HashAlgorithm::Sha1, ..strong.config().expect("it is known").clone() },
        strong.signed_hash_value().expect("it has one"),
        strong.signature().expect("it has one").clone(),
    );
    refused(key.to_public_key(), weak.expect("it is well formed"), "hash is too weak");
}

#[test]
fn a_key_counts_until_it_expires_or_is_revoked() {
    let secret = key(false);
    let public = secret.primary_key.public_key();
    let mut flags = KeyFlags::default();
    flags.set_sign(true);
    let certified = |created, more: Vec<SubpacketData>| {
        let mut key = secret.to_public_key();
        let more = more.into_iter().chain([SubpacketData::KeyFlags(flags.clone())]).collect();
        let config = config(SignatureType::CertPositive, &secret.primary_key, HashAlgorithm::Sha256, created, more);
        let id = key.details.users[0].id.clone();
        let signature = config.sign_certification(&secret.primary_key, public, &Password::empty(), Tag::UserId, &id);
        key.details.users[0].signatures.push(signature.expect("it can sign"));
        key
    };
    let lasts = |seconds| vec![SubpacketData::KeyExpirationTime(pgp::types::Duration::from_secs(seconds))];
    let signature = good(&secret.primary_key);
    let in_an_hour = SystemTime::now() + Duration::from_secs(3600);
    let short = certified(in_seconds(10), lasts(60));
    assert_eq!(check(vec![short.clone()], signature.clone(), SystemTime::now()), Ok(()));
    let error = check(vec![short], signature.clone(), in_an_hour).expect_err("it is late");
    assert!(error.contains("the key has expired"), "{error}");
    // The newest of what it says of itself counts.
    let longer = certified(in_seconds(-10), lasts(1));
    assert_eq!(check(vec![longer], signature.clone(), in_an_hour), Ok(()));
    let mut revoked = secret.to_public_key();
    let config =
        config(SignatureType::KeyRevocation, &secret.primary_key, HashAlgorithm::Sha256, Timestamp::now(), Vec::new());
    let revocation = config.sign_key(&secret.primary_key, &Password::empty(), public).expect("it can sign");
    revoked.details.revocation_signatures.push(revocation.clone());
    refused(revoked, signature.clone(), "it is revoked");
    // Another's revocation is none.
    let other = key(false);
    let mut mine = other.to_public_key();
    mine.details.revocation_signatures.push(revocation);
    assert_eq!(check(vec![mine], good(&other.primary_key), SystemTime::now()), Ok(()));
    let mut bare = secret.to_public_key();
    bare.details.users.clear();
    refused(bare, signature, "it has not signed itself");
}

#[test]
fn a_subkey_counts_if_both_keys_have_bound_it() {
    // A key is as old as what it signs.
    let (secret, thief) = (key(true), key(true));
    let subkey = &secret.secret_subkeys[0].key;
    let signature = good(subkey);
    let mut flags = KeyFlags::default();
    flags.set_sign(true);
    let bound = |typ, more: Vec<SubpacketData>| {
        let config = config(typ, &secret.primary_key, HashAlgorithm::Sha256, in_seconds(10), more);
        let public = secret.primary_key.public_key();
        config
            .sign_subkey_binding(&secret.primary_key, public, &Password::empty(), subkey.public_key())
            .expect("it can sign")
    };
    let with = |binding: Signature| {
        let mut key = secret.to_public_key();
        key.public_subkeys[0].signatures.push(binding);
        key
    };
    let cross = bound(SignatureType::SubkeyBinding, vec![SubpacketData::KeyFlags(flags.clone())]);
    refused(with(cross), signature.clone(), "the subkey has not bound itself to it");
    refused(with(bound(SignatureType::SubkeyRevocation, Vec::new())), signature.clone(), "the subkey is revoked");
    // Somebody takes the subkey for their own.
    let mut stolen = thief.to_public_key();
    stolen.public_subkeys = secret.to_public_key().public_subkeys;
    refused(stolen, signature, "the subkey is not bound to it");
}

#[test]
fn fingerprints_leave_the_keys_that_they_name() {
    let (first, second) = (key(true), key(false));
    let ring = || Keyring { keys: vec![first.to_public_key(), second.to_public_key()], names: Vec::new() };
    let left = |fingerprints: &[String]| {
        let mut ring = ring();
        ring.restrict(fingerprints);
        let signs = |signature| ring.check(&[signature], b"text", SystemTime::now()).is_ok();
        (signs(good(&first.secret_subkeys[0].key)), signs(good(&second.primary_key)))
    };
    assert_eq!(left(&[format!("{:X}", second.fingerprint())]), (false, true));
    assert_eq!(left(&[format!("{:x}", first.fingerprint())]), (true, false));
    assert_eq!(left(&[format!("{:X}!", first.secret_subkeys[0].key.fingerprint())]), (true, false));
    assert_eq!(left(&["00".repeat(20)]), (false, false));
}

#[test]
fn any_bytes_are_a_keyring_or_not() {
    let mut keyring = Keyring::default();
    for bytes in [&b""[..], b"words", b"\x99\xff\xff", b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA\n", &[0x99; 4096]]
    {
        assert_eq!(keyring.add(bytes), 0, "{bytes:?}");
    }
}
