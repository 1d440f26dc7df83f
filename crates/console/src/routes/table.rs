//! The table of the routes.

use operations::Role;

use super::{
    Route, assign_pairs, begin_drill, begin_exit_drill, change_rollout, connections, create_key, egress, end_drill,
    end_exit_drill, file_result, file_verdicts, filter, get, hand_out, judge_answers, judge_pair, limit_key,
    list_panels, next_pair, number, open_panel, panel_result, post, reload, resend_alert, resolve_review, revalidation,
    review_progress, review_results, revoke_key, rotate_key, row, spent, test_alerts, turn_knobs, withdraw_pairs,
};
use crate::answers::{self, json, text};

/// Every route of the admin API. Earlier ones win.
pub const ROUTES: &[Route] = &[
    get("/health", |_| Ok(text("ok\n"))).told("", "text", "Answers while the process lives."),
    get("/ready", |call| Ok(answers::ready(call.desk.is_ready()))).told(
        "",
        "text",
        "200 while the data listener takes traffic, 503 from the moment it drains.",
    ),
    get("/metrics", |call| Ok(text(&operations::metrics(call.desk)))).told("", "text", "Metrics as Prometheus text."),
    get("/api/openapi.json", |_| Ok(crate::openapi::answer())).told(
        "",
        "Anything",
        "This document: OpenAPI 3.1, made from the table of routes.",
    ),
    get("/api/identity", |call| json(&answers::identity(call.desk))).told("", "Identity", "Which gateway this is."),
    get("/api/rollouts", |call| json(&operations::rollouts::list_now(call.desk)?)).told(
        "",
        "RolloutLine[]",
        "Every rollout, in short.",
    ),
    get("/api/rollouts/{name}", |call| json(&operations::rollouts::status_now(call.desk, call.name())?)).told(
        "",
        "RolloutView",
        "Where a rollout stands, and why.",
    ),
    get("/api/rollouts/{name}/revalidation/{back}/{sample}", revalidation).told(
        "",
        "Revalidation",
        "Its gates of the last so many microseconds, of so many millionths of the units.",
    ),
    get("/api/rollouts/{name}/history", |call| json(&operations::rollouts::history(&call.desk.reader(), call.name())?))
        .told("", "TransitionRow[]", "Every transition with the evidence it rested on."),
    post("/api/rollouts/{name}/start", Role::Operator, |call| change_rollout(call, "start")).told(
        "Change",
        "Transition",
        "Begins in shadow.",
    ),
    post("/api/rollouts/{name}/pause", Role::Operator, |call| change_rollout(call, "pause")).told(
        "Change",
        "Transition",
        "Keeps the share, no promotion.",
    ),
    post("/api/rollouts/{name}/abort", Role::Operator, |call| change_rollout(call, "abort")).told(
        "Change",
        "Transition",
        "Everybody back to the baseline, at once.",
    ),
    post("/api/rollouts/{name}/resume", Role::Operator, |call| change_rollout(call, "resume")).told(
        "Change",
        "Transition",
        "Goes on, or begins again.",
    ),
    post("/api/rollouts/{name}/approve", Role::Approver, |call| change_rollout(call, "approve")).told(
        "Change",
        "Transition",
        "Agrees to the step that waits.",
    ),
    post("/api/rollouts/{name}/promote", Role::Approver, |call| change_rollout(call, "promote")).told(
        "Change",
        "Transition",
        "The next step without proof.",
    ),
    post("/api/rollouts/{name}/extend", Role::Operator, |call| change_rollout(call, "extend")).told(
        "Change",
        "Transition",
        "Gives a held one more time.",
    ),
    post("/api/rollouts/{name}/accept", Role::Approver, |call| change_rollout(call, "accept")).told(
        "Change",
        "Transition",
        "Takes a held one on as it is.",
    ),
    get("/api/rollouts/{name}/filed", |call| json(&operations::rollouts::filed(&call.desk.reader(), call.name())?))
        .told("", "FiledRow[]", "Results that were filed for its gates."),
    post("/api/rollouts/{name}/file", Role::Operator, file_result).told(
        "FileRequest",
        "FiledRow",
        "Files a result for its gates.",
    ),
    post("/api/rollouts/{name}/drill", Role::Operator, begin_drill).told(
        "DrillRequest",
        "DrillReport",
        "Begins a drill on the running gateway.",
    ),
    get("/api/rollouts/{name}/drill", |call| json(&operations::drills::report(call.desk, call.name())?)).told(
        "",
        "DrillReport",
        "How its drill goes, or went; it ends when nobody asks.",
    ),
    post("/api/rollouts/{name}/drill/end", Role::Operator, end_drill).told("Change", "DrillReport", "Ends the drill."),
    get("/api/contests/{name}", |call| json(&operations::contests::contest(&call.desk.reader(), call.name())?)).told(
        "",
        "Contest",
        "The candidates of a route side by side.",
    ),
    get("/api/routes/{route}/drill", |call| json(&operations::leaving::report(call.desk, call.name())?)).told(
        "",
        "DetourReport",
        "How the exit drill goes, or went; traffic goes back when nobody asks.",
    ),
    post("/api/routes/{route}/drill", Role::Approver, begin_exit_drill).told(
        "ExitDrillRequest",
        "DetourReport",
        "Begins an exit drill.",
    ),
    post("/api/routes/{route}/drill/end", Role::Operator, end_exit_drill).told(
        "WayBackRequest",
        "DetourReport",
        "Sends traffic back.",
    ),
    get("/api/exchanges", |call| json(&operations::exchanges::list(&call.desk.own_reader()?, &filter(call.query)?)?))
        .told("", "ExchangePage", "The newest exchanges."),
    get("/api/exchanges/pairs", |call| {
        json(&operations::exchanges::pairs(&call.desk.own_reader()?, &filter(call.query)?)?)
    })
    .told("", "PairPage", "Both arms' answers to the same requests."),
    get("/api/exchanges/{id}", |call| json(&operations::exchanges::show(&call.desk.reader(), call.name())?)).told(
        "",
        "ExchangeView",
        "One exchange, with attempts and bodies.",
    ),
    get("/api/record", |call| json(&operations::retention::status(&call.desk.reader())?)).told(
        "",
        "RecordStatus",
        "How large the record is and how far it goes back.",
    ),
    get("/api/costs/{from}/{to}", spent).told(
        "",
        "Costs",
        "What was paid from one day to another, counted from 1 January 1970.",
    ),
    get("/api/reviews/open/{limit}", |call| {
        json(&operations::reviews::list(&call.desk.reader(), false, number(call, 0)?)?)
    })
    .told("", "ReferralRow[]", "What waits for people."),
    get("/api/reviews/all/{limit}", |call| {
        json(&operations::reviews::list(&call.desk.reader(), true, number(call, 0)?)?)
    })
    .told("", "ReferralRow[]", "What waits for people, and what was decided."),
    get("/api/reviews/{id}", |call| json(&operations::reviews::show(&call.desk.reader(), call.name())?)).told(
        "",
        "Referred",
        "One referral, with its exchange and checks.",
    ),
    post("/api/reviews/{id}/resolve", Role::Operator, resolve_review).told(
        "ReviewDecision",
        "ReviewRow",
        "Decides a referral.",
    ),
    row("GET", "/api/panels", Role::Operator, list_panels).told("", "PanelLine[]", "Every panel, in short."),
    post("/api/panels", Role::Operator, open_panel).told(
        "PanelOpen",
        "PanelOpened",
        "Draws pairs of a rollout's shadow for people to judge, and says who does.",
    ),
    row("GET", "/api/panels/{name}/result", Role::Operator, panel_result).told(
        "",
        "PanelResult",
        "What its judges found so far, and whether it is proven.",
    ),
    post("/api/panels/{name}/next", Role::Viewer, next_pair).told(
        "PanelRequest",
        "PanelPair?",
        "The next blinded pair for who asks.",
    ),
    post("/api/panels/{name}/judge", Role::Viewer, judge_pair).told("PanelRequest", "PanelProgress", "Judges a pair."),
    row("GET", "/api/evaluations/{run}/review", Role::Operator, review_progress).told(
        "",
        "ReviewProgress",
        "How far the blind review of a run's answers is.",
    ),
    row("GET", "/api/evaluations/{run}/review/results", Role::Operator, review_results).told(
        "",
        "Reviewed[]",
        "Win rates with their intervals, agreement, time, and what is proven.",
    ),
    post("/api/evaluations/{run}/review/next", Role::Viewer, hand_out).told(
        "BlindRequest",
        "BlindPairs",
        "The next blinded pairs for who asks.",
    ),
    post("/api/evaluations/{run}/review/judge", Role::Viewer, judge_answers).told(
        "BlindRequest",
        "Taken",
        "Judges a pair.",
    ),
    post("/api/evaluations/{run}/review/file", Role::Viewer, file_verdicts).told(
        "VerdictsRequest",
        "Taken",
        "Judges many pairs, or none.",
    ),
    post("/api/evaluations/{run}/review/assign", Role::Operator, assign_pairs).told(
        "AssignRequest",
        "Assigned",
        "Says who judges which pairs, before the first is shown.",
    ),
    post("/api/evaluations/{run}/review/withdraw", Role::Operator, withdraw_pairs).told(
        "WithdrawRequest",
        "Withdrawn",
        "Withdraws pairs without a verdict.",
    ),
    get("/api/verdicts/{from}/{to}", |call| {
        json(&operations::reviews::verdicts(&call.desk.reader(), number(call, 0)?, number(call, 1)?)?)
    })
    .told("", "VerdictSums[]", "What policies found between two moments in Unix microseconds."),
    get("/api/alerts/{limit}", |call| json(&operations::alerts::list(&call.desk.reader(), number(call, 0)?)?)).told(
        "",
        "AlertPage",
        "What people were told, and whether it arrived.",
    ),
    post("/api/alerts/test", Role::Operator, test_alerts).told("AlertRequest", "Queued", "Sends a test."),
    post("/api/alerts/{id}/resend", Role::Operator, resend_alert).told(
        "AlertRequest",
        "Queued",
        "Delivers an alert again.",
    ),
    get("/api/egress/{from}/{to}", egress).told(
        "",
        "Egress",
        "What left the house between two moments in Unix microseconds.",
    ),
    get("/api/egress/{from}/{to}/connections/{limit}", connections).told(
        "",
        "ConnectionRecord[]",
        "The same, connection by connection.",
    ),
    get("/api/keys", |call| json(&operations::keys::list(&call.desk.reader())?)).told(
        "",
        "KeyView[]",
        "Every key, without anything secret.",
    ),
    get("/api/keys/history", |call| json(&operations::keys::history(&call.desk.reader(), None)?)).told(
        "",
        "AuditRow[]",
        "Every change of a key.",
    ),
    get("/api/keys/{key}", |call| json(&operations::keys::show(&call.desk.reader(), call.name())?)).told(
        "",
        "KeyView",
        "One key, by id or name.",
    ),
    get("/api/keys/{key}/history", |call| json(&operations::keys::history(&call.desk.reader(), Some(call.name()))?))
        .told("", "AuditRow[]", "What was done to a key."),
    post("/api/keys", Role::Admin, create_key).told("KeyRequest", "IssuedView", "Makes a key and shows its text once."),
    post("/api/keys/{key}/rotate", Role::Admin, rotate_key).told(
        "RotationRequest",
        "IssuedView",
        "Gives a key a second secret.",
    ),
    post("/api/keys/{key}/limit", Role::Admin, limit_key).told(
        "LimitsRequest",
        "KeyView",
        "Changes what a key may call.",
    ),
    post("/api/keys/{key}/revoke", Role::Admin, revoke_key).told(
        "Change",
        "KeyView",
        "The key is refused from then on.",
    ),
    post("/api/reload", Role::Admin, reload).told(
        "Change",
        "Reloaded",
        "Reads the config again; the one in force stays when it is bad.",
    ),
    get("/api/simulated/{provider}", |call| json(&operations::simulated::knobs(call.desk, call.name())?)).told(
        "",
        "Knobs",
        "The knobs of a simulated provider.",
    ),
    row("PUT", "/api/simulated/{provider}", Role::Operator, turn_knobs).told(
        "KnobsChange",
        "Knobs",
        "Turns the knobs that the body names.",
    ),
];
