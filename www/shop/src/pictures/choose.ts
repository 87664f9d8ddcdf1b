import * as desk from "./desk.ts";
import * as home from "./home.ts";
import type { Shape } from "./ink.ts";
import * as play from "./play.ts";
import * as things from "./things.ts";
import * as wear from "./wear.ts";

/** Words that name a silhouette; the first line that fits wins, so the narrower words stand first. */
const BY_WORD: readonly (readonly [RegExp, Shape])[] = [
  [/\b(dog|cat|pet) beds?\b/, home.cushion],
  [/\b(pet|dog|cat|bird feeder)s?\b/, play.petBowl],
  [/\b(headphone|headset)/, things.headphones],
  [/\b(earbud|earphone|in-ear)/, things.earbuds],
  [/\b(speaker|soundbar|audio|radio|hi-?fi)/, things.speaker],
  [/\b(phone|smartphone|mobile)/, things.phone],
  [/\b(tablet|e-?reader)/, things.tablet],
  [/\b(pen cases?)\b/, wear.handbag],
  [/\b(pens?|writing set)\b/, desk.pen],
  [/\b(pencils?|crayons?|markers?)\b/, desk.pencils],
  [/\b(inks?)\b/, desk.inkPot],
  [/\b(notebooks|planner|diary|journal|sticky notes?|stationery)/, desk.notebook],
  [/\b(laptop|notebook|computer|computing|desktop)/, things.laptop],
  [/\b(monitor|tv|television|display|screen|projector)/, things.monitor],
  [/\b(keyboard|mouse|mice)/, things.keyboard],
  [/\b(camera|photo|lens|drone|tripod)/, things.camera],
  [/\b(console|controller|gaming|video game)/, things.controller],
  [/\b(cable|charger|power ?bank|plug|adapter|batter|smart home)/, things.plug],
  [/\b(smart ?watch|watch|wearable|fitness tracker)/, wear.watch],
  [/\b(mugs?\b|cups?\b|teas?\b|teapot|coffee|drinkware|espresso)/, home.mug],
  [/\b(lantern|torch|headlamp|camp light)/, play.lantern],
  [/\b(lamp|light|bulb|chandelier)/, home.lamp],
  [/\b(rug|carpet|doormat)/, home.rug],
  [/\b(cushion|pillow)/, home.cushion],
  [/\b(towel|blanket|throw|bedding|duvet|sheet|linen|curtain|textile|quilt)/, home.textile],
  [/\b(sofa|couch|armchair|bed\b|beds|bedroom|mattress)/, home.sofa],
  [/\b(chair|stool|seat|bench)/, home.chair],
  [
    /\b(tables?\b(?! tennis)|desks?\b|sideboard|shelv|shelf|cabinet|furniture|bookcase)/,
    home.table,
  ],
  [/\b(pan|pans|skillet|frying|wok|grills?|barbecue|bbq|stoves?)\b/, home.pan],
  [/\b(pot|pots|cookware|casserole|kettle|saucepan)\b/, home.pot],
  [/\b(plates?|platters?)\b/, home.plate],
  [/\b(bowl|plate|dish|tableware|dinnerware|bakeware|baking)/, home.bowl],
  [/\b(knife|knives|cutlery|utensil|spoon|kitchen tool|gadget)/, home.utensils],
  [/\b(watering|garden tool|hose|irrigation|rake|spade|gardening)/, home.wateringCan],
  [/\b(plant|planter|seed|flower ?pot|garden|herb|bulbs)/, home.plant],
  [/\b(clock|alarm)/, home.clock],
  [/\b(vase|flower|ceramic)/, home.vase],
  [/\b(candle|scent|diffuser|incense)/, home.candle],
  [/\b(picture books?)/, things.book],
  [/\b(frame|poster|print|wall art|mirror)/, home.frame],
  [/\b(storage|box|boxes|basket|organi[sz]er|bin)\b/, home.box],
  [/\b(boot|boots|wellington|hiking shoe)/, wear.boot],
  [/\b(sandal|flip-?flop|slipper|clog)/, wear.sandal],
  [/\b(sneaker|shoe|trainer|footwear|runner|loafer|heel)/, wear.sneaker],
  [/\b(backpack|rucksack|daypack|school ?bag)/, wear.backpack],
  [/\b(suitcase|luggage|travel|trolley|duffel)/, wear.suitcase],
  [/\b(sleeping)/, play.sleepingBag],
  [/\b(handbag|bag|tote|purse|wallet|clutch)/, wear.handbag],
  [
    /\b(jacket|coat|parka|outerwear|hoodie|fleece|sweater|jumper|cardigan|knitwear|pullover|vest|rainwear)/,
    wear.jacket,
  ],
  [/\b(t-?shirt|shirt|tees?\b|tops?\b|blouse|jersey|polo)/, wear.shirt],
  [/\b(dress|skirt|gown|swimwear|swimsuit|jumpsuit)/, wear.dress],
  [/\b(trouser|jean|pants|shorts\b|legging|chino)/, wear.trousers],
  [/\b(sock|hosiery|tights|underwear)/, wear.socks],
  [/\b(beanie|glove|mitten|winter hat)/, wear.beanie],
  [/\b(cap|caps|hat|hats|headwear)\b/, wear.cap],
  [/\b(scarf|scarves|shawl|ties?\b|belt)/, wear.scarf],
  [/\b(jewel|necklace|ring|rings|earring|bracelet)/, wear.jewel],
  [/\b(glasses|sunglass|eyewear|goggle)/, wear.glasses],
  [/\b(tent|shelter|camping|hammock|tarp)/, play.tent],
  [
    /\b(bottle|flask|thermos|canteen|hydration|supplement|toner|serum|oil|shower gel|nail)/,
    things.bottle,
  ],
  [/\b(shampoo|conditioner|soap|body wash|hand wash|lotion|hair)/, things.pump],
  [/\b(cream|moisturi|mask|balm|skin|face|sun care|honey|jam|deodorant)/, things.jar],
  [/\b(lip|make-?up|mascara|foundation|cosmetic|eyes?)/, things.lipstick],
  [/\b(perfume|fragrance|cologne|eau)/, things.perfume],
  [/\b(brush|razor|shav|beard|comb|paint)/, things.brush],
  [/\b(racket|racquet|tennis|badminton|squash|table tennis)/, play.racket],
  [/\b(ball|balls|football|soccer|basketball|volleyball|team sport)/, play.ball],
  [/\b(bike|bicycle|cycling|scooter)/, play.bike],
  [/\b(yoga|mats?\b|pilates|stretch)/, play.mat],
  [/\b(dumbbell|weight|kettlebell|fitness|gym|strength|resistance)/, play.dumbbell],
  [/\b(skate|skateboard|longboard|surf|snowboard|ski|skis)/, play.skateboard],
  [/\b(helmet|protect|climb)/, play.helmet],
  [/\b(plush|teddy|soft toy|stuffed|doll|puppet|baby)/, play.teddy],
  [/\b(block|brick|construction|building|stacking)/, play.blocks],
  [/\b(puzzle|jigsaw|brain)/, play.puzzle],
  [/\b(cars?|vehicles?|trains?|trucks?|remote control|rc|model kits?|toy cars?)\b/, play.car],
  [/\b(board game|card game|game|dice)/, play.dice],
  [/\b(craft|arts?\b|drawing|colou?ring|paint|creative)/, play.palette],
  [/\b(map|compass|hik|trek|trail)/, play.mountain],
  [
    /\b(novel|books?\b|comic|fiction|poetry|cookbook|biograph|story|stories|textbook|guide|histor|crime|fantasy|romance|science)/,
    things.book,
  ],
];

