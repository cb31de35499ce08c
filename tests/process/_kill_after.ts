import assert from "node:assert/strict";

/**
 * Runs a program of this folder until `killAfterMs` after it has printed "open", then SIGKILL. Tells
 * `onLine` of each other line that it printed in full. Returns how many there were.
 */
export async function killAfter(
  program: string,
  args: readonly string[],
  killAfterMs: number,
  onLine: (line: string) => void,
): Promise<number> {
  const url = new URL(program, import.meta.url).href;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", "--allow-read", "--allow-write", url, ...args],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  let lines = 0;
  let rest = "";
  let killTimer: ReturnType<typeof setTimeout> | undefined;
  for await (const piece of child.stdout.pipeThrough(new TextDecoderStream())) {
    const complete = (rest + piece).split("\n");
    rest = complete.pop()!;
    for (const line of complete) {
      // The load, not the start of the process, is what is to be killed. Nothing waits for this timer
      // to be in step with anything: that the moment is arbitrary is the test.
      if (line === "open") killTimer = setTimeout(() => child.kill("SIGKILL"), killAfterMs);
      else {
        onLine(line);
        lines++;
      }
    }
  }
  const status = await child.status;
  clearTimeout(killTimer);
  assert.equal(status.signal, "SIGKILL", "the child ended by itself");
  return lines;
}
