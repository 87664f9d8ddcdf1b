import { setWasmPaths } from "@tensorflow/tfjs-backend-wasm";
import { env } from "@tensorflow/tfjs-core";

setWasmPaths("/node_modules/@tensorflow/tfjs-backend-wasm/dist/");
// One thread, as everybody here: an isolated page would get two.
env().set("WASM_HAS_MULTITHREAD_SUPPORT", false);

export { create } from "./tfjs.mjs";
