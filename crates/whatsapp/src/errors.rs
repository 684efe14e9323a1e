//! The library's errors, as the engine understands them; pure.
//!
//! Their own texts never reach a customer: they may name people.

use domain::message::Failure;
use domain::ports::SendError;
use whatsapp_rust::request::IqError;
use whatsapp_rust::{
    ClientError, ContactError, ErrorChainExt as _, GroupError, SendError as ClientSendError,
};

/// Why a message could not be written to the connection.
pub(crate) fn send_error(error: &ClientSendError, is_group: bool) -> SendError {
    match error {
        ClientSendError::NotLoggedIn => SendError::NotConnected,
        ClientSendError::Client(error) => client_error(error, is_group),
        ClientSendError::Iq(error) => iq_error(error, is_group),
        ClientSendError::InvalidRequest(_) => permanent(
            "invalid_recipient",
            "WhatsApp cannot send this kind of message to this recipient",
        ),
        _ => SendError::Temporary("the message could not be encrypted".to_owned()),
    }
}

/// Why a number could not be looked up.
pub(crate) fn contact_error(error: &ContactError) -> SendError {
    match error {
        ContactError::Iq(error) => iq_error(error, false),
        _ => not_on_whatsapp(),
    }
}

/// Why a group could not be made.
pub(crate) fn creation_error(error: &GroupError) -> SendError {
    match error {
        // The library looks for the number of each LID, and asks nobody when it has none.
        GroupError::InvalidRequest(_) => permanent(
            Failure::GROUP_PERSON_UNKNOWN,
            "of a LID among them this device does not know the number; add that person later",
        ),
        error => group_error(error, true),
    }
}

/// Whether WhatsApp refuses a change of a group; it says so also where the number is not in the group.
pub(crate) fn is_forbidden(error: &SendError) -> bool {
    matches!(error, SendError::Permanent(failure) if failure.code == Failure::GROUP_FORBIDDEN)
}

/// Why the groups of a number could not be listed.
pub(crate) fn group_error(error: &GroupError, is_change: bool) -> SendError {
    match error {
        GroupError::Iq(IqError::ServerError { code: 401 | 403, .. }) if is_change => {
            permanent(Failure::GROUP_FORBIDDEN, "this number may not do that in the group")
        }
        GroupError::Iq(error) => iq_error(error, true),
        GroupError::DescriptionConflict => {
            SendError::Temporary("somebody else has just changed the description".to_owned())
        }
        _ => SendError::Temporary("WhatsApp's answer made no sense".to_owned()),
    }
}

