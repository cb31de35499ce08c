/** A call that can change what a power loss leaves. */
export type Step =
  | { readonly do: "create"; readonly name: string }
  | { readonly do: "write"; readonly name: string; readonly block: number; readonly fill: string }
  | { readonly do: "truncate"; readonly name: string; readonly size: number }
  | { readonly do: "punch"; readonly name: string; readonly block: number }
  | { readonly do: "sync"; readonly name: string }
  | { readonly do: "syncDir"; readonly dir: string }
  | { readonly do: "rename"; readonly name: string; readonly to: string }
  | { readonly do: "link"; readonly name: string; readonly to: string }
  | { readonly do: "remove"; readonly name: string };

/** What the disk writes in one piece, in this model. */
export const BLOCK = 4096;

interface ModelFile {
  /** The content at each moment since the last sync, the synced one first. */
  moments: string[];
}

/** A change of the flat map from full path to file. */
interface ModelChange {
  readonly moved: boolean;
  readonly sets: readonly (readonly [path: string, file: ModelFile | undefined])[];
  durable: boolean;
  readonly index: number;
}

const dirOf = (path: string) => path.slice(0, path.lastIndexOf("/")) || "/";

/**
 * An independent model of what a power loss leaves: it keeps every moment of the past as a whole
 * and picks among moments, where CrashFs keeps changes and replays them.
 */
export class Model {
  readonly names = new Map<string, ModelFile>();
  readonly changes: ModelChange[] = [];
  /** Changes before this one are in the journal of a journalled file system. */
  forced = 0;

  run(step: Step): void {
    switch (step.do) {
      case "create":
        if (this.names.has(step.name)) this.#change(false, [[step.name, undefined]]);
        this.#change(false, [[step.name, { moments: [""] }]]);
        break;
      case "write":
        this.#edit(step.name, (old) => {
          const padded = old.padEnd((step.block + 1) * BLOCK, "\0");
          const start = step.block * BLOCK;
          return padded.slice(0, start) + step.fill.repeat(BLOCK) + padded.slice(start + BLOCK);
        });
        break;
      case "truncate":
        this.#edit(step.name, (old) => old.slice(0, step.size).padEnd(step.size, "\0"));
        break;
      case "punch":
        this.#edit(step.name, (old) => {
          const start = step.block * BLOCK;
          return old.slice(0, start) + "\0".repeat(old.slice(start, start + BLOCK).length) +
            old.slice(start + BLOCK);
        });
        break;
      case "sync": {
        const file = this.names.get(step.name);
        if (file !== undefined) file.moments = file.moments.slice(-1);
        this.forced = this.changes.length;
        break;
      }
      case "syncDir":
        for (const change of this.changes) {
          if (change.sets.some(([path]) => dirOf(path) === step.dir)) this.#makeDurable(change);
        }
        this.forced = this.changes.length;
        break;
      case "rename": {
        const file = this.names.get(step.name);
        if (step.name !== step.to && this.names.get(step.to) !== file) {
          this.#change(true, [[step.name, undefined], [step.to, file]]);
        }
        break;
      }
      case "link":
        this.#change(false, [[step.to, this.names.get(step.name)]]);
        break;
      case "remove":
        this.#change(false, [[step.name, undefined]]);
        break;
    }
  }

  /** Every state that a crash can leave, as text. */
  crashes(): Set<string> {
    const states = new Set<string>();
    for (const names of this.#nameStates()) {
      const files = [...new Set(names.values())];
      const contents = files.map(contentStates);
      for (const choice of product(contents)) {
        const text = [...names].sort(([a], [b]) => a < b ? -1 : 1).map(([path, file]) => {
          const at = files.indexOf(file);
          const links = [...names.values()].filter((other) => other === file).length;
          return `${path}*${links}=${brief(choice[at] ?? "")}`;
        });
        states.add(text.join(" "));
      }
    }
    return states;
  }

  *#nameStates(): Generator<Map<string, ModelFile>> {
    const open = this.changes.filter((change) => !change.durable);
    for (let mask = 0; mask < 1 << open.length; mask++) {
      const kept = (change: ModelChange) => {
        const at = open.indexOf(change);
        return at < 0 || (mask >> at & 1) === 1;
      };
      const lost = open.filter((change) => !kept(change));
      // Journalled: no change is lost before one that is kept, and none that was forced out.
      const firstLost = lost.map((change) => change.index).reduce(
        (a, b) => Math.min(a, b),
        Infinity,
      );
      const lastKept = open.filter(kept).map((change) => change.index)
        .reduce((a, b) => Math.max(a, b), -1);
      const journalled = firstLost >= this.forced && lastKept < firstLost;
      // Weak: a lost move must not be needed by anything later that is kept.
      const weak = !lost.some((move) =>
        this.changes.some((later) => kept(later) && needs(later, move))
      );
      if (!journalled && !weak) continue;
      const names = new Map<string, ModelFile>();
      for (const change of this.changes) {
        if (!kept(change)) continue;
        for (const [path, file] of change.sets) {
          if (file === undefined) names.delete(path);
          else names.set(path, file);
        }
      }
      yield names;
    }
  }

  #change(moved: boolean, sets: ModelChange["sets"]): void {
    for (const [path, file] of sets) {
      if (file === undefined) this.names.delete(path);
      else this.names.set(path, file);
    }
    this.changes.push({ moved, sets, durable: false, index: this.changes.length });
  }

  #makeDurable(change: ModelChange): void {
    if (change.durable) return;
    change.durable = true;
    for (const earlier of this.changes) if (needs(change, earlier)) this.#makeDurable(earlier);
    // What a durable change overrides can no longer show, whether it is lost or kept.
  }

  #edit(name: string, edit: (old: string) => string): void {
    const file = this.names.get(name);
    if (file === undefined) throw new Error(`no ${name}`);
    file.moments.push(edit(file.moments.at(-1) ?? ""));
  }
}

/** True if `later` cannot be without the move `move`. */
function needs(later: ModelChange, move: ModelChange): boolean {
  if (!move.moved || move.index >= later.index) return false;
  const [source, target] = move.sets;
  if (source === undefined || target === undefined) return false;
  if (later.sets.some(([path]) => path === source[0])) return true;
  return later.moved && later.sets[0]?.[0] === target[0] && later.sets[1]?.[1] === target[1];
}

/** Every content: a length of any moment, each block of any moment. */
function contentStates(file: ModelFile): string[] {
  const longest = Math.max(...file.moments.map((moment) => moment.length));
  const blocks: string[][] = [];
  for (let start = 0; start < longest; start += BLOCK) {
    blocks.push([
      ...new Set(
        file.moments.map((moment) => moment.slice(start, start + BLOCK).padEnd(BLOCK, "\0")),
      ),
    ]);
  }
  const states = new Set<string>();
  for (const size of new Set(file.moments.map((moment) => moment.length))) {
    for (const choice of product(blocks)) {
      states.add(choice.join("").padEnd(size, "\0").slice(0, size));
    }
  }
  return [...states];
}

function* product<T>(choices: readonly (readonly T[])[]): Generator<T[]> {
  const [first, ...rest] = choices;
  if (first === undefined) {
    yield [];
    return;
  }
  for (const item of first) for (const tail of product(rest)) yield [item, ...tail];
}

/** Long runs as a count. */
export function brief(content: string): string {
  return content.replace(/(.)\1*/gs, (run) => `${run.length}${run[0] === "\0" ? "." : run[0]}`);
}
