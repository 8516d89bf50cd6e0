//! How a profile reaches its servers.

use std::env;

use tillbell_lnbits::dial::{Dialer, Proxies};

use crate::store::profile::Profile;
use crate::store::settings::SettingsFile;

/// A dialler that goes through the proxy of the profile's settings, or of the environment. The settings are read now.
#[must_use]
pub fn dialer_of(profile: &Profile) -> Dialer {
    let settings = SettingsFile::borrowed(&profile.settings_file());
    let setting = &settings.settings().proxy;
    Dialer::default().with_proxies(Proxies::chosen(setting, |name| env::var(name).ok()))
}
