// The charts of the overview. Each reads its data from an attribute, which the live part of the page renews in place.
"use strict";
(() => {
  const READOUT = 24;
  const language = document.documentElement.lang;
  const counts = new Intl.NumberFormat(language);
  const compact = new Intl.NumberFormat(language, { notation: "compact" });
  const clock = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const day = new Intl.DateTimeFormat(language, { month: "short", day: "numeric" });
  const DASHES = [[], [8, 4], [2, 3]];

  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const colour = (name) => () => style(`--chart-${name}`);
  const muted = () => style("--pico-muted-color");
  const grid = { stroke: () => style("--chart-grid"), width: 1 };
  const duration = (ms) => (ms >= 1000 ? `${+(ms / 1000).toFixed(1)} s` : `${+ms.toFixed(ms < 10 ? 1 : 0)} ms`);
  const isLong = (data) => data.step >= 3600 && data.end - data.start > 2 * 86400;
  const moment = (data, at) => {
    const date = new Date(at * 1000);
    return isLong(data) ? `${day.format(date)} ${clock.format(date)}` : clock.format(date);
  };

  // A stack is drawn as bars in front of each other, the sum of all behind.
  const kinds = {
    stack: {
      columns: ({ at, series }) => [at, ...series.map((_, place) => at.map((_, step) =>
        series.slice(0, place + 1).reduce((sum, each) => sum + each.values[step], 0))).reverse()],
      series: ({ series }) => series.map((each) => ({
        fill: colour(each.colour), width: 0, points: { show: false },
        paths: uPlot.paths.bars({ align: 1, size: [0.85, 64] }),
      })).reverse(),
      scale: { range: (_, low, high) => [0, Math.max(high || 0, 4)] },
      values: (_, splits) => splits.map((split) => (Number.isInteger(split) ? compact.format(split) : "")),
      show: (value) => counts.format(value),
    },
    lines: {
      columns: ({ at, series }) => [at, ...series.map((each) => each.values.map((value) => value && Math.max(value, 0.5)))],
      series: ({ series }) => series.map((each, place) => ({
        stroke: colour(each.colour), width: 2, dash: DASHES[place], points: { show: true, size: 4, fill: colour(each.colour) },
      })),
      scale: {
        distr: 3,
        range: (_, low, high) => [10 ** Math.floor(Math.log10(low || 1)), 10 ** Math.ceil(Math.log10((high || 1000) * 1.01))],
      },
      // Each power of ten, and 2 and 5 times that where there are few.
      splits: (_, axis, low, high) => {
        const found = [];
        for (let power = low; power <= high * 1.001; power *= 10) {
          found.push(...(high / low > 100 ? [power] : [power, 2 * power, 5 * power]));
        }
        return found.filter((split) => split <= high * 1.001);
      },
      values: (_, splits) => splits.map(duration),
      show: (value) => (value === null ? "–" : duration(value)),
    },
  };

  class Chart {
    constructor(element) {
      this.element = element;
      this.kind = kinds[element.dataset.kind];
      this.data = JSON.parse(element.dataset.chart);
      this.readout = document.createElement("p");
      this.readout.className = "readout";
      this.readout.setAttribute("aria-hidden", "true");
      this.plot = new uPlot(this.options(), this.kind.columns(this.data), element);
      element.append(this.readout);
      this.tell();
      new ResizeObserver(() => this.plot.setSize(this.size())).observe(element);
      new MutationObserver(() => this.renew()).observe(element, { attributeFilter: ["data-chart"] });
    }

    size() {
      return { width: this.element.clientWidth, height: this.element.clientHeight - READOUT };
    }

    options() {
      const axis = { stroke: muted, grid, ticks: { show: false }, font: "12px system-ui, sans-serif" };
      return {
        ...this.size(),
        legend: { show: false },
        cursor: { drag: { x: false, y: false }, y: false, points: { show: false } },
        scales: { x: { range: () => [this.data.start, this.data.end] }, y: this.kind.scale },
        axes: [
          {
            ...axis,
            size: 30,
            space: 60,
            ...(isLong(this.data) && { incrs: [1, 2, 5, 10].map((days) => days * 86400) }),
            values: (_, splits) => splits.map((at) => (isLong(this.data) ? day : clock).format(new Date(at * 1000))),
          },
          { ...axis, size: 56, values: this.kind.values, ...(this.kind.splits && { splits: this.kind.splits, filter: (_, splits) => splits }) },
        ],
        series: [{}, ...this.kind.series(this.data)],
        hooks: { setCursor: [() => this.tell()] },
      };
    }

    renew() {
      this.data = JSON.parse(this.element.dataset.chart);
      this.plot.setData(this.kind.columns(this.data));
      this.tell();
    }

    // Say in words what is under the cursor, else the newest step.
    tell() {
      const { at, step, series } = this.data;
      const pointed = this.plot ? this.plot.posToVal(this.plot.cursor.left, "x") : null;
      const isOver = this.plot && this.plot.cursor.left >= 0;
      const place = isOver ? Math.floor((pointed - at[0]) / step) : at.length - 1;
      if (!(place in at)) { this.readout.textContent = ""; return; }
      const parts = series.map((each) => `${each.name} ${this.kind.show(each.values[place])}`);
      this.readout.textContent = `${moment(this.data, at[place])} – ${moment(this.data, at[place] + step)} · ${parts.join(" · ")}`;
    }
  }

  const charts = new Map();
  const draw = () => {
    for (const element of document.querySelectorAll(".chart")) {
      if (!charts.has(element)) charts.set(element, new Chart(element));
    }
    for (const [element, chart] of charts) {
      if (element.isConnected) continue;
      chart.plot.destroy();
      charts.delete(element);
    }
  };
  draw();
  document.addEventListener("htmx:after:swap", draw);
  document.addEventListener("theme", () => charts.forEach((chart) => chart.plot.redraw()));
})();
