// Ratings of scans: kept by this browser where it may, downloaded as a table, loaded from one. No request leaves the page.
(() => {
  "use strict";
  const at = (id) => document.getElementById(id);
  const links = [...document.querySelectorAll("a[data-scan]")];
  const names = links.map((link) => link.dataset.scan);
  const byName = new Map(links.map((link) => [link.dataset.scan, link]));
  const columns = document.body.dataset.columns.split(" ");
  // Pages of several studies may share one store: each has its own place in it.
  const KEY = `pharmasl-ratings ${document.body.dataset.key} ${location.pathname}`;
  const frame = at("frame"), reason = at("reason"), rater = at("rater"), message = at("message");
  let ratings = new Map(), current = null, remembers = true, unsaved = false;
  // The scan whose page the frame shows: the chosen one only once its page has said so. None is rated before it is seen.
  let showing = null;
  const LOADING = "This scan's page is still loading: rate it when you see it.";
  // Where the letters go that were typed into the frame after "p" or "r", before the field had the keyboard.
  let typing = null;

  function remember() {
    try { localStorage.setItem(KEY, JSON.stringify({ rater: rater.value, ratings: [...ratings] })); } catch { remembers = false; }
  }
  function recall() {
    try {
      const kept = JSON.parse(localStorage.getItem(KEY) || "null");
      localStorage.setItem(KEY + " ?", "");
      localStorage.removeItem(KEY + " ?");
      if (!kept) return;
      rater.value = String(kept.rater || "");
      ratings = new Map(kept.ratings.filter(([name]) => byName.has(name)));
    } catch { remembers = false; }
  }

  function paint() {
    for (const link of links) {
      const own = ratings.get(link.dataset.scan);
      if (own) link.dataset.rating = own.rating; else delete link.dataset.rating;
      link.querySelector(".rated").textContent = own ? ` rated ${own.rating}${own.reason ? `: ${own.reason}` : ""}` : " not rated";
      if (link.dataset.scan === current) link.setAttribute("aria-current", "true"); else link.removeAttribute("aria-current");
      const wanted = { all: true, unrated: !own, look: link.dataset.state !== "used", poor: own?.rating === "poor" }[at("filter").value];
      link.parentElement.hidden = !wanted;
    }
    for (const person of document.querySelectorAll(".person")) person.hidden = !person.querySelector("li:not([hidden])");
    const done = ratings.size, poor = [...ratings.values()].filter((own) => own.rating === "poor").length;
    document.querySelector("progress").value = done;
    at("progress").textContent = `${done} of ${names.length} rated${poor ? `, ${poor} poor` : ""}`;
    const own = ratings.get(current);
    at("good").setAttribute("aria-pressed", String(own?.rating === "good"));
    at("poor").setAttribute("aria-pressed", String(own?.rating === "poor"));
    for (const id of ["good", "poor", "save"]) at(id).setAttribute("aria-disabled", String(current === null || showing !== current));
    at("undo").disabled = !own;
    if (!remembers) message.textContent = "This browser keeps nothing: download the ratings before you close the page.";
  }

  function choose(name) {
    if (!byName.has(name)) return;
    current = name;
    showing = typing = null;
    const link = byName.get(name), person = link.closest(".person").querySelector("strong").textContent;
    at("current").textContent = `${person}, ${link.querySelector(".words").textContent}`;
    at("verdict").textContent = link.querySelector(".state")?.textContent ?? "";
    reason.value = ratings.get(name)?.reason ?? "";
    reason.removeAttribute("aria-invalid");
    frame.contentWindow.location.replace(link.href);
    try { history.replaceState(null, "", `#${encodeURIComponent(name)}`); } catch { /* some browsers forbid it in files */ }
    link.scrollIntoView({ block: "nearest" });
    paint();
  }
  function shown() { return names.filter((name) => !byName.get(name).parentElement.hidden || name === current); }
  function step(by) {
    const list = shown(), place = list.indexOf(current);
    const next = list[place + by];
    if (next) choose(next);
  }
  function nextUnrated() {
    const start = names.indexOf(current);
    const next = [...names.slice(start + 1), ...names.slice(0, start + 1)].find((name) => !ratings.has(name));
    if (next) choose(next); else message.textContent = "All scans are rated: download the table.";
  }
  function onward() { if (names.some((name) => !ratings.has(name))) nextUnrated(); else { paint(); message.textContent = "All scans are rated: download the table."; } }

  const plain = (text) => text.replace(/[\t\r\n"]+/g, " ").replace(/;/g, ",").trim();
  function rate(rating) {
    if (current === null) return;
    if (showing !== current) { message.textContent = LOADING; return; }
    const why = plain(reason.value);
    if (rating === "poor" && !why) {
      reason.setAttribute("aria-invalid", "true");
      message.textContent = "A poor rating needs its reason.";
      at("poor").setAttribute("aria-pressed", "true");
      reason.focus();
      return;
    }
    ratings.set(current, { rating, reason: why, rater: plain(rater.value) });
    unsaved = true;
    message.textContent = "";
    typing = null;
    // The keys rate the next scan.
    if (document.activeElement === reason) reason.blur();
    remember();
    onward();
  }
  function takeBack() { ratings.delete(current); reason.value = ""; remember(); paint(); }

  function table() {
    const rows = names.filter((name) => ratings.has(name)).map((name) => {
      const own = { scan: name, ...ratings.get(name) };
      return columns.map((column) => own[column] || "n/a").join("\t");
    });
    return [columns.join("\t"), ...rows].join("\n") + "\n";
  }
  function load(text) {
    const lines = text.replace(/^\ufeff/, "").split(/\r\n|\r|\n/).filter((line) => line.trim());
    const head = (lines.shift() ?? "").split("\t").map((cell) => cell.trim());
    if (!["scan", "rating"].every((column) => head.includes(column))) { message.textContent = "Not loaded: the table has no columns scan and rating."; return; }
    let taken = 0, strange = 0;
    for (const line of lines) {
      const cells = line.split("\t").map((cell) => cell.trim()), own = Object.fromEntries(head.map((column, k) => [column, cells[k] === "n/a" ? "" : cells[k] ?? ""]));
      if (byName.has(own.scan) && ["good", "poor"].includes(own.rating)) {
        ratings.set(own.scan, { rating: own.rating, reason: plain(own.reason ?? ""), rater: plain(own.rater ?? "") });
        taken += 1;
      } else strange += 1;
    }
    message.textContent = `${taken} loaded${strange ? `, ${strange} of other scans or without a rating left out` : ""}.`;
    remember();
    if (current) reason.value = ratings.get(current)?.reason ?? "";
    paint();
  }

  // Enter waits for the letters that are under way: the frame answers once it has sent its last.
  function write(field, framed) {
    field.focus();
    typing = { field, place: field.value.length, awaited: framed, entered: false };
    if (framed) frame.contentWindow.postMessage({ pharmasl: "writing" }, "*");
    field.setSelectionRange(typing.place, typing.place);
  }
  // A letter that was typed into the frame stands before those that the field has taken itself since.
  function typed(letter) {
    if (!typing) return;
    const { field, place } = typing;
    if (letter === "Enter") {
      // Nothing that has come since belongs to this field.
      field.value = field.value.slice(0, place);
      enter(field);
    } else if (letter === "Backspace") {
      if (place) { field.setRangeText("", place - 1, place, "preserve"); typing.place -= 1; }
    } else {
      const caret = field.selectionStart + (field.selectionStart >= place ? letter.length : 0);
      field.setRangeText(letter, place, place);
      field.setSelectionRange(caret, caret);
      typing.place += letter.length;
    }
    if (field === rater) remember();
    reason.removeAttribute("aria-invalid");
  }
  function enter(field) { typing = null; if (field === reason) rate("poor"); else field.blur(); }
  function lastTyped() {
    if (!typing) return;
    typing.awaited = false;
    if (typing.entered) enter(typing.field);
  }
  function poor(framed) {
    if (current === null) return;
    if (showing !== current) { message.textContent = LOADING; return; }
    at("poor").setAttribute("aria-pressed", "true");
    if (reason.value) rate("poor"); else write(reason, framed);
  }
  function key(pressed, framed) {
    const acts = { g: () => rate("good"), p: () => poor(framed), u: takeBack, n: nextUnrated, ArrowLeft: () => step(-1), ArrowRight: () => step(1), r: () => write(rater, framed) };
    if (acts[pressed]) { acts[pressed](); return true; }
    return false;
  }

  for (const link of links) link.addEventListener("click", (event) => { event.preventDefault(); choose(link.dataset.scan); });
  at("good").addEventListener("click", () => rate("good"));
  at("poor").addEventListener("click", () => rate("poor"));
  at("form").addEventListener("submit", (event) => { event.preventDefault(); rate(reason.value.trim() || at("poor").getAttribute("aria-pressed") === "true" ? "poor" : "good"); });
  at("previous").addEventListener("click", () => step(-1));
  at("next").addEventListener("click", () => step(1));
  at("unrated").addEventListener("click", nextUnrated);
  at("undo").addEventListener("click", takeBack);
  at("filter").addEventListener("change", paint);
  rater.addEventListener("change", remember);
  for (const field of [rater, reason]) field.addEventListener("keydown", (event) => {
    // What is typed between Enter and the last letter under way would stand in the wrong scan's reason.
    if (typing?.entered) { event.preventDefault(); return; }
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault();
    if (typing?.field === field && typing.awaited) typing.entered = true; else enter(field);
  });
  reason.addEventListener("input", () => reason.removeAttribute("aria-invalid"));
  at("download").addEventListener("click", () => { pharmasl.download("ratings.tsv", table()); unsaved = false; });
  at("load").addEventListener("change", async (event) => {
    const file = event.target.files[0];
    if (file) load(await file.text());
    event.target.value = "";
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) return;
    // A key that is held down moves on through the scans, but rates one.
    if (event.repeat && !event.key.startsWith("Arrow")) return;
    if (key(event.key, false)) event.preventDefault();
  });
  addEventListener("message", (event) => {
    if (event.source !== frame.contentWindow) return;
    const { pharmasl: kind, scan, key: pressed } = event.data ?? {};
    if (kind === "shown" && scan === current) {
      showing = scan;
      if (message.textContent === LOADING) message.textContent = "";
      paint();
    }
    // A key rates the scan on whose page it was pressed: it may arrive when the next has been chosen.
    if (kind === "typed" && scan === current) typed(pressed);
    if (kind === "written" && scan === current) lastTyped();
    if (kind !== "key" || (["g", "p", "u"].includes(pressed) && scan !== current)) return;
    if (["p", "r"].includes(pressed)) window.focus();
    key(pressed, true);
  });
  document.querySelector("button.theme").addEventListener("click", () => {
    setTimeout(() => frame.contentWindow.postMessage({ pharmasl: "theme", theme: document.documentElement.dataset.theme }, "*"));
  });
  addEventListener("beforeunload", (event) => { if (unsaved && !remembers) event.preventDefault(); });
  addEventListener("hashchange", () => choose(decodeURIComponent(location.hash.slice(1))));

  recall();
  if (matchMedia("(max-width: 800px)").matches) at("list").open = false;
  const asked = decodeURIComponent(location.hash.slice(1));
  choose(byName.has(asked) ? asked : names.find((name) => !ratings.has(name)) ?? names[0]);
  paint();
})();
