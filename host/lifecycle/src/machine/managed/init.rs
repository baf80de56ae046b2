//! The Init phase. There is one in an environment's life.

use std::sync::Arc;

use super::super::extension::Standing;
use super::super::failure::Failure;
use super::super::init::init_budget;
use super::{Crew, Managed, State};
use crate::limits::MAX_EXTENSIONS;
use crate::{Effect, Exit, InitPhase, PlatformEvent, Program, Rejection, ShutdownReason, Status, Timestamp};

/// An initialisation under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::machine) struct Init {
    pub(super) began: Timestamp,
    pub(super) deadline: Timestamp,
    /// Whether the runtime's end of it has been told.
    runtime_done: bool,
}

impl Managed {
    pub(super) fn begin_init(&mut self, now: Timestamp) -> State {
        self.generation += 1;
        self.thaw();
        self.event(
            now,
            PlatformEvent::InitStart {
                initialization_type: self.config.initialization_type,
                phase: InitPhase::Init,
            },
        );
        let mut crew = Box::new(Crew::launched(&self.config));
        let init = Init {
            began: now,
            deadline: now + init_budget(&self.config, InitPhase::Init),
            runtime_done: false,
        };
        if let Some(name) = self.config.extensions.get(MAX_EXTENSIONS) {
            let failure = Failure::ExtensionExit {
                name: Arc::clone(name),
                exit: Exit::LaunchFailed(Rejection::TooManyExtensions.message().into_owned()),
            };
            for extension in &mut crew.extensions {
                extension.standing = Standing::LaunchError;
            }
            return self.fail_init(now, crew, &init, &failure);
        }
        self.effects
            .extend((0..crew.extensions.len()).map(|index| Effect::Start(Program::Extension(index))));
        self.start_runtime_if_due(&mut crew);
        State::Init(crew, init)
    }

    /// Goes on after a call: it is complete when a worker has called `next`, and every extension has.
    pub(super) fn continue_init(&mut self, now: Timestamp, mut crew: Box<Crew>, mut init: Init) -> State {
        self.start_runtime_if_due(&mut crew);
        if !crew.runtime.is_ready() {
            return State::Init(crew, init);
        }
        if !init.runtime_done {
            init.runtime_done = true;
            self.init_runtime_done(now, InitPhase::Init, Status::Success, None);
        }
        let all_ready = crew
            .extensions
            .iter()
            .all(|extension| matches!(extension.standing, Standing::Ready(..)));
        if !all_ready {
            return State::Init(crew, init);
        }
        self.report_init(now, &crew.extensions, (InitPhase::Init, init.began), None);
        State::Serving(crew, Box::default())
    }

    /// Ends a failed initialisation, and the environment with it.
    pub(super) fn fail_init(&mut self, now: Timestamp, crew: Box<Crew>, init: &Init, failure: &Failure) -> State {
        let ended = now.min(init.deadline);
        if !init.runtime_done {
            self.init_runtime_done(ended, InitPhase::Init, failure.status(), failure.reported_type());
        }
        self.report_init(ended, &crew.extensions, (InitPhase::Init, init.began), Some(failure));
        self.begin_shutdown(now, crew, Box::default(), ShutdownReason::Failure)
    }
}
