import { setWasmPaths } from "@tensorflow/tfjs-backend-wasm";

setWasmPaths("/node_modules/@tensorflow/tfjs-backend-wasm/dist/");

export { create } from "./tfjs.mjs";
