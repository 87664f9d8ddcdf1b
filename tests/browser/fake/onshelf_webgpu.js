// Stands in for the wasm-bindgen glue of the WebGPU module.
import { fakeEngine } from "./fake-engine.js";

export const Engine = fakeEngine("webgpu");

/** Nothing to compile. */
export default async function init() {}
