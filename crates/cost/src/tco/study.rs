//! What a study is made from: what people and the record supply about two sides that do the same work. Both sides have the same list of what
//! can cost money; what a side does not have costs 0 for a reason that is written down.

use std::collections::BTreeMap;

use super::book::{Provenance, Quantity, Source};
use super::exact::Exact;
use crate::date::Date;

/// What a side costs is the sum of these, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LineItem {
    /// What a vendor charges for tokens or calls.
    ApiFees,
    /// GPUs for the load: rent, or what owned ones lose in worth.
    Gpu,
    /// GPUs beyond the load, for what autoscaling cannot follow.
    AutoscalingHeadroom,
    /// GPUs that stand in for others.
    Redundancy,
    /// Electricity, with what cooling takes.
    Power,
    /// Disks and object stores.
    Storage,
    /// Load balancers and egress.
    LoadBalancers,
    /// Metrics, logs and traces.
    Observability,
    /// People who look at answers: samples, and failures that are escalated.
    HumanReview,
    /// People who keep quality up whatever the volume.
    QualityStaff,
    /// What failures cost that nobody notices.
    UndetectedFailures,
    /// Reliability engineers and their nights.
    OnCall,
    /// Security reviews.
    SecurityReview,
    /// Evaluations that go on.
    EvaluationRuns,
    /// Embedding what is searched.
    Embeddings,
    /// The vector store.
    VectorStorage,
    /// The vendor who stands in.
    FallbackVendor,
}

impl LineItem {
    /// Every item, in order.
    pub const ALL: [LineItem; 17] = [
        LineItem::ApiFees,
        LineItem::Gpu,
        LineItem::AutoscalingHeadroom,
        LineItem::Redundancy,
        LineItem::Power,
        LineItem::Storage,
        LineItem::LoadBalancers,
        LineItem::Observability,
        LineItem::HumanReview,
        LineItem::QualityStaff,
        LineItem::UndetectedFailures,
        LineItem::OnCall,
        LineItem::SecurityReview,
        LineItem::EvaluationRuns,
        LineItem::Embeddings,
        LineItem::VectorStorage,
        LineItem::FallbackVendor,
    ];

    /// Those that a worksheet gives an amount for; the others follow from its other sections.
    pub const GIVEN: [LineItem; 9] = [
        LineItem::Storage,
        LineItem::LoadBalancers,
        LineItem::Observability,
        LineItem::QualityStaff,
        LineItem::OnCall,
        LineItem::SecurityReview,
        LineItem::EvaluationRuns,
        LineItem::Embeddings,
        LineItem::VectorStorage,
    ];

    /// The word in worksheets and exports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            LineItem::ApiFees => "api_fees",
            LineItem::Gpu => "gpu",
            LineItem::AutoscalingHeadroom => "autoscaling_headroom",
            LineItem::Redundancy => "redundancy",
            LineItem::Power => "power",
            LineItem::Storage => "storage",
            LineItem::LoadBalancers => "load_balancers",
            LineItem::Observability => "observability",
            LineItem::HumanReview => "human_review",
            LineItem::QualityStaff => "quality_staff",
            LineItem::UndetectedFailures => "undetected_failures",
            LineItem::OnCall => "on_call",
            LineItem::SecurityReview => "security_review",
            LineItem::EvaluationRuns => "evaluation_runs",
            LineItem::Embeddings => "embeddings",
            LineItem::VectorStorage => "vector_storage",
            LineItem::FallbackVendor => "fallback_vendor",
        }
    }

    /// What it is, for people.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            LineItem::ApiFees => "API fees",
            LineItem::Gpu => "GPUs for the load",
            LineItem::AutoscalingHeadroom => "Autoscaling headroom",
            LineItem::Redundancy => "Redundancy",
            LineItem::Power => "Power",
            LineItem::Storage => "Storage",
            LineItem::LoadBalancers => "Load balancers and egress",
            LineItem::Observability => "Observability",
            LineItem::HumanReview => "QA and human review",
            LineItem::QualityStaff => "Quality staff",
            LineItem::UndetectedFailures => "Undetected failures",
            LineItem::OnCall => "SRE and on-call",
            LineItem::SecurityReview => "Security review",
            LineItem::EvaluationRuns => "Evaluation runs",
            LineItem::Embeddings => "Embeddings",
            LineItem::VectorStorage => "Vector storage",
            LineItem::FallbackVendor => "Fallback vendor",
        }
    }
}

