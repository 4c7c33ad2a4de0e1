//! A curl command, as browsers copy it ("Copy as cURL"): takes its text, gives the request. Chrome and Firefox quote for
//! a POSIX shell, with `$'…'` where a body has line breaks or quotes; what a shell would do beyond quoting is refused.

use anyhow::{Context as _, bail};

use super::request::Copied;

/// Options that change nothing about the request, and take nothing.
const WITHOUT_MEANING: [&str; 22] = [
    "--compressed",
    "--insecure",
    "-k",
    "--location",
    "-L",
    "--silent",
    "-s",
    "--show-error",
    "-S",
    "--fail",
    "-f",
    "--include",
    "-i",
    "--verbose",
    "-v",
    "--globoff",
    "-g",
    "--http1.1",
    "--http2",
    "--http3",
    "--no-progress-meter",
    "-#",
];

/// The same with a value.
const WITH_MEANINGLESS_VALUE: [&str; 8] =
    ["--output", "-o", "--max-time", "-m", "--connect-timeout", "--retry", "--proxy", "-x"];

/// Whether a text is a curl command.
pub(super) fn is_command(text: &str) -> bool {
    text.trim_start().strip_prefix("curl").is_some_and(|rest| rest.starts_with(char::is_whitespace))
}

/// Reads a command.
///
/// # Errors
/// It is none, or does what this cannot follow: files, forms, more than one address.
pub(super) fn read(command: &str) -> anyhow::Result<Copied> {
    let words = words(command)?;
    let mut words = words.into_iter();
    if words.next().as_deref() != Some("curl") {
        bail!("this is no curl command: it does not begin with curl");
    }
    let mut curl = Copied::default();
    let mut urls = Vec::new();
    while let Some(word) = words.next() {
        let (option, attached) = match word.char_indices().nth(2) {
            // `-XPOST`: the value of a short option may stand right behind it.
            Some((end, _)) if word.starts_with('-') && !word.starts_with("--") && !is_flags(&word) => {
                (word[..end].to_owned(), Some(word[end..].to_owned()))
            }
            _ => (word, None),
        };
        let mut value = || {
            let value = attached.clone().or_else(|| words.next());
            value.with_context(|| format!("curl's {option} is followed by nothing"))
        };
        match option.as_str() {
            "-H" | "--header" => curl.headers.push(value()?),
            "-b" | "--cookie" => curl.headers.push(cookie(&value()?)?),
            "-A" | "--user-agent" => curl.headers.push(format!("User-Agent: {}", value()?)),
            "-e" | "--referer" => curl.headers.push(format!("Referer: {}", value()?)),
            "-X" | "--request" => curl.method = Some(value()?),
            "--url" => urls.push(value()?),
            "-d" | "--data" | "--data-ascii" | "--data-binary" => add_data(&mut curl, &option, &value()?, true)?,
            "--data-raw" => add_data(&mut curl, &option, &value()?, false)?,
            "--json" => {
                add_data(&mut curl, &option, &value()?, true)?;
                curl.headers.push("Content-Type: application/json".to_owned());
            }
            flag if WITHOUT_MEANING.contains(&flag) || is_flags(flag) => {}
            flag if WITH_MEANINGLESS_VALUE.contains(&flag) => drop(value()?),
            flag if flag.starts_with('-') => bail!("{flag} of curl is not followed here; take it out"),
            _ => urls.push(option),
        }
    }
    let mut urls = urls.into_iter();
    curl.url = urls.next().context("the curl command names no address")?;
    if let Some(second) = urls.next() {
        bail!("the curl command names two addresses: {} and {second}", curl.url);
    }
    Ok(curl)
}

fn add_data(curl: &mut Copied, option: &str, data: &str, may_be_file: bool) -> anyhow::Result<()> {
    if may_be_file && data.starts_with('@') {
        bail!("curl's {option} takes a file here, {data}; write its content into the command");
    }
    match &mut curl.body {
        Some(body) => *body = format!("{body}&{data}"),
        None => curl.body = Some(data.to_owned()),
    }
    Ok(())
}

/// Flags of one letter each, written together: `-sS`.
fn is_flags(word: &str) -> bool {
    let letters = word.strip_prefix('-').filter(|letters| !letters.is_empty() && !letters.starts_with('-'));
    letters.is_some_and(|letters| letters.chars().all(|letter| WITHOUT_MEANING.contains(&&*format!("-{letter}"))))
}

fn cookie(value: &str) -> anyhow::Result<String> {
    if !value.contains('=') {
        bail!("curl's -b takes a file here, {value}; name the cookies as NAME=VALUE");
    }
    Ok(format!("Cookie: {value}"))
}

