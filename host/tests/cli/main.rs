//! The command line as a process: what it prints, and how it exits.

mod check;
mod completions;
mod event;
mod harness;
mod invoke;
mod serve;
