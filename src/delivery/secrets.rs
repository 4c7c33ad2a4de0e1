//! Secrets: takes the name of a secret and the destination that wants it, gives its value at the moment of sending.
//!
//! Looked up in this order, the first that exists wins: the file that the environment variable `<NAME>_FILE` names; the
//! file `NAME` in the operator's folder, or without one in systemd's `$CREDENTIALS_DIRECTORY`; the environment variable
//! `NAME`. Nothing is cached, so a key that was exchanged works from the next request on.
//!
//! A container names secrets, but only the operator binds them to destinations: a rule cannot send the database's
//! password anywhere. By default names that start with `OPENAI_` are bound to the `openai` destination.

use std::{ffi::OsString, fmt, io, path::Path, path::PathBuf};

use tokio::io::AsyncReadExt as _;

use crate::call::SecretName;

/// Names with these beginnings are bound without the operator's doing: (beginning, destination).
const DEFAULT_BINDINGS: [(&str, &str); 1] = [("OPENAI_", OPENAI)];

/// The destination of that name; the others where secrets go are addresses.
const OPENAI: &str = "openai";

/// No key comes near this size, in bytes; a file named by mistake may.
const MAX_SECRET: u64 = 16 * 1024;

/// Reads an environment variable. Passed in, so that tests need not touch the process's own.
pub type Environment = Box<dyn Fn(&str) -> Option<OsString> + Send + Sync>;

/// A secret's value. It cannot be printed, serialised or compared; [`Secret::expose`] is the only way to it.
///
/// ```compile_fail
/// let secret = tidegate::delivery::secrets::Secret::new("sk-1").unwrap();
/// println!("{secret:?}");
/// ```
pub struct Secret(Box<str>);

impl Secret {
    /// `None` unless the value can stand in a header: visible ASCII without spaces, at least one character.
    pub fn new(value: &str) -> Option<Self> {
        let fit = !value.is_empty() && value.bytes().all(|b| b.is_ascii_graphic());
        fit.then(|| Self(value.into()))
    }

    /// The value itself: for the request's header, and for masking it elsewhere.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// The operator's word that a destination may use a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    pub secret: SecretName,
    /// As [`crate::call::Account::destination`] names it.
    pub destination: Box<str>,
}

/// Whose secrets go out with calls. What servers show to this one is the operator's in any case.
#[derive(Clone, Copy, Debug)]
pub enum Keys {
    Operators,
    /// This one in place of every key for `openai`, and none to anywhere else.
    Demo(&'static str),
}

/// Where secrets come from, and who may use which.
pub struct Secrets {
    environment: Environment,
    folder: Option<PathBuf>,
    bindings: Vec<Binding>,
    keys: Keys,
}

impl Secrets {
    /// `folder` is the operator's; without one, systemd's is used if there is any.
    pub fn new(environment: Environment, folder: Option<PathBuf>, bindings: Vec<Binding>) -> Self {
        Self { environment, folder, bindings, keys: Keys::Operators }
    }

    pub fn with_keys(self, keys: Keys) -> Self {
        Self { keys, ..self }
    }

    /// The value of a secret, as it is now.
    pub async fn resolve(&self, name: &SecretName, destination: &str) -> Result<Secret, SecretError> {
        let fault = |fault| SecretError { name: name.clone(), fault };
        if well_formed(&name.0) && !self.is_bound(name, destination) {
            return Err(fault(Fault::Unbound { destination: destination.into() }));
        }
        match self.keys {
            Keys::Demo(key) if destination == OPENAI => Secret::new(key).ok_or_else(|| fault(Fault::Malformed)),
            Keys::Demo(_) if destination.contains("://") => Err(fault(Fault::Demo)),
            Keys::Demo(_) | Keys::Operators => self.value(name).await,
        }
    }

