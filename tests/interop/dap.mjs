// Uploads vectors with Divvi Up's TypeScript client, unmodified. Standard input: { task, vectors }.
// Run by crates/server/tests/interop.rs.
import { text } from "node:stream/consumers";
import { Task } from "@divviup/dap";

const { task, vectors } = JSON.parse(await text(process.stdin));
const client = new Task(task);
for (const vector of vectors) await client.sendMeasurement(vector);
