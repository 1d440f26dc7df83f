// A whole migration from the browser, on the quickstart's stack: started, watched while pairs come by themselves, reviewed by keys, approved; a second one is thrown back by its
// guards before the eyes of whoever looks; the first is aborted by one click. No call of the API or of the command line moves anything: they only read what the store says of when.
// tests/e2e/migration.py says in MIGRATION where everything is, sends the requests, and plants the regression. CommonJS, because only `require` finds packages through NODE_PATH.
const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { after, before, test } = require('node:test');
const puppeteer = require('puppeteer-core');

const { admin, stage, pairs, shots, binary, config } = JSON.parse(fs.readFileSync(process.env.MIGRATION));
const GOOD = 'support-to-open';
const BAD = 'billing-to-open';
// A busy machine may take a while to gather what the medium template asks for.
const PATIENCE = { timeout: 240_000 };
const MOST_MS = 1000;
const MOST_KEYS = 2;

let browser;
let page;
const said = [];
before(async () => {
  browser = await puppeteer.launch({ executablePath: process.env.CROSSFADE_BROWSER, headless: 'shell', args: ['--no-sandbox', '--disable-gpu'] });
  page = await (await browser.createBrowserContext()).newPage();
  page.on('console', (message) => said.push(`${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => said.push(`error: ${error.message}`));
  page.on('dialog', (dialog) => { said.push('dialog'); dialog.dismiss(); });
  page.on('request', (request) => {
    if (!request.url().startsWith(`${admin}/`) && !request.url().startsWith('data:')) said.push(`request: ${request.url()}`);
    if (new URL(request.url()).pathname.startsWith('/api/')) said.push(`the API: ${request.url()}`);
  });
  await page.setViewport({ width: 1280, height: 900 });
});
after(() => browser?.close());

const staged = async (what) => (await fetch(stage, { method: 'POST', body: JSON.stringify(what) })).json();
const text = (selector = 'main') => page.$eval(selector, (node) => node.innerText);
const shows = (selector, words) => page.waitForFunction((selector, words) => document.querySelector(selector)?.innerText.includes(words), PATIENCE, selector, words);
const click = (selector) => Promise.all([page.waitForNavigation(), page.click(selector)]);
const picture = (name) => page.screenshot({ path: path.join(shots, `migration-${name}.png`), fullPage: true });
/** The link with these words, followed. */
const follow = async (words) => {
  const links = await page.$$('main a, nav a');
  for (const link of links) {
    if ((await link.evaluate((node) => node.innerText.trim())) === words) return Promise.all([page.waitForNavigation(), link.click()]);
  }
  return assert.fail(`no link says ${words} on ${page.url()}`);
};
/** Pairs or units that the page shows to have come. */
const come = (of) => page.evaluate((of) => {
  const facts = [...document.querySelectorAll('#standing .facts div')];
  const found = facts.find((fact) => fact.querySelector('dt').innerText === of);
  return Number((found?.querySelector('dd').innerText || '0').split(' of ')[0].replace(/\D/g, ''));
}, of);
/** When the store says that this happened, by the clock of this machine. */
const moment = (name, event) => {
  const done = spawnSync(binary, ['rollout', 'history', name, '--config', config, '--format', 'json'], { encoding: 'utf8' });
  assert.equal(done.status, 0, done.stderr);
  return JSON.parse(done.stdout).find((row) => row.event === event).at_us / 1000;
};
/** Notes, by the browser's own clock, when the page first says these words where it stands. */
const note = (words) => page.evaluate((words) => {
  const look = () => { if (!window.noted && document.querySelector('#standing').innerText.includes(words)) window.noted = Date.now(); };
  new MutationObserver(look).observe(document.getElementById('main'), { childList: true, characterData: true, subtree: true });
  window.here = 'the same page';
}, words);

test('a migration is started from the page, and its pairs are seen to come by themselves', async () => {
  // No faster than that pairs can be seen to come.
  await staged({ routes: ['support'], pause: 0.04 });
  await page.goto(`${admin}/`);
  await follow(GOOD);
  await page.type('form[action$="/start"] input[name="as"]', 'ana');
  await click('form[action$="/start"] button');
  assert.match(await text('#standing'), /shadow/i);
  await page.evaluate(() => { window.here = 'the same page'; });
  const seen = [await come('Pairs')];
  while (seen.length < 4) {
    await page.waitForFunction((last) => {
      const fact = [...document.querySelectorAll('#standing .facts div')].find((fact) => fact.querySelector('dt').innerText === 'Pairs');
      return Number((fact?.querySelector('dd').innerText || '0').split(' of ')[0].replace(/\D/g, '')) > last;
    }, PATIENCE, seen[seen.length - 1]);
    seen.push(await come('Pairs'));
  }
  console.log(`# pairs on the page, which nobody loaded again: ${seen.join(', ')}`);
  assert.equal(await page.evaluate(() => window.here), 'the same page');
  await picture('shadow');
  await staged({ routes: ['support'] });
});

test('twenty of its pairs are drawn on the page and judged by keys', async () => {
  await follow('Review some of them');
  for (const [name, value] of Object.entries({ panel: 'first-look', reviewers: 'ben', pairs: String(pairs), disagreeing: '0' })) {
    const input = `form[action="/review"][method="post"] input[name="${name}"]`;
    // Whatever the form offers is marked, and typed over.
    await page.focus(input);
    await page.$eval(input, (field) => field.select());
    await page.type(input, value);
  }
  await click('form[action="/review"][method="post"] button');
  assert.match(await text(), new RegExp(`${pairs} of .* pairs`));
  await follow('All panels');
  await page.type('form[action="/review"][method="get"] input[name="as"]', 'ben');
  await click('form[action="/review"][method="get"] button');
  await follow('first-look');
  let keys = 0;
  for (let nth = 0; nth < pairs; nth += 1) {
    assert.match(await text(), new RegExp(`${nth} of ${pairs} judged`));
    await Promise.all([page.waitForNavigation(), page.keyboard.press(String(1 + (nth % 3)))]);
    keys += 1;
  }
  assert.match(await text(), /All of yours are judged/);
  assert.ok(keys <= MOST_KEYS * pairs);
  console.log(`# ${pairs} pairs judged with ${keys} keys`);
});

test('the canary is approved by the button, on the evidence that the page shows', async () => {
  await page.goto(`${admin}/rollouts/${GOOD}`);
  // Whoever sits there and does nothing is shown the button when it is time.
  const approve = '#deeds form[action$="/approve"]';
  await page.waitForSelector(approve, PATIENCE);
  assert.match(await text('.rail .now'), /canary/);
  await picture('to-approve');
  // Whoever began it may not be the one who agrees.
  await page.type(`${approve} input[name="as"]`, 'ana');
  await click(`${approve} button`);
  assert.doesNotMatch(await text(), /majority \(/);
  assert.match(await text(), /ana/);
  await page.goto(`${admin}/rollouts/${GOOD}`);
  await page.type(`${approve} input[name="as"]`, 'bea');
  // The forms are brought up to date while somebody types: what was typed stays.
  const again = page.waitForResponse((answer) => answer.url().endsWith(`/rollouts/${GOOD}`), PATIENCE);
  await page.evaluate(() => document.body.dispatchEvent(new CustomEvent('moved')));
  await again;
  const field = `${approve} input[name="as"]`;
  await page.waitForFunction((name) => document.querySelector(name)?.value === 'bea', { timeout: 10_000 }, field);
  await click(`${approve} button`);
  await shows('.rail .now', 'majority');
  await staged({ routes: ['billing'] });
});

test('a planted regression is thrown back by itself, and the page shows it within a second', async () => {
  await page.goto(`${admin}/`);
  await follow(BAD);
  await page.type('form[action$="/start"] input[name="as"]', 'ana');
  await click('form[action$="/start"] button');
  await shows('.rail .now', 'canary');
  await note('rolled_back');
  // It serves well for a while before it does not.
  await page.waitForFunction(() => /Units/.test(document.querySelector('#standing').innerText), PATIENCE);
  const served = await come('Units');
  await staged({ plant: 'open-next' });
  await page.waitForFunction(() => window.noted, PATIENCE);
  const [shown, here] = await page.evaluate(() => [window.noted, window.here]);
  const late = shown - moment(BAD, 'rollback');
  console.log(`# planted after ${served} units; the page showed the rollback ${Math.round(late)} ms after the guard's breach`);
  assert.equal(here, 'the same page');
  assert.ok(late <= MOST_MS, `${late} ms`);
  assert.match(await text('#standing'), /A guard was breached/);
  await picture('rolled-back');
});

test('the other is aborted by one click', async () => {
  await staged({ routes: ['support'] });
  await page.goto(`${admin}/rollouts/${GOOD}`);
  await note('aborted');
  const began = Date.now();
  await click('.abort button');
  assert.match(await text('#standing'), /aborted/);
  console.log(`# aborted, and shown, ${Date.now() - began} ms after the click`);
  await page.goto(`${admin}/rollouts/${GOOD}/trail`);
  const trail = await text();
  for (const words of ['started by ana', 'approved by bea', 'aborted from the console']) assert.ok(trail.includes(words), `${words}: ${trail}`);
  await picture('trail');
  await staged({ routes: [] });
});

test('nothing was said by the browser, and nothing asked of the API', () => {
  // A page that is left breaks off what it was just asking for.
  assert.deepEqual(said.filter((one) => !/Failed to load resource|htmx:error: Failed to fetch/.test(one)), []);
});
