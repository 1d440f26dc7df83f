//! A limit on answers that are no streams leaves streams alone.

use std::time::Duration;

use scripted::{Script, Upstream, chat_completion, chat_stream};

use crate::client::post;
use crate::harness::{PLAIN, STREAMED, Setup};

const LIMIT: Duration = Duration::from_millis(150);

#[test]
fn a_stream_may_go_on_for_longer_than_an_answer_may_take() {
    let script = Script::stream(chat_stream(&["word "; 8], false)).pace(LIMIT / 4);
    let upstream = Upstream::start(vec![script]);
    let gateway = Setup::to(&[&upstream]).timeouts(|timeouts| timeouts.answer = Some(LIMIT)).start();
    let answer = post(gateway.addr, STREAMED);
    assert!(answer.status == 200 && answer.whole, "{answer:?}");
    assert_eq!(answer.text(), chat_stream(&["word "; 8], false).concat());
}

#[test]
fn an_answer_that_takes_too_long_is_given_elsewhere() {
    let (slow, spare) = (
        Upstream::start(vec![Script::silent()]),
        Upstream::start(vec![Script::json(chat_completion("from the spare"))]),
    );
    let setup = Setup::to(&[&slow, &spare]).falling_back_to(&["b"]);
    let gateway = setup.timeouts(|timeouts| timeouts.answer = Some(LIMIT)).start();
    let answer = post(gateway.addr, PLAIN);
    assert!(answer.text().contains("from the spare"), "{answer:?}");
}
