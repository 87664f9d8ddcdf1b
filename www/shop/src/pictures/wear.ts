import type { Shape } from "./ink.ts";

export const sneaker: Shape = (ink) => ({
  under: `<path d="M30 138h142q2 18-14 18H42q-12 0-12-18z" fill="${ink.paper}"/>`,
  body: `<path d="M32 138V94q0-8 8-8 14 12 30 0l14-10 28 28q10 8 30 10 30 4 30 24z"/>`,
  over:
    `<path d="M84 76q8 4 12 0l-14 24zM32 138V116q26 0 32 22z" fill="${ink.dark}"/>` +
    `<path d="m94 90-14 8m24 2-14 9m25 0-14 10" stroke="${ink.paper}" stroke-width="5" stroke-linecap="round"/><path d="M30 147h142" stroke="${ink.dark}" stroke-width="3" opacity=".6"/>`,
});

export const boot: Shape = (ink) => ({
  under: `<path d="M52 144h114v6q0 8-8 8H60q-8 0-8-8z" fill="${ink.line}"/>`,
  body: `<path d="M54 146V48q0-6 6-6h42q6 0 6 6v44q4 14 30 16 28 4 28 38z"/>`,
  over: `<rect x="52" y="40" width="58" height="14" rx="6" fill="${ink.light}"/><path d="M92 66H78m16 14H80m18 14H84" stroke="${ink.paper}" stroke-width="5" stroke-linecap="round"/><path d="M54 146v-24q22 2 26 24z" fill="${ink.dark}"/>`,
});

export const sandal: Shape = (ink) => ({
  under: `<path d="M50 140q-8-44 26-52l34 26" fill="none" stroke="${ink.dark}" stroke-width="10" stroke-linecap="round" stroke-linejoin="round"/>`,
  body: `<path d="M88 140q4-42 40-46 34 4 42 42z"/>`,
  over: `<path d="M28 136q72 8 148-4 4 24-14 24H44q-16 0-16-20z" fill="${ink.wood}"/><path d="M30 148q70 8 142-2" fill="none" stroke="#fff" stroke-width="3" opacity=".45"/><circle cx="76" cy="90" r="7" fill="${ink.gold}"/>`,
});

export const backpack: Shape = (ink) => ({
  under: `<path d="M82 56q0-20 18-20t18 20" fill="none" stroke="${ink.deep}" stroke-width="8"/><rect x="40" y="100" width="24" height="46" rx="11" fill="${ink.deep}"/><rect x="136" y="100" width="24" height="46" rx="11" fill="${ink.deep}"/>`,
  body: `<path d="M54 92q0-42 46-42t46 42v50q0 14-14 14H68q-14 0-14-14z"/>`,
  over: `<rect x="68" y="104" width="64" height="42" rx="11" fill="${ink.dark}"/><path d="M76 116h48" stroke="${ink.paper}" stroke-width="4" stroke-linecap="round"/><path d="M64 84q36 12 72 0" fill="none" stroke="${ink.deep}" stroke-width="4"/><rect x="95" y="84" width="10" height="16" rx="4" fill="${ink.gold}"/>`,
});

export const handbag: Shape = (ink) => ({
  under: `<path d="M70 88q0-44 30-44t30 44" fill="none" stroke="${ink.deep}" stroke-width="8"/>`,
  body: `<path d="M54 84h92l10 62q0 10-10 10H54q-10 0-10-10z"/>`,
  over: `<path d="M54 84h92l4 24q-50 22-100 0z" fill="${ink.dark}"/><rect x="92" y="106" width="16" height="18" rx="5" fill="${ink.gold}"/>`,
});

export const suitcase: Shape = (ink) => ({
  under: `<path d="M84 60V36h32v24" fill="none" stroke="${ink.metal}" stroke-width="7"/><circle cx="70" cy="158" r="7" fill="${ink.line}"/><circle cx="130" cy="158" r="7" fill="${ink.line}"/>`,
  body: `<rect x="52" y="58" width="96" height="96" rx="15"/>`,
  over: `<path d="M76 66v80M100 66v80M124 66v80" stroke="${ink.dark}" stroke-width="5" stroke-linecap="round"/><rect x="86" y="92" width="28" height="14" rx="5" fill="${ink.paper}"/>`,
});

export const shirt: Shape = (ink) => ({
  body: `<path d="M74 48 46 62Q36 68 33 80l-7 26 24 8 8-18v56q0 6 6 6h72q6 0 6-6V96l8 18 24-8-7-26q-3-12-13-18l-28-14q-26 20-52 0z"/>`,
  over:
    `<path d="M74 48q26 20 52 0l5 3q-31 26-62 0z" fill="${ink.dark}"/>` +
    (ink.twist % 2
      ? `<rect x="112" y="86" width="20" height="20" rx="4" fill="${ink.dark}"/>`
      : `<path d="M58 96v14M142 96v14" stroke="${ink.dark}" stroke-width="3"/>`),
});

export const jacket: Shape = (ink) => ({
  body: `<path d="M76 44 48 58q-8 4-10 14l-12 72 22 5 12-50v52q0 6 6 6h68q6 0 6-6V99l12 50 22-5-12-72q-2-10-10-14l-28-14z"/>`,
  over: `<path d="M76 44h48l-8 22H84z" fill="${ink.dark}"/><path d="M100 64v92" stroke="${ink.paper}" stroke-width="4" stroke-dasharray="5 3"/><path d="M70 118v18M130 118v18" stroke="${ink.deep}" stroke-width="5" stroke-linecap="round"/><path d="M60 147h80v8H60z" fill="${ink.dark}"/>`,
});

