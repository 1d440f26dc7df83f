//! What each number is: its id, and one sentence. Tools give one name to different things; every report prints these beside the figures.

/// From the intended start to the first content.
pub const TTFT_INTENDED: &str = "ttft.intended";
/// From the request's last byte to the first content.
pub const TTFT_SENT: &str = "ttft.sent";
/// From the intended start to the last content.
pub const E2E_INTENDED: &str = "e2e.intended";
/// From the request's last byte to the last content.
pub const E2E_SENT: &str = "e2e.sent";
/// Between two chunks with content.
pub const GAP: &str = "gap";
/// The longest gap of a request.
pub const GAP_MAX: &str = "gap.max";
/// For an output token after the first chunk.
pub const TPOT: &str = "tpot";
/// How much later than intended requests began.
pub const CLIENT_LAG: &str = "client_lag";

/// Every id with what it means.
pub const ALL: [(&str, &str); 16] = [
    (
        TTFT_INTENDED,
        "ms from the intended start of a request to the read that brought its first content, reasoning, refusal or tool call; in an open loop the \
         schedule alone says the intended start, in a closed loop it is when the one before on its place had ended",
    ),
    (
        TTFT_SENT,
        "ms from the moment the connection had taken the request's last byte to the same read; a new connection is made before that moment",
    ),
    (
        E2E_INTENDED,
        "ms from the intended start to the read that brought the last content; not `[DONE]`, not the usage chunk",
    ),
    (
        E2E_SENT,
        "ms from the moment the connection had taken the request's last byte to the read that brought the last content",
    ),
    (
        GAP,
        "ms between consecutive chunks with content, all of all requests in one histogram of three digits; chunks of one read are 0 apart",
    ),
    (GAP_MAX, "ms, the longest gap of each request: its worst stall"),
    (
        TPOT,
        "ms, (e2e.sent - ttft.sent) / (output tokens - tokens of the first chunk) of each request; none for one chunk",
    ),
    ("out_tok_s", "output tokens of the requests that completed in the window, by the window's seconds"),
    ("out_tok_s_steady", "the same between a tenth and nine tenths of the window, by when requests completed"),
    ("requests_per_s", "requests that completed in the window, by the window's seconds"),
    ("goodput", "requests that met every objective, by the window's seconds; a failure is one that did not"),
    (
        "attainment",
        "the share of all requests that met every objective, failures among those that did not, with Wilson's 95 % interval",
    ),
    (
        "max_rate@SLO",
        "the highest rate, or concurrency, whose attainment has a 95 % lower bound of at least the share asked for, and the lowest that failed",
    ),
    (
        "tokens",
        "from the answer's usage, else from usage on its chunks, else the text by the server's tokenizer, else by one of this process, else one for each chunk with content; the source is printed, and two sources more than 1 % apart are flagged",
    ),
    (
        CLIENT_LAG,
        "ms by which requests began later than intended, because this process could not keep up; a run is INVALID whose p99 is above 1 ms, above 1 % of the p50 \
         of ttft.intended and above 1 % of the objective's smallest limit, or above both 1 ms and the mean time from one arrival to the next. In a closed loop, where nothing is \
         due: ms by which its threads came late to what a clock gave them to do every 10 ms, of which 5 ms are allowed in place of 1, and no arrivals bound it",
    ),
    (
        "cold_start",
        "ms from the start of a process to the first connection that it accepts, to its first good health answer, to the first token of the first request, and to the first request within 10 % \
         of the steady p50",
    ),
];
