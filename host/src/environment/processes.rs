//! The native programs of one environment: processes that it runs itself, processes of somebody else's that are frozen
//! with it, and who of them may call.

use std::io;
use std::sync::Arc;

use lambox_lifecycle::{Call, Exit, ExtensionCall, InitType, Input, Lifecycle, Phase, Program, RuntimeCall};

use super::Plan;
use super::state::{Shared, State};
use crate::function::Code;
use crate::native::{Attached, Process};
use crate::transport::http::RealListener;

/// Names one process from before it is started until it is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ProcessId(u64);

/// Who calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Caller {
    /// A guest, which is not polled when it must not call.
    #[default]
    Guest,
    /// A process that somebody else has started, at a listener of the environment.
    Attached,
    /// A process that the environment runs itself, at a listener of its own.
    Process(ProcessId),
}

/// Whether a call is handed to the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    Now,
    /// When the rules' state has changed, perhaps.
    Later,
    /// Its caller is gone.
    Never,
}

/// Which of a function's programs are native.
#[derive(Clone, Debug, Default)]
pub(super) struct Natives {
    /// Whether the environment runs any itself.
    pub(super) has_processes: bool,
    runtime_attaches: bool,
    extensions_attach: Vec<bool>,
}

impl Natives {
    pub(super) fn of(plan: &Plan) -> Self {
        let attaches = |code: &Code| match code {
            Code::Native => true,
            Code::Guest(_) | Code::Process(_) => false,
        };
        let programs = || std::iter::once(&plan.runtime).chain(&plan.extensions);
        Self {
            has_processes: programs().any(|program| matches!(program.code, Code::Process(_))),
            runtime_attaches: attaches(&plan.runtime.code),
            extensions_attach: plan.extensions.iter().map(|program| attaches(&program.code)).collect(),
        }
    }

    /// Whether this call of an attached program's is the first of a program that the rules have yet to start. Such a
    /// program has been started too early, or has outlived a reset: what it says is heard when its turn comes.
    fn is_early(&self, core: &Lifecycle, call: &Call) -> bool {
        let runtime_is_early = || self.runtime_attaches && !core.is_running(Program::Runtime);
        match call {
            Call::Runtime(RuntimeCall::Next | RuntimeCall::InitError { .. }) => runtime_is_early(),
            // Elsewhere there is no such resource, for nobody.
            Call::Runtime(RuntimeCall::RestoreNext) => {
                core.config().initialization_type == InitType::SnapStart && runtime_is_early()
            }
            Call::Extension(ExtensionCall::Register { name: Some(name), .. }) => {
                match core.config().extensions.iter().position(|known| known == name) {
                    Some(index) => {
                        self.extensions_attach.get(index).is_some_and(|attaches| *attaches)
                            && !core.is_running(Program::Extension(index))
                    }
                    // An extension within the runtime.
                    None => match core.phase() {
                        Phase::Idle | Phase::Shutdown => runtime_is_early(),
                        Phase::Init
                        | Phase::Snapshot
                        | Phase::Restore
                        | Phase::Ready
                        | Phase::Invoke
                        | Phase::Ended => false,
                    },
                }
            }
            Call::Runtime(_) | Call::Extension(_) | Call::Telemetry(_) => false,
        }
    }
}

/// The processes of one environment.
#[derive(Debug, Default)]
pub(super) struct Processes {
    next: u64,
    own: Vec<Own>,
    attached: Vec<Attached>,
}

/// A process that the environment runs itself.
#[derive(Debug)]
struct Own {
    id: ProcessId,
    program: Program,
    standing: Standing,
}

#[derive(Debug)]
enum Standing {
    /// It is being started, and may have ended already.
    Starting(Option<Exit>),
    /// It runs, and calls at this listener, which goes with it.
    Running {
        process: Arc<Process>,
        _listener: RealListener,
    },
    /// It was killed; there may be output of its that nobody has read.
    Killed(Arc<Process>),
}

impl Processes {
    /// No process runs from now on.
    pub(super) fn freeze(&mut self) {
        self.running().for_each(|(_, process)| process.freeze());
        self.attached.retain(Attached::freeze);
    }

    /// All go on.
    pub(super) fn thaw(&mut self) {
        self.running().for_each(|(_, process)| process.thaw());
        self.attached.retain(Attached::thaw);
    }

    /// Asks a program's process to end. False if it has none yet.
    pub(super) fn terminate(&self, program: Program) -> bool {
        let mut found = false;
        for (_, process) in self.running().filter(|(of, _)| *of == program) {
            process.terminate();
            found = true;
        }
        found
    }

    /// Ends a program's process. Nothing more is heard of it from now on.
    pub(super) fn kill(&mut self, program: Program) {
        for own in self.own.iter_mut().filter(|own| own.program == program) {
            if let Standing::Running { process, .. } = &own.standing {
                process.kill();
                own.standing = Standing::Killed(Arc::clone(process));
            }
        }
    }

    fn running(&self) -> impl Iterator<Item = (Program, &Arc<Process>)> {
        self.own.iter().filter_map(|own| match &own.standing {
            Standing::Running { process, .. } => Some((own.program, process)),
            Standing::Starting(_) | Standing::Killed(_) => None,
        })
    }

    fn find(&mut self, id: ProcessId) -> Option<&mut Own> {
        self.own.iter_mut().find(|own| own.id == id)
    }

    fn remove(&mut self, id: ProcessId) -> Option<Own> {
        let index = self.own.iter().position(|own| own.id == id)?;
        Some(self.own.swap_remove(index))
    }
}

