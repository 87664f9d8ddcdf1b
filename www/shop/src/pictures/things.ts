import type { Shape } from "./ink.ts";

export const headphones: Shape = (ink) => ({
  under: `<path d="M54 112V98a46 46 0 0 1 92 0v14" fill="none" stroke="${ink.deep}" stroke-width="11"/>`,
  body: `<rect x="38" y="102" width="36" height="52" rx="16"/><rect x="126" y="102" width="36" height="52" rx="16"/><path d="M72 64a46 46 0 0 1 56 0l-6 8a38 38 0 0 0-44 0z"/>`,
  over: `<rect x="66" y="106" width="13" height="44" rx="6" fill="${ink.line}"/><rect x="121" y="106" width="13" height="44" rx="6" fill="${ink.line}"/><circle cx="50" cy="128" r="6" fill="${ink.paper}" opacity=".7"/>`,
});

export const earbuds: Shape = (ink) => ({
  under: `<path d="M78 92v-22M122 92v-22" stroke="${ink.light}" stroke-width="12" stroke-linecap="round"/><circle cx="74" cy="62" r="15" fill="${ink.light}"/><circle cx="126" cy="62" r="15" fill="${ink.light}"/>`,
  body: `<rect x="50" y="86" width="100" height="70" rx="32"/>`,
  over: `<path d="M50 112h100" stroke="${ink.deep}" stroke-width="3"/><circle cx="100" cy="130" r="5" fill="${ink.paper}"/>`,
});

export const speaker: Shape = (ink) => ({
  body: `<rect x="62" y="42" width="76" height="114" rx="18"/>`,
  over: `<circle cx="100" cy="118" r="26" fill="${ink.deep}"/><circle cx="100" cy="118" r="14" fill="${ink.light}"/><circle cx="100" cy="118" r="5" fill="${ink.deep}"/><circle cx="100" cy="70" r="13" fill="${ink.deep}"/><circle cx="100" cy="70" r="5" fill="${ink.light}"/>`,
});

export const phone: Shape = (ink) => ({
  under: `<rect x="86" y="46" width="58" height="110" rx="12" fill="${ink.line}"/><rect x="91" y="52" width="48" height="98" rx="7" fill="#a9c9d6"/><path d="M91 130q24-24 48-8v21q0 7-7 7H98q-7 0-7-7z" fill="#6f9fb0"/>`,
  body: `<rect x="54" y="40" width="62" height="118" rx="14"/>`,
  over: `<rect x="61" y="48" width="26" height="34" rx="9" fill="${ink.dark}"/><circle cx="74" cy="58" r="6" fill="${ink.line}"/><circle cx="74" cy="73" r="6" fill="${ink.line}"/><circle cx="72" cy="56" r="2" fill="#fff" opacity=".7"/>`,
});

export const tablet: Shape = (ink) => ({
  body: `<rect x="48" y="42" width="104" height="116" rx="12"/>`,
  over: `<rect x="57" y="51" width="86" height="98" rx="5" fill="${ink.paper}"/><rect x="66" y="62" width="32" height="32" rx="5" fill="${ink.light}"/><path d="M106 68h28M106 78h28M106 88h18M66 106h68M66 118h68M66 130h44" stroke="${ink.dark}" stroke-width="4" stroke-linecap="round" opacity=".55"/>`,
});

export const laptop: Shape = (ink) => ({
  body: `<rect x="48" y="58" width="104" height="76" rx="9"/>`,
  over: `<rect x="55" y="65" width="90" height="62" rx="4" fill="#29313a"/><path d="M64 78h30M64 88h46M64 98h22" stroke="${ink.light}" stroke-width="4" stroke-linecap="round"/><circle cx="126" cy="106" r="9" fill="${ink.gold}"/><path d="M28 134h144l-6 14q-2 6-8 6H42q-6 0-8-6z" fill="${ink.metal}"/><path d="M84 134h32l-3 6H87z" fill="#97928a"/>`,
});

