import { reducedMotion } from "./dom.ts";

const MOVE_MS = 520;
const BADGE_MS = 2600;
const EASING = "cubic-bezier(.2,.75,.25,1)";

function inSight(rect: DOMRect): boolean {
  return (
    rect.bottom > -80 &&
    rect.top < innerHeight + 80 &&
    rect.right > -80 &&
    rect.left < innerWidth + 80
  );
}

function places(elements: Iterable<HTMLElement>): Map<HTMLElement, DOMRect> {
  const rects = new Map<HTMLElement, DOMRect>();
  for (const element of elements) rects.set(element, element.getBoundingClientRect());
  return rects;
}

function move(element: HTMLElement, from: DOMRect, to: DOMRect): void {
  const dx = from.left - to.left;
  const dy = from.top - to.top;
  if (Math.abs(dx) < 1 && Math.abs(dy) < 1) return;
  element.animate([{ transform: `translate(${dx}px, ${dy}px)` }, { transform: "none" }], {
    duration: MOVE_MS,
    easing: EASING,
  });
}

function appear(element: HTMLElement): void {
  element.animate(
    [
      { opacity: 0, transform: "scale(.94)" },
      { opacity: 1, transform: "none" },
    ],
    { duration: MOVE_MS, easing: EASING },
  );
}

/** First-Last-Invert-Play: runs `change`, then lets everything glide from where it was. */
export function flip(current: readonly HTMLElement[], change: () => readonly HTMLElement[]): void {
  if (reducedMotion()) {
    change();
    return;
  }
  const before = places(current);
  const after = places(change());
  for (const [element, to] of after) {
    const from = before.get(element);
    if (!inSight(to) && (from === undefined || !inSight(from))) continue;
    if (from === undefined) appear(element);
    else move(element, from, to);
  }
}

/** A short-lived mark on a card that climbed or came in. Only for the eye: the live region says it in words. */
export function badge(card: HTMLElement, text: string): void {
  card.querySelector(".badge")?.remove();
  const mark = document.createElement("span");
  mark.className = "badge";
  mark.setAttribute("aria-hidden", "true");
  mark.textContent = text;
  card.append(mark);
  setTimeout(() => mark.remove(), BADGE_MS);
}
