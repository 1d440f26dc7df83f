// The console in a real browser: signing in, a rollout started, watched, approved and aborted by click, one that is thrown back by itself, pairs reviewed by keys alone; every
// screen in both themes and two widths without a serious finding of axe, a word from the policy or the console, or anything that reaches beyond the page.
// tests/e2e/console.py says in CONSOLE where everything is. CommonJS, because only `require` finds the packages of the cache through NODE_PATH.
const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { after, before, test } = require('node:test');
const axe = fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const puppeteer = require('puppeteer-core');

const { admin, data, app, cases, keys, pairs, shots, binary, config } = JSON.parse(fs.readFileSync(process.env.CONSOLE));
const WIDE = { width: 1920, height: 1080 };
const PHONE = { width: 380, height: 800, isMobile: true, hasTouch: true };
const PATIENCE = { timeout: 60_000 };
// Hostile exchanges, who sends them and who looks at them.
const EXCHANGES = process.env.CROSSFADE_SLOW_TESTS ? 10_000 : 240;
const LONG_EVERY = 40;
const SENDERS = 4;
const READERS = 3;

let browser;
before(async () => {
  browser = await puppeteer.launch({ executablePath: process.env.CROSSFADE_BROWSER, headless: 'shell', args: ['--no-sandbox', '--disable-gpu'] });
});
after(() => browser?.close());

/** Writes down what a quiet console never says. */
function listen(page, said) {
  // The browser itself says of every answer that is an error that it is one.
  // A page that is left breaks off what it was just asking for.
  page.on('console', (message) => { if (!/Failed to load resource|htmx:error: Failed to fetch/.test(message.text())) said.push(`${message.type()}: ${message.text()}`); });
  page.on('pageerror', (error) => said.push(`error: ${error.message}`));
  page.on('dialog', (dialog) => { said.push('dialog'); dialog.dismiss(); });
  page.on('request', (request) => { if (!request.url().startsWith(admin) && !request.url().startsWith('data:')) said.push(`request: ${request.url()}`); });
}

/** A browser of its own, signed in as `role`; `said` fills with what a quiet console never says. */
async function visitor(role, { viewport = WIDE, script = true, scheme = 'light' } = {}) {
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  const said = [];
  listen(page, said);
  await page.setJavaScriptEnabled(script);
  await page.setViewport(viewport);
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
  if (role) {
    await page.goto(`${admin}/`);
    assert.match(page.url(), /\/sign-in\?next=/);
    await page.type('#key', keys[role]);
    await Promise.all([page.waitForNavigation(), page.keyboard.press('Enter')]);
    assert.equal(page.url(), `${admin}/`);
  }
  return { page, said, context };
}

const crossfade = (...words) => {
  const done = spawnSync(binary, [...words, '--config', config, '--format', 'json'], { encoding: 'utf8' });
  // What is not proven, or proven to be bad, is an answer too.
  assert.ok([0, 3, 4].includes(done.status), `${words.join(' ')}: ${done.stderr}`);
  return JSON.parse(done.stdout || 'null');
};
const click = (page, selector) => Promise.all([page.waitForNavigation(), page.click(selector)]);
const text = (page, selector = 'main') => page.$eval(selector, (node) => node.innerText);
const shows = (page, selector, words) => page.waitForFunction((selector, words) => document.querySelector(selector)?.innerText.includes(words), PATIENCE, selector, words);
const overhang = (page) => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

/** Serious and critical findings. Run from outside the page's own world, the policy does not see it. */
async function findings(page) {
  const session = await page.createCDPSession();
  const { frameTree } = await session.send('Page.getFrameTree');
  const { executionContextId } = await session.send('Page.createIsolatedWorld', { frameId: frameTree.frame.id });
  const run = `${axe}; axe.run(document, { resultTypes: ['violations'] }).then((found) => JSON.stringify(found.violations.filter((one) => ['serious', 'critical'].includes(one.impact)).map((one) => one.id + ': ' + one.nodes.slice(0, 3).map((node) => node.target.join(' ') + ' ' + (node.any[0]?.message || '')).join(' | '))))`;
  const { result, exceptionDetails } = await session.send('Runtime.evaluate', { expression: run, contextId: executionContextId, awaitPromise: true });
  await session.detach();
  assert.equal(exceptionDetails, undefined, JSON.stringify(exceptionDetails));
  return JSON.parse(result.value);
}