export const dress: Shape = (ink) => ({
  body: `<path d="M78 44h9q13 14 26 0h9l4 34-9 20 32 54q-49 14-98 0l32-54-9-20z"/>`,
  over: `<path d="M82 94h36v9H82z" fill="${ink.dark}"/><path d="M88 108 70 152M112 108l18 44M100 108v48" stroke="${ink.dark}" stroke-width="2.5" opacity=".55"/>`,
});

export const trousers: Shape = (ink) => ({
  body: `<path d="M66 44h68l10 112h-32L100 84l-12 72H56z"/>`,
  over: `<path d="M65 44h70l1 12H64z" fill="${ink.dark}"/><path d="M100 56v26M70 62q2 14-4 18M130 62q-2 14 4 18" fill="none" stroke="${ink.deep}" stroke-width="3" opacity=".7"/><rect x="95" y="46" width="10" height="8" rx="2" fill="${ink.gold}"/>`,
});

export const socks: Shape = (ink) => ({
  under: `<path d="M104 52h34v66q0 10 12 16l16 8q6 14-10 16h-24q-28-6-28-36z" fill="${ink.dark}"/>`,
  body: `<path d="M60 46h38v68q0 10 12 16l18 9q8 17-12 19H90q-30-6-30-38z"/>`,
  over: `<rect x="56" y="42" width="46" height="16" rx="6" fill="${ink.paper}"/><path d="M60 118q4 26 24 36-22-4-24-36z" fill="${ink.deep}" opacity=".5"/>`,
});

export const cap: Shape = (ink) => ({
  under: `<path d="M120 122q52-6 56 16-26-8-76-4z" fill="${ink.dark}"/>`,
  body: `<path d="M40 134q-4-70 52-70 48 0 50 62-50-4-102 8z"/>`,
  over: `<path d="M92 64q-8 30-4 62M92 64q26 18 26 60" fill="none" stroke="${ink.dark}" stroke-width="3"/><circle cx="92" cy="62" r="6" fill="${ink.dark}"/>`,
});

export const beanie: Shape = (ink) => ({
  under: `<circle cx="100" cy="50" r="17" fill="${ink.light}"/>`,
  body: `<path d="M50 128q0-70 50-70t50 70z"/>`,
  over: `<rect x="42" y="116" width="116" height="32" rx="13" fill="${ink.dark}"/><path d="M60 121v22m16-22v22m16-22v22m16-22v22m16-22v22m16-22v22" stroke="${ink.base}" stroke-width="4" stroke-linecap="round"/>`,
});

export const scarf: Shape = (ink) => ({
  under: `<path d="M108 92h30l4 62h-30z" fill="${ink.dark}"/><path d="M114 154v8m8-8v8m8-8v8m8-8v8" stroke="${ink.dark}" stroke-width="4"/>`,
  body: `<path d="M48 78q0-30 52-30t52 30-52 32-52-32z"/><path d="M70 98h32v52H70z"/>`,
  over: `<ellipse cx="100" cy="72" rx="32" ry="14" fill="${ink.deep}"/><path d="M72 150v9m9-9v9m9-9v9m9-9v9" stroke="${ink.base}" stroke-width="4"/>`,
});

export const watch: Shape = (ink) => ({
  body: `<path d="M82 34h36l4 50H78zM78 118h44l-4 48H82z"/>`,
  over: `<circle cx="100" cy="101" r="41" fill="${ink.metal}"/><circle cx="100" cy="101" r="33" fill="${ink.paper}"/><path d="M100 101V81M100 101l14 8" stroke="${ink.line}" stroke-width="4.5" stroke-linecap="round"/><rect x="140" y="96" width="8" height="10" rx="3" fill="${ink.metal}"/><path d="M100 73v4M100 125v4M72 101h4M124 101h4" stroke="${ink.line}" stroke-width="2.5"/>`,
});

export const jewel: Shape = (ink) => ({
  under: `<path d="M52 52q0 66 48 66t48-66" fill="none" stroke="${ink.gold}" stroke-width="5" stroke-dasharray="2 6" stroke-linecap="round"/>`,
  body: `<path d="M80 118h40l12 16-32 30-32-30z"/>`,
  over: `<path d="M68 134h64l-32 30z" fill="${ink.dark}"/><path d="m80 118 10 16h20l10-16z" fill="${ink.light}"/><circle cx="100" cy="114" r="6" fill="none" stroke="${ink.gold}" stroke-width="4"/>`,
});

export const glasses: Shape = (ink) => ({
  under: `<path d="M40 92 26 76M160 92l14-16" stroke="${ink.deep}" stroke-width="7" stroke-linecap="round"/>`,
  body: `<rect x="34" y="86" width="58" height="48" rx="21"/><rect x="108" y="86" width="58" height="48" rx="21"/><path d="M90 96q10-8 20 0v8q-10-8-20 0z"/>`,
  over: `<rect x="42" y="94" width="42" height="32" rx="14" fill="${ink.line}"/><rect x="116" y="94" width="42" height="32" rx="14" fill="${ink.line}"/><path d="m52 116 14-16M126 116l14-16" stroke="#fff" stroke-width="4" stroke-linecap="round" opacity=".5"/>`,
});

export const hanger: Shape = (ink) => ({
  under: `<path d="M100 74V62q12-2 12-13a12 12 0 1 0-24 0" fill="none" stroke="${ink.line}" stroke-width="5" stroke-linecap="round"/>`,
  body: `<path d="m100 70 66 46q8 12-4 14H38q-12-2-4-14z"/>`,
  over: `<path d="m100 86 44 32H56z" fill="${ink.paper}" opacity=".6"/>`,
});
