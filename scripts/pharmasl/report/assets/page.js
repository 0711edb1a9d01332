// The study's page: which section is read is marked in the list of sections, which folds away on a small screen.
addEventListener("DOMContentLoaded", () => {
  "use strict";
  const menu = document.querySelector("details.menu");
  const links = new Map([...menu.querySelectorAll("a")].map((link) => [link.hash.slice(1), link]));
  const headings = [...links.keys()].map((id) => document.getElementById(id)).filter(Boolean);
  const small = matchMedia("(max-width: 1099px)");
  menu.addEventListener("click", (event) => { if (small.matches && event.target.closest("a")) menu.open = false; });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape" && menu.open) { menu.open = false; menu.querySelector("summary").focus(); } });

  let waiting = false;
  function mark() {
    waiting = false;
    const line = innerHeight / 3;
    const current = headings.filter((heading) => heading.getBoundingClientRect().top < line).at(-1);
    for (const [id, link] of links) {
      if (current && id === current.id) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  }
  addEventListener("scroll", () => { if (!waiting) { waiting = true; requestAnimationFrame(mark); } }, { passive: true });
  mark();
});