test('a wrong key is told so, and the right one opens the door', async () => {
  const { page, said, context } = await visitor();
  await page.goto(`${admin}/exchanges`);
  await page.type('#key', 'sk-not-a-key-of-anybody-here');
  await click(page, 'main button');
  assert.match(await text(page), /does not accept this/);
  await page.type('#key', keys.viewer);
  await click(page, 'main button');
  assert.equal(page.url(), `${admin}/exchanges`, 'where one wanted to go');
  const cookies = await context.cookies();
  assert.ok(cookies.every((cookie) => cookie.httpOnly && cookie.sameSite === 'Strict'), JSON.stringify(cookies));
  await page.goto(`${admin}/rollouts/good-move`);
  assert.equal(await page.$('form[action$="/start"]'), null, 'a viewer starts nothing');
  await click(page, '.who button');
  await page.goto(`${admin}/keys`);
  assert.match(page.url(), /\/sign-in/);
  assert.deepEqual(said, []);
  await context.close();
});

test('a move is started, seen to gather pairs, and approved; another falls by itself; a third is aborted by one click', async () => {
  const { page, said, context } = await visitor('admin');
  for (const name of ['good-move', 'bad-move', 'other-move']) {
    await page.goto(`${admin}/rollouts/${name}`);
    await click(page, 'form[action$="/start"] button');
    assert.match(await text(page, '#standing'), /shadow/i);
  }
  // Aborted by one click, and the page says so.
  await page.goto(`${admin}/rollouts/other-move`);
  await click(page, '.abort button');
  assert.match(await text(page, '#standing'), /aborted/);
  // A page that is left alone learns of it: of pairs that come, and of the guard that breaches.
  const bad = await context.newPage();
  await bad.goto(`${admin}/rollouts/bad-move`);
  await shows(bad, '#standing', 'rolled_back');
  const shown = Date.now();
  const moved = crossfade('rollout', 'history', 'bad-move').find((row) => row.event === 'rollback');
  // The moment is compared with this machine's own clock: the look, the rendering and the paint, with room for a busy machine.
  assert.ok(shown - moved.at_us / 1000 < 10_000, `shown ${shown - moved.at_us / 1000} ms after it was thrown back`);
  console.log(`# shown ${Math.round(shown - moved.at_us / 1000)} ms after it was thrown back`);
  // A page behind another one is not clicked.
  await bad.close();
  await page.bringToFront();
  await page.goto(`${admin}/rollouts/good-move`);
  await page.waitForSelector('#deeds form[action$="/approve"]', PATIENCE);
  assert.match(await text(page, '#deeds'), /[0-9a-f]{64}/);
  await page.waitForFunction(() => document.querySelectorAll('#curves canvas').length === 2, PATIENCE);
  await click(page, '#deeds form[action$="/approve"] button');
  await shows(page, '.rail .now', 'canary');
  await page.goto(`${admin}/rollouts/good-move/trail`);
  assert.match(await text(page), /approved by admin/);
  assert.deepEqual(said, []);
  await context.close();
});

test('pairs are reviewed blind, with one key each', async () => {
  crossfade('panel', 'open', 'first-look', '--rollout', 'good-move', '--reviewer', 'viewer', '--pairs', String(pairs), '--disagreeing', '0');
  const { page, said, context } = await visitor('viewer');
  await page.goto(`${admin}/review`);
  await click(page, 'main ul a');
  for (let nth = 0; nth < pairs; nth += 1) {
    const shown = await page.content();
    assert.doesNotMatch(shown, /new-model|old-model|candidate|baseline/i);
    if (nth === 0) await page.screenshot({ path: path.join(shots, 'reviewing-light-wide.png'), fullPage: true });
    await Promise.all([page.waitForNavigation(), page.keyboard.press(String(1 + (nth % 4)))]);
  }
  assert.match(await text(page), /All of yours are judged/);
  const result = crossfade('panel', 'result', 'first-look');
  assert.equal(result.summary.n_verdicts, pairs);
  await page.goto(`${admin}/review/first-look/result`);
  assert.match(await text(page), /needs the role operator/);
  assert.deepEqual(said, []);
  await context.close();
});

