import type { Shape } from "./ink.ts";

export const ball: Shape = (ink) => ({
  body: `<circle cx="100" cy="106" r="52"/>`,
  over:
    ink.twist % 2 === 0
      ? `<path d="M48 106h104M100 54v104M66 67q26 38 0 78M134 67q-26 38 0 78" fill="none" stroke="${ink.deep}" stroke-width="4"/>`
      : `<path d="m100 82 22 16-8 26H86l-8-26zM100 54l14 10-14 9-14-9zM150 94l-12 8-3-17 9-6zM50 94l12 8 3-17-9-6zM128 148l-4-15 17-4 1 9zM72 148l4-15-17-4-1 9z" fill="${ink.deep}"/>`,
});

export const bike: Shape = (ink) => ({
  under: `<circle cx="58" cy="124" r="32" fill="none" stroke="${ink.line}" stroke-width="7"/><circle cx="142" cy="124" r="32" fill="none" stroke="${ink.line}" stroke-width="7"/><circle cx="58" cy="124" r="5" fill="${ink.metal}"/><circle cx="142" cy="124" r="5" fill="${ink.metal}"/>`,
  body: `<path d="m56 120 22-44h50l18 48-7 2-14-38-26 42H60q-6-4-4-10zM71 118h23L78 88zM86 84l14 26 18-26z" fill-rule="evenodd"/>`,
  over: `<path d="M78 78l-5-14M60 62h26M128 78l-6-22h20" fill="none" stroke="${ink.line}" stroke-width="7" stroke-linecap="round" stroke-linejoin="round"/><circle cx="97" cy="124" r="8" fill="${ink.gold}"/>`,
});

export const mat: Shape = (ink) => ({
  under: `<path d="M52 150h120v-9H52z" fill="${ink.light}"/>`,
  body: `<path d="M54 86h86v66H54a33 33 0 0 1 0-66z"/>`,
  over: `<ellipse cx="140" cy="119" rx="20" ry="33" fill="${ink.dark}"/><path d="M140 100a12 19 0 1 1-10 22 8 13 0 1 1 14 6" fill="none" stroke="${ink.light}" stroke-width="4" stroke-linecap="round"/><path d="M70 86v66M104 86v66" stroke="${ink.deep}" stroke-width="7"/>`,
});

export const dumbbell: Shape = (ink) => ({
  under: `<rect x="52" y="98" width="96" height="15" rx="5" fill="${ink.metal}"/>`,
  body: `<rect x="42" y="68" width="24" height="76" rx="10"/><rect x="134" y="68" width="24" height="76" rx="10"/>`,
  over: `<rect x="26" y="82" width="16" height="48" rx="7" fill="${ink.dark}"/><rect x="158" y="82" width="16" height="48" rx="7" fill="${ink.dark}"/><path d="M84 99v13m8-13v13m8-13v13m8-13v13m8-13v13" stroke="#918c84" stroke-width="3"/>`,
});

export const racket: Shape = (ink) => ({
  under: `<ellipse cx="84" cy="80" rx="40" ry="48" fill="#fff" opacity=".55" transform="rotate(-32 84 80)"/><path d="M56 54l52 62M48 70l44 52M70 44l48 58M116 62 64 112M104 46 54 92M122 82l-42 40" stroke="${ink.metal}" stroke-width="2.5"/>`,
  body: `<path fill-rule="evenodd" d="M53 35c26-15 58-4 73 22 12 20 8 40-4 51l46 46-11 11-47-46c-20 6-46-3-60-26-15-24-14-46 3-58zM60 44c-12 8-12 26-1 45 14 23 37 30 53 20 14-9 17-27 5-47C104 40 78 34 60 44z"/>`,
  over: `<path d="m140 126 28 28-11 11-28-28z" fill="${ink.deep}"/><circle cx="150" cy="64" r="13" fill="#d7dd6a"/>`,
});

export const skateboard: Shape = (ink) => ({
  under: `<circle cx="64" cy="134" r="14" fill="${ink.line}"/><circle cx="136" cy="134" r="14" fill="${ink.line}"/><circle cx="64" cy="134" r="5" fill="${ink.gold}"/><circle cx="136" cy="134" r="5" fill="${ink.gold}"/>`,
  body: `<path d="M22 92q2-8 10-4 10 14 26 14h84q16 0 26-14 8-4 10 4-10 28-36 28H58q-26 0-36-28z"/>`,
  over: `<path d="M60 110h80" stroke="${ink.paper}" stroke-width="5" stroke-linecap="round" opacity=".7"/>`,
});

export const helmet: Shape = (ink) => ({
  under: `<path d="M64 128q10 32 40 30" fill="none" stroke="${ink.line}" stroke-width="6"/>`,
  body: `<path d="M36 124q0-72 66-72 62 0 62 66 0 10-10 10H46q-10 0-10-4z"/>`,
  over: `<path d="M70 100q4-30 26-36M98 100q2-26 16-36M126 102q2-16-2-30" fill="none" stroke="${ink.deep}" stroke-width="9" stroke-linecap="round"/><path d="M36 120h128v12H42q-6 0-6-6z" fill="${ink.dark}"/>`,
});

