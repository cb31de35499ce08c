import { statfsSync } from "node:fs";
import { isAbsolute } from "node:path";
import { FlagstoneError } from "../errors/mod.ts";
import { checkPath, fsError } from "./_check.ts";
import { DenoDir } from "./_deno_dir.ts";
import { denoError, isMissing, systemCode } from "./_deno_errors.ts";
import { DenoFile, toFileInfo } from "./_deno_file.ts";
import { takeDenoLock } from "./_deno_lock.ts";
import { joinPath, normalizePath } from "./paths.ts";
import type { DiskUsage, File, FileInfo, Fs, FsSpec, Lock } from "./types.ts";

/** How often a step that another process can spoil is tried again before it fails. */
const RACE_ATTEMPTS = 100;

/**
 * The file system of the operating system, through `Deno.FsFile`. Needs `--allow-read` and
 * `--allow-write` for the paths it is given; `diskUsage` also `--allow-sys=statfs`.
 *
 * Syncs are the strongest that Deno offers: fdatasync and fsync on Linux, F_FULLFSYNC on macOS,
 * FlushFileBuffers on Windows. Sync of a directory does nothing on Windows. `syncTo` is
 * `syncData`, for Deno cannot start write-back of a range; `preallocate` and `prefetch` only check
 * their arguments.
 */
export class DenoFs implements Fs {
  /** Always `deno`. */
  readonly name = "deno";
  /** Any thread can make one. */
  readonly spec: FsSpec = { kind: "deno" };

