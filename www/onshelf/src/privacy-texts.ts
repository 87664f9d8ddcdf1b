/**
 * Texts of `<onshelf-privacy>`. A language is one object of {@link PrivacyTexts}; `{n}` and the like are filled
 * in. Another language, or other words, are given as `element.texts = { …PRIVACY_TEXTS.en, title: "…" }`.
 */

/** Everything that the element says. */
export interface PrivacyTexts {
  title: string;
  /** Above the choices. */
  question: string;
  denied: string;
  denied_about: string;
  device: string;
  device_about: string;
  sync: string;
  sync_about: string;
  /** With Global Privacy Control on. */
  gpc: string;
  learned: string;
  nothing: string;
  /** `{n}` clicks of this visit. */
  clicks: string;
  /** Above the items of this visit, each of which can be forgotten. */
  forget_about: string;
  forget: string;
  /** For who hears the button: `{item}`. */
  forget_item: string;
  /** `{item}` was forgotten. */
  forgotten: string;
  rounds: string;
  /** `{n}` rounds taken part in, `{left}` left within a year. */
  rounds_of: string;
  pause: string;
  resume: string;
  paused: string;
  resumed: string;
  save: string;
  erase: string;
  erase_sure: string;
  erase_yes: string;
  cancel: string;
  erased: string;
  changed: string;
  failed: string;
  loading: string;
}

const en: PrivacyTexts = {
  title: "What this shop learned about you",
  question: "May this shop learn from what you look at?",
  denied: "No",
  denied_about: "Recommendations follow this visit only. Nothing is learned or kept.",
  device: "Yes, on this device",
  device_about: "What is learned stays in this browser and is never uploaded.",
  sync: "Yes, and help to improve the shop",
  sync_about:
    "From time to time an encrypted change is added to those of at least a thousand others. Nobody can read yours.",
  gpc: "Your browser asks sites not to use your data (Global Privacy Control). Nothing is learned or kept while it does.",
  learned: "Your shelves lean to",
  nothing: "Nothing was learned yet.",
  clicks: "Clicks of this visit: {n}",
  forget_about:
    "Forget an item, and what was learned from it: the rest of this visit is learned from again, earlier visits are not.",
  forget: "Forget",
  forget_item: "Forget {item}",
  forgotten: "{item} was forgotten.",
  rounds: "Helping to improve the shop",
  rounds_of: "Took part {n} times within a year, at most {left} more.",
  pause: "Pause learning",
  resume: "Learn again",
  paused: "Learning is paused.",
  resumed: "Learning goes on.",
  save: "Save a copy",
  erase: "Erase everything",
  erase_sure: "Erase all that was learned and this visit's clicks? This cannot be undone.",
  erase_yes: "Erase",
  cancel: "Cancel",
  erased: "Everything was erased.",
  changed: "Your choice was taken over.",
  failed: "That did not work: {why}",
  loading: "One moment…",
};

const de: PrivacyTexts = {
  title: "Was dieser Laden über Sie gelernt hat",
  question: "Darf dieser Laden aus dem lernen, was Sie ansehen?",
  denied: "Nein",
  denied_about: "Empfehlungen folgen nur diesem Besuch. Nichts wird gelernt oder aufbewahrt.",
  device: "Ja, auf diesem Gerät",
  device_about: "Was gelernt wird, bleibt in diesem Browser und wird nie hochgeladen.",
  sync: "Ja, und den Laden verbessern helfen",
  sync_about:
    "Ab und zu wird eine verschlüsselte Änderung zu denen von mindestens tausend anderen addiert. Ihre kann niemand lesen.",
  gpc: "Ihr Browser bittet darum, Ihre Daten nicht zu verwenden (Global Privacy Control). Solange wird nichts gelernt oder aufbewahrt.",
  learned: "Ihre Empfehlungen neigen zu",
  nothing: "Noch wurde nichts gelernt.",
  clicks: "Klicks bei diesem Besuch: {n}",
  forget_about:
    "Einen Artikel vergessen, und was aus ihm gelernt wurde: Aus dem Rest dieses Besuchs wird neu gelernt, aus früheren nicht.",
  forget: "Vergessen",
  forget_item: "{item} vergessen",
  forgotten: "{item} wurde vergessen.",
  rounds: "Den Laden verbessern helfen",
  rounds_of: "{n}-mal innerhalb eines Jahres mitgemacht, höchstens noch {left}-mal.",
  pause: "Lernen anhalten",
  resume: "Wieder lernen",
  paused: "Das Lernen ist angehalten.",
  resumed: "Das Lernen geht weiter.",
  save: "Kopie speichern",
  erase: "Alles löschen",
  erase_sure:
    "Alles Gelernte und die Klicks dieses Besuchs löschen? Das lässt sich nicht rückgängig machen.",
  erase_yes: "Löschen",
  cancel: "Abbrechen",
  erased: "Alles wurde gelöscht.",
  changed: "Ihre Wahl wurde übernommen.",
  failed: "Das ging nicht: {why}",
  loading: "Einen Augenblick…",
};

