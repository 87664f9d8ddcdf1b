import { Onshelf } from "https://cdn.jsdelivr.net/npm/onshelf@0.1.0/index.js";

const list = document.querySelector("#shelf");

function show(items) {
  const cards = items.map(({ item_id }) => {
    const button = Object.assign(document.createElement("button"), { textContent: item_id });
    button.dataset.item = item_id;
    const card = document.createElement("li");
    card.append(button);
    return card;
  });
  list.replaceChildren(...cards);
}

try {
  const publicKeys = await (await fetch("/public-keys.json")).json();
  const shelf = await Onshelf.load({ model: "/models/latest.json", publicKeys, learning: "idle" });
  const fill = async () => show((await shelf.recommend({ slot: "home", count: 8 })).items);
  list.addEventListener("click", async ({ target }) => {
    const item_id = target.dataset.item;
    if (item_id === undefined) return;
    await shelf.track({ event: "view_item", item_id });
    await fill();
  });
  await fill();
} catch (error) {
  // Too old a browser, a content blocker, no connection: the list that the server rendered stays.
  console.warn(error.code, error.remedy, error.docs);
}