/// The words that a POSIX shell would make of a command.
fn words(command: &str) -> anyhow::Result<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    // Of several requests copied at once, each ends with a semicolon.
    let mut rest = command.trim().trim_end_matches(';').chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\\' => match rest.next() {
                // A line that goes on.
                Some('\n') => {}
                Some('\r') if rest.peek() == Some(&'\n') => drop(rest.next()),
                Some(c) => word.get_or_insert_default().push(c),
                None => bail!("the curl command ends in the middle, with a backslash"),
            },
            '\'' => word.get_or_insert_default().push_str(&single_quoted(&mut rest)?),
            '"' => word.get_or_insert_default().push_str(&double_quoted(&mut rest)?),
            '$' if rest.peek() == Some(&'\'') => {
                rest.next();
                word.get_or_insert_default().push_str(&ansi_quoted(&mut rest)?);
            }
            // Only cmd of Windows quotes by it: `^"`, and at the end of a line.
            '^' if word.is_none() && rest.peek().is_none_or(|next| matches!(next, '"' | '\r' | '\n')) => {
                bail!("this is quoted for cmd of Windows; copy it as cURL (bash)")
            }
            c if c.is_whitespace() => words.extend(word.take()),
            ';' | '|' | '&' | '<' | '>' | '`' | '$' | '(' | ')' => {
                bail!("an unquoted {c} is the shell's, not curl's; pass one curl command in quotes as it was copied")
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

type Rest<'c> = std::iter::Peekable<std::str::Chars<'c>>;

const UNCLOSED: &str = "a quote in the curl command is never closed";

fn single_quoted(rest: &mut Rest<'_>) -> anyhow::Result<String> {
    let mut text = String::new();
    loop {
        match rest.next().context(UNCLOSED)? {
            '\'' => return Ok(text),
            c => text.push(c),
        }
    }
}

fn double_quoted(rest: &mut Rest<'_>) -> anyhow::Result<String> {
    let mut text = String::new();
    loop {
        match rest.next().context(UNCLOSED)? {
            '"' => return Ok(text),
            '\\' => match rest.next().context(UNCLOSED)? {
                '\n' => {}
                c @ ('"' | '\\' | '$' | '`') => text.push(c),
                c => text.extend(['\\', c]),
            },
            c => text.push(c),
        }
    }
}

/// `$'…'`, with the escapes of C.
fn ansi_quoted(rest: &mut Rest<'_>) -> anyhow::Result<String> {
    // Bytes, because \x and octal escapes name bytes of UTF-8.
    let mut bytes = Vec::new();
    loop {
        let c = match rest.next().context(UNCLOSED)? {
            '\'' => return String::from_utf8(bytes).context("escapes in the curl command make no UTF-8"),
            '\\' => match rest.next().context(UNCLOSED)? {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'a' => '\u{7}',
                'b' => '\u{8}',
                'e' | 'E' => '\u{1b}',
                'f' => '\u{c}',
                'v' => '\u{b}',
                c @ ('\\' | '\'' | '"' | '?') => c,
                'x' => {
                    bytes.extend(number(rest, 16, 2).and_then(|byte| u8::try_from(byte).ok()));
                    continue;
                }
                'u' => code_point(rest, 4)?,
                'U' => code_point(rest, 8)?,
                digit @ '0'..='7' => {
                    let first = digit.to_digit(8).unwrap_or_default();
                    let byte = octal(first, rest);
                    bytes.extend(u8::try_from(byte & 0xFF));
                    continue;
                }
                c => {
                    bytes.push(b'\\');
                    c
                }
            },
            c => c,
        };
        bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

fn number(rest: &mut Rest<'_>, radix: u32, most: usize) -> Option<u32> {
    let mut number = None;
    for _ in 0..most {
        let Some(digit) = rest.peek().and_then(|c| c.to_digit(radix)) else { break };
        rest.next();
        number = Some(number.unwrap_or(0) * radix + digit);
    }
    number
}

fn octal(first: u32, rest: &mut Rest<'_>) -> u32 {
    let mut value = first;
    for _ in 0..2 {
        let Some(digit) = rest.peek().and_then(|c| c.to_digit(8)) else { break };
        rest.next();
        value = value * 8 + digit;
    }
    value
}

/// A character by its number. Browsers write one beyond U+FFFF as two, in UTF-16.
fn code_point(rest: &mut Rest<'_>, most: usize) -> anyhow::Result<char> {
    let unit = number(rest, 16, most).context("an escape in the curl command names no character")?;
    let is_high = (0xD800..0xDC00).contains(&unit);
    let mut ahead = rest.clone();
    if is_high && ahead.next() == Some('\\') && ahead.next() == Some('u') {
        let low = number(&mut ahead, 16, 4).unwrap_or_default();
        *rest = ahead;
        let code = 0x10000 + ((unit - 0xD800) << 10) + low.wrapping_sub(0xDC00);
        return char::from_u32(code).context("an escape in the curl command names no character");
    }
    char::from_u32(unit).context("an escape in the curl command names no character")
}

#[cfg(test)]
mod tests;