export const monitor: Shape = (ink) => ({
  under: `<path d="M92 126h16v22H92z" fill="${ink.metal}"/><rect x="66" y="146" width="68" height="10" rx="5" fill="${ink.metal}"/>`,
  body: `<rect x="32" y="48" width="136" height="84" rx="10"/>`,
  over: `<rect x="40" y="56" width="120" height="68" rx="4" fill="#2c3a45"/><circle cx="126" cy="80" r="11" fill="${ink.glow}"/><path d="M40 120v-18l30-22 28 24 20-14 42 22v8q0 4-4 4H44q-4 0-4-4z" fill="${ink.light}"/>`,
});

export const keyboard: Shape = (ink) => {
  const keys: string[] = [];
  for (let row = 0; row < 3; row++) {
    for (let place = 0; place < 8; place++) {
      const accent = (row * 8 + place + ink.twist * 5) % 11 === 0;
      keys.push(
        `<rect x="${39 + place * 15.5}" y="${92 + row * 15}" width="12" height="11" rx="3" fill="${accent ? ink.gold : ink.paper}"/>`,
      );
    }
  }
  return {
    body: `<rect x="28" y="82" width="144" height="72" rx="13"/>`,
    over: `${keys.join("")}<rect x="66" y="137" width="68" height="10" rx="4" fill="${ink.paper}"/>`,
  };
};

export const camera: Shape = (ink) => ({
  under: `<path d="M76 74 84 56h32l8 18z" fill="${ink.deep}"/>`,
  body: `<rect x="36" y="70" width="128" height="84" rx="16"/>`,
  over: `<path d="M36 92h128v10H36z" fill="${ink.dark}"/><circle cx="100" cy="114" r="34" fill="${ink.line}"/><circle cx="100" cy="114" r="24" fill="#6f9fb0"/><circle cx="100" cy="114" r="13" fill="#2c3a45"/><circle cx="92" cy="105" r="5" fill="#fff" opacity=".8"/><rect x="142" y="78" width="13" height="8" rx="3" fill="${ink.glow}"/>`,
});

export const controller: Shape = (ink) => ({
  body: `<path d="M62 74h76q28 0 34 48 4 32-16 32-12 0-26-26H70q-14 26-26 26-20 0-16-32 6-48 34-48z"/>`,
  over: `<path d="M68 88v22M57 99h22" stroke="${ink.deep}" stroke-width="8" stroke-linecap="round"/><circle cx="130" cy="90" r="5" fill="${ink.gold}"/><circle cx="142" cy="100" r="5" fill="${ink.paper}"/><circle cx="130" cy="110" r="5" fill="${ink.paper}"/><circle cx="118" cy="100" r="5" fill="${ink.paper}"/>`,
});

export const plug: Shape = (ink) => ({
  under: `<path d="M100 132q0 26-28 26T40 138" fill="none" stroke="${ink.deep}" stroke-width="7" stroke-linecap="round"/><path d="M84 74V46M116 74V46" stroke="${ink.metal}" stroke-width="9" stroke-linecap="round"/>`,
  body: `<path d="M62 72h76v24q0 38-38 38T62 96z"/>`,
  over: `<path d="m106 84-16 20h12l-6 16 18-22h-12z" fill="${ink.glow}"/>`,
});

export const book: Shape = (ink) => {
  if (ink.twist === 3) return stack(ink);
  return {
    under: `<path d="M64 142h80v14H70q-8 0-8-8z" fill="${ink.paper}"/><path d="M66 148h76" stroke="#d8cdbb" stroke-width="2"/>`,
    body: `<path d="M56 54q0-12 12-12h76v102H70q-14 0-14 12z"/>`,
    over:
      `<path d="M56 54q0-12 12-12h4v102h-2q-14 0-14 12z" fill="${ink.dark}"/><path d="M56 152q0-8 12-8h76M56 152q0 8 12 8h76" fill="none" stroke="${ink.dark}" stroke-width="4"/>` +
      `<rect x="84" y="58" width="46" height="${ink.twist === 1 ? 20 : 28}" rx="3" fill="${ink.paper}"/><path d="M91 66h32M91 ${ink.twist === 1 ? 72 : 76}h22" stroke="${ink.dark}" stroke-width="3" stroke-linecap="round"/>` +
      (ink.twist === 2
        ? `<path d="m107 102 4 9 9 1-7 6 2 9-8-5-8 5 2-9-7-6 9-1z" fill="${ink.gold}"/>`
        : `<circle cx="107" cy="112" r="13" fill="${ink.gold}"/>`),
  };
};

