//! What one guest sees of the world.

pub(crate) mod sockets;
