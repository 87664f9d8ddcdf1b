import "@tensorflow/tfjs-backend-webgpu";

export { create } from "./tfjs.mjs";
