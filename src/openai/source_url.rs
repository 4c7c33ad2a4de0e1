//! The page of a web event: takes `page_location`, gives its origin and path only, as `OpenAI`'s own plugin sends it.
//! Query strings and fragments carry e-mails and tokens, and the click reference travels in its own field.

use url::Url;

use super::{Note, Notes, Reason};

/// An http or https address with a host and a path, and nothing else: no user, query or fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceUrl(String);

impl SourceUrl {
    /// Origin and path of a page's address; `None`, with a note on `page_location`, if it is not an absolute http(s) one.
    pub fn from_page(page_location: &str, notes: &mut Notes) -> Option<Self> {
        let url = origin_and_path(page_location);
        if url.is_none() {
            notes.push(Note::new("page_location", Reason::NotAUrl));
        }
        url.map(Self)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn origin_and_path(page_location: &str) -> Option<String> {
    let text = page_location.trim();
    if !is_absolute(text) {
        return None;
    }
    let mut url = Url::parse(text).ok()?;
    // Neither can fail on an address with a host.
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    url.set_query(None);
    url.set_fragment(None);
    Some(url.into())
}

/// Whether a text begins as a full web address. The URL standard would also read `https:shop.example` and
/// `http:///shop.example` as one, which no browser reports and which are more likely mistakes.
fn is_absolute(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let names_a_host = !rest.starts_with(['/', '\\']);
    (scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http")) && names_a_host
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_origin_and_path_only() {
        for (page, expected) in [
            ("https://shop.example/a/b?email=ada@example.com#top", "https://shop.example/a/b"),
            ("https://shop.example", "https://shop.example/"),
            ("http://shop.example:8080/p?", "http://shop.example:8080/p"),
            ("https://ada:secret@shop.example/p", "https://shop.example/p"),
            ("https://ada@shop.example/p", "https://shop.example/p"),
            ("HTTPS://Shop.Example/Path", "https://shop.example/Path"),
            (" https://shop.example/p\n", "https://shop.example/p"),
            ("https://shop.example#a?b=c", "https://shop.example/"),
            ("https://münchen.example/straße", "https://xn--mnchen-3ya.example/stra%C3%9Fe"),
            ("https://[::1]/p", "https://[::1]/p"),
            ("https://shop.example/p%20q;v=1", "https://shop.example/p%20q;v=1"),
        ] {
            let mut notes = Notes::new();
            assert_eq!(
                SourceUrl::from_page(page, &mut notes).as_ref().map(SourceUrl::as_str),
                Some(expected),
                "{page}"
            );
            assert_eq!(notes, []);
        }
    }

    #[test]
    fn leaves_out_what_is_no_web_address() {
        for page in [
            "",
            "/checkout",
            "shop.example/p",
            "//shop.example/p",
            "https:shop.example",
            "https://",
            "https:///p",
            "https://?q",
            "https://exa mple/",
            "ftp://shop.example/",
            "file:///etc/passwd",
            "javascript://shop.example/%0aalert(1)",
            "android-app://com.example/",
            "about:blank",
            "https://shop.example:99999/",
        ] {
            let mut notes = Notes::new();
            assert_eq!(SourceUrl::from_page(page, &mut notes), None, "{page}");
            assert_eq!(notes, [Note::new("page_location", Reason::NotAUrl)]);
        }
    }
}
