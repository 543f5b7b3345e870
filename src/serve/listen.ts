// An HTTP server of its own for the RPC server.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type Address, formatAddress } from "../config/address.ts";
import { RiffError, systemCode } from "../errors.ts";
import type { RpcServer } from "./rpc-server.ts";

/** Connections beyond the RPC server's own, which it refuses with an answer. */
const MAX_SOCKETS = 200;
/** How long a client may take to send its request. */
const REQUEST_MS = 30_000;
const HEADERS_MS = 10_000;

export interface Listening {
  readonly host: string;
  readonly port: number;
  /** Closes the address, then the RPC server. */
  close(): Promise<void>;
}

/** What is to be said of an address that is not only this machine's. */
export function exposure({ host }: Address): string {
  return (
    `${host} can be reached from other machines, and passwords and conversations go there unencrypted. ` +
    "Put a proxy with TLS in front."
  );
}

/** Serves at an address; port 0 takes a free one. Throws RIFF_SERVE_FAILED. */
export async function listen(rpc: RpcServer, address: Address): Promise<Listening> {
  const { host, port } = address;
  const server = createServer({ requestTimeout: REQUEST_MS, headersTimeout: HEADERS_MS });
  server.maxConnections = MAX_SOCKETS;
  server.on("request", (request, response) => rpc.request(request, response));
  server.on("upgrade", (request, stream, head) => rpc.upgrade(request, stream, head));
  await new Promise<void>((resolve, reject) => {
    server.on("error", (error) => reject(cannotListen(address, error)));
    server.listen({ host, port }, resolve);
  });
  return {
    host,
    port: (server.address() as AddressInfo).port,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      await rpc.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function cannotListen(address: Address, error: Error): RiffError {
  const why = systemCode(error) === "EADDRINUSE" ? "it is in use" : error.message;
  return new RiffError(
    "RIFF_SERVE_FAILED",
    `Cannot listen at ${formatAddress(address)}: ${why}.`,
    "Choose another address, or stop what uses it.",
    error,
  );
}
