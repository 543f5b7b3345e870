/** Tells a folder from another that takes its place. Inodes are used again at once, so the time of birth belongs to it. */
export function identityOf(stats: {
  readonly dev: bigint;
  readonly ino: bigint;
  readonly birthtimeNs: bigint;
}): string {
  return `${stats.dev}:${stats.ino}:${stats.birthtimeNs}`;
}