/// Why something costs nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Because {
    /// The reason, as it goes on after "0 because".
    pub words: String,
    /// Who says so.
    pub source: Source,
}

impl Because {
    /// A reason that follows from what somebody said elsewhere.
    #[must_use]
    pub fn follows(words: &str, source: &Source) -> Because {
        Because { words: words.to_owned(), source: Source { provenance: Provenance::Stated, ..source.clone() } }
    }
}

/// An amount a month, of one or several parts.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// Dollars a month.
    Monthly(Quantity),
    /// So much a month at so many dollars each.
    Product {
        /// How much.
        quantity: Quantity,
        /// Dollars for one.
        price: Quantity,
    },
    /// Paid once, and again after so many months.
    Amortised {
        /// Dollars, once.
        once: Quantity,
        /// Months it is for.
        months: Quantity,
    },
}

/// A line item that a worksheet gives.
#[derive(Debug, Clone, PartialEq)]
pub enum Amount {
    /// Nothing.
    Nothing(Because),
    /// The sum of these.
    Parts(Vec<Part>),
}

/// What one attempt costs at a vendor.
#[derive(Debug, Clone, PartialEq)]
pub enum Attempt {
    /// Nothing: it runs on GPUs of this study.
    Nothing(Because),
    /// Dollars, as recorded or stated.
    Dollars(Quantity),
    /// Its tokens at dollars for a million.
    Tokens(Box<TokenCost>),
}

/// Tokens of an attempt and their prices.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenCost {
    /// Tokens that go in, cached ones included.
    pub input: Quantity,
    /// Of these, found in the vendor's cache, and dollars for a million of them; where the vendor prices them apart.
    pub cached: Option<(Quantity, Quantity)>,
    /// Tokens that come out.
    pub output: Quantity,
    /// Dollars for a million that go in.
    pub input_price: Quantity,
    /// Dollars for a million that come out.
    pub output_price: Quantity,
}

/// How many GPUs a side runs.
#[derive(Debug, Clone, PartialEq)]
pub enum Count {
    /// As said, redundancy and headroom included.
    Stated(Quantity),
    /// For a peak.
    Peak(Box<PeakCount>),
    /// For waiting times: streams of one speed, at random arrivals.
    Slots(Box<SlotCount>),
    /// By the hour of the week, as a replay of arrivals found it.
    Hours(Box<HourCount>),
}

/// What decides how many GPUs a peak needs.
#[derive(Debug, Clone, PartialEq)]
pub struct PeakCount {
    /// Tokens a second at the peak.
    pub tokens_per_second: Quantity,
    /// Tokens a second of one GPU at the latency that is wanted.
    pub per_gpu: Quantity,
    /// Beyond the peak, as a share of it.
    pub headroom: Quantity,
    /// GPUs that stand in for others.
    pub spare: Quantity,
}

/// What decides how many streams are needed at once.
#[derive(Debug, Clone, PartialEq)]
pub struct SlotCount {
    /// Requests a second at the peak.
    pub requests_per_second: Quantity,
    /// Tokens of an answer.
    pub tokens: Quantity,
    /// Tokens a second of one stream.
    pub tokens_per_second: Quantity,
    /// Streams of one GPU.
    pub per_gpu: Quantity,
    /// Seconds an arrival may wait.
    pub wait_s: Quantity,
    /// The share of arrivals that may wait longer.
    pub late: Quantity,
    /// GPUs that stand in for others.
    pub spare: Quantity,
}

/// Replicas by the hour of the week.
#[derive(Debug, Clone, PartialEq)]
pub struct HourCount {
    /// Replicas of each of the 168 hours, from Monday 00:00 UTC on; those that stand in are among them.
    pub replicas: Vec<Quantity>,
    /// GPUs of a replica.
    pub gpus: Quantity,
    /// Seconds from the start of a replica until it is usable.
    pub cold_start_s: Quantity,
}

