/**
 * Tests of a shop's integration with onshelf, in Node: a fake model without chance, WebAssembly or network, scripted
 * shoppers, and what would have been uploaded. For pages in a real browser there is `@onshelf/testing/playwright`.
 *
 * @packageDocumentation
 */

export { assertNothingUploaded } from "./assert.js";
export { FakeOnshelf, fakeOnshelf, type FakeOptions, type FakeUpload } from "./fake.js";
export { FakeModel, type FakeClick, type FakeItem, type FakeRequest } from "./model.js";
export {
  addToCart,
  buy,
  choose,
  learn,
  play,
  track,
  view,
  type Playable,
  type Played,
  type Step,
} from "./shopper.js";
