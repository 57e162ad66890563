// What every page does: tell the server the viewer's zone, the theme, copying, live parts, a server that is away.
"use strict";
(() => {
  const keep = (name, value) => {
    document.cookie = `${name}=${value}; path=/; max-age=31536000; samesite=lax`;
  };
  const kept = (name) => document.cookie.match(`(?:^|; )${name}=([^;]*)`)?.[1];

  // Times are written by the server in this zone: nothing moves once the page is there.
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
  if (kept("zone") !== zone) keep("zone", zone);

  const prefersDark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (document.documentElement.dataset.theme || (prefersDark.matches ? "dark" : "light")) === "dark";
  const theme = document.getElementById("theme");
  const labelTheme = () => theme.setAttribute("aria-label", isDark() ? theme.dataset.light : theme.dataset.dark);
  theme.addEventListener("click", () => {
    const chosen = isDark() ? "light" : "dark";
    document.documentElement.dataset.theme = chosen;
    keep("theme", chosen);
    labelTheme();
    document.dispatchEvent(new CustomEvent("theme"));
  });
  prefersDark.addEventListener("change", () => {
    labelTheme();
    document.dispatchEvent(new CustomEvent("theme"));
  });
  labelTheme();

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const source = document.getElementById(button.dataset.copy);
    const text = "value" in source ? source.value : source.textContent;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      getSelection().selectAllChildren(source); // without TLS there is no clipboard: have it selected instead
      return;
    }
    const before = button.textContent;
    button.textContent = button.dataset.done;
    setTimeout(() => { button.textContent = before; }, 1500);
  });

  // Parts with data-live="5" get the event `live` every five seconds (hx-trigger="live"), not in a hidden tab.
  const tick = () => {
    if (document.hidden) return;
    for (const part of document.querySelectorAll("[data-live]")) {
      const now = performance.now();
      part.refreshedAt ??= now;
      if (now - part.refreshedAt < Number(part.dataset.live) * 1000 - 500) continue;
      if (part.contains(document.activeElement) && document.activeElement.matches("input, select, textarea")) continue;
      part.refreshedAt = now;
      part.dispatchEvent(new CustomEvent("live"));
    }
  };
  tick();
  setInterval(tick, 1000);
  document.addEventListener("visibilitychange", tick);

  // Selects and other fields with data-submit send their form when they change.
  document.addEventListener("change", (event) => {
    if (event.target.closest("[data-submit]")) event.target.form.requestSubmit();
  });

  const away = document.getElementById("away");
  const setAway = (isAway) => {
    away.textContent = isAway ? away.dataset.text : "";
    away.hidden = !isAway;
  };
  document.addEventListener("htmx:error", (event) => {
    if (!event.detail.ctx?.response) setAway(true);
  });
  document.addEventListener("htmx:after:request", (event) => {
    if (event.detail.ctx?.response) setAway(false);
  });
  window.hookline = { isDark, setAway };
})();