/// What a GPU costs.
#[derive(Debug, Clone, PartialEq)]
pub enum GpuPrice {
    /// Dollars an hour.
    Rent(Quantity),
    /// A server that is bought.
    Owned(Box<Server>),
}

/// A server that is bought.
#[derive(Debug, Clone, PartialEq)]
pub struct Server {
    /// Dollars.
    pub price: Quantity,
    /// GPUs in it.
    pub gpus: Quantity,
    /// Months it is used; a whole number.
    pub months: u32,
    /// The share of its price it is worth at the end.
    pub residual: Quantity,
    /// What money costs in a year, as a share; `None` writes it off in a straight line.
    pub interest: Option<Quantity>,
    /// Kilowatts at full work.
    pub kilowatts: Quantity,
    /// Power of the building for one of the server.
    pub pue: Quantity,
    /// Dollars for a kilowatt-hour.
    pub kwh: Quantity,
    /// The share of full power it takes on average.
    pub duty: Quantity,
    /// The share of hours in which it works; for the price of an hour only.
    pub utilization: Quantity,
}

/// What a side runs itself.
#[derive(Debug, Clone, PartialEq)]
pub enum Capacity {
    /// Nothing.
    Nothing(Because),
    /// GPUs.
    Gpus(Box<Gpus>),
}

/// GPUs that a side runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Gpus {
    /// How many.
    pub count: Count,
    /// What they cost.
    pub price: GpuPrice,
}

/// The other side's vendor, still asked for some.
#[derive(Debug, Clone, PartialEq)]
pub enum Fallback {
    /// Not asked.
    Nothing(Because),
    /// Asked.
    Share {
        /// The share of tasks.
        share: Quantity,
        /// Dollars a month that are owed anyway.
        minimum: Quantity,
    },
}

/// What people do about answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Review {
    /// The share of tasks somebody looks at, and minutes each takes.
    pub sampled: (Quantity, Quantity),
    /// The share of what failed to the end that is escalated, and minutes each takes.
    pub escalated: (Quantity, Quantity),
    /// The share of escalated failures that people put right.
    pub fixed: Quantity,
    /// The share of tasks that fail and nobody notices, and dollars each costs.
    pub undetected: (Quantity, Quantity),
}

/// One way to do the work.
#[derive(Debug, Clone, PartialEq)]
pub struct Side {
    /// Its name.
    pub name: String,
    /// The share of tasks right at the first attempt.
    pub first_pass: Quantity,
    /// The share right at each retry, of those that failed until then.
    pub retries: Vec<Quantity>,
    /// What an attempt costs.
    pub attempt: Attempt,
    /// How its vendor's prices change in a month, as a share.
    pub price_change: Quantity,
    /// What people do.
    pub review: Review,
    /// What it runs itself.
    pub capacity: Capacity,
    /// The other side's vendor as a fallback.
    pub fallback: Fallback,
    /// Each of [`LineItem::GIVEN`], in that order.
    pub given: Vec<(LineItem, Amount)>,
}

/// Two ways to do the same work.
#[derive(Debug, Clone, PartialEq)]
pub struct Study {
    /// Its name.
    pub name: String,
    /// The day it was written.
    pub date: Date,
    /// Its figures are made up, to show how a worksheet is filled in: it is no evidence.
    pub example: bool,
    /// Tasks in a month.
    pub tasks: Quantity,
    /// Dollars for an hour of the people who review, on both sides.
    pub review_hour: Quantity,
    /// Months looked at.
    pub months: u32,
    /// What money costs in a year, as a share.
    pub discount: Quantity,
    /// How tasks grow in a month, as a share.
    pub volume_growth: Quantity,
    /// How tokens of a task grow in a month, as a share.
    pub token_growth: Quantity,
    /// What the change costs, once.
    pub one_off: Vec<(String, Quantity)>,
    /// The saving that is wanted, as a share of the baseline's cost.
    pub target_saving: Quantity,
    /// How sure of it one wants to be.
    pub certainty: Quantity,
    /// What is done today.
    pub baseline: Side,
    /// What would be done instead.
    pub candidate: Side,
    /// Scenarios of its own: a name, and figures with other values.
    pub scenarios: Vec<(String, BTreeMap<String, Exact>)>,
}
