// The box "All of these" of a group of triggers: it sets the others, and shows what they are.
"use strict";
(() => {
  const others = (box) => [...box.closest("fieldset").querySelectorAll("input[name=triggers]")];
  const show = (box) => {
    const set = others(box).filter((other) => other.checked).length;
    box.checked = set === others(box).length;
    box.indeterminate = set > 0 && !box.checked;
  };
  // Before htmx hears of it, which sends what is checked.
  document.addEventListener("change", (event) => {
    const group = event.target.closest("fieldset.group");
    if (!group) return;
    if (event.target.matches("[data-all]")) {
      for (const other of others(event.target)) other.checked = event.target.checked;
    }
    group.querySelectorAll("[data-all]").forEach(show);
  }, true);
  document.querySelectorAll("[data-all]").forEach(show);
})();
