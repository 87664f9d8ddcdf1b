/** Milliseconds between calls, by name. */
export function stopwatch() {
  const marks = {};
  let began = performance.now();
  const mark = (name) => {
    const now = performance.now();
    marks[name] = now - began;
    began = now;
  };
  return { marks, mark };
}
