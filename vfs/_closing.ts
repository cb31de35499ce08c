/**
 * Uses something and closes it. If both fail, what the use threw is thrown: `using` would throw a
 * SuppressedError, which has no code.
 */
export function closing<Resource extends { close(): void }, Result>(
  resource: Resource,
  use: (resource: Resource) => Result,
): Result {
  let result: Result;
  try {
    result = use(resource);
  } catch (error) {
    try {
      resource.close();
    } catch {
      // What went wrong first is what the caller must hear.
    }
    throw error;
  }
  resource.close();
  return result;
}
