/**
 * Why a key cannot be the path of a file below a folder; `undefined` if it can. What the file
 * system alone can tell, such as a name that is too long, is left to it.
 */
export function refuseRelativePath(path: string, os: typeof Deno.build.os): string | undefined {
  if (path === "") return "nothing is left of it without the prefix";
  if (path.includes("\0")) return "it has a NUL";
  if (path.startsWith("/")) return "it is an absolute path";
  const names = path.split("/");
  if (names.includes("..")) return 'it has ".."';
  if (names.includes("")) return "it has an empty name";
  if (names.includes(".")) return 'it has "."';
  if (os === "windows" && /[\\:]/.test(path)) return "it has a character with a meaning on Windows";
  return undefined;
}