    /// Whether a secret is there, whoever may use it; the demo needs none of the operator's.
    ///
    /// # Errors
    /// It is not, or is none.
    pub async fn is_there(&self, name: &SecretName) -> Result<(), SecretError> {
        match self.keys {
            Keys::Demo(_) => Ok(()),
            Keys::Operators => self.value(name).await.map(drop),
        }
    }

    async fn value(&self, name: &SecretName) -> Result<Secret, SecretError> {
        let fault = |fault| SecretError { name: name.clone(), fault };
        if !well_formed(&name.0) {
            return Err(fault(Fault::Name));
        }
        let found = self.find(&name.0).await.map_err(fault)?;
        let text = std::str::from_utf8(&found).map_err(|_| fault(Fault::Malformed))?;
        let value = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
        Secret::new(value).ok_or_else(|| fault(Fault::Malformed))
    }

    fn is_bound(&self, name: &SecretName, destination: &str) -> bool {
        DEFAULT_BINDINGS.iter().any(|(start, owner)| *owner == destination && name.0.starts_with(start))
            || self.bindings.iter().any(|bound| bound.secret == *name && *bound.destination == *destination)
    }

    async fn find(&self, name: &str) -> Result<Vec<u8>, Fault> {
        if let Some(path) = (self.environment)(&format!("{name}_FILE")) {
            // Its path stays untold: put there by mistake, it is the key itself.
            let place = format!("the file that {name}_FILE names");
            return read(Path::new(&path)).await.map_err(|error| Fault::Unreadable { place, error });
        }
        let folder = self.folder.clone().or_else(|| (self.environment)("CREDENTIALS_DIRECTORY").map(PathBuf::from));
        if let Some(folder) = folder {
            let path = folder.join(name);
            match read(&path).await {
                Ok(found) => return Ok(found),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(Fault::Unreadable { place: path.display().to_string(), error }),
            }
        }
        let value = (self.environment)(name).ok_or(Fault::Missing)?;
        Ok(value.into_encoded_bytes())
    }
}

/// A container chooses the name and it becomes a file's name, so it must not lead elsewhere.
fn well_formed(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

async fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut found = Vec::new();
    let read = tokio::fs::File::open(path).await?.take(MAX_SECRET + 1).read_to_end(&mut found).await?;
    if u64::try_from(read).is_ok_and(|read| read <= MAX_SECRET) {
        Ok(found)
    } else {
        Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {MAX_SECRET} bytes")))
    }
}

/// Why a secret could not be had. Its words name the secret and where it was sought, never a value.
#[derive(Debug)]
pub struct SecretError {
    pub name: SecretName,
    fault: Fault,
}

#[derive(Debug)]
enum Fault {
    Name,
    Unbound { destination: Box<str> },
    Missing,
    Demo,
    Unreadable { place: String, error: io::Error },
    Malformed,
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match &self.fault {
            Fault::Name => write!(f, "{:?} cannot name a secret: only letters, digits and _ can", name.0),
            Fault::Unbound { destination } => {
                write!(f, "the secret {name} is not bound to the destination {destination}; the operator must bind it")
            }
            Fault::Missing => {
                write!(f, "the secret {name} is set neither as {name}_FILE, nor as a file, nor as {name}")
            }
            Fault::Demo => write!(f, "a demo sends no secret, and so not {name}"),
            Fault::Unreadable { place, error } => write!(f, "the secret {name} cannot be read from {place}: {error}"),
            Fault::Malformed => write!(f, "the secret {name} is empty or holds characters that no key has"),
        }
    }
}

