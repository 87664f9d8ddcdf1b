// No more than this policy is needed, neither when developing nor in production.
const headers = {
  "Content-Security-Policy":
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'",
};

export default { server: { headers }, preview: { headers } };
