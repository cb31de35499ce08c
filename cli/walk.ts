import { failureOf } from "./failures.ts";

/** A regular file below a folder. */
export interface WalkedFile {
  /** Where it is. */
  readonly path: string;
  /** Path below the folder, with `/` between names. */
  readonly relative: string;
  /** Its length in bytes, at the time of the walk. */
  readonly size: number;
}

/** What a walk tells about what it does not give out. */
export interface WalkNews {
  /** Symbolic link, socket, device: neither a file nor a folder. */
  irregular(path: string): void;
  /** A file or folder that cannot be read. */
  unreadable(path: string, reason: string): void;
  /** True for folders that are to be left out. */
  leaveOut?(path: string): boolean;
}

/**
 * Gives out the regular files below `root`, folder by folder, names in order. Does not follow
 * symbolic links but `root` itself. Throws if `root` cannot be read.
 */
export function* walkFiles(root: string, news: WalkNews): Generator<WalkedFile> {
  // Read here, not below: that `root` is missing is the whole story, not a detail.
  const folders = [{ path: root, prefix: "", names: namesOf(root) }];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    const below: typeof folders = [];
    for (const name of folder.names) {
      const path = `${folder.path}/${name}`;
      const relative = `${folder.prefix}${name}`;
      try {
        const info = Deno.lstatSync(path);
        if (info.isFile) yield { path, relative, size: info.size };
        else if (!info.isDirectory) news.irregular(path);
        else if (news.leaveOut?.(path) !== true) {
          below.push({ path, prefix: `${relative}/`, names: namesOf(path) });
        }
      } catch (error) {
        news.unreadable(path, failureOf(error).message);
      }
    }
    folders.push(...below.reverse());
  }
}

function namesOf(folder: string): string[] {
  return Array.from(Deno.readDirSync(folder), ({ name }) => name).sort();
}
