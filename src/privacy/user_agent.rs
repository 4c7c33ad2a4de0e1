//! What a browser calls itself, reduced to its family and major version, in the shape in which Chrome itself reduces it
//! (chromium.org/updates/ua-reduction): the platform is one of seven, always of the same version. Takes a user agent;
//! gives the reduced one, or nothing if it knows no such browser.

/// The beginning of every browser's user agent.
pub const BEGINNING: &str = "Mozilla/";

const IPHONE: &str = "iPhone; CPU iPhone OS 18_6 like Mac OS X";
const IPAD: &str = "iPad; CPU OS 18_6 like Mac OS X";

/// Browsers on iOS, all of which are Safari inside, and Chromium's relatives, by what they add.
const ON_IOS: [&str; 3] = ["CriOS", "FxiOS", "EdgiOS"];
const CHROMIUMS: [&str; 5] = ["Edg", "EdgA", "OPR", "Vivaldi", "YaBrowser"];

/// The reduced form of a user agent. One that is reduced stays as it is.
pub fn reduced(agent: &str) -> Option<String> {
    if let Some(platform) = ios(agent) {
        return Some(on_ios(agent, platform));
    }
    let platform = platform(agent)?;
    let mobile = agent.contains("Mobile");
    if let Some(version) = major(agent, "Firefox") {
        let platform = match (platform, mobile) {
            (ANDROID, true) => "Android 10; Mobile",
            (ANDROID, false) => "Android 10; Tablet",
            (other, _) => other,
        };
        return Some(format!("Mozilla/5.0 ({platform}; rv:{version}.0) Gecko/20100101 Firefox/{version}.0"));
    }
    if let Some(version) = major(agent, "Chrome") {
        let samsung = major(agent, "SamsungBrowser").map(|version| format!("SamsungBrowser/{version}.0 "));
        let mobile = if mobile { "Mobile " } else { "" };
        let own = CHROMIUMS.into_iter().find_map(|name| Some(format!(" {name}/{}.0.0.0", major(agent, name)?)));
        return Some(format!(
            "Mozilla/5.0 ({platform}) AppleWebKit/537.36 (KHTML, like Gecko) {}Chrome/{version}.0.0.0 {mobile}Safari/537.36{}",
            samsung.unwrap_or_default(),
            own.unwrap_or_default(),
        ));
    }
    let version = major(agent, "Version").filter(|_| agent.contains(" Safari/") && platform == MAC)?;
    Some(format!(
        "Mozilla/5.0 ({platform}) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/{version}.0 Safari/605.1.15"
    ))
}

fn on_ios(agent: &str, platform: &str) -> String {
    let other = ON_IOS.into_iter().find_map(|name| Some(format!("{name}/{}.0 ", major(agent, name)?)));
    let browser = other.or_else(|| Some(format!("Version/{}.0 ", major(agent, "Version")?)));
    // Pages that an app shows name no browser.
    let safari = if browser.is_some() { " Safari/604.1" } else { "" };
    let browser = browser.unwrap_or_default();
    format!("Mozilla/5.0 ({platform}) AppleWebKit/605.1.15 (KHTML, like Gecko) {browser}Mobile/15E148{safari}")
}

fn ios(agent: &str) -> Option<&'static str> {
    [("(iPhone", IPHONE), ("(iPod", IPHONE), ("(iPad", IPAD)]
        .into_iter()
        .find_map(|(own, platform)| agent.contains(own).then_some(platform))
}

const ANDROID: &str = "Linux; Android 10; K";
const MAC: &str = "Macintosh; Intel Mac OS X 10_15_7";

fn platform(agent: &str) -> Option<&'static str> {
    // Android names Linux, too.
    let platforms = [
        ("Windows", "Windows NT 10.0; Win64; x64"),
        ("CrOS", "X11; CrOS x86_64 14541.0.0"),
        ("Android", ANDROID),
        ("Macintosh", MAC),
        ("Linux", "X11; Linux x86_64"),
    ];
    let (_, system) = agent.split_once('(').filter(|(before, _)| before.starts_with(BEGINNING))?;
    let system = system.split(')').next()?;
    platforms.into_iter().find_map(|(own, platform)| system.contains(own).then_some(platform))
}