/** What an application or a model may have put into the record. */
const HOSTILE = [
  '</pre></td></main><script>window.owned = 1; alert(1)</script>', '"><img src="http://127.0.0.1:9/leak" onerror="window.owned = 2">', "' autofocus onfocus='window.owned = 3' x='",
  '<svg onload="window.owned = 4"><animate onbegin="alert(4)"></svg>', '<a href="javascript:window.owned = 5">x</a><iframe srcdoc="<script>parent.owned = 5</script>"></iframe>',
  '<base href="http://127.0.0.1:9/"><link rel="stylesheet" href="/leak.css"><style>*{display:none}</style>', '<meta http-equiv="refresh" content="0;url=http://127.0.0.1:9/">',
  '\u202eturned\u2066 \u200fand \ufeffhidden\u200b', '\ud800 half of a pair \udfff\u0000\u001b[2J', '<form action="http://127.0.0.1:9/"><input name="csrf" value="x"><button data-key="1">press</button></form>',
  `<script>window.owned = 6</script>${'<b>long</b> '.repeat(95_000)}`, '${7*7}{{7*7}}<%= 7*7 %>]]><![CDATA[<script>window.owned = 7</script>',
];

/** Asks it as an application does; says under which id it is on record. */
async function ask(content) {
  const body = JSON.stringify({ model: 'support', messages: [{ role: 'user', content }] });
  const answer = await fetch(`${data}/chat/completions`, { method: 'POST', body, headers: { 'content-type': 'application/json', authorization: `Bearer ${app}` } });
  await answer.text();
  return answer.headers.get('x-crossfade-exchange-id');
}

test('hostile texts of others are shown and do nothing', async () => {
  const { page, said, context } = await visitor('admin');
  for (const content of HOSTILE) {
    const id = await ask(content);
    const where = `${admin}/exchanges/${id}`;
    let status;
    for (let nth = 0; status !== 200 && nth < 300; nth += 1) status = (await page.goto(where)).status();
    assert.equal(status, 200, `${content.slice(0, 40)} is on record as ${id}`);
    for (const path of [where, `${where}?whole=1`]) {
      await page.goto(path, { waitUntil: 'load' });
      const shown = await text(page);
      assert.ok(shown.includes('Request'), `${content.slice(0, 40)}: the page is whole`);
      assert.doesNotMatch(shown, /[\u202a-\u202e\u2066-\u2069\u200b-\u200f\ufeff]/, content.slice(0, 40));
      const parts = await page.$$eval('main script, main img, main svg, main iframe, main style, main base, main link, main form, main meta', (found) => found.length);
      assert.equal(parts, 0, `${content.slice(0, 40)}: none of it is part of the page`);
      assert.equal(await page.evaluate(() => window.owned), undefined, content.slice(0, 40));
    }
  }
  assert.deepEqual(said, []);
  await context.close();
});

test('a record full of hostile texts is walked through, and nothing of it does anything', async () => {
  const long = HOSTILE.find((content) => content.length > 1_000_000);
  const short = HOSTILE.filter((content) => content !== long);
  const began = Date.now();
  const ids = [];
  const sender = async (first) => {
    for (let nth = first; nth < EXCHANGES; nth += SENDERS) ids.push(await ask(nth % LONG_EVERY === 0 ? long : `${nth} ${short[nth % short.length]}`));
  };
  await Promise.all(Array.from({ length: SENDERS }, (_, first) => sender(first)));
  assert.equal(new Set(ids).size, EXCHANGES);
  const sent = Date.now();
  const { page: first, said, context } = await visitor('admin');
  let shown = 0;
  const reader = async (page, from) => {
    for (let nth = from; nth < ids.length; nth += READERS) {
      let status;
      // The newest may not be in the database yet.
      for (let tries = 0; status !== 200 && tries < 300; tries += 1) status = (await page.goto(`${admin}/exchanges/${ids[nth]}`)).status();
      const found = await page.evaluate(() => ({
        request: document.querySelector('main').innerText.includes('Request'), owned: window.owned ?? null,
        parts: document.querySelectorAll('main script, main img, main svg, main iframe, main style, main base, main link, main form, main meta').length,
        hidden: /[\u202a-\u202e\u2066-\u2069\u200b-\u200f\ufeff]/.test(document.querySelector('main').innerText),
      }));
      assert.deepEqual(found, { request: true, owned: null, parts: 0, hidden: false }, ids[nth]);
      shown += 1;
    }
  };
  const pages = [first];
  while (pages.length < READERS) {
    const page = await context.newPage();
    listen(page, said);
    pages.push(page);
  }
  await Promise.all(pages.map(reader));
  assert.equal(shown, EXCHANGES);
  assert.deepEqual(said, [], 'no dialog, no word from the policy or of a script, no request beyond the console');
  console.log(`# ${shown} hostile exchanges, each ${LONG_EVERY}th with a text of a megabyte: sent in ${Math.round((sent - began) / 1000)} s, looked at in ${Math.round((Date.now() - sent) / 1000)} s, and nothing happened`);
  await context.close();
});