impl std::error::Error for SecretError {}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, fs};

    use super::*;

    fn secrets(vars: &[(&str, &str)], folder: Option<&Path>, bindings: Vec<Binding>) -> Secrets {
        let vars: HashMap<String, OsString> = vars.iter().map(|(k, v)| ((*k).to_owned(), v.into())).collect();
        Secrets::new(Box::new(move |name| vars.get(name).cloned()), folder.map(Path::to_owned), bindings)
    }

    async fn value(secrets: &Secrets, name: &str) -> Result<String, String> {
        let resolved = secrets.resolve(&SecretName(name.into()), "openai").await;
        resolved.map(|secret| secret.expose().to_owned()).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn a_named_file_beats_the_folder_and_the_folder_beats_the_variable() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("elsewhere");
        fs::write(&file, "from-file\n").unwrap();
        fs::write(folder.path().join("OPENAI_KEY"), "from-folder\r\n").unwrap();
        let var = ("OPENAI_KEY", "from-variable");
        let named = ("OPENAI_KEY_FILE", file.to_str().unwrap());
        let systemd = ("CREDENTIALS_DIRECTORY", folder.path().to_str().unwrap());

        let read = async |vars: &[_], folder| value(&secrets(vars, folder, vec![]), "OPENAI_KEY").await.unwrap();
        assert_eq!(read(&[var, named], Some(folder.path())).await, "from-file");
        assert_eq!(read(&[var], Some(folder.path())).await, "from-folder");
        assert_eq!(read(&[var, systemd], None).await, "from-folder");
        assert_eq!(read(&[var], None).await, "from-variable");
        let empty = tempfile::tempdir().unwrap();
        assert_eq!(read(&[var, systemd], Some(empty.path())).await, "from-variable", "the operator's folder decides");
    }

    #[tokio::test]
    async fn only_bound_secrets_are_given() {
        let vars = [("OPENAI_KEY", "a"), ("DATABASE_PASSWORD", "b"), ("ADS_KEY", "c")];
        let binding = Binding { secret: SecretName("ADS_KEY".into()), destination: "openai".into() };
        let bound_elsewhere = Binding { secret: SecretName("DATABASE_PASSWORD".into()), destination: "http".into() };
        let secrets = secrets(&vars, None, vec![binding, bound_elsewhere]);

        assert_eq!(value(&secrets, "OPENAI_KEY").await.unwrap(), "a");
        assert_eq!(value(&secrets, "ADS_KEY").await.unwrap(), "c");
        let refusal = value(&secrets, "DATABASE_PASSWORD").await.unwrap_err();
        assert!(refusal.contains("not bound to the destination openai"), "{refusal}");
        assert!(secrets.resolve(&SecretName("OPENAI_KEY".into()), "http").await.is_err());
    }

    #[tokio::test]
    async fn a_name_cannot_lead_out_of_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("OPENAI_")).unwrap();
        fs::write(folder.path().join("other"), "stolen").unwrap();
        let secrets = secrets(&[], Some(folder.path()), vec![]);
        let refusal = value(&secrets, "OPENAI_/../other").await.unwrap_err();
        assert!(refusal.contains("cannot name a secret"), "{refusal}");
    }

    #[tokio::test]
    async fn what_cannot_be_a_key_is_refused_without_showing_it() {
        let long = "x".repeat(20_000);
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("OPENAI_LONG"), &long).unwrap();
        let vars = [
            ("OPENAI_EMPTY", "\n"),
            ("OPENAI_LINES", "hush\r\nX-Evil: 1"),
            ("OPENAI_GONE_FILE", "hush-put-in-the-wrong-variable"),
        ];
        let secrets = secrets(&vars, Some(folder.path()), vec![]);
        for (name, expected) in [
            ("OPENAI_EMPTY", "is empty or holds characters"),
            ("OPENAI_LINES", "is empty or holds characters"),
            ("OPENAI_GONE", "cannot be read from the file that OPENAI_GONE_FILE names"),
            ("OPENAI_LONG", "larger than"),
            ("OPENAI_ABSENT", "nor as OPENAI_ABSENT"),
        ] {
            let refusal = value(&secrets, name).await.unwrap_err();
            assert!(refusal.contains(expected), "{refusal}");
            assert!(!refusal.contains("hush") && !refusal.contains("xxx"), "{refusal}");
        }
    }
}
