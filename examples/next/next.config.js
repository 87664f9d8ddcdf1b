// A static export; without this line the same pages come from `next start`.
export default { output: "export" };
