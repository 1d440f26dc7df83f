// What the pages do beyond what the server renders: times in the reader's zone, curves, and keys for reviewing. Without it everything can be read and done.
(() => {
  'use strict';
  const zone = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });

  const times = (root) => {
    for (const time of root.querySelectorAll('time[datetime]:not([title])')) {
      const at = new Date(time.dateTime);
      if (Number.isNaN(at.valueOf())) continue;
      time.title = time.textContent;
      time.textContent = zone.format(at);
    }
  };

  const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  let plots = [];
  let points = [];

  const columns = (field) => [
    points.map((point) => point.at_ms / 1000),
    ...['baseline', 'candidate'].map((arm) => points.map((point) => {
      const value = point[arm][field];
      return value === null ? null : field === 'error_rate' ? value * 100 : value;
    })),
  ];

  const draw = () => {
    const section = document.getElementById('curves');
    plots.forEach(({ plot }) => plot.destroy());
    plots = [];
    if (!section || typeof uPlot === 'undefined') return;
    for (const place of section.querySelectorAll('[data-plot]')) {
      const axis = { stroke: token('--soft'), grid: { stroke: token('--line'), width: 1 }, ticks: { stroke: token('--line') } };
      const field = place.dataset.plot;
      const line = (label, colour, dash) => ({ label, stroke: token(colour), width: 2, dash, points: { show: points.length < 2 } });
      const plot = new uPlot({
        width: Math.max(place.clientWidth, 240), height: 190,
        scales: { y: { range: (_, low, high) => [0, Math.max(high || 0, field === 'error_rate' ? 1 : 10) * 1.1] } },
        axes: [axis, { ...axis, size: 56 }],
        series: [{}, line('baseline', '--baseline'), line('candidate', '--candidate', [6, 4])],
      }, columns(field), place);
      plots.push({ plot, place, field });
    }
  };

  const beat = (text) => {
    const section = document.getElementById('curves');
    if (!section) return;
    let point;
    try { point = JSON.parse(text); } catch { return; }
    const last = points[points.length - 1];
    if (last && last.epoch !== point.epoch) points = [];
    points.push(point);
    if (points.length > 1200) points = points.filter((_, idx) => idx % 2 === 0);
    plots.forEach(({ plot, field }) => plot.setData(columns(field)));
  };

  // Keys of a review: a button says in `data-key` which one presses it.
  const key = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) return;
    for (const button of document.querySelectorAll('button[data-key]')) {
      if (button.dataset.key === event.key && !button.disabled) {
        event.preventDefault();
        button.click();
        return;
      }
    }
  };

  // What somebody has typed stays when the forms are brought up to date around it.
  let typed = [];
  let swapping = 0;
  const forms = () => [...document.querySelectorAll('#deeds form')];
  const keep = () => {
    const now = forms().flatMap((form) => [...form.querySelectorAll('input:not([type="hidden"])')]
      .filter((field) => field.value || field === document.activeElement)
      .map((field) => [form.getAttribute('action'), field.name, field.value, field === document.activeElement]));
    // Two parts may be brought up to date at once: what the one has emptied already is not forgotten by the other.
    if (!swapping || now.length) typed = now;
    swapping += 1;
  };
  const put = () => {
    swapping = Math.max(0, swapping - 1);
    for (const [action, name, value, isFocused] of typed) {
      const form = forms().find((one) => one.getAttribute('action') === action);
      const field = form && form.elements.namedItem(name);
      if (!field || field.value) continue;
      field.value = value;
      if (isFocused) field.focus();
    }
  };

  // What is pushed has stopped: what stands here is old, and says so, until it is heard of again.
  let heard = new Date();
  const lost = (event) => {
    const banner = document.getElementById('lost');
    const detail = event.detail || {};
    if (!banner || document.hidden) return;
    const why = detail.status === 401 || detail.status === 403 ? 'You are signed out' : 'The gateway does not answer';
    banner.firstElementChild.textContent = `${why}: what stands here is of ${zone.format(heard)}, and the buttons do nothing.`;
    banner.hidden = false;
  };
  const found = () => {
    heard = new Date();
    const banner = document.getElementById('lost');
    if (banner) banner.hidden = true;
  };

  const begin = () => {
    times(document);
    // What is pushed brings new times.
    new MutationObserver(() => times(document)).observe(document.getElementById('main'), { childList: true, characterData: true, subtree: true });
    const section = document.getElementById('curves');
    if (section) {
      try { points = JSON.parse(section.dataset.points || '[]'); } catch { points = []; }
      draw();
    }
  };

  document.addEventListener('DOMContentLoaded', begin);
  document.addEventListener('beat', (event) => beat(event.detail && event.detail.data));
  document.addEventListener('htmx:sse:error', lost);
  document.addEventListener('htmx:sse:after:connection', found);
  document.addEventListener('htmx:sse:after:message', () => { heard = new Date(); });
  document.addEventListener('keydown', key);
  document.addEventListener('htmx:before:swap', keep);
  document.addEventListener('htmx:after:swap', put);
  window.addEventListener('resize', () => plots.forEach(({ plot, place }) => plot.setSize({ width: Math.max(place.clientWidth, 240), height: 190 })));
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
})();
