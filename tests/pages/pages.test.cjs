// The pages of `eval report`, `conformance`, `tco run` and `bench run`, opened in a real browser as files: nothing runs, nothing is fetched, the filters filter, and what
// models and users wrote stays text in its place. The program that makes them (tests/e2e/pages.py) says in PAGES what is in them.
// CommonJS, because only `require` finds the packages of the cache through NODE_PATH.
const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { after, before, test } = require('node:test');
const { pathToFileURL } = require('node:url');
const puppeteer = require('puppeteer-core');

const { report, conformance, costs, benchmark, worse, better, failed, retriever, model, hostile } = JSON.parse(fs.readFileSync(process.env.PAGES));
const DESK = { width: 1280, height: 900 };
const PHONE = { width: 390, height: 844, isMobile: true, hasTouch: true };

let browser;
before(async () => {
  let executablePath = process.env.CROSSFADE_BROWSER;
  if (!executablePath) {
    // The package holds the libraries that a bare machine lacks; it sets them up where it believes itself on such a one.
    process.env.AWS_LAMBDA_JS_RUNTIME = 'nodejs20.x';
    const chromium = require('@sparticuz/chromium');
    executablePath = await chromium.executablePath();
  }
  browser = await puppeteer.launch({ executablePath, headless: 'shell', args: ['--no-sandbox', '--disable-gpu', '--single-process', '--no-zygote'] });
});
after(() => browser?.close());