const fr: PrivacyTexts = {
  title: "Ce que cette boutique a appris de vous",
  question: "Cette boutique peut-elle apprendre de ce que vous regardez ?",
  denied: "Non",
  denied_about:
    "Les recommandations suivent cette visite seulement. Rien n’est appris ni conservé.",
  device: "Oui, sur cet appareil",
  device_about: "Ce qui est appris reste dans ce navigateur et n’est jamais envoyé.",
  sync: "Oui, et aider à améliorer la boutique",
  sync_about:
    "De temps en temps, un changement chiffré s’ajoute à ceux d’au moins mille autres personnes. Personne ne peut lire le vôtre.",
  gpc: "Votre navigateur demande de ne pas utiliser vos données (Global Privacy Control). Tant que c’est le cas, rien n’est appris ni conservé.",
  learned: "Vos recommandations penchent vers",
  nothing: "Rien n’a encore été appris.",
  clicks: "Clics de cette visite : {n}",
  forget_about:
    "Oublier un article et ce qui en a été appris : le reste de cette visite est réappris, les visites antérieures ne le sont pas.",
  forget: "Oublier",
  forget_item: "Oublier {item}",
  forgotten: "{item} a été oublié.",
  rounds: "Aider à améliorer la boutique",
  rounds_of: "{n} participations en un an, encore {left} au plus.",
  pause: "Suspendre l’apprentissage",
  resume: "Reprendre l’apprentissage",
  paused: "L’apprentissage est suspendu.",
  resumed: "L’apprentissage continue.",
  save: "Enregistrer une copie",
  erase: "Tout effacer",
  erase_sure: "Effacer tout ce qui a été appris et les clics de cette visite ? C’est irréversible.",
  erase_yes: "Effacer",
  cancel: "Annuler",
  erased: "Tout a été effacé.",
  changed: "Votre choix a été pris en compte.",
  failed: "Cela n’a pas fonctionné : {why}",
  loading: "Un instant…",
};

const es: PrivacyTexts = {
  title: "Lo que esta tienda ha aprendido de usted",
  question: "¿Puede esta tienda aprender de lo que usted mira?",
  denied: "No",
  denied_about: "Las recomendaciones siguen solo esta visita. No se aprende ni se guarda nada.",
  device: "Sí, en este dispositivo",
  device_about: "Lo aprendido se queda en este navegador y nunca se envía.",
  sync: "Sí, y ayudar a mejorar la tienda",
  sync_about:
    "De vez en cuando, un cambio cifrado se suma a los de al menos otras mil personas. Nadie puede leer el suyo.",
  gpc: "Su navegador pide que no se usen sus datos (Global Privacy Control). Mientras tanto no se aprende ni se guarda nada.",
  learned: "Sus recomendaciones se inclinan hacia",
  nothing: "Todavía no se ha aprendido nada.",
  clicks: "Clics de esta visita: {n}",
  forget_about:
    "Olvidar un artículo y lo aprendido de él: se vuelve a aprender del resto de esta visita, no de las anteriores.",
  forget: "Olvidar",
  forget_item: "Olvidar {item}",
  forgotten: "Se ha olvidado {item}.",
  rounds: "Ayudar a mejorar la tienda",
  rounds_of: "Ha participado {n} veces en un año; como máximo {left} más.",
  pause: "Pausar el aprendizaje",
  resume: "Volver a aprender",
  paused: "El aprendizaje está en pausa.",
  resumed: "El aprendizaje continúa.",
  save: "Guardar una copia",
  erase: "Borrar todo",
  erase_sure: "¿Borrar todo lo aprendido y los clics de esta visita? No se puede deshacer.",
  erase_yes: "Borrar",
  cancel: "Cancelar",
  erased: "Se ha borrado todo.",
  changed: "Su elección se ha aplicado.",
  failed: "No ha funcionado: {why}",
  loading: "Un momento…",
};

const zh: PrivacyTexts = {
  title: "本店对您的了解",
  question: "是否允许本店从您浏览的内容中学习？",
  denied: "不允许",
  denied_about: "推荐只依据本次访问。不学习，也不保存任何内容。",
  device: "允许，仅在此设备上",
  device_about: "学到的内容只留在此浏览器中，绝不上传。",
  sync: "允许，并帮助改进本店",
  sync_about: "偶尔会有一份加密的改动与至少一千位其他用户的改动相加。没有人能读取您的那一份。",
  gpc: "您的浏览器要求网站不使用您的数据（Global Privacy Control）。在此期间不会学习或保存任何内容。",
  learned: "您的推荐偏向",
  nothing: "尚未学到任何内容。",
  clicks: "本次访问的点击数：{n}",
  forget_about:
    "忘记某件商品以及由它学到的内容：将从本次访问的其余点击重新学习，以前的访问则不会。",
  forget: "忘记",
  forget_item: "忘记{item}",
  forgotten: "已忘记{item}。",
  rounds: "帮助改进本店",
  rounds_of: "一年内已参与 {n} 次，最多还可参与 {left} 次。",
  pause: "暂停学习",
  resume: "继续学习",
  paused: "学习已暂停。",
  resumed: "学习继续进行。",
  save: "保存副本",
  erase: "全部清除",
  erase_sure: "要清除学到的全部内容和本次访问的点击吗？此操作无法撤销。",
  erase_yes: "清除",
  cancel: "取消",
  erased: "已全部清除。",
  changed: "已采用您的选择。",
  failed: "操作未成功：{why}",
  loading: "请稍候…",
};

/** The languages that come with the package, by their primary subtag. */
export const PRIVACY_TEXTS: Readonly<Record<string, PrivacyTexts>> = { en, de, fr, es, zh };

/** The texts for the first of these languages that there are any for; English otherwise. */
export function textsFor(languages: readonly (string | null | undefined)[]): PrivacyTexts {
  for (const language of languages) {
    const found =
      PRIVACY_TEXTS[
        String(language ?? "")
          .toLowerCase()
          .split("-")[0] ?? ""
      ];
    if (found !== undefined) return found;
  }
  return en;
}

/** Fills `{name}` in. */
export function filled(text: string, values: Record<string, string | number>): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}
