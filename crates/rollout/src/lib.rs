//! Room `rollout`.
