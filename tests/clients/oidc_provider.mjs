// Identity providers on loopback: npm oidc-provider, one instance and port for each issuer, and
// a control port for the tests.
// Usage: node oidc_provider.mjs [--tls CERTIFICATE KEY] NAME...
// Prints {"control": URL, "trap": URL, "issuers": {NAME: URL}} once all of them listen.
//
// Control is POST /NAME with a JSON body and a JSON answer; see `commands` below. Tokens that an
// identity provider would never issue are forged in idp_forge.mjs with the keys used here.
import { AsyncLocalStorage } from "node:async_hooks";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createTlsServer } from "node:https";

import Provider from "oidc-provider";

import { forge, makeKeys, proof, publicKeys } from "./idp_forge.mjs";

const CLIENTS = [
  { id: "minter", grants: ["client_credentials"] },
  { id: "toolyard", grants: [] },
];
const SECRET = "a-secret-of-the-test-suite";
const SCOPES = ["mcp:read", "mcp:write", "mcp:execute", "profile"];

const names = process.argv.slice(2);
const [, certificate, key] = names[0] === "--tls" ? names.splice(0, 3) : [];
const tls = certificate && { cert: readFileSync(certificate), key: readFileSync(key) };

const issuers = new Map();
const asked = new AsyncLocalStorage();
const trapped = [];

function listen(server, scheme = "http") {
  return new Promise((resolve) =>
    server.listen(0, "127.0.0.1", () => resolve(`${scheme}://127.0.0.1:${server.address().port}`)),
  );
}

async function read(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks);
}

// Tokens of one issuer mean nothing to another: the default store is shared by a whole process.
function storage() {
  const rows = new Map();
  return class {
    constructor(model) {
      this.model = model;
    }
    key(id) {
      return `${this.model}:${id}`;
    }
    async upsert(id, payload) {
      rows.set(this.key(id), payload);
    }
    async find(id) {
      return rows.get(this.key(id));
    }
    async destroy(id) {
      rows.delete(this.key(id));
    }
    async consume(id) {
      rows.get(this.key(id)).consumed = Math.floor(Date.now() / 1000);
    }
    async revokeByGrantId() {}
    async findByUid() {}
    async findByUserCode() {}
  };
}

function provider(issuer) {
  const built = new Provider(issuer.url, {
    adapter: issuer.storage,
    jwks: { keys: issuer.keys.map((key) => key.private) },
    clients: CLIENTS.map(({ id, grants }) => ({
      client_id: id,
      client_secret: SECRET,
      grant_types: grants,
      redirect_uris: [],
      response_types: [],
    })),
    scopes: ["openid", ...SCOPES],
    ttl: { ClientCredentials: () => asked.getStore()?.ttl ?? 300 },
    extraTokenClaims: () => ({ sub: wish().subject ?? "alice", ...wish().claims }),
    formats: {
      customizers: {
        jwt(_context, _token, parts) {
          parts.payload.sub = wish().subject ?? "alice";
        },
      },
    },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      dPoP: { enabled: true },
      introspection: { enabled: true },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => undefined,
        getResourceServerInfo: (_context, resource) => ({
          scope: SCOPES.join(" "),
          audience: wish().audience ?? resource,
          accessTokenFormat: wish().opaque ? "opaque" : "jwt",
          jwt: { sign: { alg: wish().alg ?? "RS256" } },
        }),
      },
    },
  });
  return built.callback();
}

// What the mint command asked for; the token endpoint itself is told by a header.
const wishes = new Map();
const wish = () => asked.getStore() ?? {};

const KINDS = {
  "/.well-known/openid-configuration": "discovery",
  "/.well-known/oauth-authorization-server": "discovery",
  "/jwks": "jwks",
  "/token/introspection": "introspection",
  "/token/revocation": "revocation",
  "/token": "token",
};

async function open(name) {
  const issuer = { name, counts: {}, heads: [], faults: {}, round: 1, storage: storage() };
  issuer.keys = makeKeys(`${name}-1`);
  const answer = (request, response) => serve(issuer, request, response);
  issuer.url = tls
    ? await listen(createTlsServer(tls, answer), "https")
    : await listen(createServer(answer));
  issuer.answer = provider(issuer);
  issuers.set(name, issuer);
}

