// An HTTP server of its own for the RPC server.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
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

/** Serves at an address; port 0 takes a free one. Throws the system's error where it cannot listen there. */
export async function listen(rpc: RpcServer, host: string, port: number): Promise<Listening> {
  const server = createServer({ requestTimeout: REQUEST_MS, headersTimeout: HEADERS_MS });
  server.maxConnections = MAX_SOCKETS;
  server.on("request", (request, response) => rpc.request(request, response));
  server.on("upgrade", (request, stream, head) => rpc.upgrade(request, stream, head));
  await new Promise<void>((resolve, reject) => {
    server.on("error", reject);
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
