// What weighs what in a module, by crate, largest first: reads what `twiggy top -f csv` prints from standard input.
import { readFileSync } from "node:fs";

const LISTED = 16;
const rows = readFileSync(0, "utf8").trim().split("\n").slice(1);
const sums = new Map();
let all = 0;
for (const row of rows) {
  // Name,ShallowSize,ShallowSizePercent; names may hold commas and quotes.
  const [, name, size] = /^(.*),(\d+),[\d.]+%?(?:,.*)?$/.exec(row) ?? [];
  // Names, and what wasm-bindgen's tool reads, are not in what ships.
  if (size === undefined || /^Σ|function names|^custom section/.test(name.replace(/^"+/, "")))
    continue;
  const crate = /^"*data segment/.test(name)
    ? "(data)"
    : (/[a-z_][a-z0-9_]*(?=::|\[)/i.exec(name.replace(/^"/, ""))?.[0] ?? "(other)");
  sums.set(crate, (sums.get(crate) ?? 0) + Number(size));
  all += Number(size);
}
const sorted = [...sums].sort((a, b) => b[1] - a[1]);
for (const [crate, size] of sorted.slice(0, LISTED)) {
  console.log(
    `${String(size).padStart(9)}  ${((100 * size) / all).toFixed(1).padStart(5)} %  ${crate}`,
  );
}
const rest = sorted.slice(LISTED).reduce((sum, [, size]) => sum + size, 0);
console.log(
  `${String(rest).padStart(9)}  ${((100 * rest) / all).toFixed(1).padStart(5)} %  ${sorted.length - LISTED} others`,
);
