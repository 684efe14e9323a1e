//! What WhatsApp's refusal codes mean for a message.

use domain::message::Failure;

/// Attempts at a message that WhatsApp refuses with a code of unknown meaning.
pub const UNEXPLAINED_REFUSALS_MAX: u8 = 3;
/// Attempts at a message that WhatsApp refuses with 463, "not this stranger now".
pub const STRANGER_REFUSALS_MAX: u8 = 2;

/// What follows from a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It may work later.
    Later,
    /// It never will.
    Never,
    /// It never will, and neither will any other first contact today.
    NoStrangers,
    /// It waits until first contacts are taken again.
    Hold,
}

/// The code for a message into a group where only admins write.
const ADMINS_ONLY_CODE: u16 = 403;
/// The code for a message to a stranger whom the number may not write to.
pub(super) const STRANGER_CODE: u16 = 463;

/// Judges the `refusals`-th refusal of one message (source: the codes in WhatsApp's own
/// acknowledgements, as observed).
pub(super) fn judge(code: u16, refusals: u8, is_group: bool) -> Verdict {
    match code {
        ADMINS_ONLY_CODE if is_group => Verdict::Never,
        400 | 404 | 479 => Verdict::Never,
        429 | 503 => Verdict::Later,
        STRANGER_CODE if refusals >= STRANGER_REFUSALS_MAX => Verdict::NoStrangers,
        STRANGER_CODE => Verdict::Later,
        _ if refusals >= UNEXPLAINED_REFUSALS_MAX => Verdict::Never,
        _ => Verdict::Later,
    }
}

/// The failure that is shown for a refusal.
pub(super) fn refusal(code: u16, is_group: bool) -> Failure {
    let words = match code {
        ADMINS_ONLY_CODE if is_group => "only admins write in this group (403)".to_owned(),
        400 => "WhatsApp found the message faulty (400)".to_owned(),
        404 => "WhatsApp knows no such recipient (404)".to_owned(),
        429 => "WhatsApp limits how fast this number sends (429)".to_owned(),
        463 => "WhatsApp does not let this number write to strangers now (463)".to_owned(),
        479 => "WhatsApp could not take the message for this recipient (479)".to_owned(),
        503 => "WhatsApp has a fault (503)".to_owned(),
        other => format!("WhatsApp refused the message ({other})"),
    };
    Failure::new(&format!("refused_{code}"), words)
}

/// The failure of an attempt that was not answered.
pub(super) fn no_answer() -> Failure {
    Failure::new("no_acknowledgement", "WhatsApp did not acknowledge the message in time")
}

/// The failure of an attempt that did not reach the connection.
pub(super) fn not_submitted(why: String) -> Failure {
    Failure::new("not_handed_over", why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_codes() {
        let cases = [
            (400, 1, Verdict::Never),
            (404, 1, Verdict::Never),
            (479, 1, Verdict::Never),
            (429, 1, Verdict::Later),
            (429, 200, Verdict::Later),
            (503, 9, Verdict::Later),
            (463, 1, Verdict::Later),
            (463, 2, Verdict::NoStrangers),
            (500, 1, Verdict::Later),
            (500, 2, Verdict::Later),
            (500, 3, Verdict::Never),
            (403, 1, Verdict::Later),
        ];
        for (code, refusals, expected) in cases {
            assert_eq!(judge(code, refusals, false), expected, "{code} for the {refusals}. time");
        }
        assert_eq!(judge(403, 1, true), Verdict::Never);
        assert_eq!(judge(429, 1, true), Verdict::Later);
    }

    #[test]
    fn what_is_said_of_a_refusal() {
        let cases = [
            (403, true, "only admins write in this group (403)"),
            (403, false, "WhatsApp refused the message (403)"),
            (463, false, "WhatsApp does not let this number write to strangers now (463)"),
            (499, true, "WhatsApp refused the message (499)"),
        ];
        for (code, is_group, words) in cases {
            assert_eq!(refusal(code, is_group), Failure::new(&format!("refused_{code}"), words));
        }
    }
}