export const stack: Shape = (ink) => ({
  under: `<rect x="38" y="132" width="118" height="26" rx="6" fill="${ink.deep}"/><path d="M150 137H58v16h92z" fill="${ink.paper}"/>`,
  body: `<rect x="50" y="104" width="112" height="28" rx="6"/><rect x="44" y="78" width="98" height="26" rx="6"/>`,
  over: `<path d="M60 109h96v18H60zM50 83h80v16H50z" fill="${ink.paper}"/><path d="M66 78v26M134 104v28" stroke="${ink.dark}" stroke-width="9"/><path d="M74 78V54q0-4 4-4h28v28z" fill="${ink.gold}"/>`,
});

export const bottle: Shape = (ink) => ({
  body: `<path d="M86 62h28v10q14 6 14 22v52q0 12-12 12H84q-12 0-12-12V94q0-16 14-22z"/>`,
  over: `<rect x="82" y="40" width="36" height="24" rx="7" fill="${ink.dark}"/><path d="M72 112h56v22H72z" fill="${ink.paper}" opacity=".85"/><rect x="80" y="90" width="6" height="16" rx="3" fill="#fff" opacity=".45"/>`,
});

export const pump: Shape = (ink) => ({
  under: `<path d="M97 84V58h-22q-8 0-10 10" fill="none" stroke="${ink.line}" stroke-width="8" stroke-linecap="round"/><rect x="84" y="72" width="32" height="16" rx="5" fill="${ink.line}"/>`,
  body: `<rect x="64" y="86" width="72" height="72" rx="15"/>`,
  over: `<rect x="78" y="104" width="44" height="36" rx="5" fill="${ink.paper}"/><path d="M100 110q14 14 0 24-14-10 0-24z" fill="${ink.leaf}"/>`,
});

export const jar: Shape = (ink) => ({
  body: `<path d="M54 96h92v44q0 16-16 16H70q-16 0-16-16z"/>`,
  over: `<rect x="48" y="70" width="104" height="30" rx="10" fill="${ink.dark}"/><path d="M62 78v14m12-14v14m12-14v14m14-14v14m12-14v14m12-14v14m12-14v14" stroke="${ink.base}" stroke-width="3" stroke-linecap="round" opacity=".7"/><rect x="76" y="112" width="48" height="28" rx="14" fill="${ink.paper}"/><path d="M88 126h24" stroke="${ink.dark}" stroke-width="4" stroke-linecap="round"/>`,
});

export const lipstick: Shape = (ink) => ({
  under: `<rect x="78" y="112" width="44" height="46" rx="6" fill="${ink.line}"/><rect x="84" y="88" width="32" height="26" fill="${ink.gold}"/>`,
  body: `<path d="M87 90V62q10-22 26-22v50z"/>`,
  over: `<path d="M87 62q10-22 26-22-2 18-26 30z" fill="${ink.light}" opacity=".7"/><rect x="84" y="122" width="5" height="28" rx="2.5" fill="#fff" opacity=".3"/>`,
});

export const perfume: Shape = (ink) => ({
  under: `<rect x="90" y="62" width="20" height="22" fill="${ink.gold}"/>`,
  body: `<path d="M72 80h56q14 0 14 14v48q0 14-14 14H72q-14 0-14-14V94q0-14 14-14z"/>`,
  over: `<rect x="80" y="38" width="40" height="28" rx="8" fill="${ink.line}"/><circle cx="100" cy="118" r="20" fill="${ink.paper}"/><path d="m100 106 4 8 8 4-8 4-4 8-4-8-8-4 8-4z" fill="${ink.dark}"/>`,
});

export const brush: Shape = (ink) => ({
  under: `<path d="M72 60q28-34 56 0l-6 34H78z" fill="#d9a98a"/><path d="M84 56v34M100 46v44M116 56v34" stroke="#b98467" stroke-width="3" stroke-linecap="round"/><path d="M77 92h46v16H77z" fill="${ink.metal}"/>`,
  body: `<path d="M80 108h40l-8 46q-12 10-24 0z"/>`,
  over: `<path d="M92 116v30" stroke="#fff" stroke-width="5" stroke-linecap="round" opacity=".4"/>`,
});
