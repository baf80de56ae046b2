//! The extensions of one generation: registration, and which of their calls are allowed when.

use std::borrow::Cow;
use std::sync::Arc;

use crate::{ExtensionIdentifier, ExtensionState, PlatformEvent, RegisterBody, Rejection, Ticket};

/// The events that an extension registered for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Subscription {
    pub(super) invoke: bool,
    pub(super) shutdown: bool,
}

/// Reads the events that an extension asks for, as far as environments of a kind offer them.
pub(super) type Offered = fn(&[String], Origin) -> Result<Subscription, Rejection>;

impl Subscription {
    /// Reads the events as spelled.
    pub(super) fn parse(events: &[String], origin: Origin) -> Result<Self, Rejection> {
        let mut subscription = Self::default();
        for event in events {
            match (event.as_str(), origin) {
                ("INVOKE", _) => subscription.invoke = true,
                ("SHUTDOWN", Origin::External) => subscription.shutdown = true,
                ("SHUTDOWN", Origin::Internal) => return Err(Rejection::ShutdownForInternalExtension),
                _ => return Err(Rejection::UnknownEventType { event: event.clone() }),
            }
        }
        Ok(subscription)
    }

    /// Reads the events as spelled, where several invocations are served at once: there is none that could be told of
    /// all of them.
    ///
    /// Source: the service's own emulator (`internal/lambda-managed-instances`: `core/externalagent.go`,
    /// `rapi/handler/agentregister.go`).
    pub(super) fn parse_managed(events: &[String], origin: Origin) -> Result<Self, Rejection> {
        match origin {
            Origin::External => match events.iter().find(|event| *event != "SHUTDOWN") {
                Some(event) => Err(Rejection::UnknownEventType { event: event.clone() }),
                None => Ok(Self {
                    invoke: false,
                    shutdown: !events.is_empty(),
                }),
            },
            Origin::Internal if events.is_empty() => Ok(Self::default()),
            Origin::Internal => Err(Rejection::EventsForInternalExtension),
        }
    }

    /// The events as spelled on the wire.
    pub(super) const fn as_slice(self) -> &'static [&'static str] {
        match (self.invoke, self.shutdown) {
            (true, true) => &["INVOKE", "SHUTDOWN"],
            (true, false) => &["INVOKE"],
            (false, true) => &["SHUTDOWN"],
            (false, false) => &[],
        }
    }
}

/// Where an extension comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// A program of its own, which the platform starts.
    External,
    /// Part of the runtime's program, and gone with it.
    Internal,
}

/// A registered extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) identifier: ExtensionIdentifier,
    pub(super) events: Subscription,
}

/// How far an extension is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It was started.
    Started,
    /// It registered.
    Registered(Member),
    /// It is blocked in `next`, or was until its client went away.
    Ready(Member, Option<Ticket>),
    /// It got an INVOKE.
    Running(Member),
    /// It got its SHUTDOWN.
    Leaving(Member),
    /// It reported that its initialisation failed, with this error type.
    InitError(Member, Arc<str>),
    /// It reported that it is about to exit, with this error type.
    ExitError(Member, Arc<str>),
    /// It ended or was killed.
    Exited(Option<Member>),
    /// It could not be started.
    LaunchError,
}

/// One extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Extension {
    pub(super) name: Arc<str>,
    pub(super) origin: Origin,
    pub(super) standing: Standing,
}

impl Extension {
    pub(super) fn launched(name: Arc<str>) -> Self {
        Self {
            name,
            origin: Origin::External,
            standing: Standing::Started,
        }
    }

    pub(super) fn internal(name: Arc<str>, member: Member) -> Self {
        Self {
            name,
            origin: Origin::Internal,
            standing: Standing::Registered(member),
        }
    }

    pub(super) const fn member(&self) -> Option<Member> {
        match &self.standing {
            Standing::Registered(member)
            | Standing::Ready(member, _)
            | Standing::Running(member)
            | Standing::Leaving(member)
            | Standing::InitError(member, _)
            | Standing::ExitError(member, _) => Some(*member),
            Standing::Exited(member) => *member,
            Standing::Started | Standing::LaunchError => None,
        }
    }

    /// Whether its program runs; an internal extension has none of its own.
    pub(super) const fn is_running_program(&self) -> bool {
        match (self.origin, &self.standing) {
            (Origin::Internal, _) | (Origin::External, Standing::Exited(_) | Standing::LaunchError) => false,
            (
                Origin::External,
                Standing::Started
                | Standing::Registered(_)
                | Standing::Ready(..)
                | Standing::Running(_)
                | Standing::Leaving(_)
                | Standing::InitError(..)
                | Standing::ExitError(..),
            ) => true,
        }
    }

