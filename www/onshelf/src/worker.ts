/** Entry of the dedicated module worker. See `host.ts` for what it does. */

import { Host, type Post } from "./host.js";
import type { ToWorker } from "./protocol.js";
import { knowRemedies } from "./remedies.js";

// The DOM's types describe a window; this is the part of a worker's global that is used.
const scope = self as unknown as {
  addEventListener(type: "message", listener: (event: MessageEvent<ToWorker>) => void): void;
  addEventListener(
    type: "unhandledrejection",
    listener: (event: PromiseRejectionEvent) => void,
  ): void;
  postMessage(message: unknown, transfer: Transferable[]): void;
  close(): void;
};

knowRemedies();
const post: Post = (message, transfer = []) => scope.postMessage(message, transfer);
const host = new Host(post, () => scope.close());

scope.addEventListener("message", (event) => host.receive(event.data));
scope.addEventListener("unhandledrejection", (event) => {
  // Unlike an uncaught exception it would never reach the page.
  event.preventDefault();
  host.crash(event.reason);
});
post({ note: "ready" });
