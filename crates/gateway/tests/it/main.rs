//! The gateway between real sockets: scripted upstreams behind it, a client that sees every byte in front of it.

#[cfg(test)]
mod answer_limit;
#[cfg(test)]
mod azure;
#[cfg(test)]
mod cache;
#[cfg(test)]
mod capabilities;
#[cfg(test)]
mod cascade;
#[cfg(test)]
mod client;
#[cfg(test)]
mod cohorts;
#[cfg(test)]
mod cost;
#[cfg(test)]
mod drain;
#[cfg(test)]
mod edge;
#[cfg(test)]
mod egress;
#[cfg(test)]
mod endpoints;
#[cfg(test)]
mod failover;
#[cfg(test)]
mod feedback;
#[cfg(test)]
mod fields;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod messages;
#[cfg(test)]
mod outbound;
#[cfg(test)]
mod outcomes;
#[cfg(test)]
mod passthrough;
mod patterns;
#[cfg(test)]
mod pauses;
#[cfg(test)]
mod policy;
#[cfg(test)]
mod queues;
#[cfg(test)]
mod recall;
#[cfg(test)]
mod records;
#[cfg(test)]
mod replicas;
#[cfg(test)]
mod residency;
#[cfg(test)]
mod responses;
#[cfg(test)]
mod retries;
#[cfg(test)]
mod rollouts;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod shadow;
#[cfg(test)]
mod streams;
#[cfg(test)]
mod validation;
