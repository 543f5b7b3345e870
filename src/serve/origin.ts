// Which web pages may talk to the server. Any page that a browser shows can open a connection to this machine, also
// under a name that it has made point here; browsers tell where a page is from, and other programs tell nothing.

/** Where Surrealist's desktop application says that its pages are from. */
const DESKTOP_ORIGINS = new Set(["tauri://localhost", "http://tauri.localhost", "https://tauri.localhost"]);

/**
 * Whether a request with this `Origin` header may pass: one without it, one of a page from this machine, one of
 * Surrealist's desktop application, one of `allowed`.
 */
export function isAllowedOrigin(origin: string | undefined, allowed: ReadonlySet<string>): boolean {
  if (origin === undefined || DESKTOP_ORIGINS.has(origin) || allowed.has(origin)) return true;
  return URL.canParse(origin) && isLoopback(new URL(origin).hostname);
}

/** A host name or address that is this machine. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "[::1]" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}
