import type { Shape } from "./ink.ts";

export const pen: Shape = (ink) => ({
  under: `<path d="M52 160q20-10 42-2t44-4" fill="none" stroke="${ink.deep}" stroke-width="4" stroke-linecap="round"/>`,
  body: `<path d="M140 34 158 52 92 118 74 100z"/>`,
  over: `<path d="M74 100 92 118 62 138 54 130z" fill="${ink.metal}"/><path d="M62 138 50 146 54 130z" fill="${ink.gold}"/><path d="M134 46 152 28q6-2 10 2t2 10L146 58z" fill="${ink.dark}"/><path d="M112 62 118 68 88 98" fill="none" stroke="${ink.light}" stroke-width="4" stroke-linecap="round"/>`,
});

export const pencils: Shape = (ink) => ({
  under: `<path d="M62 60 76 36 90 60z" fill="${ink.gold}"/><path d="M110 60 124 36 138 60z" fill="${ink.gold}"/><rect x="62" y="60" width="28" height="60" fill="${ink.light}"/><rect x="110" y="60" width="28" height="60" fill="${ink.deep}"/><path d="M71 45 76 36 81 45zM119 45 124 36 129 45z" fill="${ink.dark}"/>`,
  body: `<path d="M50 92h100l-8 62q-1 6-8 6H66q-7 0-8-6z"/>`,
  over: `<path d="M50 92h100l-2 12H52z" fill="${ink.deep}"/>`,
});

export const notebook: Shape = (ink) => ({
  under: `<rect x="62" y="42" width="90" height="120" rx="8" fill="${ink.line}"/>`,
  body: `<rect x="54" y="38" width="90" height="120" rx="8"/>`,
  over: `<rect x="54" y="38" width="16" height="120" rx="6" fill="${ink.deep}"/><rect x="84" y="58" width="46" height="26" rx="4" fill="${ink.paper}"/><path d="M92 67h30M92 75h18" stroke="${ink.dark}" stroke-width="3" stroke-linecap="round"/><rect x="128" y="38" width="6" height="120" fill="${ink.dark}" opacity=".55"/>`,
});

export const inkPot: Shape = (ink) => ({
  under: `<rect x="84" y="48" width="32" height="26" rx="6" fill="${ink.dark}"/>`,
  body: `<path d="M80 72h40l26 32q4 5 4 12v32q0 10-10 10H60q-10 0-10-10v-32q0-7 4-12z"/>`,
  over: `<path d="M50 124h100v24q0 10-10 10H60q-10 0-10-10z" fill="${ink.deep}"/><rect x="76" y="106" width="48" height="30" rx="4" fill="${ink.paper}"/><path d="M86 121h28" stroke="${ink.dark}" stroke-width="4" stroke-linecap="round"/>`,
});