/// The digits of `125` in `Chrome/125.0.6422.60`.
fn major<'a>(agent: &'a str, name: &str) -> Option<&'a str> {
    const MAX_DIGITS: usize = 4;
    let (_, version) = agent.split([' ', ';']).find_map(|part| part.split_once('/').filter(|(own, _)| *own == name))?;
    let end = version.find(|c: char| !c.is_ascii_digit()).unwrap_or(version.len());
    (1..=MAX_DIGITS).contains(&end).then(|| &version[..end])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As they came, and reduced.
    const KNOWN: [(&str, &str); 14] = [
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/125.0.6422.60 Safari/537.36",
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/125.0.0.0 Safari/537.36",
        ),
        (
            "Mozilla/5.0 (Linux; Android 13; SM-S918B Build/TP1A) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.6367.82 Mobile Safari/537.36",
            "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Mobile Safari/537.36",
        ),
        (
            "Mozilla/5.0 (Linux; Android 13; SM-S918B; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/124.0.6367.82 Mobile Safari/537.36 [FBAN/AudienceNetwork]",
            "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Mobile Safari/537.36",
        ),
        (
            "Mozilla/5.0 (Linux; Android 14; SM-A536B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/25.0 Chrome/121.0.0.0 Mobile Safari/537.36",
            "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/25.0 Chrome/121.0.0.0 Mobile Safari/537.36",
        ),
        (
            "Mozilla/5.0 (Windows NT 6.1; WOW64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/125.0.0.0 Safari/537.36 Edg/125.0.2535.51",
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/125.0.0.0 Safari/537.36 Edg/125.0.0.0",
        ),
        (
            "Mozilla/5.0 (X11; CrOS armv7l 15633.69.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/119.0.6045.212 Safari/537.36",
            "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/119.0.0.0 Safari/537.36",
        ),
        (
            "Mozilla/5.0 (X11; Ubuntu; Linux i686; rv:126.0) Gecko/20100101 Firefox/126.0.1",
            "Mozilla/5.0 (X11; Linux x86_64; rv:126.0) Gecko/20100101 Firefox/126.0",
        ),
        (
            "Mozilla/5.0 (Android 14; Mobile; rv:126.0) Gecko/126.0 Firefox/126.0",
            "Mozilla/5.0 (Android 10; Mobile; rv:126.0) Gecko/20100101 Firefox/126.0",
        ),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5.1 Safari/605.1.15",
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 Safari/605.1.15",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 Mobile/15E148 Safari/604.1",
        ),
        (
            "Mozilla/5.0 (iPad; CPU OS 16_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/125.0.6422.80 Mobile/15E148 Safari/604.1",
            "Mozilla/5.0 (iPad; CPU OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/125.0 Mobile/15E148 Safari/604.1",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/21E236 [FBAN/FBIOS;FBAV/450.0;FBDV/iPhone14,5;FBSN/iOS]",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36 OPR/110.0.5130.39",
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36 OPR/110.0.0.0",
        ),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:126.0) Gecko/20100101 Firefox/126.0",
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7; rv:126.0) Gecko/20100101 Firefox/126.0",
        ),
    ];

    #[test]
    fn browsers_keep_their_family_and_major_version() {
        for (agent, expected) in KNOWN {
            assert_eq!(reduced(agent).as_deref(), Some(expected), "{agent}");
            assert_eq!(reduced(expected).as_deref(), Some(expected));
        }
    }

    #[test]
    fn others_are_not_known() {
        for agent in [
            "",
            "curl/8.5.0",
            "Mozilla/5.0",
            "Mozilla/5.0 (compatible; Somebot/1.0; +https://bot.example)",
            "Mozilla/5.0 (PlayStation 5 3.11) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/15.4 Safari/605.1.15",
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/125678.0",
            "ShopApp/3.1 (Ada's tablet; Android 14) Chrome/1.0",
        ] {
            assert_eq!(reduced(agent), None, "{agent}");
        }
    }

    proptest! {
        #[test]
        fn never_panics_and_nothing_rare_stays(agent in "(Mozilla/5.0 \\((iPad|Linux|Windows)[^)]{0,20}\\) )?((Chrome|Firefox|Version|Edg|CriOS)/[0-9.]{0,9}|.{0,9} )*") {
            if let Some(short) = reduced(&agent) {
                prop_assert_eq!(reduced(&short), Some(short));
            }
        }
    }
}
