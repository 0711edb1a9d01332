// What the study's page and the pages of scans have in common: the switch between light and dark, tables that sort, copy and
// download, and all that is folded opened for print and for a link into it. No request leaves the page.
(() => {
  "use strict";
  const root = document.documentElement;
  root.classList.add("js");
  const KEY = "pharmasl-theme";

  const stored = () => { try { return localStorage.getItem(KEY); } catch { return null; } };
  const store = (theme) => { try { localStorage.setItem(KEY, theme); } catch { /* a page may be forbidden to remember */ } };
  const systemDark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : systemDark.matches);
  const early = stored();
  if (early === "light" || early === "dark") root.dataset.theme = early;

  function themes() {
    for (const button of document.querySelectorAll("button.theme")) {
      const say = () => { button.textContent = isDark() ? "Light" : "Dark"; button.setAttribute("aria-label", `Show the page ${isDark() ? "light" : "dark"}`); };
      button.hidden = false;
      say();
      systemDark.addEventListener("change", say);
      button.addEventListener("click", () => {
        root.dataset.theme = isDark() ? "light" : "dark";
        store(root.dataset.theme);
        say();
      });
    }
  }

  // The first number of a cell; p values such as "< 0.0001" come before their limit; NaN where there is none.
  function numberIn(text) {
    const plain = text.replace(/\u2212/g, "-").replace(/(\d),(?=\d{3})/g, "$1");
    const match = plain.match(/[-+]?\d*\.?\d+(?:e[-+]?\d+)?/i);
    if (!match) return NaN;
    const value = parseFloat(match[0]);
    return /^\s*[a-z]*\s*</i.test(plain) ? value - 1e-12 : value;
  }


  function sortBy(table, column, header) {
    const body = table.tBodies[0];
    const ascending = header.getAttribute("aria-sort") !== "ascending";
    const isText = header.classList.contains("text");
    const value = (row) => {
      const cell = row.cells[column];
      if (!cell) return isText ? "" : NaN;
      return isText ? (cell.textContent || "").trim() : numberIn(cell.dataset.value ?? cell.textContent);
    };
    const keyed = [...body.rows].map((row, place) => ({ row, place, key: value(row) }));
    const empty = (key) => (isText ? key === "" || key === "\u2013" : Number.isNaN(key));
    keyed.sort((a, b) => {
      if (empty(a.key) || empty(b.key)) return empty(a.key) - empty(b.key) || a.place - b.place;
      const order = isText ? a.key.localeCompare(b.key, "en", { numeric: true }) : a.key - b.key;
      return (ascending ? order : -order) || a.place - b.place;
    });
    body.append(...keyed.map((each) => each.row));
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  }

  const clean = (text) => text.replace(/\u2212/g, "-").replace(/\u00a0/g, " ").replace(/\s+/g, " ").replace(/^\u2013$/, "n/a").trim();
  const asTsv = (table) =>
    [...table.rows].map((row) => [...row.cells].map((cell) => clean(cell.textContent)).join("\t")).join("\n") + "\n";
  const fileName = (table) =>
    ((table.caption ? table.caption.textContent : "") || "table").toLowerCase().replace(/[^a-z0-9]+/g, "_").replace(/^_|_$/g, "").slice(0, 60) + ".tsv";

  async function copy(table, button) {
    let done = true;
    try {
      await navigator.clipboard.writeText(asTsv(table));
    } catch {
      // Older browsers, and pages opened as a file in some.
      const area = document.createElement("textarea");
      area.value = asTsv(table);
      document.body.append(area);
      area.select();
      done = document.execCommand("copy");
      area.remove();
    }
    const words = button.textContent;
    button.textContent = done ? "Copied" : "Not copied";
    setTimeout(() => { button.textContent = words; }, 1500);
  }

  function download(name, text) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/tab-separated-values" }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  function tables() {
    for (const table of document.querySelectorAll("table.data")) {
      const heads = table.tHead ? [...table.tHead.rows[0].cells] : [];
      if (table.tBodies[0].rows.length > 1 && !table.classList.contains("unsorted")) {
        heads.forEach((header, column) => {
          if (!header.textContent.trim()) return;
          const button = document.createElement("button");
          button.type = "button";
          button.append(...header.childNodes);
          header.append(button);
          button.addEventListener("click", () => sortBy(table, column, header));
        });
      }
      const tools = table.closest(".table")?.querySelector(".tools");
      if (!tools) continue;
      if (tools.classList.contains("hides")) {
        const button = document.createElement("button");
        button.type = "button";
        const say = () => { button.textContent = table.classList.contains("whole") ? "Show less" : "Show all columns"; button.setAttribute("aria-expanded", table.classList.contains("whole")); };
        button.addEventListener("click", () => { table.classList.toggle("whole"); say(); scrolling(); });
        say();
        tools.prepend(button);
      }
      for (const [words, act] of [["Copy", copy], ["Download TSV", () => download(fileName(table), asTsv(table))]]) {
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = words;
        button.addEventListener("click", () => act(table, button));
        tools.prepend(button);
      }
    }
  }

  // A region that does not scroll needs no place in the order of the keyboard; an equation keeps its own.
  function scrolling() {
    for (const box of document.querySelectorAll(".scroll:not([role=img])")) {
      if (box.scrollWidth > box.clientWidth + 1) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    }
  }

  function unfoldTarget() {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    let opened = false;
    for (let box = target.closest("details"); box; box = box.parentElement.closest("details")) { opened ||= !box.open; box.open = true; }
    if (opened) target.scrollIntoView();
  }

  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    for (const box of folded) box.open = true;
  });
  addEventListener("afterprint", () => { for (const box of folded) box.open = false; folded = []; });
  addEventListener("hashchange", unfoldTarget);
  addEventListener("resize", scrolling);

  function start() {
    themes();
    tables();
    scrolling();
    document.addEventListener("toggle", scrolling, true);
    unfoldTarget();
  }
  if (document.readyState === "loading") addEventListener("DOMContentLoaded", start); else start();
  globalThis.pharmasl = { download };
})();
