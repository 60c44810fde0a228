// Follows the server: takes the page's parts as they change, and lets ages move between two changes.
// The parts are HTML that the server has escaped (registry/http/live.py); nothing here makes HTML of its own.
"use strict";
(() => {
  const address = document.body.dataset.events;
  const light = document.getElementById("live");
  if (!address || !light || !window.EventSource) return;

  const seen = new WeakMap(); // element to when its number was true, on the clock of performance.now()
  const waiting = new Map(); // parts that somebody is marking to copy
  let serverAheadMs = Date.parse(document.body.dataset.now) - Date.now();
  let heardAt = 0;
  let source = null;
  let shown = "";

  const duration = (ms) => {
    const seconds = ms / 1000;
    if (seconds < 1) return `${Math.round(ms)} ms`;
    if (seconds < 60) return `${seconds.toFixed(1)} s`;
    const minutes = Math.floor(seconds / 60), hours = Math.floor(seconds / 3600), days = Math.floor(seconds / 86400);
    if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
    if (hours < 48) return `${hours} h ${minutes % 60} min`;
    return `${days} d ${hours % 24} h`;
  };

  const tick = () => {
    const now = performance.now(), serverNow = Date.now() + serverAheadMs;
    for (const element of document.querySelectorAll("[data-ms]")) {
      if (!seen.has(element)) seen.set(element, now);
      const passed = now - seen.get(element), at = Number(element.dataset.ms);
      element.textContent = duration(Math.max(0, element.dataset.tick === "down" ? at - passed : at + passed));
    }
    for (const element of document.querySelectorAll("time[datetime]")) {
      element.textContent = duration(Math.max(0, serverNow - Date.parse(element.dateTime)));
    }
    for (const name of [...waiting.keys()]) place(name, waiting.get(name));
  };

  const isMarked = (element) => {
    const selection = document.getSelection();
    return selection !== null && !selection.isCollapsed && selection.containsNode(element, true);
  };

  const place = (name, html) => {
    const element = document.querySelector(`[data-live="${CSS.escape(name)}"]`);
    if (!element) return;
    if (isMarked(element)) {
      waiting.set(name, html);
      return;
    }
    waiting.delete(name);
    const scrolled = element.querySelector(".tall")?.scrollTop;
    element.innerHTML = html;
    if (scrolled) element.querySelector(".tall")?.scrollTo(0, scrolled);
    if (name === "title") document.title = element.textContent;
  };

  const flash = (name) => {
    const element = document.querySelector(`[data-live="${CSS.escape(name)}"].flash`);
    if (!element) return;
    element.classList.remove("changed");
    void element.offsetWidth; // or the animation would not begin again
    element.classList.add("changed");
  };

  const take = (event, isChange) => {
    const parts = JSON.parse(event.data);
    heardAt = performance.now();
    if (parts.now) serverAheadMs = Date.parse(parts.now) - Date.now();
    for (const [name, html] of Object.entries(parts)) {
      if (name === "now") continue;
      place(name, html);
      if (isChange && name === "answers") flash(name);
    }
    tick();
    say("live");
  };

  const say = (state) => {
    const text = state === "live" ? "live" : "not connected, trying again";
    if (text === shown) return;
    shown = text;
    light.textContent = text;
    light.classList.toggle("on", state === "live");
    document.body.classList.toggle("stale", state !== "live");
  };

  const follow = () => {
    source = new EventSource(address);
    source.addEventListener("snapshot", (event) => take(event, false));
    source.addEventListener("change", (event) => take(event, true));
    source.addEventListener("error", () => {
      say("away");
      // The browser comes back by itself, but not after an answer such as 503.
      if (source.readyState === EventSource.CLOSED) setTimeout(follow, 3000 + Math.random() * 5000);
    });
  };

  // A connection that has died without a word: figures come every second, so this much silence is no server.
  setInterval(() => {
    if (source && source.readyState === EventSource.OPEN && heardAt && performance.now() - heardAt > 10000) {
      source.close();
      say("away");
      follow();
    }
  }, 5000);
  setInterval(tick, 200);
  window.addEventListener("pagehide", () => source && source.close());
  window.addEventListener("pageshow", (event) => event.persisted && follow());
  follow();
})();
