// The live tail: server-sent events while there is a place for this page, else a look every five seconds. Whatever
// breaks the stream, one look tells what is the matter, and brings what was missed.
"use strict";
document.addEventListener("alpine:init", () => {
  const MOST_ROWS = 200;
  const REMEMBERED = 2000;
  const POLL_MS = 5000;
  const LONGEST_MS = 10000; // between two tries while the server is away
  const SILENCE_MS = 15000; // the server says every few seconds that it is there
  const HIDDEN_MS = 30000; // a tab that nobody looks at gives its place away
  const KINDS = { live: "good", polling: "busy", away: "bad", gone: "bad" };

  Alpine.data("tail", () => ({
    state: "connecting",
    count: 0,
    said: "",
    hint: "",
    kind: "idle",

    get isPaused() { return this.state === "paused"; },
    get isRunning() { return !["paused", "gone"].includes(this.state); },
    get isEmpty() { return this.count === 0; },

    init() {
      this.at = this.$root.dataset.at;
      this.known = new Set();
      for (const row of this.$refs.rows.children) this.known.add(row.id);
      this.count = this.known.size;
      this.failures = 0;
      this.isRefused = false; // there was no place for another stream
      this.show("connecting");
      this.onVisibility = () => this.heedVisibility();
      document.addEventListener("visibilitychange", this.onVisibility);
      addEventListener("pagehide", () => this.stop());
      addEventListener("pageshow", (event) => { if (event.persisted && this.isRunning) this.look(); });
      this.open();
    },

    destroy() {
      document.removeEventListener("visibilitychange", this.onVisibility);
      this.stop();
    },

    // State

    show(state) {
      if (state === this.state && this.said) return;
      const texts = this.$root.dataset;
      const name = state[0].toUpperCase() + state.slice(1);
      this.state = state;
      this.said = texts[`text${name}`];
      this.hint = texts[`hint${name}`] || "";
      this.kind = KINDS[state] || "idle";
    },

    pause() {
      this.stop();
      this.show("paused");
    },

    resume() {
      this.show("connecting");
      this.look();
    },

    clear() {
      this.$refs.rows.replaceChildren();
      this.count = 0;
    },

    heedVisibility() {
      clearTimeout(this.hiding);
      if (document.hidden) this.hiding = setTimeout(() => this.stop(), HIDDEN_MS);
      else if (this.isRunning && !this.source && !this.timer && !this.looking) this.look();
    },

    // The connection

    stop() {
      this.source?.close();
      this.looking?.abort();
      this.source = this.looking = null;
      clearTimeout(this.timer);
      clearTimeout(this.watch);
      this.timer = null;
    },

    later(call, ms) {
      this.timer = setTimeout(() => { this.timer = null; call.call(this); }, ms);
    },

    url(name) {
      const url = new URL(this.$root.dataset[name], location.href);
      url.searchParams.set("after", this.at);
      return url;
    },

    open() {
      this.stop();
      const source = this.source = new EventSource(this.url("stream"));
      let isOpen = false;
      const lost = () => {
        if (this.source !== source) return;
        this.stop();
        this.isRefused = !isOpen;
        this.look();
      };
      const heard = (event) => {
        this.at = event.lastEventId || this.at;
        clearTimeout(this.watch);
        this.watch = setTimeout(lost, SILENCE_MS);
      };
      source.addEventListener("open", () => { isOpen = true; this.show("live"); });
      source.addEventListener("beat", heard);
      source.addEventListener("logs", (event) => { heard(event); this.insert(event.data); });
      source.addEventListener("error", lost);
    },

    // Looks once, and has a stream tried again: at once, or where one was refused in a while.
    async look() {
      this.stop();
      const looking = this.looking = new AbortController();
      const overdue = setTimeout(() => looking.abort(), SILENCE_MS);
      let answer = null, text = "";
      try {
        const headers = { "HX-Request": "true", "HX-Current-URL": location.href };
        answer = await fetch(this.url("rows"), { headers, signal: looking.signal });
        text = await answer.text();
      } catch {
        answer = null;
      }
      clearTimeout(overdue);
      if (this.looking !== looking) return; // it was stopped meanwhile
      this.looking = null;
      this.heed(answer, text);
    },

    heed(answer, text) {
      if (answer === null || answer.status >= 500) {
        this.show("away");
        this.isRefused = false;
        const pause = Math.min(1000 * 2 ** this.failures++, LONGEST_MS);
        this.later(this.look, pause * (0.75 + Math.random() / 2));
        return;
      }
      this.failures = 0;
      if (answer.headers.has("HX-Redirect")) {
        location.assign(answer.headers.get("HX-Redirect")); // the session has ended
      } else if (!answer.ok) {
        this.show("gone");
      } else {
        this.at = answer.headers.get("Hookline-At") || this.at;
        this.insert(text);
        if (!this.isRefused) {
          this.open();
          return;
        }
        this.show("polling");
        this.later(this.open, POLL_MS);
      }
    },

    // Rows are markup of the server's templates, in which whatever came from elsewhere is text.
    insert(html) {
      const part = document.createElement("template");
      part.innerHTML = html;
      for (const row of part.content.querySelectorAll("tr[id]")) {
        if (this.known.has(row.id)) row.remove();
        this.known.add(row.id);
      }
      const rows = this.$refs.rows;
      rows.prepend(part.content);
      while (rows.rows.length > MOST_ROWS) rows.deleteRow(-1);
      for (const id of this.known) {
        if (this.known.size <= REMEMBERED) break;
        this.known.delete(id);
      }
      this.count = rows.rows.length;
    },
  }));
});
