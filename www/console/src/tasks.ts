/** One task as both aggregators see it. */

import type { Aggregator, Status, TaskStatus } from "./types.ts";

export type Role = "leader" | "helper";
export const ROLES: readonly Role[] = ["leader", "helper"];

export interface Task {
  readonly id: string;
  /** What both must agree on, from whoever answered. */
  readonly common: TaskStatus;
  readonly leader: TaskStatus | null;
  readonly helper: TaskStatus | null;
  /** The collector is done with it, though the aggregators may keep it until it expires. */
  readonly over: boolean;
}

export function aggregatorOf(status: Status, role: Role): Aggregator | undefined {
  return status.aggregators.find((one) => one.role === role);
}

/** All tasks that either aggregator knows, newest first. */
export function tasksOf(status: Status): Task[] {
  const found = new Map<string, Task>();
  const rounds = status.lineages.flatMap((one) => one.rounds);
  const ended = rounds.filter(
    ({ stage }) => stage !== "open" && !Object.hasOwn(Object(stage), "released"),
  );
  const over = new Set(ended.map(({ task }) => task));
  for (const role of ROLES) {
    for (const task of aggregatorOf(status, role)?.tasks ?? []) {
      const known = found.get(task.task);
      const blank = {
        id: task.task,
        common: task,
        leader: null,
        helper: null,
        over: over.has(task.task),
      };
      found.set(task.task, { ...(known ?? blank), [role]: task });
    }
  }
  return [...found.values()].sort((a, b) => b.common.start - a.common.start);
}

/** Reports that were verified and summed, released or not. */
export const verified = (task: TaskStatus): number => task.aggregated + task.collected;

/** Refused reports, of all reasons. */
export const refused = (task: TaskStatus): number =>
  Object.values(task.rejected).reduce((sum, n) => sum + n, 0);

export const isOpen = (task: Task, now: number): boolean => !task.over && task.common.expires > now;