  /** See {@linkcode Fs.create}. */
  create(path: string): File {
    return this.#try("create", path, () => {
      for (let attempt = 0; attempt < RACE_ATTEMPTS; attempt++) {
        try {
          const file = Deno.openSync(path, { read: true, write: true, createNew: true });
          return new DenoFile(path, file, true, file.statSync());
        } catch (error) {
          if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
        }
        // A fresh inode, not a truncated one: other links and open handles keep the old content.
        this.#unlinkIfThere(path);
      }
      throw fsError("EXISTS", "create", path, "another process creates it again and again");
    });
  }

  /** See {@linkcode Fs.open}. */
  open(path: string): File {
    return this.#try("open", path, () => {
      const file = Deno.openSync(path, { read: true });
      const info = file.statSync();
      if (info.isDirectory) {
        file.close();
        throw fsError("IS_A_DIRECTORY", "open", path, "it is a directory");
      }
      return new DenoFile(path, file, false, info);
    });
  }

  /** See {@linkcode Fs.openReadWrite}. */
  openReadWrite(path: string): File {
    return this.#try("openReadWrite", path, () => this.#openReadWrite(path, true));
  }

  /** See {@linkcode Fs.openDir}. */
  openDir(path: string): File {
    return this.#try("openDir", path, () => {
      if (!Deno.statSync(path).isDirectory) {
        throw fsError("NOT_A_DIRECTORY", "openDir", path, "it is no directory");
      }
      const file = Deno.build.os === "windows" ? undefined : Deno.openSync(path, { read: true });
      return new DenoDir(path, file);
    });
  }

  /** See {@linkcode Fs.link}. */
  link(existing: string, path: string): void {
    checkPath("link", existing);
    this.#try("link", path, () => {
      if (Deno.statSync(existing).isDirectory) {
        throw fsError("IS_A_DIRECTORY", "link", existing, "a directory has one name");
      }
      try {
        Deno.linkSync(existing, path);
      } catch (error) {
        // What Linux says where a file system (FAT, for instance) has no hard links.
        if (systemCode(error) !== "EPERM") throw error;
        throw fsError("UNSUPPORTED", "link", path, "no hard link is possible", { cause: error });
      }
    });
  }

  /** See {@linkcode Fs.remove}. */
  remove(path: string): void {
    this.#try("remove", path, () => Deno.removeSync(path));
  }

  /** See {@linkcode Fs.removeAll}. The root is refused. */
  removeAll(path: string): void {
    this.#try("removeAll", path, () => {
      if (normalizePath(path) === "/") {
        throw fsError("INVALID", "removeAll", path, "that is the whole file system");
      }
      try {
        Deno.removeSync(path, { recursive: true });
      } catch (error) {
        if (!isMissing(error)) throw error;
      }
    });
  }

  /** See {@linkcode Fs.rename}. */
  rename(from: string, to: string): void {
    checkPath("rename", to);
    this.#try("rename", from, () => renameSync("rename", from, to));
  }

  /** See {@linkcode Fs.reuseForWrite}. */
  reuseForWrite(from: string, to: string): File {
    checkPath("reuseForWrite", to);
    return this.#try("reuseForWrite", from, () => {
      if (Deno.statSync(from).isDirectory) {
        throw fsError("IS_A_DIRECTORY", "reuseForWrite", from, "it is a directory");
      }
      renameSync("reuseForWrite", from, to);
      return this.#openReadWrite(to, false);
    });
  }

  /** See {@linkcode Fs.mkdirAll}. */
  mkdirAll(path: string): void {
    this.#try("mkdirAll", path, () => {
      try {
        Deno.mkdirSync(path, { recursive: true });
      } catch (error) {
        if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
        throw fsError("NOT_A_DIRECTORY", "mkdirAll", path, "a file has the name", { cause: error });
      }
    });
  }

  /** See {@linkcode Fs.lock}. Taken with `flock` or its like: it ends with the process at the latest. */
  lock(path: string): Lock {
    return this.#try("lock", path, () => takeDenoLock(path));
  }

  /** See {@linkcode Fs.list}. `INVALID` where a name is not UTF-8: no call could reach it. */
  list(path: string): string[] {
    return this.#try("list", path, () => {
      const names: string[] = [];
      for (const { name } of Deno.readDirSync(path)) {
        // Deno puts this in the place of what it cannot decode; then nothing has that name.
        if (name.includes("\uFFFD") && !isThere(`${path}/${name}`)) {
          throw fsError("INVALID", "list", path, `a name is not UTF-8: ${name}`);
        }
        names.push(name);
      }
      return names.sort();
    });
  }

  /** See {@linkcode Fs.stat}. Symbolic links are followed. */
  stat(path: string): FileInfo {
    return this.#try("stat", path, () => toFileInfo(Deno.statSync(path)));
  }

  /** See {@linkcode Fs.diskUsage}. `PERMISSION` without `--allow-sys=statfs`; never prompts for it. */
  diskUsage(path: string): DiskUsage {
    return this.#try("diskUsage", path, () => {
      const { state } = Deno.permissions.querySync({ name: "sys", kind: "statfs" });
      if (state !== "granted") {
        throw fsError("PERMISSION", "diskUsage", path, "run again with --allow-sys=statfs");
      }
      const { bsize, blocks, bfree, bavail } = statfsSync(path);
      return {
        availableBytes: bavail * bsize,
        totalBytes: blocks * bsize,
        usedBytes: (blocks - bfree) * bsize,
      };
    });
  }

  /**
   * See {@linkcode Fs.absolutePath}. A program that may not know where it is stays there, it is hoped:
   * then, and if its directory is gone, a relative path stays as it is.
   */
  absolutePath(path: string): string {
    if (path === "" || isAbsolute(path)) return path;
    // Asked first: else the user would be asked.
    const { state } = Deno.permissions.querySync({ name: "read", path: "." });
    if (state !== "granted") return path;
    try {
      return joinPath(Deno.cwd(), path);
    } catch {
      return path;
    }
  }

  #openReadWrite(path: string, create: boolean): File {
    const file = Deno.openSync(path, { read: true, write: true, create });
    return new DenoFile(path, file, true, file.statSync());
  }

  #unlinkIfThere(path: string): void {
    try {
      // Asked first, because the removal would also take an empty directory.
      if (Deno.lstatSync(path).isDirectory) {
        throw fsError("IS_A_DIRECTORY", "create", path, "it is a directory");
      }
      Deno.removeSync(path);
    } catch (error) {
      if (error instanceof FlagstoneError || !(error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  #try<T>(operation: string, path: string, action: () => T): T {
    checkPath(operation, path);
    try {
      return action();
    } catch (error) {
      throw denoError(error, operation, path);
    }
  }
}

function isThere(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

function renameSync(operation: string, from: string, to: string): void {
  try {
    Deno.renameSync(from, to);
  } catch (error) {
    // Linux says of a file on its way to the name of a directory above it that it is not empty.
    if (systemCode(error) !== "ENOTEMPTY" || Deno.statSync(from).isDirectory) throw error;
    throw fsError("IS_A_DIRECTORY", operation, to, "a directory has the name", { cause: error });
  }
}
