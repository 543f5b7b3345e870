// The embedded engine as both things it is: what the SDK drives, and a peer that speaks SurrealDB's RPC protocol in
// CBOR, whose requests and replies a server may pass on as the bytes they are. Decoding and encoding them again would
// cost as much as the engine's own work, and would turn 1.0 into 1.
import { NodeEngine } from "@surrealdb/node";
import {
  type ConnectionState,
  type DriverContext,
  type LiveMessage,
  parseRpcError,
  type RpcErrorObject,
  type RpcRequest,
  Uuid,
  type ValueCodec,
} from "surrealdb";

/** The engine's side of the RPC protocol, without a transport. */
export interface RpcPeer {
  /**
   * Sends one request. The reply is the bare result, or a map with the single key `error`. Throws when the engine
   * cannot make a request of the bytes.
   */
  execute(request: Uint8Array): Promise<Uint8Array>;
  /** The notifications of a live query from now on, each as it came, until `return` is called or the engine closes. */
  notifications(liveId: string): AsyncIterator<Uint8Array>;
}

const REQUEST = Symbol("a request that is encoded already");

/** What the engine sent, decoded once somebody asks. The getters are those that `NodeEngine` routes notifications by. */
class Frame {
  readonly bytes: Uint8Array;
  readonly #codec: ValueCodec;
  #value: { readonly decoded: unknown } | null = null;

  constructor(bytes: Uint8Array, codec: ValueCodec) {
    this.bytes = bytes;
    this.#codec = codec;
  }

  get value(): unknown {
    this.#value ??= { decoded: this.#codec.decode(this.bytes) };
    return this.#value.decoded;
  }

  get id(): unknown {
    return this.#field("id");
  }

  get action(): unknown {
    return this.#field("action");
  }

  get record(): unknown {
    return this.#field("record");
  }

  /** The frame itself, so that it reaches the subscriber whole. */
  get result(): Frame {
    return this;
  }

  /** Undefined where the codec cannot read the frame: `NodeEngine` has nobody to tell, and the process would end. */
  #field(name: string): unknown {
    try {
      return (this.value as Record<string, unknown> | null)?.[name];
    } catch {
      return undefined;
    }
  }
}

export class RpcEngine extends NodeEngine implements RpcPeer {
  readonly #url: string;

  /** An engine for `url`, taken as it stands: the SDK would percent-encode the path of a URL. */
  constructor(context: DriverContext, url: string) {
    super({ ...context, codecs: { ...context.codecs, cbor: frames(context.codecs.cbor) } });
    this.#url = url;
  }

  override open(state: ConnectionState): void {
    super.open({ ...state, url: Object.assign(new URL("rocksdb://store"), { toString: () => this.#url }) });
  }

  override async send<Method extends string, Params extends unknown[] | undefined, Result>(
    request: RpcRequest<Method, Params>,
  ): Promise<Result> {
    const { value } = await super.send<Method, Params, Frame>(request);
    if (isFailure(value)) throw parseRpcError(value.error);
    return value as Result;
  }

  override liveQuery(id: Uuid): AsyncIterable<LiveMessage> {
    const messages = this.#messages(id);
    const decoded: AsyncIterableIterator<LiveMessage> = {
      [Symbol.asyncIterator]: () => decoded,
      async next() {
        const { value, done } = await messages.next();
        if (done) return { value: undefined, done };
        const { result } = frameOf(value).value as { result: Record<string, unknown> };
        return { value: { ...value, value: result } as LiveMessage, done: false };
      },
      async return() {
        await messages.return?.();
        return { value: undefined, done: true };
      },
    };
    return decoded;
  }

  async execute(request: Uint8Array): Promise<Uint8Array> {
    const encoded = { method: "", [REQUEST]: request } as RpcRequest<string, undefined>;
    return (await super.send<string, undefined, Frame>(encoded)).bytes;
  }

  notifications(liveId: string): AsyncIterator<Uint8Array> {
    const messages = this.#messages(new Uuid(liveId));
    return {
      async next() {
        const { value, done } = await messages.next();
        return done ? { value: undefined, done } : { value: frameOf(value).bytes, done: false };
      },
      async return() {
        await messages.return?.();
        return { value: undefined, done: true };
      },
    };
  }

  #messages(id: Uuid): AsyncIterator<LiveMessage> {
    return super.liveQuery(id)[Symbol.asyncIterator]();
  }
}

function frames(codec: ValueCodec): ValueCodec {
  return {
    encode: (value) => (value as { [REQUEST]?: Uint8Array } | undefined)?.[REQUEST] ?? codec.encode(value),
    decode: <T>(bytes: Uint8Array) => new Frame(bytes, codec) as T,
  };
}

function frameOf(message: LiveMessage): Frame {
  return message.value as unknown as Frame;
}

function isFailure(value: unknown): value is { error: RpcErrorObject } {
  return typeof value === "object" && value !== null && "error" in value;
}
