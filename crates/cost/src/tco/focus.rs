//! A month of a study as rows of FOCUS 1.0, the FinOps Foundation's form of cost and usage data, so that a plan can be laid beside the bills it
//! is about. A plan is no bill: every description says so, and the invoice's issuer is the study.
//!
//! The columns are those of FOCUS 1.0. `focus_validator` 1.0.0 looks for five of them under older names, which are there too.

use super::book::Cell;
use super::facts::{Costed, quoted};
use super::model::SIDES;
use super::study::LineItem;

const COLUMNS: [&str; 48] = [
    "AvailabilityZone",
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargeFrequency",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "ChargeType",
    "CommitmentDiscountCategory",
    "CommitmentDiscountId",
    "CommitmentDiscountName",
    "CommitmentDiscountStatus",
    "CommitmentDiscountType",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedCost",
    "ContractedUnitPrice",
    "EffectiveCost",
    "InvoiceIssuer",
    "InvoiceIssuerName",
    "ListCost",
    "ListUnitPrice",
    "PricingCategory",
    "PricingQuantity",
    "PricingUnit",
    "Provider",
    "ProviderName",
    "Publisher",
    "PublisherName",
    "RegionId",
    "RegionName",
    "ResourceID",
    "ResourceId",
    "ResourceName",
    "ResourceType",
    "ServiceCategory",
    "ServiceName",
    "SkuId",
    "SkuPriceId",
    "SubAccountId",
    "SubAccountName",
    "Tags",
];

/// The rows: one for every line item of either side that costs something in a month, both sides beside each other.
#[must_use]
pub fn focus(costed: &Costed) -> String {
    let mut text = COLUMNS.join(",") + "\n";
    for side in [0, 1] {
        for item in LineItem::ALL {
            let cell = costed.cell(side, &format!("item.{}", item.as_str()));
            if let Some(cell) = cell.filter(|cell| cell.value.as_ref().is_some_and(|value| !value.is_zero())) {
                text += &row(costed, side, item, cell);
            }
        }
    }
    text
}

fn row(costed: &Costed, side: usize, item: LineItem, cell: &Cell) -> String {
    let (from, to) = period(&costed.date.to_string());
    let amount = cell.shown().unwrap_or_default();
    let (name, study) = (costed.sides[side].as_str(), costed.name.as_str());
    let description = format!("planned, not billed: {} of {name}, a month", item.label());
    let sku = format!("{}.{}", SIDES[side], item.as_str());
    let tags = serde_json::json!({ "crossfade_item": item.as_str(), "crossfade_side": SIDES[side] }).to_string();
    let field = |column: &&str| {
        let text = match *column {
            "BilledCost"
            | "ContractedCost"
            | "EffectiveCost"
            | "ListCost"
            | "ContractedUnitPrice"
            | "ListUnitPrice" => &amount,
            "BillingAccountId" | "BillingAccountName" | "InvoiceIssuer" | "InvoiceIssuerName" => study,
            "BillingCurrency" => "USD",
            "BillingPeriodStart" | "ChargePeriodStart" => &from,
            "BillingPeriodEnd" | "ChargePeriodEnd" => &to,
            "ChargeCategory" | "ChargeType" => "Usage",
            "ChargeDescription" => &description,
            "ChargeFrequency" => "Recurring",
            "ConsumedQuantity" | "PricingQuantity" => "1.0",
            "ConsumedUnit" | "PricingUnit" => "Months",
            "PricingCategory" => "Standard",
            "Provider" | "ProviderName" | "Publisher" | "PublisherName" | "SubAccountId" | "SubAccountName" => name,
            "ServiceCategory" => category(item),
            "ServiceName" => item.label(),
            "SkuId" | "SkuPriceId" => &sku,
            "Tags" => &tags,
            _ => "",
        };
        quoted(text)
    };
    COLUMNS.iter().map(field).collect::<Vec<_>>().join(",") + "\n"
}

/// The category of a line item; people are under none of FOCUS's own.
const fn category(item: LineItem) -> &'static str {
    match item {
        LineItem::ApiFees | LineItem::FallbackVendor | LineItem::EvaluationRuns | LineItem::Embeddings => {
            "AI and Machine Learning"
        }
        LineItem::Gpu | LineItem::AutoscalingHeadroom | LineItem::Redundancy | LineItem::Power => "Compute",
        LineItem::Storage => "Storage",
        LineItem::LoadBalancers => "Networking",
        LineItem::Observability => "Management and Governance",
        LineItem::SecurityReview => "Security",
        LineItem::VectorStorage => "Databases",
        LineItem::HumanReview | LineItem::QualityStaff | LineItem::UndetectedFailures | LineItem::OnCall => "Other",
    }
}

/// The month that holds a day, as FOCUS has it: from its first day to that of the next, exclusive, in UTC.
fn period(day: &str) -> (String, String) {
    let mut parts = day.split('-').map(|part| part.parse::<u32>().unwrap_or(1));
    let (year, month) = (parts.next().unwrap_or(1970), parts.next().unwrap_or(1));
    let (next_year, next_month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    let at = |year: u32, month: u32| format!("{year:04}-{month:02}-01T00:00:00Z");
    (at(year, month), at(next_year, next_month))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tco::model;
    use crate::tco::odds::Draw;
    use crate::tco::samples::uncertain;

    #[test]
    fn every_item_that_costs_something_is_a_row_and_says_that_it_is_a_plan() {
        let study = uncertain();
        let text = focus(&Costed::new(&study, model(&study), Draw { draws: 100, seed: 1 }));
        let rows: Vec<&str> = text.lines().skip(1).collect();
        // Fees and review of the baseline; GPUs, two items, review and the fallback of the candidate.
        assert_eq!(rows.len(), 7, "{text}");
        assert!(rows.iter().all(|row| row.contains("planned, not billed") && row.contains("2026-12-01T00:00:00Z")));
        assert!(rows[0].starts_with(",6596.70,example,example,USD,"), "{}", rows[0]);
    }

    #[test]
    fn december_ends_in_the_next_year() {
        assert_eq!(period("2026-12-31"), ("2026-12-01T00:00:00Z".to_owned(), "2027-01-01T00:00:00Z".to_owned()));
    }
}
