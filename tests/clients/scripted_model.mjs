// A model that follows a script: it answers Claude Code's requests with the tool calls of a
// plan, one after the other, and then says that it is done.
// Usage: node scripted_model.mjs PLAN.json
// Prints {"port": N} once it listens on loopback, then one JSON line for each tool result
// exactly as the model would have seen it.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";

const plan = JSON.parse(readFileSync(process.argv[2], "utf8"));
const say = (value) => process.stdout.write(JSON.stringify(value) + "\n");
const seen = new Set();

const server = createServer((request, response) => {
  let body = "";
  request.on("data", (chunk) => (body += chunk));
  request.on("end", () => {
    if (request.method !== "POST") {
      response.writeHead(200, { "content-type": "application/json" }).end("{}");
    } else if (request.url.includes("count_tokens")) {
      response.writeHead(200, { "content-type": "application/json" }).end('{"input_tokens":1}');
    } else {
      converse(JSON.parse(body), response);
    }
  });
});

function converse(conversation, response) {
  const blocks = conversation.messages.flatMap((message) =>
    Array.isArray(message.content) ? message.content : [],
  );
  const results = blocks.filter((block) => block.type === "tool_result");
  for (const block of results) {
    if (!seen.has(block.tool_use_id)) {
      seen.add(block.tool_use_id);
      say({ toolResult: block });
    }
  }
  // Side requests, such as one for a title, carry none of our tools.
  const offered = (conversation.tools ?? []).map((tool) => tool.name);
  const next = plan.calls.every((call) => offered.includes(call.name))
    ? plan.calls[results.length]
    : undefined;
  const content = next
    ? { type: "tool_use", id: `toolu_${results.length}`, name: next.name, input: {} }
    : { type: "text", text: "" };
  const delta = next
    ? { type: "input_json_delta", partial_json: JSON.stringify(next.arguments) }
    : { type: "text_delta", text: "done" };
  const events = [
    {
      type: "message_start",
      message: {
        id: `msg_${results.length}`,
        type: "message",
        role: "assistant",
        model: conversation.model,
        content: [],
        stop_reason: null,
        stop_sequence: null,
        usage: { input_tokens: 1, output_tokens: 1 },
      },
    },
    { type: "content_block_start", index: 0, content_block: content },
    { type: "content_block_delta", index: 0, delta },
    { type: "content_block_stop", index: 0 },
    {
      type: "message_delta",
      delta: { stop_reason: next ? "tool_use" : "end_turn", stop_sequence: null },
      usage: { output_tokens: 1 },
    },
    { type: "message_stop" },
  ];
  if (!conversation.stream) {
    const block = next ? { ...content, input: next.arguments } : { type: "text", text: "done" };
    const whole = { ...events[0].message, content: [block], stop_reason: events[4].delta.stop_reason };
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(whole));
    return;
  }
  response.writeHead(200, { "content-type": "text/event-stream" });
  for (const event of events) {
    response.write(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
  }
  response.end();
}

server.listen(0, "127.0.0.1", () => say({ port: server.address().port }));
process.stdin.on("end", () => process.exit(0)).resume();