impl State {
    /// Whether a call is handed to the rules.
    pub(super) fn admit_call(&self, natives: &Natives, caller: Caller, call: &Call) -> Admission {
        match caller {
            Caller::Attached if natives.is_early(&self.core, call) => Admission::Later,
            Caller::Process(id) if self.is_gone(id) => Admission::Never,
            // What it sent before it was stopped has been on its way since.
            Caller::Process(_) if self.core.is_frozen() => Admission::Later,
            Caller::Guest | Caller::Attached | Caller::Process(_) => Admission::Now,
        }
    }

    /// Whether a process has ended or was killed.
    fn is_gone(&self, id: ProcessId) -> bool {
        let own = self.processes.own.iter().find(|own| own.id == id);
        own.is_none_or(|own| match own.standing {
            Standing::Killed(_) => true,
            Standing::Starting(_) | Standing::Running { .. } => false,
        })
    }
}

impl Shared {
    /// A process is about to be started.
    pub(super) fn announce_process(&self, program: Program) -> ProcessId {
        let mut state = self.state.lock();
        let id = ProcessId(state.processes.next);
        state.processes.next += 1;
        state.processes.own.push(Own {
            id,
            program,
            standing: Standing::Starting(None),
        });
        id
    }

    /// It could not be started.
    pub(super) fn forget_process(&self, id: ProcessId) {
        self.state.lock().processes.remove(id);
    }

    /// It was started.
    pub(super) fn add_process(&self, id: ProcessId, (process, listener): (Process, RealListener)) {
        let process = Arc::new(process);
        let mut state = self.state.lock();
        let is_frozen = state.core.is_frozen();
        let Some(own) = state.processes.find(id) else {
            // The environment has ended since. Both are dropped once the lock is free.
            drop(state);
            return;
        };
        if is_frozen {
            process.freeze();
        }
        let before = std::mem::replace(
            &mut own.standing,
            Standing::Running {
                process,
                _listener: listener,
            },
        );
        drop(state);
        if let Standing::Starting(Some(exit)) = before {
            self.process_ended(id, exit);
        }
    }

    /// A process has ended, killed or by itself.
    pub(super) fn process_ended(&self, id: ProcessId, exit: Exit) {
        let process = match self.state.lock().processes.find(id).map(|own| &mut own.standing) {
            Some(Standing::Starting(early)) => {
                *early = Some(exit);
                return;
            }
            Some(Standing::Running { process, .. }) => Arc::clone(process),
            // It was killed: it is heard of no more.
            Some(Standing::Killed(_)) | None => return,
        };
        process.finish_output();
        // If its time was up, it was to be killed, whatever it did since.
        self.check_time();
        let mut state = self.state.lock();
        if state.is_gone(id) {
            return;
        }
        let ended = state.processes.remove(id);
        if let Some(own) = &ended {
            let input = Input::Exited {
                program: own.program,
                exit,
            };
            self.apply(&mut state, Some(input));
        }
        drop(state);
        drop(ended);
    }

    /// The processes that run, with their numbers.
    pub(super) fn processes(&self) -> Vec<(Program, u32)> {
        let state = self.state.lock();
        let running = state.processes.running();
        running.map(|(program, process)| (program, process.pid())).collect()
    }

    /// Asks a program's process to end, if there is one.
    pub(super) fn terminate_process(&self, program: Program) {
        self.state.lock().processes.terminate(program);
    }

    /// Ends a program's process, if there is one, and takes what it has written.
    pub(super) fn kill_process(&self, program: Program) {
        if !self.natives.has_processes {
            return;
        }
        let mut state = self.state.lock();
        state.processes.kill(program);
        let of_program = |own: &mut Own| own.program == program && matches!(own.standing, Standing::Killed(_));
        let killed: Vec<_> = state.processes.own.extract_if(.., of_program).collect();
        drop(state);
        for own in killed {
            if let Standing::Killed(process) = own.standing {
                process.finish_output();
            }
        }
    }

    /// Takes what the processes have written by now, so that it stands in the log before what they do next.
    pub(super) fn read_output(&self) {
        if !self.natives.has_processes {
            return;
        }
        let running: Vec<_> = {
            let state = self.state.lock();
            state
                .processes
                .running()
                .map(|(_, process)| Arc::clone(process))
                .collect()
        };
        for process in running {
            process.read_output();
        }
    }

    /// Ends all processes that the environment runs, and lets those of others go on.
    pub(super) fn end_processes(&self) {
        let ended = {
            let mut state = self.state.lock();
            let mut attached = std::mem::take(&mut state.processes.attached);
            attached.retain(Attached::thaw);
            std::mem::take(&mut state.processes.own)
        };
        drop(ended);
    }

    /// Freezes and thaws somebody else's process with the environment.
    pub(super) fn attach_process(&self, pid: u32) -> io::Result<()> {
        let process = Attached::open(pid)?;
        let mut state = self.state.lock();
        if state.ended {
            return Err(io::Error::other("the execution environment has ended"));
        }
        if state.core.is_frozen() && !process.freeze() {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!("process {pid} has ended"),
            ));
        }
        state.processes.attached.retain(|known| known.pid() != pid);
        state.processes.attached.push(process);
        Ok(())
    }

    /// Lets a process of somebody else's go on. False if it was not frozen with the environment.
    pub(super) fn detach_process(&self, pid: u32) -> bool {
        let mut state = self.state.lock();
        let attached = &mut state.processes.attached;
        let Some(index) = attached.iter().position(|known| known.pid() == pid) else {
            return false;
        };
        attached.swap_remove(index).thaw();
        true
    }
}
