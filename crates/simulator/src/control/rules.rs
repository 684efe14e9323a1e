//! Scripted faults: rules that count what happens and strike some of it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::faults::DELAY_MS_MAX;
use super::parse_number;
use crate::address::Number;
use crate::clock;
use crate::error::{Result, bad_request};

/// The code of a refusal that names none.
const CODE: u16 = 503;
/// The status of a media host that names none.
const STATUS: u16 = 500;

/// What a rule looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FaultOn {
    /// The login of a linked device.
    Login,
    /// A message that a linked device sends, or, for some faults, is sent.
    Message,
    /// A receipt of a linked device.
    Receipt,
    /// A query of a client.
    Iq,
    /// A client announces itself, or withdraws that.
    Presence,
    /// Typing.
    Chatstate,
    /// A request to a media host.
    Media,
}

/// What a rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FaultDo {
    /// Refuses the login, or the query.
    Failure,
    /// Ends the connection: with the code, or without a word. What was sent is lost, unless another
    /// rule drops its acknowledgement.
    Disconnect,
    /// Refuses the message, or the query.
    Nack,
    /// Does what was asked, and does not say so.
    DropAck,
    /// Is late.
    DelayMs,
    /// Damages what a linked device is sent.
    Corrupt,
    /// Sends a linked device the news of a message without its content.
    Unavailable,
    /// Answers with this status.
    HttpStatus,
}

/// A fault that strikes by its own count.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FaultRule {
    on: FaultOn,
    /// Whose login, query or file; a message's sender or recipient, of `corrupt` and `unavailable` the
    /// recipient. Left out: anybody's.
    number: Option<String>,
    /// So many pass first.
    #[serde(default)]
    after: u32,
    /// It strikes so often; left out: always.
    times: Option<u32>,
    /// How likely it strikes.
    probability: Option<f64>,
    #[serde(rename = "do")]
    action: FaultDo,
    code: Option<u16>,
    /// How late.
    ms: Option<u64>,
    /// The media host's answer.
    status: Option<u16>,
    /// How long a ban lasts.
    expire_s: Option<u32>,
    /// The media host, as clients call it.
    host: Option<String>,
}

/// A rule in force, and what it has seen.
#[derive(Clone, Debug)]
pub(super) struct ActiveRule {
    rule: FaultRule,
    number: Option<Number>,
    passed: u32,
    struck: u32,
}

/// What happens, for the rules to look at.
#[derive(Clone, Copy)]
pub(crate) struct Happening<'a> {
    pub(crate) on: FaultOn,
    /// Whose it is.
    pub(crate) of: &'a [Number],
    /// Whether a linked device receives it.
    pub(crate) is_delivery: bool,
    pub(crate) host: &'a str,
}

impl<'a> Happening<'a> {
    /// Something that a client does.
    pub(crate) fn new(on: FaultOn, of: &'a [Number]) -> Self {
        Self { on, of, is_delivery: false, host: "" }
    }
}

/// What strikes now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Struck {
    pub(crate) delay: Option<Duration>,
    /// A login's or a query's refusal: the code, and how long a ban lasts.
    pub(crate) failure: Option<(u16, Option<u32>)>,
    pub(crate) nack: Option<u16>,
    /// The connection ends: with a code, or without a word.
    pub(crate) disconnect: Option<Option<u16>>,
    pub(crate) drops_ack: bool,
    pub(crate) corrupts: bool,
    pub(crate) is_unavailable: bool,
    pub(crate) status: Option<u16>,
}

impl Struck {
    fn add(&mut self, rule: &FaultRule) {
        let code = rule.code.unwrap_or(CODE);
        match rule.action {
            FaultDo::Failure => self.failure = Some((code, rule.expire_s)),
            FaultDo::Disconnect => self.disconnect = Some(rule.code),
            FaultDo::Nack => self.nack = Some(code),
            FaultDo::DropAck => self.drops_ack = true,
            FaultDo::DelayMs => self.delay = rule.ms.map(Duration::from_millis),
            FaultDo::Corrupt => self.corrupts = true,
            FaultDo::Unavailable => self.is_unavailable = true,
            FaultDo::HttpStatus => self.status = Some(rule.status.unwrap_or(STATUS)),
        }
    }

    /// The same without its delay, which is over.
    pub(crate) fn after_delay(self) -> Self {
        Self { delay: None, ..self }
    }

    /// The code with which a query is refused.
    pub(crate) fn refusal(self) -> Option<u16> {
        self.nack.or(self.failure.map(|(code, _)| code))
    }
}

impl FaultRule {
    fn fits(&self) -> bool {
        use FaultDo::{
            Corrupt, DelayMs, Disconnect, DropAck, Failure, HttpStatus, Nack, Unavailable,
        };
        let possible: &[FaultDo] = match self.on {
            FaultOn::Login => &[Failure, Disconnect, DelayMs],
            FaultOn::Message => &[Nack, DropAck, Disconnect, DelayMs, Corrupt, Unavailable],
            FaultOn::Iq => &[Nack, Failure, DropAck, Disconnect, DelayMs],
            FaultOn::Receipt | FaultOn::Presence | FaultOn::Chatstate => {
                &[DropAck, Disconnect, DelayMs]
            }
            FaultOn::Media => &[HttpStatus, DelayMs],
        };
        possible.contains(&self.action)
    }

