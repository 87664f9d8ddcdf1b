/** How `<onshelf-shelf>` looks: a page changes it by the custom properties below, or by `::part(…)`. */
export const STYLE = `
:host {
  --accent: var(--onshelf-accent, currentColor);
  --text: var(--onshelf-text, inherit);
  --line: var(--onshelf-line, color-mix(in srgb, currentColor 25%, transparent));
  --radius: var(--onshelf-radius, 0.5rem);
  --gap: var(--onshelf-gap, 1rem);
  --item-size: var(--onshelf-item-size, 9.5rem);
  display: block;
  color: var(--text);
  font: var(--onshelf-font, inherit);
}
:host([hidden]) { display: none; }
* { box-sizing: border-box; }
[part="heading"] { font-size: 1.25em; margin: 0 0 0.75em; }
ul { list-style: none; margin: 0; padding: 0; gap: var(--gap); }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(var(--item-size), 100%), 1fr)); }
:host([layout="row"]) .cards {
  display: flex; overflow-x: auto; scroll-snap-type: x proximity; padding-block-end: 0.5em;
}
:host([layout="row"]) li { flex: 0 0 var(--item-size); scroll-snap-align: start; }
a { display: grid; gap: 0.35em; color: inherit; text-decoration: none; border-radius: var(--radius); block-size: 100%; align-content: start; }
a:hover .name { text-decoration: underline; }
a:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
img { inline-size: 100%; block-size: auto; aspect-ratio: 1; object-fit: cover; border-radius: var(--radius); border: 1px solid var(--line); }
.name { overflow-wrap: anywhere; }
.price { font-weight: 600; font-variant-numeric: tabular-nums; }
[hidden] { display: none; }
@media (prefers-reduced-motion: no-preference) {
  .new { animation: come 0.25s ease-out; }
  @keyframes come { from { opacity: 0; } }
  :host([layout="row"]) .cards { scroll-behavior: smooth; }
}
`;
