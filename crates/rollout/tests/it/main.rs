//! Rollouts as a whole: decisions, crashes, and simulations of the goals. A simulation runs at a size of seconds; with
//! `CROSSFADE_SLOW_TESTS` set it runs at full size. Each prints its figure (`--nocapture` shows it).

#[cfg(test)]
mod assignment;
#[cfg(test)]
mod crashes;
#[cfg(test)]
mod decisions;
#[cfg(test)]
mod efficiency;
#[cfg(test)]
mod false_alarms;
#[cfg(test)]
mod gates;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod holding;
#[cfg(test)]
mod invariants;
#[cfg(test)]
mod peeking;
#[cfg(test)]
mod planning;
#[cfg(test)]
mod power;
#[cfg(test)]
mod replaying;
#[cfg(test)]
mod replicas;
#[cfg(test)]
mod simulating;
#[cfg(test)]
mod support;
#[cfg(test)]
mod switching;
#[cfg(test)]
mod transitions;
