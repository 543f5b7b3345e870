// SurrealDB's protocol to the daemon's embedded store: on the control socket for its owner, and on TCP, where it was asked
// for, for who signs in.
import { type Address, formatAddress } from "../config/address.ts";
import { exposure, listen } from "../serve/listen.ts";
import { isLoopback } from "../serve/origin.ts";
import { RpcServer } from "../serve/rpc-server.ts";
import { requireUsers } from "../serve/users.ts";
import type { Database } from "../store/database.ts";
import { rpcPeer } from "../store/engine.ts";
import type { Logger } from "../sync/logger.ts";

export interface RpcAccess {
  /** For the control socket. */
  readonly server: RpcServer;
  /** On TCP. */
  readonly addresses: readonly string[];
  /** Idempotent. */
  close(): Promise<void>;
}

export interface RpcPlan {
  /** Folder of the store, which is open. */
  readonly dir: string;
  readonly database: Database;
  /** null: not on TCP. */
  readonly address: Address | null;
  readonly allowedOrigins: readonly string[];
  readonly logger: Logger;
}

/** Throws RIFF_SERVE_FAILED. */
export async function openRpc({ dir, database, address, allowedOrigins, logger }: RpcPlan): Promise<RpcAccess> {
  const peer = rpcPeer(dir);
  const server = await RpcServer.create(peer, { signin: "open" });
  if (address === null) return { server, addresses: [], close: () => server.close() };
  await requireUsers((text) => database.run(text));
  if (!isLoopback(address.host)) logger.warn({ address: formatAddress(address) }, exposure(address));
  const listening = await listen(await RpcServer.create(peer, { signin: "required", allowedOrigins }), address);
  const url = `ws://${formatAddress({ host: listening.host, port: listening.port })}/rpc`;
  logger.info({ url }, "SurrealDB's clients may sign in");
  return {
    server,
    addresses: [url],
    async close() {
      await Promise.all([listening.close(), server.close()]);
    },
  };
}
