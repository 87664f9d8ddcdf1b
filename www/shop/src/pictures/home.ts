import type { Shape } from "./ink.ts";

const shine = (x: number, y: number, height: number): string =>
  `<rect x="${x}" y="${y}" width="6" height="${height}" rx="3" fill="#fff" opacity=".38"/>`;

export const mug: Shape = (ink) => ({
  under: `<path d="M126 88h9a19 19 0 0 1 0 38h-9" fill="none" stroke="${ink.dark}" stroke-width="11"/>`,
  body: `<path d="M56 72h74v62a22 22 0 0 1-22 22H78a22 22 0 0 1-22-22z"/>`,
  over:
    `<ellipse cx="93" cy="72" rx="37" ry="8" fill="${ink.dark}"/><ellipse cx="93" cy="73" rx="31" ry="5.5" fill="${ink.twist % 2 ? "#6d4a35" : "#b9824c"}"/>` +
    shine(65, 88, 44) +
    (ink.twist > 1
      ? `<path d="M82 56q-6-8 0-15M100 56q-6-8 0-15" fill="none" stroke="#fff" stroke-width="4" stroke-linecap="round" opacity=".7"/>`
      : ""),
});

export const lamp: Shape = (ink) =>
  ink.twist % 2 === 0
    ? {
        under: `<path d="M97 100h6v50h-6z" fill="${ink.wood}"/><rect x="70" y="147" width="60" height="10" rx="5" fill="${ink.wood}"/>`,
        body: `<path d="M76 46h48q4 0 5 4l17 52H54l17-52q1-4 5-4z"/>`,
        over: `<ellipse cx="100" cy="102" rx="46" ry="6" fill="${ink.glow}"/>`,
      }
    : {
        under: `<path d="M99 20h2v48h-2z" fill="${ink.line}"/><path d="M62 122 34 164h132l-28-42z" fill="${ink.glow}" opacity=".45"/>`,
        body: `<path d="M48 122a52 56 0 0 1 104 0z"/>`,
        over: `<rect x="92" y="58" width="16" height="12" rx="4" fill="${ink.gold}"/><ellipse cx="100" cy="122" rx="52" ry="6" fill="${ink.dark}"/><circle cx="100" cy="126" r="10" fill="${ink.glow}"/>`,
      };

export const rug: Shape = (ink) => ({
  under: `<path d="M50 78v-7m12 7v-7m12 7v-7m12 7v-7m12 7v-7m12 7v-7m12 7v-7m12 7v-7m12 7v-7M28 152v7m16-7v7m16-7v7m16-7v7m16-7v7m16-7v7m16-7v7m16-7v7m16-7v7m16-7v7" stroke="${ink.dark}" stroke-width="3"/>`,
  body: `<path d="M48 76h104l22 78H26z"/>`,
  over:
    `<path d="M57 86h86l17 58H40z" fill="none" stroke="${ink.paper}" stroke-width="4" opacity=".85"/>` +
    (ink.twist > 1
      ? `<path d="m100 98 24 17-24 17-24-17z" fill="${ink.dark}"/><path d="m100 107 11 8-11 8-11-8z" fill="${ink.paper}"/>`
      : ""),
});

export const textile: Shape = (ink) => ({
  under: `<rect x="42" y="126" width="116" height="30" rx="15" fill="${ink.dark}"/>`,
  body: `<rect x="46" y="98" width="108" height="30" rx="15"/><rect x="50" y="70" width="100" height="30" rx="15"/>`,
  over:
    `<path d="M62 85h72M58 113h78M56 141h84" stroke="#fff" stroke-width="3" stroke-linecap="round" opacity=".45"/>` +
    `<path d="M92 62h16v96H92z" fill="${ink.paper}" opacity=".85"/>`,
});

export const cushion: Shape = (ink) => ({
  body: `<path d="M54 58q46 12 92 0q10-2 8 9-9 38 0 80 2 11-8 9-46-12-92 0-10 2-8-9 9-42 0-80-2-11 8-9z"/>`,
  over:
    `<path d="M64 70q36 8 72 0M64 144q36-8 72 0" fill="none" stroke="#fff" stroke-width="3" stroke-linecap="round" opacity=".4"/>` +
    (ink.twist % 2 ? `<circle cx="100" cy="107" r="6" fill="${ink.deep}"/>` : ""),
});

export const sofa: Shape = (ink) => ({
  under: `<path d="M52 142l-6 18M148 142l6 18" stroke="${ink.wood}" stroke-width="7" stroke-linecap="round"/>`,
  body: `<rect x="46" y="70" width="108" height="62" rx="18"/><rect x="32" y="98" width="28" height="48" rx="13"/><rect x="140" y="98" width="28" height="48" rx="13"/>`,
  over: `<rect x="56" y="110" width="88" height="36" rx="9" fill="${ink.dark}"/><path d="M100 112v32M100 76v32" stroke="${ink.deep}" stroke-width="2.5" opacity=".6"/><path d="M62 118h30M108 118h28" stroke="#fff" stroke-width="3" stroke-linecap="round" opacity=".3"/>`,
});

