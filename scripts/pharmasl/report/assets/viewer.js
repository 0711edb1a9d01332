// The slice viewer: three slices of a map that follow the pointer, three sliders and the numbers of clusters. The volumes stand in
// the page; they are unpacked when a viewer comes into sight. Others reach it by PharmaslViewer.go(element, {cluster: 3}) or
// PharmaslViewer.go(element, {point: [32, 28, 26]}), where the element lies in the section of the viewer.
(() => {
  "use strict";
  const AXES = ["x", "y", "z"];
  const VIEWS = ["Sagittal", "Coronal", "Axial"];
  const MINUS = "\u2212";
  let space = null;

  async function unpacked(element, shape) {
    const text = atob(element.textContent);
    const bytes = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    const values = new Uint8Array(await new Response(stream).arrayBuffer());
    const [nx, ny] = shape;
    // Sums along x, then along y, modulo 256.
    for (let k = 0; k < values.length; k += 1) if (k % nx) values[k] += values[k - 1];
    const plane = nx * ny;
    for (let k = 0; k < values.length; k += 1) if (k % plane >= nx) values[k] += values[k - nx];
    return values;
  }

  function shared() {
    space ??= (async () => {
      const meta = JSON.parse(document.querySelector("script.viewer-space").textContent);
      const grey = await unpacked(document.querySelector("script.viewer-template"), meta.shape);
      const labels = document.querySelector("script.viewer-atlas");
      return { ...meta, grey, labels: labels ? await unpacked(labels, meta.shape) : null };
    })();
    return space;
  }

  const hex = (colour) => [1, 3, 5].map((k) => parseInt(colour.slice(k, k + 2), 16));

  function shade(stops, place) {
    const at = Math.min(Math.max(place, 0), 1) * (stops.length - 1);
    const low = Math.min(Math.floor(at), stops.length - 2);
    return stops[low].map((value, k) => value + (at - low) * (stops[low + 1][k] - value));
  }

  function element(name, attributes, text) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes ?? {})) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  }

  class Viewer {
    constructor(box) {
      this.box = box;
      this.meta = JSON.parse(box.dataset.viewer);
      this.started = null;
      this.wanted = this.meta.start;
      this.least = 0;
    }

    start() {
      this.started ??= this.open().catch((error) => {
        this.box.append(element("p", { class: "note" }, `The slice viewer could not start: ${error.message}`));
      });
      return this.started;
    }

    async open() {
      this.space = await shared();
      const shape = this.space.shape;
      [this.map, this.clusters, this.declared] = await Promise.all(
        ["map", "clusters", "declared"].map((kind) => unpacked(this.box.querySelector(`script.viewer-${kind}`), shape)),
      );
      this.colours = Array.from({ length: 256 }, (_, byte) => this.colour((byte - this.meta.zero) / this.meta.full * this.meta.top));
      this.build();
      this.place(this.wanted);
    }

    colour(value) {
      const { threshold, top, fade } = this.meta;
      const size = Math.abs(value);
      const stops = (value >= 0 ? this.meta.positive : this.meta.negative).map(hex);
      const opacity = size < this.least ? 0 : Math.min(size / threshold, 1) ** fade;
      return [...shade(stops, (size - threshold) / Math.max(top - threshold, 1e-6)), opacity];
    }

    build() {
      const { shape } = this.space;
      this.readout = element("p", { class: "readout", "aria-live": "polite" });
      const slices = element("div", { class: "planes" });
      this.canvases = [0, 1, 2].map((axis) => {
        const [across, up] = [0, 1, 2].filter((other) => other !== axis);
        const canvas = element("canvas", { "aria-hidden": "true" });
        canvas.style.aspectRatio = `${shape[across]} / ${shape[up]}`;
        canvas.style.flex = `${shape[across]} 1 0`;
        const follow = (event) => {
          const box = canvas.getBoundingClientRect();
          const voxel = [...this.voxel];
          voxel[across] = Math.floor((event.clientX - box.left) / box.width * shape[across]);
          voxel[up] = shape[up] - 1 - Math.floor((event.clientY - box.top) / box.height * shape[up]);
          this.show(voxel);
        };
        canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); follow(event); });
        canvas.addEventListener("pointermove", (event) => { if (event.buttons) follow(event); });
        slices.append(canvas);
        return canvas;
      });
      const sliders = element("div", { class: "sliders" });
      this.sliders = AXES.map((name, axis) => {
        const label = element("label", {}, `${VIEWS[axis]}, ${name} `);
        const slider = element("input", { type: "range", min: 0, max: shape[axis] - 1, step: 1 });
        slider.addEventListener("input", () => { const voxel = [...this.voxel]; voxel[axis] = Number(slider.value); this.show(voxel); });
        label.append(slider);
        sliders.append(label);
        return slider;
      });
      const label = element("label", {}, `Show ${this.meta.letter === "F" ? "F" : `|${this.meta.letter}|`} from `);
      const least = element("input", { type: "range", min: 0, max: this.meta.top, step: 0.1, value: 0 });
      const said = element("output", {}, "0");
      least.addEventListener("input", () => {
        this.least = Number(least.value);
        said.textContent = this.least ? this.least.toFixed(1) : "0";
        this.colours = this.colours.map((_, byte) => this.colour((byte - this.meta.zero) / this.meta.full * this.meta.top));
        this.show(this.voxel);
      });
      label.append(least, said);
      sliders.append(label);
      this.box.append(this.readout, slices, sliders);
      new ResizeObserver(() => this.voxel && this.draw()).observe(slices);
    }

    place(point) {
      const { first, step } = this.space;
      this.show(point.map((value, axis) => Math.round((value - first[axis]) / step[axis])));
    }

    show(voxel) {
      this.voxel = voxel.map((value, axis) => Math.min(Math.max(value, 0), this.space.shape[axis] - 1));
      this.draw();
      this.tell();
    }

    index([x, y, z]) {
      const [nx, ny] = this.space.shape;
      return x + nx * (y + ny * z);
    }

    tell() {
      const { first, step, labels, regions } = this.space;
      const at = this.index(this.voxel);
      const number = (value, digits) => value.toFixed(digits).replace("-", MINUS).replace(/^\u2212(0(?:\.0+)?)$/, "$1");
      const where = this.voxel.map((value, axis) => number(first[axis] + step[axis] * value, 0));
      this.sliders.forEach((slider, axis) => {
        slider.value = this.voxel[axis];
        slider.setAttribute("aria-valuetext", `${AXES[axis]} = ${where[axis]} mm`);
      });
      const words = [`(${where.join(", ")}) mm`];
      const byte = this.map[at];
      words.push(byte ? `${this.meta.letter} \u2248 ${number((byte - this.meta.zero) / this.meta.full * this.meta.top, 1)}` : "not tested");
      const cluster = this.clusters[at];
      if (cluster) words.push(`${cluster === 255 ? "a small cluster" : `cluster ${cluster}`}${this.declared[at] ? "" : " (not significant)"}`);
      if (labels?.[at]) words.push(regions[labels[at] - 1]);
      this.readout.textContent = words.join("; ");
    }

    draw() {
      const styles = getComputedStyle(this.box);
      this.ink = styles.getPropertyValue("color");
      this.canvases.forEach((canvas, axis) => this.slice(canvas, axis));
    }

    slice(canvas, axis) {
      const { shape, grey, greys } = this.space;
      const [across, up] = [0, 1, 2].filter((other) => other !== axis);
      const [wide, tall] = [shape[across], shape[up]];
      const ground = new ImageData(wide, tall);
      const voxel = [...this.voxel];
      const own = new Uint8Array(wide * tall);
      for (let row = 0; row < tall; row += 1) {
        voxel[up] = tall - 1 - row;
        for (let column = 0; column < wide; column += 1) {
          voxel[across] = column;
          const at = this.index(voxel);
          own[row * wide + column] = this.declared[at] ? 2 : this.clusters[at] ? 1 : 0;
          if (!grey[at]) continue;
          const light = 255 * (0.1 + 0.74 * (grey[at] - 1) / (greys - 2));
          const [red, green, blue, opacity] = this.map[at] ? this.colours[this.map[at]] : [0, 0, 0, 0];
          const pixel = 4 * (row * wide + column);
          [red, green, blue].forEach((value, k) => { ground.data[pixel + k] = light * (1 - opacity) + value * opacity; });
          ground.data[pixel + 3] = 255;
        }
      }
      const scale = canvas.clientWidth / wide * (window.devicePixelRatio || 1);
      if (!scale) return;
      canvas.width = Math.round(wide * scale);
      canvas.height = Math.round(tall * scale);
      const small = new OffscreenCanvas(wide, tall);
      small.getContext("2d").putImageData(ground, 0, 0);
      const pen = canvas.getContext("2d");
      pen.imageSmoothingQuality = "high";
      pen.drawImage(small, 0, 0, canvas.width, canvas.height);
      pen.scale(scale, scale);
      const hair = (window.devicePixelRatio || 1) / scale;
      this.outline(pen, own, wide, tall, 1, hair);
      this.outline(pen, own, wide, tall, 2, hair);
      const [x, y] = [this.voxel[across] + 0.5, tall - this.voxel[up] - 0.5];
      pen.strokeStyle = this.ink;
      pen.globalAlpha = 0.7;
      pen.lineWidth = hair;
      pen.beginPath();
      for (const [a, b, c, d] of [[0, y, x - 4, y], [x + 4, y, wide, y], [x, 0, x, y - 4], [x, y + 4, x, tall]]) { pen.moveTo(a, b); pen.lineTo(c, d); }
      pen.stroke();
      pen.globalAlpha = 1;
      pen.fillStyle = this.ink;
      pen.font = `${11 * hair}px system-ui, sans-serif`;
      pen.textBaseline = "top";
      pen.fillText(axis ? "L" : "P", hair * 3, hair * 3);
      pen.textAlign = "right";
      pen.fillText(axis ? "R" : "A", wide - hair * 3, hair * 3);
      if (this.meta.blinded) {
        pen.globalAlpha = 0.4;
        pen.textAlign = "center";
        pen.font = `bold ${wide / 6}px system-ui, sans-serif`;
        pen.fillText(this.meta.blinded, wide / 2, tall / 2);
      }
    }

    // Borders between voxels of a kind and others: a dark line on a light one around what is declared, dots around the rest.
    outline(pen, own, wide, tall, kind, hair) {
      const path = new Path2D();
      const is = (column, row) => column >= 0 && row >= 0 && column < wide && row < tall && own[row * wide + column] === kind;
      for (let row = 0; row <= tall; row += 1) {
        for (let column = 0; column <= wide; column += 1) {
          if (is(column, row) !== is(column - 1, row)) { path.moveTo(column, row); path.lineTo(column, row + 1); }
          if (is(column, row) !== is(column, row - 1)) { path.moveTo(column, row); path.lineTo(column + 1, row); }
        }
      }
      pen.setLineDash(kind === 2 ? [] : [1.5 * hair, 2 * hair]);
      pen.lineCap = "round";
      for (const [colour, width] of kind === 2 ? [["#fff", 3], ["#000", 1.5]] : [["#fff", 1.2]]) {
        pen.strokeStyle = colour;
        pen.lineWidth = width * hair;
        pen.stroke(path);
      }
      pen.setLineDash([]);
    }

    async go(wanted) {
      const point = wanted.point ?? this.meta.clusters[wanted.cluster]?.point;
      if (!point) return false;
      this.wanted = point;
      await this.start();
      this.place(point);
      this.box.scrollIntoView({ block: "nearest" });
      return true;
    }
  }

  const viewers = new Map();
  const of = (inside) => viewers.get((inside.closest("section") ?? document).querySelector(".viewer"));
  const go = (inside, wanted) => of(inside)?.go(wanted) ?? Promise.resolve(false);
  window.PharmaslViewer = { go };

  // A button on everything that is a cluster: its slices, and its row of the table.
  function button(place, number, words) {
    const made = element("button", { type: "button", class: "go", "aria-label": `Show cluster ${number} in the viewer` }, words);
    made.addEventListener("click", () => go(made, { cluster: number }));
    place.append(made);
  }

  function buttons(section, viewer) {
    for (const figure of section.querySelectorAll("figure[data-cluster]")) {
      if (viewer.meta.clusters[figure.dataset.cluster]) button(figure.querySelector("figcaption"), figure.dataset.cluster, "Show in the viewer");
    }
    for (const table of section.querySelectorAll("table")) {
      if (!/^cluster/i.test(table.tHead?.rows[0]?.cells[0]?.textContent.trim() ?? "")) continue;
      for (const row of table.tBodies[0].rows) {
        const cell = row.cells[0];
        const number = cell.textContent.trim();
        if (!viewer.meta.clusters[number]) continue;
        cell.textContent = "";
        button(cell, number, number);
      }
    }
  }

  document.addEventListener("DOMContentLoaded", () => {
    const seen = new IntersectionObserver((entries) => {
      for (const entry of entries) if (entry.isIntersecting) { seen.unobserve(entry.target); viewers.get(entry.target).start(); }
    }, { rootMargin: "300px" });
    for (const box of document.querySelectorAll(".viewer")) {
      const viewer = new Viewer(box);
      viewers.set(box, viewer);
      buttons(box.closest("section") ?? document, viewer);
      seen.observe(box);
    }
    new MutationObserver(() => viewers.forEach((viewer) => viewer.voxel && viewer.draw())).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  });
})();
