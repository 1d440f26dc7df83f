//! How soon a thread runs that has something to do, on a machine whose processors are busy with something else, such as the server itself.

/// Asks the scheduler for short turns of the calling thread and of those it starts from now on: who works a tenth of a millisecond at a time may begin at once, where
/// it would else wait until another's turn of some milliseconds is over (EEVDF of Linux 6.12 and later). It costs the others nothing: nobody gets more of a processor by it.
/// What is not allowed or not known to the kernel leaves everything as it was: the lag that is measured says what it was worth.
#[cfg(target_os = "linux")]
pub(super) fn run_soon() {
    /// The least that the kernel takes.
    const TURN_NS: u64 = 100_000;

    let size = u32::try_from(size_of::<libc::sched_attr>()).unwrap_or_default();
    let mut attributes = libc::sched_attr {
        size,
        sched_policy: 0,
        sched_flags: 0,
        sched_nice: 0,
        sched_priority: 0,
        sched_runtime: 0,
        sched_deadline: 0,
        sched_period: 0,
    };
    #[expect(unsafe_code, reason = "no crate in the tree wraps sched_getattr")]
    // SAFETY: the kernel writes at most `size` bytes to a valid struct of that size, about the calling thread (0).
    let read = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attributes, size, 0) };
    // Who runs under another policy, such as SCHED_FIFO, was given it on purpose.
    if read != 0 || attributes.sched_policy != libc::SCHED_OTHER.cast_unsigned() {
        return;
    }
    (attributes.size, attributes.sched_runtime) = (size, TURN_NS);
    #[expect(unsafe_code, reason = "no crate in the tree wraps sched_setattr")]
    // SAFETY: the kernel reads `size` bytes of a valid struct of that size, about the calling thread (0).
    unsafe {
        libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0)
    };
}

#[cfg(not(target_os = "linux"))]
pub(super) fn run_soon() {}
