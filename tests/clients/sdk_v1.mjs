// Drives the official TypeScript SDK, version 1, through one plan.
// Usage: node sdk_v1.mjs PLAN.json; the report goes to standard output as one JSON line.
import { readFileSync } from "node:fs";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const plan = JSON.parse(readFileSync(process.argv[2], "utf8"));
const transports = {
  stdio: () => new StdioClientTransport({ command: plan.command, args: plan.args, env: process.env }),
  http: () => new StreamableHTTPClientTransport(new URL(plan.url), { requestInit: { headers: plan.headers } }),
  sse: () => new SSEClientTransport(new URL(plan.url), { requestInit: { headers: plan.headers } }),
};
const transport = transports[plan.transport ?? "stdio"]();
const report = { negotiated: null, tools: [], results: [] };
// The client tells HTTP transports what was negotiated; this asks for the same courtesy.
const told = transport.setProtocolVersion?.bind(transport);
transport.setProtocolVersion = (version) => {
  report.negotiated = version;
  told?.(version);
};

const client = new Client({ name: "toolyard-test", version: "1.0.0" });
await client.connect(transport);
report.tools = (await client.listTools()).tools.map((tool) => tool.name);
for (const call of plan.calls) {
  try {
    report.results.push({ result: await client.callTool(call) });
  } catch (error) {
    report.results.push({ error: { code: error.code, message: error.message } });
  }
}
// Ends the session on the server as well.
await transport.terminateSession?.();
await client.close();
console.log(JSON.stringify(report));
