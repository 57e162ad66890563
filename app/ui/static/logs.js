// Rows of logs open in place: the button says so, and a row below asks for request and answer when it is first seen.
"use strict";
(() => {
  const rowBelow = (row) => {
    const below = document.createElement("tr");
    below.className = "opened";
    below.id = row.id.replace("log-", "opened-");
    below.insertCell().colSpan = row.cells.length;
    row.after(below);
    return below;
  };

  document.addEventListener("click", (event) => {
    const row = event.target.closest("tr.log");
    const isMeant = event.target.closest(".opens button") || !event.target.closest("a, button") && getSelection().isCollapsed;
    if (!row || !isMeant) return;
    const button = row.querySelector(".opens button");
    const isOpen = button.getAttribute("aria-expanded") === "true";
    const below = row.nextElementSibling?.matches(".opened") ? row.nextElementSibling : rowBelow(row);
    below.hidden = isOpen;
    button.setAttribute("aria-controls", below.id);
    button.setAttribute("aria-expanded", String(!isOpen));
    if (!isOpen && !below.querySelector("[data-log]")) htmx.ajax("GET", row.querySelector("a").href, { target: below.cells[0] });
  });

  // Who asked for older logs by keyboard goes on at the first of them.
  document.addEventListener("htmx:before:swap", (event) => {
    const link = event.detail.ctx?.sourceElement;
    if (!link?.matches?.("tr.more .older") || document.activeElement !== link) return;
    const before = link.closest("tr").previousElementSibling;
    document.addEventListener("htmx:after:swap", () => before?.nextElementSibling?.querySelector("button, a")?.focus(), { once: true });
  });
})();