test('every screen, in both themes and two widths, is sound', async () => {
  const { page: first, context: one } = await visitor('admin');
  await first.goto(`${admin}/exchanges?route=support`);
  const exchange = await first.$eval('table a.id', (link) => link.href);
  await first.goto(`${admin}/pairs?rollout=good-move`);
  // Behind many newer exchanges they are a few pages back.
  while (!(await first.$('table a[href^="/pairs/"]'))) await click(first, '.more a[rel=next]');
  const pair = await first.$eval('table a[href^="/pairs/"]', (link) => link.href);
  const hostile = `/exchanges/${await ask(HOSTILE[0])}`;
  for (let nth = 0; nth < 300 && (await first.goto(`${admin}${hostile}`)).status() !== 200; nth += 1);
  crossfade('panel', 'open', 'second-look', '--rollout', 'good-move', '--reviewer', 'admin', '--pairs', '4', '--disagreeing', '0');
  // Evaluations and benchmarks of made-up answers, and a report.
  for (const run of ['parity-1', 'parity-2']) crossfade('eval', 'run', '--file', cases, '--target', 'old', '--target', 'new', '--run', run);
  for (const name of ['night', 'day']) crossfade('bench', 'run', '--target', 'old', '--target', 'new', '--rate', '10,20', '--duration', '1s', '--warm-up', '0s', '--name', name);
  await first.goto(`${admin}/vectors`);
  assert.match(await text(first), /Copy 2[^]*pass/, 'a copy is on the page, with what was proved of it');
  await first.goto(`${admin}/reports`);
  await click(first, 'main form button');
  const report = new URL(first.url()).pathname;
  assert.match(report, /^\/reports\/[0-9a-f]{16}$/);
  await one.close();
  const drill = { kind: 'drill', name: 'hang', passed: true, digest: '0f3a9c', n: 40, reason: 'by the book' };
  const filed = await fetch(`${admin}/api/rollouts/good-move/file`, { method: 'POST', headers: { 'content-type': 'application/json', authorization: `Bearer ${keys.admin}` }, body: JSON.stringify(drill) });
  assert.equal(filed.status, 200);
  const screens = {
    waiting: '/waiting', reports: '/reports', report, 'report-pages': `${report}/report.html`, 'report-appendix': `${report}/appendix.html`, costs: '/costs', cost: '/costs/finding?draws=20000',
    'cost-what-if': '/costs/finding?draws=20000&set=candidate.first_pass%3D0.97', 'cost-draft': '/costs/support?draws=1000', evaluations: '/evaluations', evaluation: '/evaluations/parity-1',
    'evaluation-page': '/evaluations/parity-1/page', 'evaluations-beside': '/evaluations/parity-1/beside?with=parity-2', benches: '/benches', bench: '/benches/night', 'bench-page': '/benches/night/page',
    'benches-beside': '/benches/night/beside?with=day',
    overview: '/', rollout: '/rollouts/good-move', fallen: '/rollouts/bad-move', aborted: '/rollouts/other-move', trail: '/rollouts/good-move/trail', exchanges: '/exchanges',
    exchange: new URL(exchange).pathname, pairs: '/pairs', pair: new URL(pair).pathname, review: '/review', result: '/review/first-look/result', keys: '/keys', audit: '/audit', config: '/config', prompts: '/prompts', prompt: '/prompts/support', inventory: '/inventory', vectors: '/vectors', 'vectors-run': '/vectors/runs/2', drills: '/drills',
    reviewing: '/review/second-look', 'exchanges-none': '/exchanges?route=nobody', 'exchange-hostile': hostile, 'pairs-none': '/pairs?rollout=nobody',
    health: '/status', missing: '/rollouts/nobody',
  };
  const wrong = [];
  for (const scheme of ['light', 'dark']) {
    for (const [width, viewport] of [['wide', WIDE], ['phone', PHONE]]) {
      const { page, said, context } = await visitor('admin', { viewport, scheme });
      for (const [name, where] of Object.entries(screens)) {
        await page.goto(`${admin}${where}`, { waitUntil: 'load' });
        // A rollout's page is never done loading: it waits for what is pushed.
        if (name === 'rollout') await page.waitForSelector('#curves canvas', PATIENCE);
        await page.screenshot({ path: path.join(shots, `${name}-${scheme}-${width}.png`), fullPage: true });
        for (const found of await findings(page)) wrong.push(`${name} ${scheme} ${width}: ${found}`);
        const over = await overhang(page);
        if (over > 0) wrong.push(`${name} ${scheme} ${width}: reaches ${over} px beyond the page`);
        if (await page.evaluate(() => window.owned)) wrong.push(`${name}: something in it ran`);
      }
      said.forEach((one) => wrong.push(`${scheme} ${width} said ${one}`));
      await context.close();
    }
  }
  for (const [scheme, width, viewport] of [['light', 'phone', PHONE], ['dark', 'phone', PHONE], ['light', 'wide', WIDE], ['dark', 'wide', WIDE]]) {
    const { page, context } = await visitor(undefined, { viewport, scheme });
    await page.goto(`${admin}/sign-in`);
    await page.screenshot({ path: path.join(shots, `sign-in-${scheme}-${width}.png`), fullPage: true });
    for (const found of await findings(page)) wrong.push(`sign-in: ${found}`);
    await context.close();
  }
  assert.deepEqual(wrong, []);
});

