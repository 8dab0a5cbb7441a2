// The dashboard in the browser: it hears of changes, draws the charts, and does nothing else on its own.
"use strict";

document.documentElement.classList.add("scripted");

// -- live ------------------------------------------------------------------------------------------------------------
// `told` is the newest revision that the server spoke of, `shown` the one that what is shown was made at or after. One
// request at a time brings the page up to `told`: it shares #main's turn (hx-sync) with the search, which goes first.
// An answer may be older than what was told meanwhile, may fail, or may have had to give way: then it is asked again.
// Only a tab that is looked at listens: browsers open six connections to a server, and would load no seventh tab.
let told = Number(document.body.dataset.revision), shown = told, kept = [], events = null;
const LOOK_MS = 60000, AGAIN_MS = 2000;

function follow() {
  if (shown < told && !document.hidden) htmx.trigger(document.body, "refresh");
}

function listen() {
  if (events || document.hidden) return;
  events = new EventSource("/events");
  events.addEventListener("change", (message) => {
    const state = JSON.parse(message.data);
    document.getElementById("gone").hidden = true;
    document.getElementById("lost").hidden = !state.lost;
    told = state.revision;
    follow();
  });
  events.addEventListener("error", () => { document.getElementById("gone").hidden = false; });  // the browser connects again by itself
}

document.addEventListener("htmx:afterRequest", (event) => {
  const { target, successful, xhr } = event.detail;
  if (target.id !== "live") return;
  if (successful) shown = Number(xhr.getResponseHeader("clientorg-revision"));  // followed when it has settled: only then it listens
  else setTimeout(follow, AGAIN_MS);
});
document.addEventListener("htmx:historyRestore", () => { shown = -1; follow(); });
document.addEventListener("visibilitychange", () => {
  if (document.hidden) { events?.close(); events = null; } else { listen(); follow(); }
});
window.addEventListener("DOMContentLoaded", () => {
  listen();
  setInterval(() => { shown = -1; follow(); }, LOOK_MS);  // days pass, and Events are shown, without a change that is told
  draw(document);
});

// What the reader has opened stays open, and what has the focus keeps it, when a part of the page is replaced.
document.addEventListener("htmx:beforeSwap", (event) => {
  const target = event.detail.target;
  if (event.detail.xhr.status === 403) { window.location.reload(); event.detail.shouldSwap = false; return; }
  if (event.detail.xhr.status === 404 && target.id === "live") { window.location.reload(); event.detail.shouldSwap = false; return; }
  if (event.detail.xhr.status >= 400) event.detail.shouldSwap = event.detail.xhr.getResponseHeader("content-type")?.startsWith("text/html") && target.id === "preview";
  kept = [...target.querySelectorAll("details[open][id]")].map((one) => one.id);
});
document.addEventListener("htmx:afterSettle", () => {
  for (const id of kept) document.getElementById(id)?.setAttribute("open", "");
  kept = [];
  draw(document);
  follow();
});

// -- keyboard and preferences ----------------------------------------------------------------------------------------
document.addEventListener("keydown", (event) => {
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    (document.getElementById("q") || document.getElementById("find")).focus();
  }
});
document.addEventListener("change", (event) => {
  const form = event.target.closest("form.prefs");
  if (form) form.requestSubmit();
});

// -- charts ----------------------------------------------------------------------------------------------------------
function resolved(name) {  // light-dark() of a custom property is resolved only where it is used
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

function draw(root) {
  for (const figure of root.querySelectorAll("figure[data-chart]")) {
    if (figure.dataset.drawn === figure.dataset.chart) continue;
    figure.dataset.drawn = figure.dataset.chart;
    figure.plotted?.destroy();
    figure.plotted = plot(figure, JSON.parse(figure.dataset.chart));
  }
}

function weeks(times, width) {  // those that there is room to name
  const step = Math.ceil(times.length / Math.max(1, Math.floor(width / 70)));
  return times.filter((_, index) => (times.length - 1 - index) % step === 0);
}

function plot(figure, chart) {
  const box = figure.querySelector(".plot");
  const language = document.documentElement.lang;
  const count = new Intl.NumberFormat(language), short = new Intl.NumberFormat(language, { notation: "compact" });
  const day = new Intl.DateTimeFormat(language, { month: "short", day: "numeric", timeZone: "UTC" });
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  box.replaceChildren();
  const axis = { stroke: resolved("--ink-2"), grid: { stroke: resolved("--line"), width: 1 }, ticks: { show: false }, font: `12px ${getComputedStyle(document.body).fontFamily}` };
  const options = {
    width: Math.max(280, box.clientWidth), height: 240, cursor: { points: { size: 7 }, drag: { x: false, y: false } },
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "UTC"),
    scales: { y: { range: (_, low, high) => [Math.min(0, low), high <= 0 ? 1 : high * 1.08] } },
    axes: [
      { ...axis, splits: (self) => weeks(chart.times, self.bbox.width / devicePixelRatio), values: (_, ticks) => ticks.map((tick) => day.format(tick * 1000)) },
      { ...axis, size: 62, values: (_, ticks) => ticks.map((tick) => Number.isInteger(tick) ? short.format(tick) : "") },
    ],
    series: [{}, ...chart.series.map((one, index) => ({
      label: one.name, stroke: resolved(`--chart-${index + 1}`), width: 2, dash: [undefined, [6, 4], [2, 3]][index],
      points: { size: 5 }, spanGaps: false,
    }))],
    hooks: { setCursor: [(self) => {
      const at = self.cursor.idx;
      tip.hidden = at === null || at === undefined || self.cursor.left < 0;
      if (tip.hidden) return;
      const lines = [day.format(chart.times[at] * 1000), ...chart.series.map((one) => `${one.name}: ${one.values[at] === null ? "–" : count.format(one.values[at])}`)];
      tip.replaceChildren(...lines.map((line) => Object.assign(document.createElement("div"), { textContent: line })));
      const left = self.cursor.left + 12, room = self.over.clientWidth - tip.offsetWidth;
      tip.style.left = `${left > room ? Math.max(0, self.cursor.left - tip.offsetWidth - 12) : left}px`;
      tip.style.top = "8px";
    }] },
  };
  const plotted = new uPlot(options, [chart.times, ...chart.series.map((one) => one.values)], box);
  plotted.over.append(tip);
  return plotted;
}

let sizing = 0;
window.addEventListener("resize", () => {
  clearTimeout(sizing);
  sizing = setTimeout(redraw, 150);
});
function redraw() {
  for (const figure of document.querySelectorAll("figure[data-drawn]")) delete figure.dataset.drawn;
  draw(document);
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
