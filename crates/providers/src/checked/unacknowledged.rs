use tokio::net::TcpStream;

/// How many written bytes the other side's kernel has not acknowledged yet: `SIOCOUTQ` of tcp(7), which is also right when
/// the connection was closed or reset. `None` where it cannot be known.
#[cfg(target_os = "linux")]
pub(super) fn n_bytes(socket: &TcpStream) -> Option<usize> {
    use std::os::fd::AsRawFd;

    let mut n_bytes: libc::c_int = 0;
    #[expect(unsafe_code, reason = "no crate in the tree wraps SIOCOUTQ (the same number as TIOCOUTQ)")]
    // SAFETY: the descriptor is open for as long as `socket` lives, and the kernel writes one int to a valid int.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut n_bytes) };
    if result == 0 { usize::try_from(n_bytes).ok() } else { None }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn n_bytes(_: &TcpStream) -> Option<usize> {
    None
}
