"use strict";
// The page asks for the status each second and keeps the last minutes of it.
const keep = 300;
const samples = [];
const $ = id => document.getElementById(id);

function size(n) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
  let i = 0;
  for (; n >= 1024 && i < units.length - 1; i++) n /= 1024;
  return (i && n < 99.95 ? n.toFixed(1) : Math.round(n)) + " " + units[i];
}

function sum(calls, field) {
  return Object.values(calls).reduce((total, c) => total + c[field], 0);
}

// sample is what happened between two answers.
function sample(before, now) {
  const seconds = (Date.parse(now.now) - Date.parse(before.now)) / 1000 || 1;
  const calls = sum(now.calls, "calls") - sum(before.calls, "calls");
  const s = {
    sent: (now.bytes_sent - before.bytes_sent) / seconds,
    received: (now.bytes_received - before.bytes_received) / seconds,
    latency: calls ? (sum(now.calls, "seconds") - sum(before.calls, "seconds")) / calls : 0,
    used: 0, hits: 0,
  };
  if (now.cache && before.cache) {
    const hits = now.cache.hits - before.cache.hits, misses = now.cache.misses - before.cache.misses;
    s.used = now.cache.limit ? now.cache.used / now.cache.limit : 0;
    s.hits = hits + misses ? hits / (hits + misses) : 0;
  }
  return s;
}

function plot(id, fields, top) {
  const svg = $(id);
  svg.setAttribute("viewBox", `0 0 ${keep} 100`);
  svg.setAttribute("preserveAspectRatio", "none");
  const most = top || Math.max(1e-9, ...samples.flatMap(s => fields.map(f => s[f])));
  svg.replaceChildren(...fields.map((field, i) => {
    const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
    line.setAttribute("class", "ab"[i]);
    line.setAttribute("points", samples.map((s, x) => `${keep - samples.length + x},${98 - 96 * s[field] / most}`).join(" "));
    return line;
  }));
}

function table(title, head, rows) {
  if (!rows.length) return [];
  const h2 = document.createElement("h2"), t = document.createElement("table");
  h2.textContent = title;
  for (const [cells, tag] of [[head, "th"], ...rows.map(r => [r, "td"])]) {
    const tr = t.insertRow();
    for (const text of cells) {
      const cell = document.createElement(tag);
      cell.textContent = text; // never as HTML: keys are anybody's
      tr.append(cell);
    }
  }
  return [h2, t];
}

function show(s) {
  document.title = `${s.health} · ${s.mountpoint} · pailfs`;
  $("title").textContent = `${s.source} at ${s.mountpoint}`;
  $("health").textContent = s.reason ? `${s.health}: ${s.reason}` : s.health;
  $("health").className = s.health;
  $("about").textContent = `${s.version}, process ${s.pid}, since ${s.started}; sent ${size(s.bytes_sent)}, received ${size(s.bytes_received)}, ` +
    `${s.commits} files committed` + (s.last_commit ? `, the last at ${s.last_commit}` : "");
  $("lists").replaceChildren(
    ...table("Not committed yet", ["file", "sent", "size", "state"], s.uncommitted.map(f =>
      [f.key, size(f.sent), size(f.size), f.err || (f.open ? "open for writing" : "waiting")])),
    ...table("Not saved", ["file", "size", "why", "kept as"], s.failed.map(f => [f.key, size(f.size), f.err, f.kept || ""])),
    ...table("Transfers", ["", "key", "bytes", "rate"], s.transfers.map(t => [t.direction, t.key, size(t.bytes), size(t.rate) + "/s"])),
    ...table("Calls of the store", ["call", "count", "mean", "errors"], Object.entries(s.calls).sort().map(([name, c]) =>
      [name, c.calls, c.calls ? (1000 * c.seconds / c.calls).toFixed(1) + " ms" : "",
        Object.entries(c.errors || {}).map(([kind, n]) => `${n} ${kind}`).join(", ")])));
  const last = samples.at(-1);
  if (!last) return;
  plot("throughput", ["sent", "received"]);
  plot("latency", ["latency"]);
  plot("cache", ["used", "hits"], 1);
  $("now-throughput").textContent = `${size(last.sent)}/s up, ${size(last.received)}/s down`;
  $("now-latency").textContent = `${(1000 * last.latency).toFixed(1)} ms`;
  $("now-cache").textContent = s.cache ? `${size(s.cache.used)} of ${size(s.cache.limit)}` : "none";
}

let before = null;
async function ask() {
  try {
    const answer = await fetch("status.json");
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const now = await answer.json();
    if (before && now.pid === before.pid) samples.push(sample(before, now));
    if (samples.length > keep) samples.shift();
    before = now;
    show(now);
  } catch (err) {
    $("health").textContent = `no answer: ${err.message}`;
    $("health").className = "";
  }
  setTimeout(ask, 1000);
}
ask();
