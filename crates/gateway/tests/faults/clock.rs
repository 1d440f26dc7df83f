//! A wall clock that a trial may set. The test program has its own `clock_gettime`, which the linker takes before the C library's;
//! every other clock is the kernel's.

use std::sync::atomic::{AtomicI64, Ordering};

use rustix::time::{ClockId, clock_gettime as kernels};

const NANOS: i64 = 1_000_000_000;

/// How far the wall clock is off, in nanoseconds.
static OFF: AtomicI64 = AtomicI64::new(0);
/// Where it stands still, or 0.
static FROZEN: AtomicI64 = AtomicI64::new(0);

#[derive(Clone, Copy, Debug)]
pub enum Wall {
    /// So many seconds late, or early.
    Off(i64),
    /// It stands where it is.
    Frozen,
}

pub fn set(wall: Wall) {
    match wall {
        Wall::Off(seconds) => {
            FROZEN.store(0, Ordering::Release);
            OFF.store(seconds * NANOS, Ordering::Release);
        }
        Wall::Frozen => FROZEN.store(real() + OFF.load(Ordering::Acquire), Ordering::Release),
    }
}

fn real() -> i64 {
    let now = kernels(ClockId::Realtime);
    now.tv_sec * NANOS + now.tv_nsec
}

#[repr(C)]
pub struct Timespec {
    seconds: i64,
    nanos: i64,
}

/// What the standard library calls for `SystemTime::now` and `Instant::now`.
#[expect(unsafe_code, reason = "the only way to another wall clock without another machine; tests only")]
#[unsafe(no_mangle)]
pub extern "C" fn clock_gettime(clock: i32, into: &mut Timespec) -> i32 {
    let nanos = match (ClockId::try_from(clock), FROZEN.load(Ordering::Acquire)) {
        (Ok(ClockId::Realtime), 0) => real() + OFF.load(Ordering::Acquire),
        (Ok(ClockId::Realtime), frozen) => frozen,
        (Ok(clock), _) => {
            let now = kernels(clock);
            now.tv_sec * NANOS + now.tv_nsec
        }
        (Err(_), _) => return -1,
    };
    *into = Timespec { seconds: nanos / NANOS, nanos: nanos % NANOS };
    0
}

#[test]
fn the_wall_clock_is_the_trials_and_no_other_clock_is() {
    let _alone = crate::row::alone();
    let (wall, monotonic) = (std::time::SystemTime::now(), std::time::Instant::now());
    set(Wall::Off(-1_800));
    let earlier = wall.duration_since(std::time::SystemTime::now()).expect("half an hour ago");
    set(Wall::Off(0));
    assert!(earlier.as_secs() > 1_700 && monotonic.elapsed().as_secs() < 60);
}
