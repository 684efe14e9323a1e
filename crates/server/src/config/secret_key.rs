//! Where the secret key is.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use super::private_files::{read_private, write_private};
use super::{Settings, environment};

/// Its variable.
const SECRET_KEY: &str = "GERBANG_SECRET_KEY";

impl Settings {
    /// Where the secret key is kept when it is not set.
    pub fn secret_key_path(&self) -> PathBuf {
        self.data_dir.join("secret.key")
    }

    /// Where the secret key comes from, for people.
    pub fn secret_key_origin(&self) -> String {
        match environment(SECRET_KEY) {
            Some(_) => SECRET_KEY.to_owned(),
            None => self.secret_key_path().display().to_string(),
        }
    }

    /// The 32 bytes from which secrets are derived: `GERBANG_SECRET_KEY` (64 hex digits), else the
    /// file `secret.key` in the data directory; `None` when there is neither.
    ///
    /// # Errors
    /// A key that is no 64 hex digits, or a file that cannot be read.
    pub fn stored_secret_key(&self) -> Result<Option<[u8; 32]>> {
        let text = match environment(SECRET_KEY) {
            Some(text) => Some(text),
            None => read_private(&self.secret_key_path())?,
        };
        let Some(text) = text else { return Ok(None) };
        let mut key = [0; 32];
        let origin = || format!("{} must hold 64 hexadecimal digits", self.secret_key_origin());
        hex::decode_to_slice(text.trim(), &mut key).with_context(origin)?;
        Ok(Some(key))
    }

    /// Keeps a new secret key in its file.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn make_secret_key(&self, fresh: [u8; 32]) -> Result<[u8; 32]> {
        let path = self.secret_key_path();
        let cannot = || format!("cannot write the secret key file {}", path.display());
        write_private(&path, &hex::encode(fresh)).with_context(cannot)?;
        Ok(fresh)
    }
}
