//! What is live: takes where the container lies, gives a compiled one to start with, and watches for the next.
//!
//! In a git repository live is what HEAD says, and what a remote's branch says where one is followed. A version that does
//! not pass its check never goes live; the last good one stays, over a restart too, and [`Standing`] says why.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        mpsc::{self, Receiver, Sender},
    },
};

mod compile;
mod follow;
mod home;
mod memory;
mod origin;
mod watch;

#[cfg(test)]
mod tests;

pub use compile::Compiler;
pub use follow::Follow;
pub use home::{Home, Start};
pub use origin::Origin;
pub use watch::watch;

/// What the live container falls short of, by whose wish that was. Empty where everything is as it should be.
pub type Standing = BTreeMap<Wish, Shortfall>;

/// Who says what should be live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wish {
    /// HEAD, or the folder where there is no git.
    Container,
    /// The remote's branch.
    Remote,
    /// The working tree, which has not come along with what is live.
    Draft,
}

impl Wish {
    pub const ALL: [Self; 3] = [Self::Container, Self::Remote, Self::Draft];

    /// As metrics label it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Remote => "remote",
            Self::Draft => "draft",
        }
    }
}

/// Why a wish was not followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortfall {
    /// The version that was wished for, if it is known.
    pub version: Option<String>,
    /// One sentence for an operator, without a full stop.
    pub reason: String,
}

impl Shortfall {
    /// Whether both say the same, but for numbers such as times that an error comes with.
    fn is_like(&self, other: &Self) -> bool {
        let words = |shortfall: &Self| shortfall.reason.replace(|c: char| c.is_ascii_digit(), "");
        self.version == other.version && words(self) == words(other)
    }
}

/// What the watch is asked to do beside what it does by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Order {
    /// The remote has answered.
    Hear,
    /// Ask the remote at once.
    Fetch,
    /// Look again at once, also at what was refused, and ask the remote.
    Reload,
    Stop,
}

/// The way from handlers and signals to the watch, and what it has to say.
pub struct Live {
    standing: Mutex<Standing>,
    orders: Sender<Order>,
    waiting: Mutex<Option<Receiver<Order>>>,
}

impl Default for Live {
    fn default() -> Self {
        let (orders, waiting) = mpsc::channel();
        Self { standing: Mutex::default(), orders, waiting: Mutex::new(Some(waiting)) }
    }
}

impl Live {
    /// What is not as it should be at this moment.
    pub fn standing(&self) -> Standing {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn stands(&self, standing: Standing) {
        *self.standing.lock().unwrap_or_else(PoisonError::into_inner) = standing;
    }

    /// Nothing happens where nobody watches.
    pub fn order(&self, order: Order) {
        let _ = self.orders.send(order);
    }

    /// The orders, for the one who carries them out.
    fn orders(&self) -> Option<Receiver<Order>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