export const tent: Shape = (ink) => ({
  under: `<path d="M24 156h152" stroke="${ink.leaf}" stroke-width="8" stroke-linecap="round"/>`,
  body: `<path d="M96 50q4-6 8 0l64 102q2 4-3 4H35q-5 0-3-4z"/>`,
  over: `<path d="m100 82 26 74H74z" fill="${ink.deep}"/><path d="m100 82-4 44-30 30h-2z" fill="${ink.light}"/><path d="m100 48-6-12M100 48l6-12" stroke="${ink.line}" stroke-width="4" stroke-linecap="round"/>`,
});

export const sleepingBag: Shape = (ink) => ({
  body: `<path d="M64 68q0-26 36-26t36 26l-6 76q-2 14-16 14H86q-14 0-16-14z"/>`,
  over: `<ellipse cx="100" cy="72" rx="25" ry="20" fill="${ink.paper}"/><path d="M70 104h60M72 122h56M74 140h52" stroke="${ink.dark}" stroke-width="4"/><path d="M124 88l-6 64" stroke="${ink.gold}" stroke-width="3" stroke-dasharray="4 3"/>`,
});

export const lantern: Shape = (ink) => ({
  under: `<path d="M70 66q0-32 30-32t30 32" fill="none" stroke="${ink.line}" stroke-width="5"/><rect x="74" y="82" width="52" height="52" fill="${ink.glow}"/><path d="M100 92q-12 14 0 34 12-20 0-34z" fill="#f0a63c"/>`,
  body: `<path d="M72 64h56q10 2 10 20H62q0-18 10-20zM62 130h76v16q0 12-12 12H74q-12 0-12-12z"/>`,
  over: `<path d="M72 84v46M128 84v46" stroke="${ink.deep}" stroke-width="6"/>`,
});

export const mountain: Shape = (ink) => ({
  under: `<circle cx="140" cy="66" r="19" fill="#f3c05f"/>`,
  body: `<path d="M88 62q5-7 10 0l64 90q3 6-4 6H30q-7 0-4-6z"/>`,
  over: `<path d="m93 58 26 37-14-4-11 13-12-11-14 5z" fill="${ink.paper}"/><path d="M126 158l22-30q4-5 8 0l20 30z" fill="${ink.dark}"/>`,
});

export const teddy: Shape = (ink) => ({
  under: `<circle cx="68" cy="54" r="17" fill="${ink.dark}"/><circle cx="132" cy="54" r="17" fill="${ink.dark}"/><ellipse cx="56" cy="124" rx="15" ry="22" fill="${ink.dark}" transform="rotate(24 56 124)"/><ellipse cx="144" cy="124" rx="15" ry="22" fill="${ink.dark}" transform="rotate(-24 144 124)"/>`,
  body: `<ellipse cx="100" cy="130" rx="38" ry="32"/><ellipse cx="100" cy="78" rx="42" ry="37"/>`,
  over: `<ellipse cx="100" cy="92" rx="19" ry="14" fill="${ink.paper}"/><path d="M93 86h14l-7 8z" fill="${ink.line}"/><path d="M100 94v5" stroke="${ink.line}" stroke-width="2.5"/><circle cx="84" cy="74" r="4.5" fill="${ink.line}"/><circle cx="116" cy="74" r="4.5" fill="${ink.line}"/><ellipse cx="100" cy="134" rx="20" ry="17" fill="${ink.light}"/><ellipse cx="76" cy="154" rx="16" ry="10" fill="${ink.dark}"/><ellipse cx="124" cy="154" rx="16" ry="10" fill="${ink.dark}"/>`,
});

export const blocks: Shape = (ink) => ({
  under: `<rect x="34" y="106" width="60" height="52" rx="8" fill="${ink.gold}"/><path d="M46 106V98h14v8M68 106V98h14v8" fill="${ink.gold}"/>`,
  body: `<rect x="102" y="106" width="62" height="52" rx="8"/><rect x="66" y="52" width="66" height="52" rx="8"/><path d="M76 54V44h16v10M106 54V44h16v10"/>`,
  over: `<path d="m64 118 12 28H52z" fill="${ink.paper}"/><circle cx="133" cy="132" r="13" fill="${ink.paper}"/><rect x="88" y="67" width="22" height="22" rx="3" fill="${ink.paper}"/>`,
});

export const puzzle: Shape = (ink) => ({
  body: `<path d="M52 84q0-8 8-8h24c4 0 5-4 3-7-8-13 2-25 13-25s21 12 13 25c-2 3-1 7 3 7h24q8 0 8 8v20c0 4 4 5 7 3 13-8 25 2 25 13s-12 21-25 13c-3-2-7-1-7 3v14q0 8-8 8h-24c-4 0-5-4-3-7 6-11-2-20-13-20s-19 9-13 20c2 3 1 7-3 7H60q-8 0-8-8z" transform="translate(-10 0)"/>`,
  over: `<path d="M54 88h22M54 98h8" stroke="#fff" stroke-width="5" stroke-linecap="round" opacity=".5"/><rect x="150" y="44" width="26" height="26" rx="6" fill="${ink.gold}" transform="rotate(18 163 57)"/>`,
});

