/**
 * What `import "onshelf"` gives where pages are rendered on a server (the `node` condition of `exports` and its
 * kin): the same names, without the browser's half. A server's bundle so gets neither worker nor modules, and
 * nothing here reads a global or throws until somebody calls `load`.
 */

import { fail } from "./errors.js";

export { consentMode, tcf } from "./consent-sources.js";
export { OnshelfError } from "./errors.js";
export { VERSION } from "./version.js";

/** Stands for the class of the browser's entry: recommendations are made where the shopper is. */
export class Onshelf {
  /**
   * @throws OnshelfError `INVALID_REQUEST`, always
   */
  static load(): Promise<never> {
    return Promise.reject(
      fail("INVALID_REQUEST", "Onshelf.load runs in a page of a browser, not on a server"),
    );
  }
}
