const TITLE = /^\s*(?:Deno\.test|testStore|testFaulty|testWal)\(\s*(?:"([^"]+)"|`([^`]+)`)/gm;

/** Titles of the tests in a file of this folder, named without `_test.ts`, as they stand in the source. */
export function titlesOf(file: string): string[] {
  const source = Deno.readTextFileSync(new URL(`${file}_test.ts`, import.meta.url));
  return Array.from(source.matchAll(TITLE), ([, plain, template]) => (plain ?? template)!);
}

/** True if `test`, written as `file: title`, is there. */
export function isTest(test: string): boolean {
  const end = test.indexOf(": ");
  return titlesOf(test.slice(0, end)).includes(test.slice(end + 2));
}
