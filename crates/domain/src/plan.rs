//! Plans: what an account may do, and how much of it.

use serde::Deserialize;

/// What a plan may include. The names are the contract of every API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum Feature {
    Groups,
    Broadcast,
    Schedule,
    SendImage,
    SendDocument,
    SendGroupMedia,
    IncomingWebhook,
    AdvanceWebhook,
    DowntimeNotification,
}

impl Feature {
    /// Every feature.
    pub const ALL: [Self; 9] = [
        Self::Groups,
        Self::Broadcast,
        Self::Schedule,
        Self::SendImage,
        Self::SendDocument,
        Self::SendGroupMedia,
        Self::IncomingWebhook,
        Self::AdvanceWebhook,
        Self::DowntimeNotification,
    ];

    /// Its name in every API and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Groups => "groups",
            Self::Broadcast => "broadcast",
            Self::Schedule => "schedule",
            Self::SendImage => "send_image",
            Self::SendDocument => "send_document",
            Self::SendGroupMedia => "send_group_media",
            Self::IncomingWebhook => "incoming_webhook",
            Self::AdvanceWebhook => "advance_webhook",
            Self::DowntimeNotification => "downtime_notification",
        }
    }

    /// Reads a name back.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|feature| feature.as_str() == name)
    }
}

/// A plan; `None` means no limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Its name, also its key.
    pub name: String,
    /// Most devices of an account.
    pub device_limit: Option<i64>,
    /// Most messages in a calendar day of the account's time zone.
    pub messages_per_day: Option<i64>,
    /// Most messages in a calendar month of the account's time zone.
    pub messages_per_month: Option<i64>,
    /// Most requests of one key in any 60 seconds.
    pub requests_per_minute: Option<i64>,
    /// What it includes.
    pub features: Vec<Feature>,
}

/// The plan an account has when none is named.
pub const DEFAULT_PLAN: &str = "free";

impl Plan {
    /// The plans that exist from the start.
    pub fn built_in() -> Vec<Self> {
        use Feature::{
            AdvanceWebhook, Broadcast, DowntimeNotification, Groups, IncomingWebhook, Schedule,
            SendDocument, SendGroupMedia, SendImage,
        };
        let hobby = vec![Groups, IncomingWebhook];
        let pro = [hobby.clone(), vec![SendImage, SendDocument, Schedule]].concat();
        let all =
            [pro.clone(), vec![Broadcast, SendGroupMedia, AdvanceWebhook, DowntimeNotification]]
                .concat();
        let plan = |name: &str, devices, day, month, features| Self {
            name: name.to_owned(),
            device_limit: devices,
            messages_per_day: day,
            messages_per_month: month,
            requests_per_minute: Some(60),
            features,
        };
        vec![
            plan("free", Some(1), Some(50), Some(1_000), vec![]),
            plan("hobby", Some(3), Some(500), None, hobby),
            plan("pro", Some(10), Some(5_000), None, pro),
            plan("business", Some(50), Some(50_000), None, all.clone()),
            Self { requests_per_minute: None, ..plan("unlimited", None, None, None, all) },
        ]
    }

    /// Whether the plan includes `feature`.
    pub fn has(&self, feature: Feature) -> bool {
        self.features.contains(&feature)
    }
}

#[cfg(test)]
mod tests {
    use serde::de::IntoDeserializer;
    use serde::de::value::StrDeserializer;

    use super::*;

    #[test]
    fn names_of_features_lead_back_in_settings_too() {
        for feature in Feature::ALL {
            assert_eq!(Feature::from_name(feature.as_str()), Some(feature));
            let name: StrDeserializer<'_, serde::de::value::Error> =
                feature.as_str().into_deserializer();
            assert_eq!(Feature::deserialize(name), Ok(feature));
        }
        assert_eq!(Feature::from_name("sorcery"), None);
    }

    #[test]
    fn built_in_plans_include_more_and_more() {
        let plans = Plan::built_in();
        let names: Vec<&str> = plans.iter().map(|plan| plan.name.as_str()).collect();
        assert_eq!(names, [DEFAULT_PLAN, "hobby", "pro", "business", "unlimited"]);
        for (feature, least) in
            [(Feature::Groups, 1), (Feature::SendImage, 2), (Feature::AdvanceWebhook, 3)]
        {
            for (index, plan) in plans.iter().enumerate() {
                assert_eq!(plan.has(feature), index >= least, "{feature:?} in {}", plan.name);
            }
        }
    }
}
