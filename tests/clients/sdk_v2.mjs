// Drives the official TypeScript SDK, version 2, through one plan.
// Usage: node sdk_v2.mjs PLAN.json; the report goes to standard output as one JSON line.
import { readFileSync } from "node:fs";
import { Client, SSEClientTransport, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";

const plan = JSON.parse(readFileSync(process.argv[2], "utf8"));
const transports = {
  stdio: () => new StdioClientTransport({ command: plan.command, args: plan.args, env: process.env }),
  http: () => new StreamableHTTPClientTransport(new URL(plan.url), { requestInit: { headers: plan.headers } }),
  sse: () => new SSEClientTransport(new URL(plan.url), { requestInit: { headers: plan.headers } }),
};
const transport = transports[plan.transport ?? "stdio"]();
const client = new Client(
  { name: "toolyard-test", version: "1.0.0" },
  { versionNegotiation: { mode: plan.mode } },
);
await client.connect(transport);
const report = {
  negotiated: client.getNegotiatedProtocolVersion(),
  tools: (await client.listTools()).tools.map((tool) => tool.name),
  results: [],
};
for (const call of plan.calls) {
  try {
    report.results.push({ result: await client.callTool(call) });
  } catch (error) {
    report.results.push({ error: { code: error.code, message: error.message } });
  }
}
await client.close();
console.log(JSON.stringify(report));