test('the keyboard is enough: past the head, to every page, to the way out', async () => {
  const { page, context } = await visitor('admin');
  await page.goto(`${admin}/rollouts/good-move`);
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.className), 'skip');
  const met = [];
  for (let nth = 0; nth < 45; nth += 1) {
    await page.keyboard.press('Tab');
    met.push(await page.evaluate(() => `${document.activeElement.tagName} ${document.activeElement.innerText.trim()}`));
  }
  for (const wanted of ['A Migration', 'A Exchanges', 'A Pairs', 'A Review', 'A Keys', 'A Audit', 'A Config', 'A Health', 'BUTTON Sign out', 'BUTTON Abort']) assert.ok(met.includes(wanted), `${wanted} in ${met}`);
  await context.close();
});

test('the way out opens when somebody else begins a move again, and a page that lost its session says so', async () => {
  const { page, context } = await visitor('operator');
  await page.goto(`${admin}/rollouts/other-move`);
  assert.equal(await page.$eval('.abort button', (button) => button.disabled), true, 'it is aborted');
  crossfade('rollout', 'resume', 'other-move', '--reason', 'again, by somebody else');
  await page.waitForSelector('.abort button:not([disabled])', PATIENCE);
  assert.match(await text(page, '.abort'), /Everybody back to the baseline, now/);
  assert.equal(await page.$eval('#lost', (banner) => banner.hidden), true);
  // Signed out in another tab: this one says that it is old, and its link leads to the door and back.
  const other = await context.newPage();
  await other.goto(`${admin}/keys`);
  await click(other, '.who button');
  await other.close();
  await page.bringToFront();
  await page.waitForSelector('#lost:not([hidden])', PATIENCE);
  assert.match(await text(page, '#lost'), /You are signed out: what stands here is of /);
  await click(page, '.abort button');
  assert.match(await text(page), /You are signed out, and nothing was done/);
  await click(page, 'main a');
  await page.type('#key', keys.operator);
  await click(page, 'main button');
  assert.equal(page.url(), `${admin}/rollouts/other-move`, 'back to where the button was');
  await click(page, '.abort button');
  assert.match(await text(page, '#standing'), /aborted/);
  await context.close();
});

test('without a script everything is read and every form works', async () => {
  const { page, said, context } = await visitor('operator', { script: false });
  await page.goto(`${admin}/`);
  assert.match(await text(page), /good-move/);
  assert.match(await page.$eval('main', (node) => node.innerHTML), / UTC<\/time>|aborted/);
  await page.goto(`${admin}/rollouts/other-move`);
  await page.type('#reason-resume', 'again, by hand');
  await click(page, 'form[action$="/resume"] button');
  assert.match(await text(page, '#standing'), /shadow/i);
  await click(page, '.abort button');
  assert.match(await text(page, '#standing'), /aborted/);
  assert.deepEqual(said, []);
  await context.close();
});