    fn check(&self) -> Result<()> {
        let is_delay = self.action == FaultDo::DelayMs;
        let problem = if !self.fits() {
            "rules.do: that cannot happen to what rules.on says"
        } else if self.code.is_some_and(|code| !(100..=999).contains(&code)) {
            "rules.code is a number from 100 to 999"
        } else if self.status.is_some_and(|status| !(400..=599).contains(&status)) {
            "rules.status is a number from 400 to 599"
        } else if self.probability.is_some_and(|likely| !(0.0..=1.0).contains(&likely)) {
            "rules.probability is a number from 0 to 1"
        } else if is_delay && self.ms.is_none_or(|ms| ms > DELAY_MS_MAX) {
            "rules.ms is how late it is, at most 600000"
        } else if self.host.is_some() && self.on != FaultOn::Media {
            "rules.host is for media"
        } else {
            return Ok(());
        };
        Err(bad_request(problem))
    }

    /// Whether it strikes what a linked device receives.
    fn is_of_deliveries(&self) -> bool {
        matches!(self.action, FaultDo::Corrupt | FaultDo::Unavailable)
    }
}

impl ActiveRule {
    pub(super) fn read(rule: &FaultRule) -> Result<Self> {
        rule.check()?;
        let number = rule.number.as_deref().map(parse_number).transpose()?;
        Ok(Self { rule: rule.clone(), number, passed: 0, struck: 0 })
    }

    fn looks_at(&self, happening: Happening<'_>) -> bool {
        let rule = &self.rule;
        rule.on == happening.on
            && rule.is_of_deliveries() == happening.is_delivery
            && self.number.is_none_or(|number| happening.of.contains(&number))
            && rule.host.as_ref().is_none_or(|host| host == happening.host)
    }

    fn strikes(&mut self, happening: Happening<'_>) -> bool {
        if !self.looks_at(happening) || self.rule.times.is_some_and(|times| self.struck >= times) {
            return false;
        }
        if self.passed < self.rule.after {
            self.passed += 1;
            return false;
        }
        let permille = self.rule.probability.map_or(1_000, |likely| (likely * 1_000.0) as u64);
        let strikes = clock::random_below(1_000) < permille;
        self.struck += u32::from(strikes);
        strikes
    }
}

/// What strikes of all the rules, and how many of them do.
pub(super) fn strike(rules: &mut [ActiveRule], happening: Happening<'_>) -> (Struck, u64) {
    let (mut struck, mut count) = (Struck::default(), 0);
    for active in rules {
        if active.strikes(happening) {
            struck.add(&active.rule);
            count += 1;
        }
    }
    (struck, count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(json: &str) -> Result<Vec<ActiveRule>> {
        let rules: Vec<FaultRule> = serde_json::from_str(json).unwrap();
        rules.iter().map(ActiveRule::read).collect()
    }

    fn numbers() -> (Number, Number) {
        (Number::parse("628111").unwrap(), Number::parse("628222").unwrap())
    }

    #[test]
    fn a_rule_counts() {
        let (one, two) = numbers();
        let mut some = rules(
            r#"[{"on":"message","number":"628111","after":2,"times":1,"do":"nack","code":463}]"#,
        )
        .unwrap();
        let mut nack =
            |of: &[Number]| strike(&mut some, Happening::new(FaultOn::Message, of)).0.nack;
        assert_eq!([nack(&[two]), nack(&[one]), nack(&[two, one])], [None; 3]);
        assert_eq!([nack(&[one, two]), nack(&[one])], [Some(463), None]);
        let mut never = rules(r#"[{"on":"login","probability":0,"do":"failure"}]"#).unwrap();
        let struck = strike(&mut never, Happening::new(FaultOn::Login, &[one]));
        assert_eq!(struck, (Struck::default(), 0));
    }

    #[test]
    fn several_rules_strike_at_once() {
        let (one, _) = numbers();
        let mut some = rules(
            r#"[{"on":"message","do":"drop_ack"},{"on":"message","do":"disconnect"},
                {"on":"message","do":"delay_ms","ms":5},{"on":"message","do":"corrupt"}]"#,
        )
        .unwrap();
        let sent = strike(&mut some, Happening::new(FaultOn::Message, &[one]));
        let expected = Struck {
            drops_ack: true,
            disconnect: Some(None),
            delay: Some(Duration::from_millis(5)),
            ..Struck::default()
        };
        assert_eq!(sent, (expected, 3));
        let of = [one];
        let received = Happening { is_delivery: true, ..Happening::new(FaultOn::Message, &of) };
        let expected = Struck { corrupts: true, ..Struck::default() };
        assert_eq!(strike(&mut some, received), (expected, 1));
    }

    #[test]
    fn a_media_host_has_its_own_faults() {
        let mut some = rules(r#"[{"on":"media","host":"a:1","do":"http_status"}]"#).unwrap();
        let mut status = |host| {
            strike(&mut some, Happening { host, ..Happening::new(FaultOn::Media, &[]) }).0.status
        };
        assert_eq!([status("a:1"), status("b:1")], [Some(500), None]);
    }

    #[test]
    fn impossible_rules_are_refused() {
        for (json, reason) in [
            (r#"[{"on":"login","do":"nack"}]"#, "rules.do: that cannot happen"),
            (r#"[{"on":"media","do":"corrupt"}]"#, "rules.do: that cannot happen"),
            (r#"[{"on":"login","do":"failure","code":7}]"#, "rules.code is a number"),
            (r#"[{"on":"login","do":"failure","probability":2}]"#, "rules.probability"),
            (r#"[{"on":"iq","do":"delay_ms"}]"#, "rules.ms"),
            (r#"[{"on":"media","do":"http_status","status":200}]"#, "rules.status"),
            (r#"[{"on":"iq","do":"nack","host":"a"}]"#, "rules.host"),
        ] {
            let error = rules(json).err().map(|error| error.to_string());
            assert!(error.as_deref().is_some_and(|error| error.contains(reason)), "{error:?}");
        }
    }
}
