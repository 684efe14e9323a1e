//! How much of an account may wait to be sent.

use crate::message::NewMessage;

/// Most waiting messages of one account.
pub const WAITING_MESSAGES_MAX: i64 = 100_000;
/// Most bytes of the texts and captions of an account's waiting messages.
pub const WAITING_TEXT_BYTES_MAX: i64 = 64 * 1024 * 1024;
/// Most bytes of the files that came with an account's waiting messages.
pub const WAITING_FILE_BYTES_MAX: i64 = 1024 * 1024 * 1024;

/// How much waits: of an account, or of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueSize {
    /// The messages.
    pub messages: i64,
    /// The bytes of their texts and captions.
    pub text_bytes: i64,
    /// The bytes of the files that came with them.
    pub file_bytes: i64,
}

impl QueueSize {
    /// The size of messages that are to be accepted.
    pub fn of(messages: &[NewMessage]) -> Self {
        let bytes = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let files = messages.iter().filter_map(|new| new.inline_file.as_ref());
        let file_bytes: u64 = files.map(|file| file.size).sum();
        Self {
            messages: bytes(messages.len()),
            text_bytes: bytes(messages.iter().map(|new| new.content.text().len()).sum()),
            file_bytes: i64::try_from(file_bytes).unwrap_or(i64::MAX),
        }
    }

    /// Both together.
    pub fn plus(self, other: Self) -> Self {
        Self {
            messages: self.messages.saturating_add(other.messages),
            text_bytes: self.text_bytes.saturating_add(other.text_bytes),
            file_bytes: self.file_bytes.saturating_add(other.file_bytes),
        }
    }

    /// What is left without `other`.
    pub fn minus(self, other: Self) -> Self {
        Self {
            messages: (self.messages - other.messages).max(0),
            text_bytes: (self.text_bytes - other.text_bytes).max(0),
            file_bytes: (self.file_bytes - other.file_bytes).max(0),
        }
    }
}

/// How much of one account may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueLimits(pub QueueSize);

impl Default for QueueLimits {
    fn default() -> Self {
        Self(QueueSize {
            messages: WAITING_MESSAGES_MAX,
            text_bytes: WAITING_TEXT_BYTES_MAX,
            file_bytes: WAITING_FILE_BYTES_MAX,
        })
    }
}

impl QueueLimits {
    /// Whether `more` may join what waits already; what waits then.
    ///
    /// # Errors
    /// The limit that would be exceeded. One that `more` does not use stops nothing: what was
    /// accepted under other limits may exceed it.
    pub fn admit(self, waiting: QueueSize, more: QueueSize) -> Result<QueueSize, QueueFull> {
        let (max, total) = (self.0, waiting.plus(more));
        if more.messages > 0 && total.messages > max.messages {
            Err(QueueFull::Messages(max.messages))
        } else if more.text_bytes > max.text_bytes {
            Err(QueueFull::OneRequest(max.text_bytes))
        } else if more.text_bytes > 0 && total.text_bytes > max.text_bytes {
            Err(QueueFull::TextBytes(max.text_bytes))
        } else if more.file_bytes > 0 && total.file_bytes > max.file_bytes {
            Err(QueueFull::FileBytes(max.file_bytes))
        } else {
            Ok(total)
        }
    }
}

/// A limit of what waits that is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QueueFull {
    /// Of messages.
    #[error("too many messages are waiting (limit {0})")]
    Messages(i64),
    /// Of the bytes of their texts.
    #[error("the texts of waiting messages have too many bytes together (limit {0})")]
    TextBytes(i64),
    /// Of the bytes of their texts, by one request alone.
    #[error(
        "the text is too long for so many receivers: the texts of waiting messages have at most {0} \
         bytes together, counted once for each receiver"
    )]
    OneRequest(i64),
    /// Of the bytes of the files that came with them.
    #[error("the files of waiting messages have too many bytes together (limit {0})")]
    FileBytes(i64),
}

impl QueueFull {
    /// What is full, in one sentence without figures.
    pub fn summary(self) -> &'static str {
        match self {
            Self::Messages(_) => "Too many messages are waiting",
            Self::TextBytes(_) => "The texts of waiting messages are too long together",
            Self::OneRequest(_) => "The text is too long for so many receivers",
            Self::FileBytes(_) => "The files of waiting messages are too large together",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::{Content, ContentKind, File};
    use crate::media::Media;
    use crate::message::tests::new_message;
    use crate::request_file::RequestFile;

    fn size(messages: i64, text_bytes: i64, file_bytes: i64) -> QueueSize {
        QueueSize { messages, text_bytes, file_bytes }
    }

    #[test]
    fn the_limit_that_is_reached_is_named() {
        let limits = QueueLimits(size(3, 100, 1_000));
        let waiting = size(1, 60, 600);
        for (more, expected) in [
            (size(2, 40, 400), Ok(size(3, 100, 1_000))),
            (size(3, 0, 0), Err(QueueFull::Messages(3))),
            (size(1, 41, 0), Err(QueueFull::TextBytes(100))),
            (size(1, 0, 401), Err(QueueFull::FileBytes(1_000))),
            (size(1, i64::MAX, 0), Err(QueueFull::OneRequest(100))),
        ] {
            assert_eq!(limits.admit(waiting, more), expected, "{more:?}");
        }
        let none = QueueSize::default();
        assert_eq!(limits.admit(none, size(1, 100, 0)), Ok(size(1, 100, 0)), "all of it at once");
        assert_eq!(limits.admit(none, size(1, 101, 0)), Err(QueueFull::OneRequest(100)));
    }

    #[test]
    fn a_limit_that_is_exceeded_already_stops_only_what_uses_it() {
        let limits = QueueLimits(size(3, 100, 1_000));
        for (waiting, more) in [
            (size(4, 0, 0), size(0, 5, 5)),
            (size(1, 200, 0), size(1, 0, 5)),
            (size(1, 0, 2_000), size(1, 5, 0)),
        ] {
            assert_eq!(limits.admit(waiting, more), Ok(waiting.plus(more)), "{more:?}");
        }
    }

    #[test]
    fn what_leaves_makes_room_but_never_less_than_none_waits() {
        assert_eq!(size(5, 60, 700).minus(size(2, 20, 300)), size(3, 40, 400));
        assert_eq!(size(1, 2, 3).minus(size(2, 3, 4)), size(0, 0, 0));
    }

    #[test]
    fn an_account_may_have_the_documented_sizes_waiting() {
        let documented = size(100_000, 67_108_864, 1_073_741_824);
        assert_eq!(QueueLimits::default(), QueueLimits(documented), "64 MiB and 1 GiB");
    }

    #[test]
    fn texts_and_captions_count_in_bytes_and_files_beside_them() {
        let message = |content, file_size| NewMessage {
            content,
            inline_file: Some(RequestFile { size: file_size, sha256: [0; 32] })
                .filter(|file| file.size > 0),
            ..new_message()
        };
        let file = File { kind: ContentKind::Image, caption: "é".into(), media: Media::default() };
        let messages =
            [message(Content::Text("four".into()), 0), message(Content::File(file), 300)];
        assert_eq!(QueueSize::of(&messages), size(2, 6, 300));
        assert_eq!(QueueSize::of(&[]), QueueSize::default());
    }
}
