//! Named places where a test build kills its own process.
//!
//! With the feature `failpoints`, `CROSSFADE_FAILPOINT=<name>:<nth>` aborts the process at the nth visit of that place.
//! Without the feature every place compiles to nothing.

/// A place where a test build may die; compiled to nothing without the feature `failpoints`.
#[cfg(feature = "failpoints")]
#[macro_export]
macro_rules! failpoint {
    ($name:expr) => {
        $crate::failpoints::hit($name)
    };
}

/// A place where a test build may die; compiled to nothing without the feature `failpoints`.
#[cfg(not(feature = "failpoints"))]
#[macro_export]
macro_rules! failpoint {
    ($name:expr) => {};
}

/// Every failpoint of this room, in the order a record meets them.
pub fn names() -> &'static [&'static str] {
    &[
        "journal.before_write",
        "journal.after_write",
        "journal.before_sync",
        "journal.after_sync",
        "journal.rotate",
        "ship.before_commit",
        "ship.after_commit",
        "ship.before_delete",
        "control.before_commit",
        "control.after_commit",
    ]
}

/// The name of the deliberate lie: tickets resolve before the write. A crash harness must catch it.
pub const ACK_BEFORE_WRITE: &str = "ack_before_write";

/// Whether this build was asked to acknowledge before it writes. Always false without the feature.
pub fn acknowledges_before_write() -> bool {
    #[cfg(feature = "failpoints")]
    return armed::point().is_some_and(|point| point.name == ACK_BEFORE_WRITE);
    #[cfg(not(feature = "failpoints"))]
    false
}

/// Visits a failpoint; use the macro [`failpoint!`](crate::failpoint) instead.
#[cfg(feature = "failpoints")]
pub fn hit(name: &str) {
    if let Some(point) = armed::point()
        && point.name == name
        && point.visits.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1 == point.nth
    {
        std::process::abort();
    }
}

#[cfg(feature = "failpoints")]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::AtomicU64;

    pub(super) struct Point {
        pub name: String,
        pub nth: u64,
        pub visits: AtomicU64,
    }

    pub(super) fn point() -> Option<&'static Point> {
        static POINT: OnceLock<Option<Point>> = OnceLock::new();
        POINT.get_or_init(|| std::env::var("CROSSFADE_FAILPOINT").ok().map(|text| parse(&text))).as_ref()
    }

    fn parse(text: &str) -> Point {
        let (name, nth) = text.rsplit_once(':').unwrap_or((text, "1"));
        Point { name: name.to_owned(), nth: nth.parse().unwrap_or(1), visits: AtomicU64::new(0) }
    }
}