export const chair: Shape = (ink) => ({
  under: `<path d="M74 118 66 160M126 118l8 42M84 116v38M116 116v38" stroke="${ink.wood}" stroke-width="6" stroke-linecap="round"/>`,
  body: `<path d="M70 44h60q8 0 7 8l-5 44H68l-5-44q-1-8 7-8z"/><rect x="60" y="100" width="80" height="22" rx="10"/>`,
  over: `<path d="M68 96h64l-1 8H69z" fill="${ink.deep}" opacity=".35"/><path d="M70 107h44" stroke="#fff" stroke-width="3" stroke-linecap="round" opacity=".4"/>`,
});

export const table: Shape = (ink) => ({
  under: `<path d="M60 92 50 158M140 92l10 66" stroke="${ink.wood}" stroke-width="8" stroke-linecap="round"/>`,
  body: `<rect x="32" y="80" width="136" height="16" rx="8"/><rect x="62" y="96" width="76" height="20" rx="4"/>`,
  over: `<circle cx="100" cy="106" r="3.5" fill="${ink.gold}"/><path d="M82 80v-16q0-6 6-6t6 6v16z" fill="${ink.paper}"/><path d="M88 58q-8-12-2-22M88 58q8-10 10-18" fill="none" stroke="${ink.leaf}" stroke-width="4" stroke-linecap="round"/>`,
});

export const pot: Shape = (ink) => ({
  under: `<rect x="30" y="98" width="140" height="13" rx="6.5" fill="${ink.deep}"/>`,
  body: `<path d="M48 90h104v44a22 22 0 0 1-22 22H70a22 22 0 0 1-22-22z"/>`,
  over: `<path d="M46 90q4-30 54-30t54 30z" fill="${ink.dark}"/><circle cx="100" cy="55" r="8" fill="${ink.gold}"/><path d="M44 87h112v7H44z" fill="${ink.deep}"/>${shine(60, 104, 34)}`,
});

export const pan: Shape = (ink) => ({
  under: `<path d="m128 110 44-34" stroke="${ink.wood}" stroke-width="13" stroke-linecap="round"/>`,
  body: `<circle cx="88" cy="112" r="52"/>`,
  over: `<circle cx="88" cy="112" r="39" fill="${ink.deep}"/><path d="M66 100q22-22 40 2 14 22-8 28-24 8-34-8-5-10 2-22z" fill="${ink.paper}"/><circle cx="86" cy="112" r="10" fill="#efb340"/>`,
});

export const plate: Shape = (ink) => ({
  body: `<circle cx="100" cy="98" r="62"/>`,
  over:
    `<circle cx="100" cy="98" r="60.5" fill="none" stroke="${ink.dark}" stroke-width="3"/>` +
    `<circle cx="100" cy="98" r="40" fill="${ink.light}" stroke="${ink.dark}" stroke-width="2"/>` +
    `<path d="M72 84q8-14 22-18" fill="none" stroke="#fff" stroke-width="5" stroke-linecap="round" opacity=".55"/>`,
});

export const bowl: Shape = (ink) => ({
  under: `<circle cx="82" cy="86" r="17" fill="#d9604f"/><circle cx="108" cy="82" r="19" fill="#e9a545"/><circle cx="130" cy="90" r="13" fill="${ink.leaf}"/>`,
  body: `<path d="M36 92h128q0 44-38 62H74Q36 136 36 92z"/>`,
  over: `<path d="M33 88h134q4 0 4 4t-4 4H33q-4 0-4-4t4-4z" fill="${ink.dark}"/><path d="M76 152h48v6H76z" fill="${ink.deep}"/>`,
});

export const utensils: Shape = (ink) => ({
  under:
    `<path d="M82 100 70 52M100 100V44M118 100l12-46" stroke="${ink.wood}" stroke-width="6" stroke-linecap="round"/>` +
    `<ellipse cx="68" cy="46" rx="11" ry="15" fill="${ink.wood}" transform="rotate(-14 68 46)"/><rect x="90" y="26" width="20" height="30" rx="6" fill="${ink.metal}"/><ellipse cx="132" cy="46" rx="10" ry="15" fill="${ink.metal}" transform="rotate(14 132 46)"/>`,
  body: `<path d="M66 92h68l-5 56q-1 8-9 8H80q-8 0-9-8z"/>`,
  over: `<rect x="63" y="88" width="74" height="10" rx="5" fill="${ink.dark}"/>${shine(76, 106, 38)}`,
});

export const plant: Shape = (ink) => ({
  under:
    ink.twist % 2 === 0
      ? `<path d="M100 116q-40-6-46-46 38 2 46 46zM100 116q40-8 46-50-40 4-46 50z" fill="${ink.leaf}"/><path d="M100 118q-20-40 0-78 20 38 0 78z" fill="#93bd7b"/>`
      : `<path d="M100 116V58M100 92 76 70M100 84l26-24" stroke="#5f8a4d" stroke-width="5" stroke-linecap="round"/><circle cx="72" cy="66" r="15" fill="${ink.leaf}"/><circle cx="100" cy="50" r="18" fill="#93bd7b"/><circle cx="130" cy="58" r="15" fill="${ink.leaf}"/>`,
  body: `<path d="M64 116h72l-8 34q-2 7-9 7H81q-7 0-9-7z"/>`,
  over: `<rect x="60" y="108" width="80" height="14" rx="6" fill="${ink.dark}"/>`,
});

