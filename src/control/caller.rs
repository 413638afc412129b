//! Who asks, from where, and how much they may.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Command, Request};

/// How much somebody may. Each may all that those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// May look.
    Viewer,
    /// May stop and go on, close and flatten.
    Trader,
    /// May change what is configured, and try what only tests and drills need.
    Admin,
}

/// Text that is no role.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a role: use viewer, trader or admin")]
pub struct NotARole(String);

/// By which face somebody came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Face {
    /// The daemon itself: a signal, a changed file.
    Daemon,
    /// The socket on this machine.
    Socket,
    /// The HTTP interface.
    Http,
    /// A chat.
    Telegram,
}

/// Somebody who asks, as far as their face has found out.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Caller {
    /// A user of this machine, a token or a chat's user: what stands on record.
    pub name: String,
    /// How much they may.
    pub role: Role,
    /// By which face.
    pub face: Face,
    /// From where, as that face tells it: an address, a chat. Empty where there is but one place.
    pub origin: String,
}

impl Caller {
    /// The daemon itself, named after what made it ask.
    pub fn daemon(name: impl Into<String>) -> Self {
        Self { name: name.into(), role: Role::Admin, face: Face::Daemon, origin: String::new() }
    }

    /// A user of this machine who may open the socket: that is the one who runs the daemon, who may everything.
    pub fn socket(user: impl Into<String>) -> Self {
        Self { name: user.into(), role: Role::Admin, face: Face::Socket, origin: String::new() }
    }

    /// Whether they may ask this.
    ///
    /// # Errors
    /// In words, why not.
    pub fn may(&self, request: &Request) -> Result<(), String> {
        let needed = request.role();
        if self.role >= needed {
            return Ok(());
        }
        Err(format!(
            "{} is a {} and this needs the role {needed}: ask an admin to change the role",
            self.name, self.role
        ))
    }
}

/// What stands on record beside a command.
impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.face {
            Face::Daemon | Face::Socket => f.write_str(&self.name),
            Face::Http | Face::Telegram if self.origin.is_empty() => write!(f, "{} ({})", self.name, self.face),
            Face::Http | Face::Telegram => write!(f, "{} ({} {})", self.name, self.face, self.origin),
        }
    }
}

impl fmt::Display for Face {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Daemon => "daemon",
            Self::Socket => "socket",
            Self::Http => "http",
            Self::Telegram => "telegram",
        })
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Viewer => "viewer",
            Self::Trader => "trader",
            Self::Admin => "admin",
        })
    }
}

impl FromStr for Role {
    type Err = NotARole;
    fn from_str(text: &str) -> Result<Self, NotARole> {
        match text {
            "viewer" => Ok(Self::Viewer),
            "trader" => Ok(Self::Trader),
            "admin" => Ok(Self::Admin),
            _ => Err(NotARole(text.chars().take(32).collect())),
        }
    }
}

impl Request {
    /// Who may ask this at least.
    pub const fn role(&self) -> Role {
        match self {
            Self::Ask(_) => Role::Viewer,
            Self::Do(command) | Self::Once { command, .. } => command.role(),
        }
    }
}

impl Command {
    /// Who may have this done at least.
    pub const fn role(&self) -> Role {
        match self {
            Self::Start(_)
            | Self::Stop(_)
            | Self::Restart(_)
            | Self::Pause(_)
            | Self::Unpause(_)
            | Self::Halt { .. }
            | Self::Resume { .. }
            | Self::Close { .. }
            | Self::Rebalance { .. } => Role::Trader,
            Self::Reload | Self::ReloadDryRun | Self::Drill { .. } => Role::Admin,
            #[cfg(feature = "fault-injection")]
            Self::Inject { .. } => Role::Admin,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{Question, Scope};

    fn caller(role: Role) -> Caller {
        Caller { name: "ayse".to_owned(), role, face: Face::Telegram, origin: "chat 7".to_owned() }
    }

    #[test]
    fn each_role_may_what_it_needs_and_no_more() {
        let reason = || "why".to_owned();
        let requests = [
            (Request::Ask(Question::Pnl), Role::Viewer),
            (Request::Do(Command::Pause(Scope::All)), Role::Trader),
            (Request::Do(Command::Resume { reason: reason() }), Role::Trader),
            (Request::Do(Command::Reload), Role::Admin),
            (Request::Do(Command::Drill { loss: 0.1, reason: reason() }), Role::Admin),
        ];
        for (request, needed) in requests {
            for role in [Role::Viewer, Role::Trader, Role::Admin] {
                assert_eq!(caller(role).may(&request).is_ok(), role >= needed, "{role} {request:?}");
            }
        }
        let why = caller(Role::Viewer).may(&Request::Do(Command::Reload)).unwrap_err();
        assert_eq!(why, "ayse is a viewer and this needs the role admin: ask an admin to change the role");
    }

    #[test]
    fn who_it_was_can_be_read_on_record() {
        assert_eq!(caller(Role::Trader).to_string(), "ayse (telegram chat 7)");
        assert_eq!(Caller::socket("root").to_string(), "root");
        assert_eq!(Caller::daemon("SIGHUP").to_string(), "SIGHUP");
    }

    #[test]
    fn roles_are_read_as_they_are_written() {
        for role in [Role::Viewer, Role::Trader, Role::Admin] {
            assert_eq!(role.to_string().parse(), Ok(role));
        }
        let error = "Root".parse::<Role>().unwrap_err().to_string();
        assert_eq!(error, "`Root` is not a role: use viewer, trader or admin");
    }
}
