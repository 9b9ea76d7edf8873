"""Drives the official Python SDK, version 1, through one plan.

Usage: python sdk_v1.py PLAN.json; the report goes to standard output as one JSON line.
"""

import asyncio
import json
import os
import sys

from mcp import ClientSession, McpError, StdioServerParameters
from mcp.client.sse import sse_client
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamablehttp_client


def transport(plan: dict):
    match plan.get("transport", "stdio"):
        case "http":
            return streamablehttp_client(plan["url"], headers=plan["headers"])
        case "sse":
            return sse_client(plan["url"], headers=plan["headers"])
        case _:
            return stdio_client(StdioServerParameters(command=plan["command"], args=plan["args"], env=dict(os.environ)))


async def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as file:
        plan = json.load(file)
    async with transport(plan) as (reader, writer, *_), ClientSession(reader, writer) as session:
        hello = await session.initialize()
        report = {
            "negotiated": hello.protocolVersion,
            "tools": [tool.name for tool in (await session.list_tools()).tools],
            "results": [],
        }
        for call in plan["calls"]:
            try:
                result = await session.call_tool(call["name"], call.get("arguments"))
                report["results"].append({"result": result.model_dump(mode="json", by_alias=True, exclude_none=True)})
            except McpError as error:
                report["results"].append({"error": {"code": error.error.code, "message": error.error.message}})
    print(json.dumps(report))


asyncio.run(main())
