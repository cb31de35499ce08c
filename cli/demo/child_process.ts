/** What a child has come to: it begins to open the store, or the store is open. */
export type Mark = "opening" | "open";

/** When a child is killed. */
export interface KillPlan {
  /** So many milliseconds … */
  readonly afterMs: number;
  /** … after the child said that it has come to this. */
  readonly since: Mark;
}

/** A child process to run. */
export interface ChildRun {
  /** The module that it runs. */
  readonly script: URL;
  /** Its permissions and other flags of `deno run`. */
  readonly flags: readonly string[];
  /** Its standard input. */
  readonly input: string;
  /** Takes each whole line of its standard output, those too that it wrote just before it was killed. */
  readonly onLine: (line: string) => void;
  /** What the child has come to with this line, if it tells. */
  readonly markOf: (line: string) => Mark | undefined;
  /** When to kill it; never, unless given. */
  readonly kill?: KillPlan;
  /** Kills it, and makes the run reject. */
  readonly signal?: AbortSignal;
}

/** How a child ended. */
export interface ChildEnd {
  /** True if SIGKILL ended it, false if it ended by itself. */
  readonly killed: boolean;
  /** Its exit code. */
  readonly code: number;
  /** Milliseconds from `opening` to `open`; `undefined` if the store was never open. */
  readonly openingMs: number | undefined;
  /** Milliseconds from `open` to the end; 0 if the store was never open. */
  readonly workedMs: number;
}

/**
 * Runs a module in a process of its own and kills it with SIGKILL at the planned moment. Resolves
 * when it is gone and all that it had written was read; what it left of a last line is dropped.
 */
export async function runChild(run: ChildRun): Promise<ChildEnd> {
  run.signal?.throwIfAborted();
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-prompt", "--no-config", ...run.flags, run.script.href],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const kill = () => killChild(child);
  const atMs = new Map<Mark, number>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  run.signal?.addEventListener("abort", kill);
  try {
    const fed = feed(child.stdin, run.input);
    for await (const line of wholeLines(child.stdout)) {
      run.onLine(line);
      const mark = run.markOf(line);
      if (mark === undefined) continue;
      atMs.set(mark, performance.now());
      if (run.kill?.since === mark) timer = setTimeout(kill, run.kill.afterMs);
    }
    const [status] = await Promise.all([child.status, fed]);
    run.signal?.throwIfAborted();
    const openMs = atMs.get("open");
    return {
      killed: status.signal === "SIGKILL" || (run.kill !== undefined && wasTerminated(status)),
      code: status.code,
      openingMs: openMs === undefined ? undefined : openMs - (atMs.get("opening") ?? openMs),
      workedMs: openMs === undefined ? 0 : performance.now() - openMs,
    };
  } catch (error) {
    kill();
    await child.status;
    throw error;
  } finally {
    clearTimeout(timer);
    run.signal?.removeEventListener("abort", kill);
  }
}

/** Windows has no signals: a process that was ended from outside has exit code 1. */
function wasTerminated(status: Deno.CommandStatus): boolean {
  return Deno.build.os === "windows" && status.code === 1;
}

function killChild(child: Deno.ChildProcess): void {
  try {
    child.kill("SIGKILL");
  } catch (error) {
    // It has ended by itself.
    if (!(error instanceof TypeError) && !(error instanceof Deno.errors.NotFound)) throw error;
  }
}

async function feed(stdin: WritableStream<Uint8Array>, input: string): Promise<void> {
  const writer = stdin.getWriter();
  try {
    await writer.write(new TextEncoder().encode(input));
    await writer.close();
  } catch {
    // It was killed before it had read all.
  }
}

async function* wholeLines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}
