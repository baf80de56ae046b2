//! Calls as a guest would make them.
