//! The programs of one generation of an execution environment: its runtime and its extensions.

use std::collections::VecDeque;

use super::extension::{Extension, Origin};
use super::runtime::Runtime;
use crate::limits::MAX_EXTENSIONS;
use crate::{Config, Effect, Exit, GivenIdentifier, Program, Rejection, Ticket};

/// The runtime's program, whatever calls it makes.
pub(super) trait Main {
    /// One that was not started.
    fn new() -> Self;

    /// The state's name as the service spells it.
    fn name(&self) -> &'static str;

    /// Whether it has yet to be started.
    fn is_new(&self) -> bool;

    /// It is started.
    fn start(&mut self);

    /// Whether it runs.
    fn is_alive(&self) -> bool;

    /// Whether it has called `next`, which closes the registration of extensions, or is not going to.
    fn closes_registration(&self) -> bool;

    /// It is gone: the calls that wait are handed out.
    fn end(&mut self) -> impl Iterator<Item = Ticket>;

    /// The client of `ticket` went away. The state that its call brought about stays.
    fn hang_up(&mut self, ticket: Ticket);
}

/// Runtime and extensions: the external ones in the order of the configuration, then the internal ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Crew<R = Runtime> {
    pub(super) runtime: R,
    pub(super) extensions: Vec<Extension>,
}

impl<R: Main> Crew<R> {
    /// A crew of which the external extensions count as launched and the runtime does not.
    pub(super) fn launched(config: &Config) -> Self {
        Self {
            runtime: R::new(),
            extensions: config
                .extensions
                .iter()
                .filter(|_| !config.extensions_disabled)
                .take(MAX_EXTENSIONS)
                .map(|name| Extension::launched(name.clone()))
                .collect(),
        }
    }

    /// The extension that an identifier means.
    pub(super) fn identify(&mut self, given: GivenIdentifier, named: bool) -> Result<&mut Extension, Rejection> {
        let identifier = identifier(given)?;
        self.extensions
            .iter_mut()
            .find(|extension| extension.member().is_some_and(|member| member.identifier == identifier))
            .ok_or(Rejection::UnknownIdentifier {
                named: named.then_some(identifier),
            })
    }

    /// Whether this program has been started and has not ended.
    pub(super) fn is_alive(&self, program: Program) -> bool {
        match program {
            Program::Runtime => self.runtime.is_alive(),
            Program::Extension(index) => self.extensions.get(index).is_some_and(Extension::is_running_program),
        }
    }

    /// The extensions whose programs run.
    pub(super) fn alive_extensions(&self) -> impl Iterator<Item = Program> {
        self.extensions
            .iter()
            .enumerate()
            .filter(|(_, extension)| extension.is_running_program())
            .map(|(index, _)| Program::Extension(index))
    }

    /// A program is gone. Its calls, and those of the internal extensions within a runtime, are refused, so that
    /// nobody waits for them.
    pub(super) fn end(&mut self, program: Program, exit: Option<&Exit>, effects: &mut VecDeque<Effect>) {
        let mut refuse = |ticket: Ticket| {
            effects.push_back(Effect::Answer {
                ticket,
                answer: Err(Rejection::Ended),
            });
        };
        match program {
            Program::Runtime => {
                self.runtime.end().for_each(&mut refuse);
                for extension in &mut self.extensions {
                    match extension.origin {
                        Origin::Internal => {
                            extension.end().into_iter().for_each(&mut refuse);
                        }
                        Origin::External => {}
                    }
                }
            }
            Program::Extension(index) => {
                if let Some(extension) = self.extensions.get_mut(index) {
                    if matches!(exit, Some(Exit::LaunchFailed(_))) && extension.member().is_none() {
                        extension.standing = super::extension::Standing::LaunchError;
                    }
                    extension.end().into_iter().for_each(&mut refuse);
                }
            }
        }
    }

    /// Nothing of it runs any more. An extension that was taken for an internal one can still wait, if it is part of
    /// another program than the runtime's; nobody shall wait for ever.
    pub(super) fn dissolve(mut self, effects: &mut VecDeque<Effect>) {
        self.end(Program::Runtime, None, effects);
    }

    pub(super) fn hang_up(&mut self, ticket: Ticket) {
        self.runtime.hang_up(ticket);
        for extension in &mut self.extensions {
            extension.hang_up(ticket);
        }
    }
}

/// Reads an identifier.
pub(super) fn identifier(given: GivenIdentifier) -> Result<crate::ExtensionIdentifier, Rejection> {
    match given {
        GivenIdentifier::Missing => Err(Rejection::MissingIdentifier),
        GivenIdentifier::Malformed => Err(Rejection::MalformedIdentifier),
        GivenIdentifier::Uuid(identifier) => Ok(identifier),
    }
}