/** Opens a file; `said` fills with what a page that is quiet never has. */
async function open(file, { viewport = DESK, scheme = 'light' } = {}) {
  const page = await browser.newPage();
  const said = [];
  page.on('console', (message) => said.push(`${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => said.push(`error: ${error.message}`));
  page.on('dialog', (dialog) => { said.push('dialog'); dialog.dismiss(); });
  page.on('request', (request) => { if (request.url() !== pathToFileURL(file).href) said.push(`request: ${request.url()}`); });
  await page.setViewport(viewport);
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
  await page.goto(pathToFileURL(file).href, { waitUntil: 'load' });
  return { page, said };
}

/** The same page with something in it that must not be there: the checks have to see it. */
function spoilt(file, name, change) {
  const before = fs.readFileSync(file, 'utf8');
  const changed = change(before);
  assert.notEqual(changed, before, `nothing to spoil for ${name}`);
  const to = path.join(path.dirname(file), `spoilt-${name}.html`);
  fs.writeFileSync(to, changed);
  return to;
}

const shown = (page) => page.$$eval('.case', (cases) => cases.filter((one) => one.checkVisibility()).map((one) => one.querySelector('summary bdi').textContent));
/** How far the page reaches beyond what is seen of it, in pixels. */
const overhang = (page) => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
/** Whether the parts of every case's first line stand in their order, whatever direction marks are in them. */
const inOrder = (page) => page.$$eval('.case summary', (all) => all.every((summary) => {
  // Of a text that goes on in a second line, where it begins in its first.
  const places = [...summary.querySelectorAll('bdi, .small')].map((part) => {
    const rects = [...part.getClientRects()];
    const top = Math.min(...rects.map((rect) => rect.top));
    return { top, left: Math.min(...rects.filter((rect) => rect.top < top + 4).map((rect) => rect.left)) };
  });
  return places.every((place, idx) => idx === 0 || place.top > places[idx - 1].top + 4 || place.left >= places[idx - 1].left);
}));
/** Texts that are hard to read on what is behind them (WCAG: 4.5 and more is well), with their contrast. */
const faint = (page) => page.evaluate(() => {
  const probe = document.body.appendChild(document.createElement('div'));
  probe.style.color = 'Canvas';
  const rgb = (color) => color.match(/[\d.]+/g).map(Number);
  const canvas = rgb(getComputedStyle(probe).color);
  probe.remove();
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, idx) => sum + v * [0.2126, 0.7152, 0.0722][idx], 0);
  const found = new Map();
  for (const element of document.querySelectorAll('body, p, td, th, summary, span, b, a, i, h1, h2')) {
    if (!element.textContent.trim()) continue;
    const color = rgb(getComputedStyle(element).color);
    const [high, low] = [light(color), light(canvas)].sort((a, b) => b - a);
    const contrast = (high + 0.05) / (low + 0.05);
    if (contrast < 4.5) found.set(`${element.tagName}.${element.className}`, contrast.toFixed(2));
  }
  return [...found].map(([name, contrast]) => `${name} ${contrast}`);
});

for (const [name, file] of [['report', report], ['conformance page', conformance], ['costs', costs], ['benchmark', benchmark]]) {
  test(`${name}: quiet, on a desk and on a phone, light and dark`, async () => {
    for (const viewport of [DESK, PHONE]) {
      for (const scheme of ['light', 'dark']) {
        const { page, said } = await open(file, { viewport, scheme });
        await page.$$eval('details', (all) => all.forEach((one) => { one.open = true; }));
        assert.deepEqual(said, []);
        assert.ok(await overhang(page) <= 1, `${viewport.width} wide: ${await overhang(page)} pixels too wide`);
        assert.deepEqual(await faint(page), [], scheme);
        const [text, isDark] = await page.evaluate(() => [getComputedStyle(document.body).color, matchMedia('(prefers-color-scheme: dark)').matches]);
        assert.equal(isDark, scheme === 'dark');
        assert.equal(Number(text.match(/\d+/)[0]) > 127, isDark, `${scheme}: text is ${text}`);
        if (process.env.PAGES_SHOTS) await page.screenshot({ path: path.join(process.env.PAGES_SHOTS, `${name.split(' ')[0]}-${viewport.width}-${scheme}.png`) });
        await page.close();
      }
    }
  });

  test(`${name}: what models and users wrote stays text`, async () => {
    const { page, said } = await open(file);
    const found = await page.evaluate(() => ({
      active: document.querySelectorAll('script, img, iframe, object, embed, link, form, base, svg script, [onload], [onerror], [onclick]').length,
      owned: window.owned ?? null,
      title: document.title,
      text: document.body.textContent,
    }));
    assert.deepEqual([found.active, found.owned, said], [0, null, []]);
    assert.ok(found.text.includes('<script>window.owned'), 'it is there to be read');
    assert.ok(!found.title.includes('owned'));
    await page.close();
  });

  test(`${name}: a script and a picture that were let through would be stopped, and seen here`, async () => {
    const to = spoilt(file, name.split(' ')[0], (text) => text.replace('</h1>', '</h1><script>window.owned = 1</script><img src="http://127.0.0.1:9/leak">'));
    const { page, said } = await open(to);
    assert.equal(await page.evaluate(() => window.owned ?? null), null, 'the policy of the page stops it');
    assert.ok(said.some((one) => one.includes('Content Security Policy')), said.join('\n'));
    await page.close();
  });
}

test('report: filters show what they say and nothing else', async () => {
  const { page } = await open(report);
  const all = await shown(page);
  for (const [id, expected] of Object.entries({ worse, better, failed, retriever, model })) {
    assert.ok(expected.length > 0 && expected.length < all.length, `${id} has to leave some out`);
    await page.click(`label[for=${id}]`);
    assert.deepEqual((await shown(page)).sort(), [...expected].sort(), id);
  }
  await page.click('label[for=all]');
  assert.equal((await shown(page)).length, all.length);
  await page.close();
});

test('report: both answers stand side by side with what differs marked, one above the other on a phone', async () => {
  for (const viewport of [DESK, PHONE]) {
    const { page } = await open(report, { viewport });
    await page.click('label[for=worse]');
    await page.$$eval('.case', (all, id) => { all.find((one) => one.querySelector('bdi').textContent === id).querySelector('summary').click(); }, worse[0]);
    const found = await page.$$eval('.case[open] .side', (sides) => sides.map((side) => {
      const { left, right, top, bottom } = side.getBoundingClientRect();
      return { left, right, top, bottom, added: side.querySelectorAll('ins').length, gone: side.querySelectorAll('del').length };
    }));
    assert.equal(found.length, 2);
    const [one, other] = found;
    assert.ok(viewport === DESK ? one.right <= other.left && one.top === other.top : one.bottom <= other.top && one.left === other.left);
    assert.ok(one.added + one.gone === 0 && other.added > 0 && other.gone > 0, JSON.stringify(found));
    await page.close();
  }
});

test('report: direction marks stay within the text they are in', async () => {
  const { page } = await open(report);
  const text = await page.$$eval('pre', (all) => all.map((one) => one.textContent).join('\n'));
  assert.ok(text.includes(hostile), 'the answer is there to the letter, marks included');
  assert.ok(await inOrder(page));
  await page.close();
  // A fence of direction alone is undone by an isolate that is left open: each text is a block of its own.
  const mixed = await open(spoilt(report, 'direction', (text) => text.replace('bdi{display:inline-block}', '')));
  assert.equal(await inOrder(mixed.page), false, 'without the fence the marks reorder the line');
  await mixed.page.close();
});

test('costs: every plot is drawn, with its lines within it', async () => {
  const { page } = await open(costs);
  const plots = await page.$$eval('svg', (all) => all.map((svg) => {
    const outer = svg.getBoundingClientRect();
    const marks = [...svg.querySelectorAll('polyline, rect, polygon')];
    const inside = marks.every((mark) => {
      const { left, right, top, bottom } = mark.getBoundingClientRect();
      return left >= outer.left - 2 && right <= outer.right + 2 && top >= outer.top - 2 && bottom <= outer.bottom + 2;
    });
    return { label: svg.getAttribute('aria-label'), wide: outer.width > 200 && outer.height > 80, marks: marks.length, inside, text: svg.outerHTML };
  }));
  for (const words of ['how likely', 'each input', 'by tasks a month', 'first-pass success', 'an hour of review', 'P10, P50 and P90', 'has been paid', 'hour of the week']) {
    assert.equal(plots.filter((plot) => plot.label.includes(words)).length, 1, words);
  }
  for (const plot of plots) {
    assert.ok(plot.wide && plot.marks > 0 && plot.inside && !/NaN|inf/.test(plot.text.replace(/aria-label="[^"]*"/, '')), JSON.stringify(plot).slice(0, 300));
  }
  assert.equal(plots.find((plot) => plot.label.includes('hour of the week')).marks, 168);
  await page.close();
});

test('benchmark: every plot with its sides named, every curve within its plot and named in a legend that fits', async () => {
  const { page } = await open(benchmark);
  const plots = await page.$$eval('svg', (all) => all.map((svg) => {
    const outer = svg.getBoundingClientRect();
    const marks = [...svg.querySelectorAll('polyline, circle, path, text')];
    const inside = marks.every((mark) => {
      const { left, right, top, bottom } = mark.getBoundingClientRect();
      return left >= outer.left - 2 && right <= outer.right + 2 && top >= outer.top - 2 && bottom <= outer.bottom + 2;
    });
    return { label: svg.getAttribute('aria-label'), wide: outer.width > 500 && outer.height > 150, curves: svg.querySelectorAll('polyline').length, inside, text: svg.textContent };
  }));
  // A client that lagged has no evidence to draw over levels: its distributions alone.
  assert.ok(plots.length === 4 || plots.length === 2 && await page.$eval('body', (body) => body.textContent.includes('INVALID')), `${plots.length} plots`);
  for (const plot of plots) {
    assert.ok(plot.wide && plot.curves >= 2 && plot.inside && plot.text.includes('ms (log)') && plot.text.includes('allowed'), JSON.stringify(plot));
  }
  assert.ok(plots.length === 2 || plots[0].text.includes('output tokens a second') && plots[1].text.includes('answers under way at once'));
  await page.close();
});