export const car: Shape = (ink) => ({
  body: `<path d="M28 124q0-20 20-22l16-26q5-8 15-8h40q10 0 16 8l18 26q20 2 20 24v8q0 6-6 6H34q-6 0-6-6z"/>`,
  over: `<path d="m72 100 10-20q2-4 6-4h8v24zM104 76h12q5 0 8 4l13 20h-33z" fill="#d5e8ec"/><circle cx="62" cy="140" r="18" fill="${ink.line}"/><circle cx="138" cy="140" r="18" fill="${ink.line}"/><circle cx="62" cy="140" r="8" fill="${ink.metal}"/><circle cx="138" cy="140" r="8" fill="${ink.metal}"/><rect x="158" y="112" width="14" height="9" rx="4" fill="${ink.glow}"/>`,
});

export const dice: Shape = (ink) => ({
  under: `<rect x="92" y="88" width="64" height="64" rx="14" fill="${ink.paper}" transform="rotate(14 124 120)"/><g fill="${ink.dark}"><circle cx="108" cy="104" r="6"/><circle cx="126" cy="120" r="6"/><circle cx="142" cy="136" r="6"/></g>`,
  body: `<rect x="36" y="62" width="72" height="72" rx="15" transform="rotate(-12 72 98)"/>`,
  over: `<g fill="${ink.paper}"><circle cx="52" cy="84" r="7"/><circle cx="86" cy="77" r="7"/><circle cx="72" cy="98" r="7"/><circle cx="58" cy="120" r="7"/><circle cx="92" cy="112" r="7"/></g>`,
});

export const spinningTop: Shape = (ink) => ({
  under: `<path d="M96 34h8v36h-8z" fill="${ink.wood}"/><circle cx="100" cy="34" r="9" fill="${ink.wood}"/><path d="m92 142 8 18 8-18z" fill="${ink.line}"/>`,
  body: `<path d="M40 96q0-32 60-32t60 32-52 50H92Q40 128 40 96z"/>`,
  over: `<path d="M42 90q58 20 116 0l2 12q-60 22-120 0z" fill="${ink.gold}"/><path d="M60 84q6-8 22-11" fill="none" stroke="#fff" stroke-width="5" stroke-linecap="round" opacity=".5"/>`,
});

export const medal: Shape = (ink) => ({
  under: `<path d="M70 34h24l14 48-20 8zM130 34h-24L92 82l20 8z" fill="${ink.dark}"/>`,
  body: `<circle cx="100" cy="116" r="42"/>`,
  over: `<circle cx="100" cy="116" r="30" fill="none" stroke="${ink.light}" stroke-width="5"/><path d="m100 96 6 13 14 2-10 10 2 14-12-7-12 7 2-14-10-10 14-2z" fill="${ink.gold}"/>`,
});

export const gift: Shape = (ink) => ({
  body: `<path d="M48 98h104v50q0 8-8 8H56q-8 0-8-8z"/>`,
  over: `<rect x="40" y="78" width="120" height="24" rx="7" fill="${ink.dark}"/><path d="M91 78h18v78H91z" fill="${ink.gold}"/><path d="M100 78q-34 0-32-20 4-18 32 20zM100 78q34 0 32-20-4-18-32 20z" fill="none" stroke="${ink.gold}" stroke-width="8"/>`,
});

export const palette: Shape = (ink) => ({
  body: `<path d="M100 48c-42 0-70 26-70 56s26 52 58 52c16 0 12-14 10-22-2-10 4-16 16-16h28c16 0 28-10 28-28 0-26-32-42-70-42z"/>`,
  over: `<circle cx="66" cy="92" r="11" fill="#d4504a"/><circle cx="96" cy="74" r="11" fill="${ink.gold}"/><circle cx="130" cy="80" r="11" fill="#4a86c5"/><circle cx="62" cy="122" r="11" fill="${ink.leaf}"/>`,
});

export const petBowl: Shape = (ink) => ({
  under: `<ellipse cx="100" cy="98" rx="48" ry="17" fill="#a06a43"/><circle cx="84" cy="88" r="9" fill="#8a5836"/><circle cx="106" cy="86" r="10" fill="#b57c52"/><circle cx="122" cy="94" r="8" fill="#8a5836"/>`,
  body: `<path d="M50 98q50 22 100 0l18 50q2 8-8 8H40q-10 0-8-8z"/>`,
  over: `<ellipse cx="100" cy="138" rx="11" ry="9" fill="${ink.paper}"/><circle cx="86" cy="126" r="5" fill="${ink.paper}"/><circle cx="100" cy="121" r="5" fill="${ink.paper}"/><circle cx="114" cy="126" r="5" fill="${ink.paper}"/>`,
});
