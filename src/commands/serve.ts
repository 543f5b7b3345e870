// riffd serve: the embedded store for SurrealDB's own clients, over WebSocket and HTTP, until a signal ends it.
import { once } from "node:events";
import { type Address, formatAddress, parseAddress } from "../config/address.ts";
import { resolveSettings, type Settings } from "../config/config.ts";
import { RiffError } from "../errors.ts";
import { exposure, type Listening, listen } from "../serve/listen.ts";
import { isLoopback } from "../serve/origin.ts";
import { RpcServer } from "../serve/rpc-server.ts";
import { defineUser, isUserName, LEVELS, type Query, ROLES, requireUsers } from "../serve/users.ts";
import { rpcPeer } from "../store/engine.ts";
import type { Output } from "./output.ts";
import { askSecret } from "./secret.ts";
import { openEmbeddedStore } from "./store.ts";
import { embeddedStore, refuseBesideDaemon } from "./store-way.ts";

export interface ServeOptions {
  /** An address to listen at; false: only make the user. */
  readonly listen: string | false;
  readonly user?: string;
  readonly role: string;
  readonly level: string;
  readonly allowOrigin: readonly string[];
  readonly json: boolean;
}

const DAEMON_HINT =
  "Let the daemon serve it: `riffd start --rpc-listen ADDRESS`. Or stop the daemon with `riffd stop`, and run this command again.";

/** Runs the command until `signal` is aborted, which is how it ends well. Returns its exit code. Throws RiffError. */
export async function serveCommand(options: ServeOptions, output: Output, signal: AbortSignal): Promise<number> {
  const address = options.listen === false ? null : listenAddress(options.listen);
  const settings = resolveSettings({ serve_user: options.user }, process.env);
  const user = await newUser(options, settings.serve);
  if (address === null && user === null) throw usage("With --no-listen, --user says whom to make.");
  if (address !== null) await refuseBesideDaemon(embeddedStore(settings), "riffd serve", DAEMON_HINT);
  const { store, close } = await openEmbeddedStore(settings, output, signal);
  try {
    const query: Query = (text) => store.database.run(text);
    if (user !== null) {
      await defineUser(query, user);
      output.note(`${user.name} may sign in as ${user.role} at the level ${user.level}.`);
    }
    if (address === null) return 0;
    await requireUsers(query);
    const rpc = await RpcServer.create(rpcPeer(settings.storeDir), {
      signin: "required",
      allowedOrigins: options.allowOrigin,
    });
    if (!isLoopback(address.host)) output.note(`Warning: ${exposure(address)}`);
    const listening = await listen(rpc, address);
    tellReady(listening, rpc, store.location, options, output);
    if (!signal.aborted) await once(signal, "abort");
    output.note("Stopping …");
    await listening.close();
    return 0;
  } finally {
    await close();
  }
}

async function newUser({ role, level }: ServeOptions, { user, pass }: Settings["serve"]) {
  if (user === null) return null;
  const chosen = {
    name: user,
    role: ROLES.find((known) => known === role),
    level: LEVELS.find((known) => known === level),
  };
  if (!isUserName(user)) throw usage(`"${user}" is no name for a user.`);
  if (chosen.role === undefined) throw usage(`"${role}" is no role: ${ROLES.join(", ")}.`);
  if (chosen.level === undefined) throw usage(`"${level}" is no level: ${LEVELS.join(", ")}.`);
  return { name: user, role: chosen.role, level: chosen.level, password: pass ?? (await newPassword(user)) };
}

async function newPassword(user: string): Promise<string> {
  if (!process.stdin.isTTY) {
    throw unsafe(
      `There is no password for ${user}, and no terminal to ask for it.`,
      "Give it in the environment as RIFFD_SERVE_PASS, or in a file as RIFFD_SERVE_PASS_FILE.",
    );
  }
  const typed = await askSecret(`Password for ${user}: `);
  if (typed === "") throw unsafe("The password is empty.");
  if ((await askSecret("Once more: ")) !== typed) throw unsafe("The passwords are not the same.");
  return typed;
}

function tellReady(
  address: Listening,
  { version }: RpcServer,
  store: string,
  { json }: ServeOptions,
  output: Output,
): void {
  const url = `ws://${formatAddress(address)}/rpc`;
  if (json) {
    output.line(JSON.stringify({ url, store, namespace: "nabi", database: "conversations", version }));
  } else {
    output.line(`Serving ${store} at ${url} (namespace nabi, database conversations)`);
  }
}

/** Throws RIFF_USAGE. */
function listenAddress(text: string): Address {
  const address = parseAddress(text);
  if (address === null) throw usage(`"${text}" is no address to listen at, like 127.0.0.1:8000.`);
  return address;
}

function unsafe(message: string, hint = "`riffd serve --help` tells what there is."): RiffError {
  return new RiffError("RIFF_SERVE_FAILED", message, hint);
}

function usage(message: string): RiffError {
  return new RiffError("RIFF_USAGE", message, "`riffd serve --help` tells what there is.");
}