/** When no word fits: one picture a department. */
const BY_DEPARTMENT: readonly (readonly [RegExp, Shape])[] = [
  [/home|house|living|kitchen|interior/, home.house],
  [/outdoor|nature|adventure/, play.mountain],
  [/garden|plant/, home.plant],
  [/fashion|cloth|wear|apparel/, wear.hanger],
  [/electronic|tech|digital/, things.plug],
  [/toy|kid|child|play/, play.spinningTop],
  [/book|read|media|music/, things.stack],
  [/beauty|care|health|wellness/, things.pump],
  [/sport|fitness/, play.medal],
  [/pet|animal/, play.petBowl],
  [/food|grocer|drink/, things.jar],
  [/office|station|paper/, things.stack],
  [/auto|car|motor/, play.car],
];

const chosen = new Map<string, Shape>();

function search(category: readonly string[]): Shape {
  const names = category.map((name) => name.toLowerCase()).reverse();
  const department = names.pop() ?? "";
  for (const name of names) {
    for (const [words, shape] of BY_WORD) if (words.test(name)) return shape;
  }
  for (const [words, shape] of BY_DEPARTMENT) if (words.test(department)) return shape;
  return play.gift;
}

/** The leaf's words decide; then those of its parent; then the department. */
export function shapeFor(category: readonly string[]): Shape {
  const key = category.join("/");
  let shape = chosen.get(key);
  if (shape === undefined) {
    shape = search(category);
    chosen.set(key, shape);
  }
  return shape;
}
