//! How a device reaches WhatsApp, and how it appears there.

use std::sync::Arc;

use domain::client::{Platform, Route, ShownAs};
use domain::proxy::ProxyFault;
use wacore::client_profile::ClientProfile;
use wacore::store::DevicePropsOverride;
use waproto::whatsapp::device_props::PlatformType;

use crate::client::ClientContext;
use crate::http_client::GuardedHttpClient;
use crate::sockets::Sockets;

/// How a client reaches WhatsApp.
#[derive(Clone)]
pub(crate) struct Network {
    pub(crate) http: Arc<GuardedHttpClient>,
    pub(crate) sockets: Sockets,
}

impl ClientContext {
    /// How a device reaches WhatsApp: through its proxy, if it has one.
    pub(crate) fn network(&self, route: &Route) -> anyhow::Result<Network> {
        let proxy = match route {
            Route::Direct => return Ok(self.direct.clone()),
            Route::Proxy(proxy) => proxy,
            Route::Unreadable => return Err(ProxyFault::Unreadable.into()),
        };
        let http = GuardedHttpClient::through(&self.endpoint, &self.proxies, proxy)?;
        let sockets = self.direct.sockets.through(self.proxies.clone(), proxy.clone());
        Ok(Network { http: Arc::new(http), sockets })
    }

    /// How a device appears: as itself, or as the gateway's settings say.
    pub(crate) fn appearance(&self, shown_as: &ShownAs) -> (DevicePropsOverride, ClientProfile) {
        let name = shown_as.name.as_deref().unwrap_or(&self.config.device_name);
        let platform = shown_as.platform.unwrap_or(self.config.platform);
        let props =
            DevicePropsOverride::new().with_os(name).with_platform_type(platform_type(platform));
        let language = shown_as.language.as_ref().unwrap_or(&self.config.language);
        let (locale_language, locale_country) = language.parts();
        let profile = ClientProfile {
            locale_language: locale_language.to_owned(),
            locale_country: locale_country.to_owned(),
            ..ClientProfile::web()
        };
        (props, profile)
    }
}

fn platform_type(platform: Platform) -> PlatformType {
    match platform {
        Platform::Chrome => PlatformType::CHROME,
        Platform::Edge => PlatformType::EDGE,
        Platform::Firefox => PlatformType::FIREFOX,
        Platform::Opera => PlatformType::OPERA,
        Platform::Safari => PlatformType::SAFARI,
        Platform::Desktop => PlatformType::DESKTOP,
    }
}
