export default {
  mode: "production",
  entry: "./src/main.js",
  output: { path: `${import.meta.dirname}/public`, filename: "main.js" },
  // The WebGPU module is large, and only fetched where it is used.
  performance: { hints: false },
};
