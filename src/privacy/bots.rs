//! Whether a user agent is a bot's: takes the agent, by the list in `bots.txt` and by words that bots are known by.

use std::fmt;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use regex::{Regex, RegexSet};
use regex_syntax::hir::HirKind;

/// Who is known; [`WORDS`] are for those who are not yet.
const LIST: &str = include_str!("bots.txt");

/// A word that ends in "bot" (but not the phones by Cubot), and what else bots call themselves.
const WORDS: &str = r"(?i)(?:^|[^u]|[^c]u|^u)bot(?:[^a-z]|$)|crawler|spider|scraper|headless";

/// The list, compiled. Most of its patterns are plain texts, which are looked for all at once.
#[derive(Clone)]
pub struct BotList {
    texts: AhoCorasick,
    patterns: RegexSet,
    words: Regex,
}

impl fmt::Debug for BotList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BotList").field("texts", &self.texts.patterns_len()).finish_non_exhaustive()
    }
}

impl BotList {
    /// # Errors
    /// A pattern does not compile; says which words the engine has for it.
    pub fn compile() -> Result<Self, String> {
        let (mut texts, mut patterns) = (Vec::new(), Vec::new());
        for line in LIST.lines().filter(|line| !line.starts_with('#')) {
            match regex_syntax::parse(line).map_err(|error| error.to_string())?.into_kind() {
                HirKind::Literal(text) => texts.push(text.0),
                _ => patterns.push(line),
            }
        }
        // The other kinds take either far more memory or far more time.
        let texts = AhoCorasick::builder().kind(Some(AhoCorasickKind::ContiguousNFA)).build(texts);
        Ok(Self {
            texts: texts.map_err(|error| error.to_string())?,
            patterns: RegexSet::new(patterns).map_err(|error| error.to_string())?,
            words: Regex::new(WORDS).map_err(|error| error.to_string())?,
        })
    }

    /// Whether this is a bot's. That there is none says nothing.
    pub fn knows(&self, agent: &str) -> bool {
        self.texts.is_match(agent) || self.words.is_match(agent) || self.patterns.is_match(agent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bots_are_known() {
        let bots = BotList::compile().expect("the list compiles");
        for agent in [
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            "Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/125.0.0.0 Mobile Safari/537.36 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
            "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
            "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko); compatible; OAI-SearchBot/1.0; +https://openai.com/searchbot",
            "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/125.0.0.0 Safari/537.36",
            "Mozilla/5.0 (compatible; YandexMetrika/2.0; +http://yandex.com/bots)",
            "Mozilla/5.0 (compatible; NobodyKnowsMeYetBot; +https://nobody.example)",
            "some-new-crawler/0.1",
            "curl/8.5.0",
            "python-requests/2.32.3",
            "Go-http-client/1.1",
            "bot",
            "ubot/1",
        ] {
            assert!(bots.knows(agent), "{agent}");
        }
    }

    #[test]
    fn browsers_are_not() {
        let bots = BotList::compile().expect("the list compiles");
        for agent in [
            "",
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/125.0.0.0 Safari/537.36",
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/125.0.0.0 Safari/537.36 Edg/125.0.0.0",
            "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Mobile Safari/537.36",
            "Mozilla/5.0 (Linux; Android 11; CUBOT P40) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/101.0.4951.41 Mobile Safari/537.36",
            "Mozilla/5.0 (Linux; Android 11; CUBOT_NOTE_20) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/101.0.4951.41 Mobile Safari/537.36",
            "Mozilla/5.0 (Linux; Android 14; SM-A536B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/25.0 Chrome/121.0.0.0 Mobile Safari/537.36",
            "Mozilla/5.0 (Linux; Android 9; KFMAWI) AppleWebKit/537.36 (KHTML, like Gecko) Silk/108.4.6 like Chrome/108.0.5359.220 Safari/537.36",
            "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:126.0) Gecko/20100101 Firefox/126.0",
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/21E236 [FBAN/FBIOS;FBAV/450.0;FBDV/iPhone14,5;FBSN/iOS]",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) GSA/318.0 Mobile/15E148 Safari/604.1",
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36 OPR/110.0.0.0",
        ] {
            assert!(!bots.knows(agent), "{agent}");
        }
    }
}
