// How the cases of the Node suites run; conftest.py says what the environment means. `gateway` is a case that only a gateway answers,
// `own` one about what Crossfade does beside translating, `translated` one that fails when nobody translates.
const assert = require('node:assert/strict');
const fs = require('node:fs');
const { test } = require('node:test');

const switchedOff = process.env.CROSSFADE_SWITCHED_OFF === '1';
const throughGateway = process.env.CROSSFADE_GATEWAY === '1';
const callers = { openai: 'sk-test', azure: 'azure-caller', anthropic: 'sk-ant-test' };
const vendors = { openai: 'sk-vendor', azure: 'azure-key', anthropic: 'sk-ant-vendor' };

function run(name, body, { upstream = 'vendor', translated = false }) {
  test(name, async () => {
    let passed = false;
    try {
      await body();
      passed = true;
    } finally {
      const line = { sdk: 'Node', upstream, case: name, translated, passed };
      if (process.env.CROSSFADE_RESULTS) fs.appendFileSync(process.env.CROSSFADE_RESULTS, `${JSON.stringify(line)}\n`);
    }
  });
}

// An error that the upstream answered with, as whichever SDK throws it; the SDK of Vercel's wraps some, an assertion about errors too.
function isOfTheUpstream(error) {
  for (let at = error; at; at = at.cause ?? at.lastError ?? at.actual) {
    if ((at.status ?? at.statusCode) >= 400) return true;
  }
  return false;
}

const upstream = process.env.CROSSFADE_UPSTREAM ?? 'vendor';
const nothing = () => {};
const bare = switchedOff ? nothing : (name, body) => run(name, body, { upstream: 'llama.cpp' });
const failures = throughGateway ? (name, body) => run(name, body, { upstream: 'scripted failures' }) : nothing;
const own = throughGateway ? (name, body) => run(name, body, {}) : nothing;

function gateway(name, options, body = options) {
  const at = options.real ? 'llama.cpp' : 'vendor';
  if (throughGateway || (switchedOff && upstream === at)) run(name, body, { upstream: at });
}

function translated(name, body) {
  const failing = () => assert.rejects(body, (error) => {
    assert.ok(isOfTheUpstream(error), `not an error of the upstream's: ${error}`);
    return true;
  });
  if (throughGateway || (switchedOff && upstream === 'vendor')) run(name, switchedOff ? failing : body, { translated: true });
}

module.exports = { baseURL: process.env.CROSSFADE_BASE_URL, keys: switchedOff ? vendors : callers, bare, failures, own, gateway, translated };