    pub(super) const fn state(&self) -> &'static str {
        match &self.standing {
            Standing::Started => "Started",
            Standing::Registered(_) => "Registered",
            Standing::Ready(..) => "Ready",
            Standing::Running(_) | Standing::Leaving(_) => "Running",
            Standing::InitError(..) => "InitError",
            Standing::ExitError(..) => "ExitError",
            Standing::Exited(_) => "Exited",
            Standing::LaunchError => "LaunchError",
        }
    }

    fn refusal(&self, to: &'static str) -> Rejection {
        Rejection::ExtensionStateTransition {
            name: Arc::clone(&self.name),
            from: self.state(),
            to,
        }
    }

    /// An external extension registers.
    pub(super) fn register(
        &mut self,
        identifier: ExtensionIdentifier,
        body: &RegisterBody,
        offered: Offered,
    ) -> Result<(), Rejection> {
        match &self.standing {
            Standing::Started => {
                let events = offered(&body.events, self.origin)?;
                self.standing = Standing::Registered(Member { identifier, events });
                Ok(())
            }
            Standing::Registered(_)
            | Standing::Ready(..)
            | Standing::Running(_)
            | Standing::Leaving(_)
            | Standing::InitError(..)
            | Standing::ExitError(..)
            | Standing::Exited(_)
            | Standing::LaunchError => Err(self.refusal("Registered")),
        }
    }

    /// `next`: it is blocked from now on.
    pub(super) fn next(&mut self, ticket: Ticket) -> Result<(), Rejection> {
        match &self.standing {
            Standing::Registered(member) | Standing::Running(member) | Standing::Leaving(member) => {
                self.standing = Standing::Ready(*member, Some(ticket));
                Ok(())
            }
            Standing::Started
            | Standing::Ready(..)
            | Standing::InitError(..)
            | Standing::ExitError(..)
            | Standing::Exited(_)
            | Standing::LaunchError => Err(self.refusal("Ready")),
        }
    }

    /// `init/error`. True if it is the first.
    pub(super) fn init_error(&mut self, error_type: Arc<str>) -> Result<bool, Rejection> {
        match &self.standing {
            Standing::Registered(member) => {
                self.standing = Standing::InitError(*member, error_type);
                Ok(true)
            }
            Standing::InitError(..) => Ok(false),
            Standing::Started
            | Standing::Ready(..)
            | Standing::Running(_)
            | Standing::Leaving(_)
            | Standing::ExitError(..)
            | Standing::Exited(_)
            | Standing::LaunchError => Err(self.refusal("InitError")),
        }
    }

    /// `exit/error`. True if it is the first, with the call that was blocked in `next` and is refused now.
    pub(super) fn exit_error(&mut self, error_type: Arc<str>) -> Result<(bool, Option<Ticket>), Rejection> {
        match &self.standing {
            Standing::Registered(member) | Standing::Running(member) | Standing::Leaving(member) => {
                self.standing = Standing::ExitError(*member, error_type);
                Ok((true, None))
            }
            Standing::Ready(member, ticket) => {
                let ticket = *ticket;
                self.standing = Standing::ExitError(*member, error_type);
                Ok((true, ticket))
            }
            Standing::ExitError(..) => Ok((false, None)),
            Standing::Started | Standing::InitError(..) | Standing::Exited(_) | Standing::LaunchError => {
                Err(self.refusal("ExitError"))
            }
        }
    }

    /// The refusal of a `next` that an `exit/error` overtook.
    pub(super) fn overtaken(&self) -> Rejection {
        self.refusal("Ready")
    }

    /// Marks it as gone and hands out the call that waits.
    pub(super) fn end(&mut self) -> Option<Ticket> {
        let ticket = match &self.standing {
            Standing::Ready(_, ticket) => *ticket,
            Standing::LaunchError => return None,
            Standing::Started
            | Standing::Registered(_)
            | Standing::Running(_)
            | Standing::Leaving(_)
            | Standing::InitError(..)
            | Standing::ExitError(..)
            | Standing::Exited(_) => None,
        };
        self.standing = Standing::Exited(self.member());
        ticket
    }

    /// The client of `ticket` went away. The state that its call brought about stays.
    pub(super) fn hang_up(&mut self, gone: Ticket) {
        if let Standing::Ready(_, ticket) = &mut self.standing
            && *ticket == Some(gone)
        {
            *ticket = None;
        }
    }

    /// What `platform.extension` says of it at the end of an initialisation.
    ///
    /// One that ended before it registered is told as `Started`, as recordings of the service have it.
    pub(super) fn event(&self) -> PlatformEvent {
        let (state, error_type) = match &self.standing {
            Standing::Started | Standing::Exited(None) => (ExtensionState::Started, None),
            Standing::Registered(_) => (ExtensionState::Registered, None),
            Standing::Ready(..) | Standing::Running(_) | Standing::Leaving(_) => (ExtensionState::Ready, None),
            Standing::InitError(_, error_type) => (ExtensionState::InitError, Some(Arc::clone(error_type))),
            Standing::ExitError(_, error_type) => (ExtensionState::ExitError, Some(Arc::clone(error_type))),
            Standing::Exited(Some(_)) => (ExtensionState::Exited, None),
            Standing::LaunchError => (ExtensionState::LaunchError, Some("Extension.LaunchError".into())),
        };
        PlatformEvent::Extension {
            name: Arc::clone(&self.name),
            state,
            events: self
                .member()
                .map_or(Vec::new(), |member| member.events.as_slice().to_vec()),
            error_type: error_type.map(|text| Cow::Owned(text.to_string())),
        }
    }
}