/// Why a file could not be uploaded.
pub(crate) fn upload_error(error: &(dyn std::error::Error + 'static)) -> SendError {
    if error.is_transport_unavailable() {
        return SendError::NotConnected;
    }
    match error.http_status() {
        // The file itself is wrong; another attempt would fail as well.
        Some(status @ (400 | 413 | 415)) => {
            permanent(Failure::MEDIA, &format!("WhatsApp refused the file ({status})"))
        }
        Some(status) => SendError::Temporary(format!("WhatsApp's file server failed ({status})")),
        None => SendError::Temporary("the file could not be uploaded".to_owned()),
    }
}

/// The library could encrypt for none of the recipient's devices.
pub(crate) fn not_openable() -> SendError {
    let text = "no device of the recipient could open the message: WhatsApp gave no keys for them";
    SendError::Temporary(text.to_owned())
}

/// The number has no WhatsApp.
pub(crate) fn not_on_whatsapp() -> SendError {
    permanent("not_on_whatsapp", "the number is not on WhatsApp")
}

/// The chat is neither a person nor a group.
pub(crate) fn invalid_recipient() -> SendError {
    permanent("invalid_recipient", "the recipient is neither a person nor a group")
}

/// The content is of a kind that is only received.
pub(crate) fn unsupported_content() -> SendError {
    permanent("unsupported_content", "this kind of message cannot be sent")
}

fn permanent(code: &str, message: &str) -> SendError {
    SendError::Permanent(Failure::new(code, message))
}

fn client_error(error: &ClientError, is_group: bool) -> SendError {
    match error {
        ClientError::Iq(error) => iq_error(error, is_group),
        ClientError::Internal(_) => {
            SendError::Temporary("the message could not be sent".to_owned())
        }
        _ => SendError::NotConnected,
    }
}

fn iq_error(error: &IqError, is_group: bool) -> SendError {
    match error {
        IqError::ServerError { code: 403 | 404 | 401, .. } if is_group => permanent(
            Failure::GROUP_NOT_AVAILABLE,
            "the group does not exist, or this number is not in it",
        ),
        IqError::ServerError { code, .. } => {
            SendError::Temporary(format!("WhatsApp refused a question ({code})"))
        }
        IqError::Timeout => SendError::Temporary("WhatsApp did not answer in time".to_owned()),
        IqError::ClientState(error) => client_error(error, is_group),
        IqError::NotConnected
        | IqError::Socket(_)
        | IqError::EncryptSend(_)
        | IqError::Disconnected(_)
        | IqError::InternalChannelClosed => SendError::NotConnected,
        _ => SendError::Temporary("WhatsApp's answer made no sense".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(code: u16) -> ClientSendError {
        let text = String::new();
        ClientSendError::Iq(IqError::ServerError { code, text, error_type: None, backoff: None })
    }

    fn code(error: &SendError) -> &str {
        match error {
            SendError::NotConnected => "not_connected",
            SendError::Expired => "expired",
            SendError::Temporary(_) => "temporary",
            SendError::Permanent(failure) => &failure.code,
        }
    }

    #[test]
    fn what_may_work_later_is_temporary() {
        for (error, is_group, expected) in [
            (ClientSendError::NotLoggedIn, false, "not_connected"),
            (ClientSendError::Client(ClientError::NotConnected), false, "not_connected"),
            (ClientSendError::Iq(IqError::InternalChannelClosed), false, "not_connected"),
            (ClientSendError::Iq(IqError::Timeout), false, "temporary"),
            (refusal(404), false, "temporary"),
            (refusal(404), true, "group_not_available"),
            (refusal(503), true, "temporary"),
            (ClientSendError::InvalidRequest("x".to_owned()), false, "invalid_recipient"),
        ] {
            assert_eq!(code(&send_error(&error, is_group)), expected, "{error}");
        }
    }

    #[test]
    fn what_whatsapp_says_of_groups() {
        let refused = |code| {
            let text = String::new();
            GroupError::Iq(IqError::ServerError { code, text, error_type: None, backoff: None })
        };
        let unknown = || GroupError::InvalidRequest("missing number of a LID".to_owned());
        for (error, expected) in [
            (group_error(&refused(403), true), "group_forbidden"),
            (group_error(&refused(403), false), "group_not_available"),
            (group_error(&refused(404), true), "group_not_available"),
            (creation_error(&refused(403)), "group_forbidden"),
            (creation_error(&unknown()), "group_person_unknown"),
            (group_error(&unknown(), true), "temporary"),
        ] {
            assert_eq!(code(&error), expected);
            assert_eq!(is_forbidden(&error), expected == "group_forbidden");
        }
    }

    #[test]
    fn only_a_refused_file_fails_for_good() {
        use whatsapp_rust::http::HttpStatusError;
        for (status, expected) in
            [(413, "media"), (415, "media"), (507, "temporary"), (403, "temporary")]
        {
            let error = anyhow::Error::new(HttpStatusError { status }).context("x");
            assert_eq!(code(&upload_error(error.as_ref())), expected, "{status}");
        }
        assert_eq!(code(&upload_error(&IqError::NotConnected)), "not_connected");
        assert_eq!(code(&upload_error(&IqError::Timeout)), "temporary");
    }
}
