// Addresses to listen at, as people write them.

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** `host:port`, `[address]:port`, or `port` alone for this machine; null: it is none of these. */
export function parseAddress(text: string): Address | null {
  const [, host, digits] = /^(?:(\[[\da-f:.]+\]|[^:[\]]+):)?(\d{1,5})$/i.exec(text) ?? [];
  const port = Number(digits);
  if (digits === undefined || port > 65_535) return null;
  return { host: (host ?? "127.0.0.1").replace(/^\[|\]$/g, ""), port };
}

export function formatAddress({ host, port }: Address): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
