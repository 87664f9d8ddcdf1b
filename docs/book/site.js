// What mdBook's pages lack for who uses them without a mouse.
"use strict";

(() => {
  const make = (tag, properties) => Object.assign(document.createElement(tag), properties);

  // Past the menu to the text at once.
  const main = document.querySelector("main");
  main.id ||= "main";
  main.tabIndex = -1;
  document.body.prepend(
    make("a", { className: "skip", href: `#${main.id}`, textContent: "Skip to the text" }),
  );

  // The button of the table of contents is a label, which a keyboard does not reach.
  const toggle = document.getElementById("mdbook-sidebar-toggle");
  toggle.setAttribute("role", "button");
  toggle.tabIndex = 0;
  toggle.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    toggle.click();
  });

  // What scrolls sideways can be scrolled by the keyboard, and says what it is.
  const scrollers = document.querySelectorAll("main pre > code, main .table-wrapper");
  const mark = () => {
    for (const one of scrollers) {
      const scrolls = one.scrollWidth > one.clientWidth;
      if (scrolls === one.hasAttribute("tabindex")) continue;
      if (scrolls) {
        one.setAttribute("tabindex", "0");
        one.setAttribute("role", "group");
        one.setAttribute("aria-label", one.matches("code") ? "Code" : "Table");
      } else {
        for (const name of ["tabindex", "role", "aria-label"]) one.removeAttribute(name);
      }
    }
  };
  addEventListener("resize", mark);
  mark();

  // Arrows turn the pages, but not where they scroll. Letters alone do nothing (WCAG 2.1.4): speech input, or a
  // key hit by mistake, would open the search and its help.
  const keys = (event) => {
    const { key, target, ctrlKey, altKey, metaKey } = event;
    const scrolls = /^Arrow(Left|Right)$/.test(key) && target.closest("[role=group]") !== null;
    const letter = key.length === 1 && key !== " " && !(ctrlKey || altKey || metaKey);
    if (scrolls || (letter && target.closest("input") === null)) event.stopPropagation();
  };
  addEventListener("keydown", keys, { capture: true });
  const search = document.getElementById("mdbook-search-toggle");
  search?.removeAttribute("aria-keyshortcuts");
  search?.setAttribute("title", "Search");
})();
