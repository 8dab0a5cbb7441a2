// The dashboard in the browser: it hears of changes, draws the charts, and does nothing else on its own.
"use strict";

document.documentElement.classList.add("scripted");

// -- live ------------------------------------------------------------------------------------------------------------
let revision = Number(document.body.dataset.revision);
let waiting = false, kept = [];
const LOOK_MS = 20000;

function refresh() {
  if (document.hidden) { waiting = true; return; }
  waiting = false;
  htmx.trigger(document.body, "refresh");
}

function listen() {
  const events = new EventSource("/events");
  const lost = document.getElementById("lost"), gone = document.getElementById("gone");
  events.addEventListener("change", (message) => {
    const state = JSON.parse(message.data);
    gone.hidden = true;
    lost.hidden = !state.lost;
    if (state.revision !== revision) { revision = state.revision; refresh(); }
  });
  setInterval(refresh, LOOK_MS);  // also where word of a change was lost: what is shown follows the state, not the news
  events.addEventListener("error", () => { gone.hidden = false; });  // the browser connects again by itself
}

document.addEventListener("visibilitychange", () => { if (!document.hidden && waiting) refresh(); });
window.addEventListener("DOMContentLoaded", () => { listen(); draw(document); });

// What the reader has opened stays open, and what has the focus keeps it, when a part of the page is replaced.
document.addEventListener("htmx:beforeSwap", (event) => {
  const target = event.detail.target;
  if (event.detail.xhr.status === 403) { window.location.reload(); event.detail.shouldSwap = false; return; }
  if (event.detail.xhr.status >= 400) event.detail.shouldSwap = event.detail.xhr.getResponseHeader("content-type")?.startsWith("text/html") && target.id === "preview";
  kept = [...target.querySelectorAll("details[open][id]")].map((one) => one.id);
});
document.addEventListener("htmx:afterSettle", () => {
  for (const id of kept) document.getElementById(id)?.setAttribute("open", "");
  kept = [];
  draw(document);
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