export const wateringCan: Shape = (ink) => ({
  under: `<path d="M74 88q0-34 26-34t26 34" fill="none" stroke="${ink.dark}" stroke-width="9"/><path d="M126 132 164 84" stroke="${ink.dark}" stroke-width="12"/><path d="m152 78 22 14-4 8-26-16z" fill="${ink.deep}"/>`,
  body: `<path d="M62 86h70l6 62q0 8-8 8H64q-8 0-8-8z"/>`,
  over: `<rect x="58" y="82" width="78" height="9" rx="4.5" fill="${ink.deep}"/>${shine(68, 98, 40)}`,
});

export const clock: Shape = (ink) => ({
  under: `<path d="m70 150-9 12M130 150l9 12" stroke="${ink.wood}" stroke-width="8" stroke-linecap="round"/>`,
  body: `<circle cx="100" cy="104" r="54"/>`,
  over: `<circle cx="100" cy="104" r="41" fill="${ink.paper}"/><path d="M100 68v6M100 134v6M64 104h6M130 104h6" stroke="${ink.line}" stroke-width="3" stroke-linecap="round"/><path d="M100 104V80M100 104l${ink.twist > 1 ? "17 9" : "-16 8"}" stroke="${ink.line}" stroke-width="5" stroke-linecap="round"/><circle cx="100" cy="104" r="4.5" fill="${ink.dark}"/>`,
});

export const vase: Shape = (ink) => ({
  under: `<path d="M98 66Q92 44 74 36M100 66q2-24 0-38M103 66q6-18 24-26" fill="none" stroke="#5f8a4d" stroke-width="4"/><circle cx="72" cy="34" r="9" fill="#e9a0a8"/><circle cx="100" cy="26" r="10" fill="#f0c269"/><circle cx="130" cy="38" r="9" fill="#e9a0a8"/>`,
  body: `<path d="M86 62h28q-3 12 8 26 18 22 10 46-6 22-20 22H88q-14 0-20-22-8-24 10-46 11-14 8-26z"/>`,
  over: `<rect x="82" y="58" width="36" height="8" rx="4" fill="${ink.dark}"/><path d="M82 100q-8 16 0 32" fill="none" stroke="#fff" stroke-width="5" stroke-linecap="round" opacity=".4"/>`,
});

export const candle: Shape = (ink) => ({
  under: `<path d="M100 88V74" stroke="${ink.line}" stroke-width="3"/><path d="M100 76q-11-10 0-28 11 18 0 28z" fill="#f2b64c"/>`,
  body: `<path d="M68 90h64v56q0 10-10 10H78q-10 0-10-10z"/>`,
  over: `<ellipse cx="100" cy="90" rx="32" ry="7" fill="${ink.light}"/><rect x="80" y="112" width="40" height="24" rx="4" fill="${ink.paper}"/><path d="M88 121h24M92 128h16" stroke="${ink.dark}" stroke-width="2.5" stroke-linecap="round"/>`,
});

export const frame: Shape = (ink) => ({
  body: `<path fill-rule="evenodd" d="M46 44h108v114H46z"/>`,
  over: `<path d="M58 56h84v90H58z" fill="${ink.paper}"/><circle cx="${ink.twist % 2 ? 84 : 116}" cy="86" r="13" fill="#efb45c"/><path d="M58 146v-24l24-24 22 22 14-13 24 24v15z" fill="${ink.light}"/><path d="M58 146v-12l30-14 54 20v6z" fill="${ink.dark}"/>`,
});

export const box: Shape = (ink) => ({
  body: `<path d="M44 92h112v54q0 10-10 10H54q-10 0-10-10z"/>`,
  over: `<rect x="38" y="76" width="124" height="22" rx="7" fill="${ink.dark}"/><rect x="82" y="114" width="36" height="16" rx="8" fill="${ink.paper}"/><rect x="88" y="119" width="24" height="6" rx="3" fill="${ink.dark}"/>`,
});

export const house: Shape = (ink) => ({
  under: `<rect x="124" y="56" width="16" height="34" rx="3" fill="${ink.deep}"/>`,
  body: `<path d="M52 96h96v60H52z"/>`,
  over: `<path d="m100 44 64 52q3 6-4 6H40q-7 0-4-6z" fill="${ink.dark}"/><path d="M88 156v-30a12 12 0 0 1 24 0v30z" fill="${ink.paper}"/><rect x="62" y="112" width="16" height="16" rx="3" fill="${ink.glow}"/><rect x="122" y="112" width="16" height="16" rx="3" fill="${ink.glow}"/>`,
});
