//! Where files that come in are kept, and those that come with requests.

use std::path::PathBuf;

use anyhow::{Result, ensure};

/// A directory, or a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaStore {
    /// On this machine.
    Directory(PathBuf),
    /// `s3://BUCKET/PREFIX`
    S3(String),
}

impl MediaStore {
    /// Reads the setting.
    ///
    /// # Errors
    /// An address of another kind, or one without a bucket.
    pub fn parse(text: String) -> Result<Self> {
        let Some((scheme, address)) = text.split_once("://") else {
            return Ok(Self::Directory(text.into()));
        };
        let has_bucket = !address.trim_matches('/').is_empty();
        ensure!(
            scheme == "s3" && has_bucket,
            "media_store must be a directory or s3://BUCKET/PREFIX"
        );
        Ok(Self::S3(text))
    }
}

/// The variables that every program reads to reach S3: addresses, region and credentials.
pub fn s3_variables() -> Vec<(String, String)> {
    let is_set = |(name, value): &(String, String)| name.starts_with("AWS_") && !value.is_empty();
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(text).filter(is_set).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_or_a_bucket() {
        let parse = |text: &str| MediaStore::parse(text.to_owned());
        assert_eq!(parse("/srv/media").unwrap(), MediaStore::Directory("/srv/media".into()));
        assert_eq!(parse("media").unwrap(), MediaStore::Directory("media".into()));
        let bucket = "s3://files/gerbang";
        assert_eq!(parse(bucket).unwrap(), MediaStore::S3(bucket.to_owned()));
        for wrong in ["gs://files", "https://files.example", "s3://", "s3:///"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
