/** How `<onshelf-privacy>` looks: a page changes it by the custom properties below, or by `::part(…)`. */
export const STYLE = `
:host {
  --accent: var(--onshelf-accent, #0b57d0);
  --text: var(--onshelf-text, CanvasText);
  --ground: var(--onshelf-ground, Canvas);
  --line: var(--onshelf-line, color-mix(in srgb, var(--text) 55%, var(--ground)));
  --radius: var(--onshelf-radius, 0.5rem);
  display: block;
  color: var(--text);
  background: var(--ground);
  font: var(--onshelf-font, inherit);
}
@supports (color: light-dark(#000, #fff)) {
  :host { --accent: var(--onshelf-accent, light-dark(#0b57d0, #8ab4f8)); }
}
:host([hidden]) { display: none; }
* { box-sizing: border-box; }
h2 { font-size: 1.25em; margin: 0 0 0.75em; }
h3 { font-size: 1em; margin: 1.25em 0 0.5em; }
p { margin: 0.5em 0; }
fieldset { border: 1px solid var(--line); border-radius: var(--radius); margin: 0; padding: 0.75em 1em; }
label { display: grid; grid-template-columns: auto 1fr; gap: 0.1em 0.6em; padding: 0.35em 0; align-items: baseline; }
label small { grid-column: 2; font-size: 0.875em; }
input { accent-color: var(--accent); inline-size: 1.1em; block-size: 1.1em; }
ul { list-style: none; margin: 0; padding: 0; }
li { display: grid; grid-template-columns: minmax(8em, 1fr) 2fr auto; gap: 0.75em; padding: 0.25em 0; align-items: center; }
summary { cursor: pointer; padding: 0.35em 0; }
details li { grid-template-columns: 1fr auto; overflow-wrap: anywhere; }
.bar { block-size: 0.6em; border: 1px solid var(--line); border-radius: 1em; overflow: hidden; }
.bar span { display: block; block-size: 100%; inline-size: calc(var(--share) * 100%); background: var(--accent); }
.bar + span { min-inline-size: 3em; text-align: end; font-variant-numeric: tabular-nums; }
.buttons { display: flex; flex-wrap: wrap; gap: 0.5em; margin-block-start: 1em; }
button {
  font: inherit; color: inherit; background: var(--ground); cursor: pointer; min-block-size: 2.5em;
  border: 1px solid var(--line); border-radius: var(--radius); padding: 0.4em 0.9em;
}
button:disabled { cursor: default; opacity: 0.6; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
[hidden] { display: none; }
`;