async function serve(issuer, request, response) {
  const kind = KINDS[new URL(request.url, issuer.url).pathname] ?? "other";
  issuer.counts[kind] = (issuer.counts[kind] ?? 0) + 1;
  if (kind !== "token") {
    issuer.heads.push(`${request.method} ${request.url} ${JSON.stringify(request.headers)}`);
  }
  const fault = issuer.faults[kind];
  if (!fault) {
    const wanted = wishes.get(request.headers["x-wish"]);
    await asked.run(wanted, () => issuer.answer(request, response));
    return;
  }
  if (fault.delay) await new Promise((resolve) => setTimeout(resolve, fault.delay));
  if (fault.hangUp) {
    request.socket.destroy();
    return;
  }
  if (fault.body === undefined && fault.bytes === undefined && fault.status === undefined) {
    await issuer.answer(request, response);
    return;
  }
  const body = fault.bytes ? " ".repeat(fault.bytes) : "";
  const text = typeof fault.body === "string" ? fault.body : JSON.stringify(fault.body ?? {});
  response.writeHead(fault.status ?? 200, { "content-type": "application/json", ...fault.headers });
  response.end(body + text);
}

function of(name) {
  const issuer = issuers.get(name);
  if (!issuer) throw new Error(`no issuer ${name}`);
  return issuer;
}

async function post(url, form, headers) {
  const answer = await fetch(url, {
    method: "POST",
    headers: {
      authorization: `Basic ${Buffer.from(`minter:${SECRET}`).toString("base64")}`,
      ...headers,
    },
    body: new URLSearchParams(form),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${url}: ${answer.status} ${text}`);
  return text && JSON.parse(text);
}

const commands = {
  // {issuer, resource, scope, subject, claims, alg, opaque, audience, ttl, dpop: key name}
  async mint(order) {
    const { url } = of(order.issuer);
    const number = String(wishes.size);
    wishes.set(number, order);
    const headers = { "x-wish": number };
    if (order.dpop) headers.dpop = proof({ key: order.dpop, htm: "POST", htu: `${url}/token` });
    const form = { grant_type: "client_credentials" };
    if (order.scope) form.scope = order.scope;
    if (order.resource) form.resource = order.resource;
    const answer = await post(`${url}/token`, form, headers);
    return { token: answer.access_token, scope: answer.scope, type: answer.token_type };
  },
  // {issuer, token}
  async revoke({ issuer, token }) {
    await post(`${of(issuer).url}/token/revocation`, { token });
    return {};
  },
  // {issuer, ...}: see idp_forge.mjs
  forge(order) {
    const issuer = of(order.issuer);
    const other = [...issuers.values()].find((one) => one !== issuer);
    return { token: forge(order, issuer.url, issuer.keys, other?.keys) };
  },
  // {key, htm, htu, ...}: see idp_forge.mjs
  proof(order) {
    return { proof: proof(order) };
  },
  // {issuer}: the public keys
  keys({ issuer }) {
    return { keys: publicKeys(of(issuer).keys) };
  },
  // {issuer, keep}: new keys; old ones stay published when asked for
  rotate({ issuer: name, keep }) {
    const issuer = of(name);
    issuer.round += 1;
    issuer.keys = [...makeKeys(`${name}-${issuer.round}`), ...(keep ? issuer.keys : [])];
    issuer.answer = provider(issuer);
    return { keys: publicKeys(issuer.keys) };
  },
  // {issuer, on: kind, fault: {status, headers, body, bytes, delay, hangUp} or null}
  fault({ issuer, on, fault }) {
    of(issuer).faults[on] = fault;
    return {};
  },
  // {issuer}: request lines and headers so far, but for requests of tokens
  heads({ issuer }) {
    return { heads: of(issuer).heads };
  },
  // Requests so far, by issuer and kind; and what came to the address nobody has reason to ask.
  counts() {
    const all = [...issuers.values()].map(({ name, counts }) => [name, counts]);
    return { issuers: Object.fromEntries(all), trap: trapped };
  },
};

const control = createServer(async (request, response) => {
  const json = (status, value) =>
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
  try {
    const command = commands[request.url.slice(1)];
    const order = JSON.parse((await read(request)).toString() || "{}");
    json(200, await command(order));
  } catch (error) {
    json(500, { error: String(error.stack ?? error) });
  }
});
const trap = createServer((request, response) => {
  trapped.push(`${request.method} ${request.url}`);
  response.writeHead(200, { "content-type": "application/json" }).end("{}");
});

for (const name of names) await open(name);
const urls = Object.fromEntries([...issuers].map(([name, { url }]) => [name, url]));
const said = { control: await listen(control), trap: await listen(trap), issuers: urls };
process.stdout.write(`${JSON.stringify(said)}\n`);
// The end of standard input is the end of the test.
process.stdin.on("end", () => process.exit(0)).resume();
