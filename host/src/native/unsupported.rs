//! Where processes cannot be stopped and asked to end by signals: `NativeProgram::check` refuses them, so that none of
//! this is ever made.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;

use lambox_lifecycle::Exit;

use super::NativeProgram;
use crate::sandbox::Output;

#[derive(Debug)]
pub(crate) struct Launch<'a> {
    pub(crate) program: &'a NativeProgram,
    pub(crate) variables: &'a [(String, String)],
    pub(crate) api: SocketAddr,
    pub(crate) stdout: Output,
    pub(crate) stderr: Output,
}

pub(crate) type ProcessExit = Box<dyn FnOnce(Exit) + Send>;

#[derive(Debug)]
pub(crate) struct Process(Infallible);

impl Process {
    pub(crate) fn start(launch: Launch<'_>, _: ProcessExit) -> Result<Self, String> {
        Err(launch.program.check().err().unwrap_or_default().to_owned())
    }

    pub(crate) fn pid(&self) -> u32 {
        match self.0 {}
    }

    pub(crate) fn read_output(&self) {
        match self.0 {}
    }

    pub(crate) fn finish_output(&self) {
        match self.0 {}
    }

    pub(crate) fn freeze(&self) {
        match self.0 {}
    }

    pub(crate) fn thaw(&self) {
        match self.0 {}
    }

    pub(crate) fn terminate(&self) {
        match self.0 {}
    }

    pub(crate) fn kill(&self) {
        match self.0 {}
    }
}

#[derive(Debug)]
pub(crate) struct Attached(Infallible);

impl Attached {
    pub(crate) fn open(_: u32) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn pid(&self) -> u32 {
        match self.0 {}
    }

    pub(crate) fn freeze(&self) -> bool {
        match self.0 {}
    }

    pub(crate) fn thaw(&self) -> bool {
        match self.0 {}
    }
}
