//! The indexes of archives: downloaded, checked, decompressed.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::archive::Said;
use super::error::Error;
use super::fetch::{Fetcher, Wanted};
use super::index::near;
use super::release::{Listed, Release};
use super::wish::ARCHITECTURE;
use crate::progress::Stage;
use crate::unpack::decoder::{Frames, fast_xz};

/// An index whose size isn't told may become so many bytes.
const MOST: u64 = 1 << 30;
/// What there can be of an index, the smallest first.
const FORMS: [&str; 4] = [".xz", ".zst", ".gz", ""];

/// One index that is needed.
struct Index {
    archive: usize,
    /// Below the suite's directory, without the ending of its form.
    path: String,
    plain: Option<Listed>,
    form: &'static str,
    wanted: Wanted,
}

/// The texts of all indexes, each with its archive's number and its address.
pub(super) async fn fetch(
    said: &[Said],
    releases: &[Release<'_>],
    fetcher: &Fetcher<'_>,
) -> Result<Vec<(usize, String, String)>, Error> {
    let mut needed = Vec::new();
    for (archive, (said, release)) in said.iter().zip(releases).enumerate() {
        needed.extend(of(archive, said, release)?);
    }
    fetcher.begin(Stage::Index, needed.iter().map(|index| index.wanted.size).sum());
    let wanted: Vec<Wanted> = needed.iter().map(|index| index.wanted.clone()).collect();
    let files = fetcher.files(&wanted).await?;
    let mut texts = Vec::new();
    for (index, file) in needed.iter().zip(files) {
        let url = said[index.archive].archive.file(&index.path);
        let text = decode(&file, index.form, index.plain)
            .map_err(|error| Error::malformed(&url, holm::model::text::cause(&error)))?;
        texts.push((index.archive, url, text));
    }
    Ok(texts)
}

/// The indexes of one archive.
fn of(archive: usize, said: &Said, release: &Release<'_>) -> Result<Vec<Index>, Error> {
    let architectures: &[&str] = if release.all_apart { &[ARCHITECTURE, "all"] } else { &[ARCHITECTURE] };
    let mut found = Vec::new();
    for component in &said.archive.components {
        for architecture in architectures {
            let path = format!("{component}/binary-{architecture}/Packages");
            let listed = FORMS.iter().find_map(|form| Some((*form, release.file(&format!("{path}{form}"))?)));
            match listed {
                Some((form, listed)) => {
                    let whole = said.archive.file(&format!("{path}{form}"));
                    let by_hash = || {
                        let (directory, _) = whole.rsplit_once('/')?;
                        Some(format!("{directory}/by-hash/SHA256/{}", crate::store::listing::hex(&listed.sha256)))
                    };
                    let urls = by_hash().filter(|_| release.by_hash).into_iter().chain([whole.clone()]).collect();
                    let wanted = Wanted { urls, size: listed.size, sha256: listed.sha256 };
                    found.push(Index { archive, plain: release.file(&path), path, form, wanted });
                }
                // An architecture that all packages are of needs no index in each component.
                None if *architecture == "all" => {}
                None => {
                    let near = near(component, release.components(ARCHITECTURE).into_iter());
                    return Err(Error::Component {
                        component: component.clone(),
                        uri: said.archive.uri.clone(),
                        suite: said.archive.suite.clone(),
                        near,
                    });
                }
            }
        }
    }
    Ok(found)
}

/// The text of an index, which has the size that it must have.
fn decode(file: &Path, form: &str, plain: Option<Listed>) -> io::Result<String> {
    let file = File::open(file)?;
    let source: Box<dyn Read> = match form {
        ".xz" => Box::new(fast_xz(file)?),
        ".gz" => Box::new(MultiGzDecoder::new(file)),
        ".zst" => Box::new(Frames::new(BufReader::new(file))),
        _ => Box::new(file),
    };
    let most = plain.map_or(MOST, |plain| plain.size);
    let mut bytes = Vec::with_capacity(usize::try_from(most.min(1 << 27)).unwrap_or(0));
    source.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most || plain.is_some_and(|plain| plain.size != bytes.len() as u64) {
        return Err(io::Error::other(format!("it is not of {most} bytes, as the archive says")));
    }
    // Old packages have names of people in other encodings.
    Ok(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    #[test]
    fn an_index_in_several_frames_is_read_to_its_end() {
        let scratch = testkit::Scratch::new("index-frames");
        let path = scratch.join("Packages.zst");
        let frame = |text: &[u8]| compress_to_vec(text, CompressionLevel::Fastest);
        std::fs::write(&path, [frame(b"Package: a\n\n"), frame(b"Package: b\n")].concat()).expect("scratch is ours");
        assert_eq!(decode(&path, ".zst", None).expect("it is whole"), "Package: a\n\nPackage: b\n");
    }
}
