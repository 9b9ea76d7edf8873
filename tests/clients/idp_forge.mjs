// Tokens and proofs of possession with any content, signed with real keys or wrongly on purpose.
import {
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  constants,
  generateKeyPairSync,
  randomUUID,
  sign as signWith,
} from "node:crypto";

const encode = (value) =>
  Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");

// The algorithms and the kind of key that each takes.
const KEY_OF = { RS256: "rsa", RS384: "rsa", PS256: "rsa", ES256: "ec", EdDSA: "ed" };

const generate = {
  rsa: () => generateKeyPairSync("rsa", { modulusLength: 2048 }),
  ec: () => generateKeyPairSync("ec", { namedCurve: "P-256" }),
  ed: () => generateKeyPairSync("ed25519"),
};

// One key of each kind; the identifiers start with the prefix.
export function makeKeys(prefix) {
  return Object.entries(generate).map(([kind, make]) => {
    const { privateKey } = make();
    const jwk = privateKey.export({ format: "jwk" });
    return { kind, private: { ...jwk, kid: `${prefix}-${kind}`, use: "sig" } };
  });
}

export function publicKeys(keys) {
  return keys.map(({ private: { d, p, q, dp, dq, qi, ...rest } }) => rest);
}

function signature(alg, input, jwk) {
  const key = createPrivateKey({ key: jwk, format: "jwk" });
  switch (alg) {
    case "EdDSA":
      return signWith(null, input, key);
    case "ES256":
      return signWith("sha256", input, { key, dsaEncoding: "ieee-p1363" });
    case "PS256":
      return signWith("sha256", input, {
        key,
        padding: constants.RSA_PKCS1_PSS_PADDING,
        saltLength: 32,
      });
    case "RS384":
      return signWith("sha384", input, key);
    default:
      return signWith("sha256", input, key);
  }
}

const without = (value) =>
  Object.fromEntries(Object.entries(value).filter(([, entry]) => entry !== null));

const foreign = new Map();

// {alg, header, claims, by, headerText, claimsText}: members of `header` and `claims` replace the
// defaults, null removes one. `by` says how it is signed: by default with the issuer's key for
// the algorithm; "foreign": with a key nobody published; "other": with the other issuer's key;
// "public": HMAC with the public key as secret; "secret": HMAC; "none": not at all; a kind of
// key (rsa, ec, ed): with that one.
export function forge(order, url, own, others) {
  const alg = order.alg ?? "RS256";
  const kind = KEY_OF[alg] ?? "rsa";
  const find = (keys, wanted) => keys.find((key) => key.kind === wanted).private;
  const now = Math.floor(Date.now() / 1000);
  const header = without({ alg, typ: "at+jwt", kid: find(own, kind).kid, ...order.header });
  const claims = without({
    iss: url,
    aud: order.resource,
    sub: "alice",
    client_id: "minter",
    iat: now,
    exp: now + 300,
    jti: randomUUID(),
    scope: "mcp:read",
    ...order.claims,
  });
  const input = `${encode(order.headerText ?? header)}.${encode(order.claimsText ?? claims)}`;
  const signed = () => {
    switch (order.by) {
      case undefined:
        return signature(alg, input, find(own, kind));
      case "foreign":
        if (!foreign.has(kind)) {
          foreign.set(kind, generate[kind]().privateKey.export({ format: "jwk" }));
        }
        return signature(alg, input, foreign.get(kind));
      case "other":
        return signature(alg, input, find(others, kind));
      case "public": {
        const key = createPublicKey({ key: find(own, "rsa"), format: "jwk" });
        const pem = key.export({ format: "pem", type: "spki" });
        return createHmac("sha256", pem).update(input).digest();
      }
      case "secret":
        return createHmac("sha256", "secret").update(input).digest();
      case "none":
        return Buffer.alloc(0);
      default:
        return signature(alg, input, find(own, order.by));
    }
  };
  return `${input}.${signed().toString("base64url")}`;
}

const holders = new Map();

// {key, htm, htu, token, header, claims, by}: a DPoP proof by the holder's key of that name, for
// the token when one is given. Members replace the defaults, null removes one. `by`: the key that
// signs in place of the one in the header.
export function proof(order) {
  const holder = (name) => {
    if (!holders.has(name)) holders.set(name, generate.ec().privateKey.export({ format: "jwk" }));
    return holders.get(name);
  };
  const { d, ...jwk } = holder(order.key);
  const hash = order.token && createHash("sha256").update(order.token).digest("base64url");
  const header = without({ typ: "dpop+jwt", alg: "ES256", jwk, ...order.header });
  if (order.leakPrivateKey) header.jwk = { ...jwk, d };
  const claims = without({
    jti: randomUUID(),
    htm: order.htm,
    htu: order.htu,
    iat: Math.floor(Date.now() / 1000),
    ath: hash ?? null,
    ...order.claims,
  });
  const input = `${encode(header)}.${encode(claims)}`;
  return `${input}.${signature("ES256", input, holder(order.by ?? order.key)).toString("base64url")}`;
}
