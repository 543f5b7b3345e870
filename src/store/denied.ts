// How a database says that a user may not do something. Often it says nothing; then the commit's own count does.

/** Whether an error tells that rights are missing. */
export function isDenied(error: Error): boolean {
  return /riffd: denied|not enough permissions|IAM error|permission/i.test(error.message);
}
