//! Rollouts as a whole: decisions, crashes, and simulations of the goals. A simulation runs at a size of seconds; with
//! `CROSSFADE_SLOW_TESTS` set it runs at full size. Each prints its figure (`--nocapture` shows it).

mod assignment;
mod crashes;
mod decisions;
mod efficiency;
mod false_alarms;
mod gates;
mod power;
mod support;
mod transitions;
