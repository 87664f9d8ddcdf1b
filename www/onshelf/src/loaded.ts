/** All that a worker has once a model is loaded. */

import type { Devices } from "./devices.js";
import type { ModelFacts } from "./engine.js";
import type { Loop } from "./loop.js";
import type { LoadConfig } from "./protocol.js";
import type { Saver } from "./saver.js";
import type { Sync } from "./sync.js";
import type { Tabs } from "./tabs.js";
import type { Updates } from "./updates.js";
import type { VersionLog } from "./version-log.js";

/** See the file's head. An update puts other facts, devices and an other pristine state in. */
export interface Loaded {
  config: LoadConfig;
  facts: ModelFacts;
  devices: Devices;
  saver: Saver;
  tabs: Tabs;
  loop: Loop;
  sync: Sync;
  log: VersionLog;
  updates: Updates;
  /** The state of a shopper about whom nothing is known. */
  pristine: Uint8Array;
}
