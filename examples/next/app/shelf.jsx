"use client";

import { Onshelf } from "onshelf";
import { useEffect, useRef, useState } from "react";
import publicKeys from "./public-keys.json";

export function Shelf({ popular }) {
  const [items, setItems] = useState(popular);
  const shelf = useRef(null);

  async function fill() {
    const { items } = await shelf.current.recommend({ slot: "home", count: 8 });
    setItems(items.map(({ item_id }) => item_id));
  }

  useEffect(() => {
    const leaving = new AbortController();
    const { signal } = leaving;
    Onshelf.load({ model: "/models/latest.json", publicKeys, learning: "idle", signal })
      .then((loaded) => (shelf.current = loaded))
      .then(fill)
      .catch((error) => {
        if (error.code !== "ABORTED") console.warn(error.code, error.remedy, error.docs);
      });
    return () => {
      leaving.abort();
      shelf.current?.dispose();
    };
  }, []);

  async function look(item_id) {
    await shelf.current?.track({ event: "view_item", item_id });
    if (shelf.current) await fill();
  }

  return (
    <ol id="shelf">
      {items.map((id) => (
        <li key={id}>
          <button data-item={id} onClick={() => look(id)}>
            {id}
          </button>
        </li>
      ))}
    </ol>
  );
}
