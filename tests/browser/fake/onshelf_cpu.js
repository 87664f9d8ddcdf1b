// Stands in for the wasm-bindgen glue of the CPU module.
import { fakeEngine } from "./fake-engine.js";

export const Engine = fakeEngine("cpu");

/** Nothing to compile. */
export default async function init() {}
