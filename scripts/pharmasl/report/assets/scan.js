(function () {
  "use strict";
  var root = document.documentElement;
  root.classList.add("js");

  // Outlines on and off.
  document.querySelectorAll("input[data-line]").forEach(function (box) {
    box.addEventListener("change", function () { root.classList.toggle("no-" + box.dataset.line, !box.checked); });
  });
  function allLines() {
    var boxes = document.querySelectorAll("input[data-line]");
    var shown = Array.prototype.some.call(boxes, function (box) { return box.checked; });
    boxes.forEach(function (box) { box.checked = !shown; box.dispatchEvent(new Event("change")); });
  }

  // Two images that take turns: at once a second at most, and only when asked.
  var overlays = Array.prototype.map.call(document.querySelectorAll(".overlay"), function (figure) {
    var now = figure.querySelector(".now"), button = figure.querySelector("[data-do=flicker]"), timer = null;
    function show(swapped) {
      figure.classList.toggle("swapped", swapped);
      now.textContent = swapped ? figure.dataset.above : figure.dataset.below;
    }
    function swap() { show(!figure.classList.contains("swapped")); }
    function run(on) {
      if (timer) { clearInterval(timer); timer = null; }
      if (on) { timer = setInterval(swap, 700); }
      now.setAttribute("aria-live", on ? "off" : "polite");
      button.setAttribute("aria-pressed", String(on));
    }
    figure.querySelector("[data-do=swap]").addEventListener("click", function () { run(false); swap(); });
    button.addEventListener("click", function () { run(!timer); });
    show(false);
    return { swap: function () { run(false); swap(); }, toggle: function () { run(!timer); }, stop: function () { run(false); } };
  });

  document.querySelectorAll("button[data-copy]").forEach(function (button) {
    button.addEventListener("click", function () {
      var text = document.getElementById(button.dataset.copy).textContent, done = function () { button.textContent = "Copied"; };
      if (navigator.clipboard && window.isSecureContext) { navigator.clipboard.writeText(text).then(done, select); } else { select(); }
      function select() {
        var range = document.createRange();
        range.selectNodeContents(document.getElementById(button.dataset.copy));
        getSelection().removeAllRanges();
        getSelection().addRange(range);
        if (document.execCommand && document.execCommand("copy")) { done(); }
      }
    });
  });

  // Keys; those of the reviewing page are handed on to it, with the scan that is seen.
  function tell(kind, key) { window.parent.postMessage({ pharmasl: kind, scan: document.body.dataset.scan, key: key }, "*"); }
  // After "p" or "r" a word is typed: until the field over there has the keyboard, its letters come here.
  var writing = false;
  function here() { writing = false; }
  window.addEventListener("blur", here);
  document.addEventListener("pointerdown", here);
  document.addEventListener("keydown", function (event) {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName) && event.target.type !== "checkbox") { return; }
    if (writing && (/^(Backspace|Enter)$/.test(event.key) || Array.from(event.key).length === 1)) {
      event.preventDefault();
      tell("typed", event.key);
      return;
    }
    here();
    if (event.repeat && !/^Arrow/.test(event.key)) { return; }
    if (event.key === "f") { overlays.forEach(function (own) { own.toggle(); }); }
    else if (event.key === "x") { overlays.forEach(function (own) { own.swap(); }); }
    else if (event.key === "o") { allLines(); }
    else if (window.parent !== window && /^[gpunr]$|^Arrow(Left|Right)$/.test(event.key)) {
      event.preventDefault();
      writing = /^[pr]$/.test(event.key);
      tell("key", event.key);
    }
  });
  if (window.parent !== window) {
    root.classList.add("framed");
    window.addEventListener("message", function (event) {
      var sent = event.data || {};
      if (event.source === window.parent && sent.pharmasl === "theme" && /^(light|dark)$/.test(sent.theme)) { root.dataset.theme = sent.theme; }
      // The field over there has asked for the keyboard: what was typed here before is sent.
      if (event.source === window.parent && sent.pharmasl === "writing") { tell("written"); }
    });
  }

  if (window.parent !== window) { tell("shown"); }

  // Print shows both images at once.
  window.addEventListener("beforeprint", function () { overlays.forEach(function (own) { own.stop(); }); });
})();
