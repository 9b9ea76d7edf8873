"""Drives the official Python SDK, version 2, through one plan.

Usage: python sdk_v2.py PLAN.json; the report goes to standard output as one JSON line.
"""

import asyncio
import json
import os
import sys

import httpx2
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client


def transport(plan: dict):
    match plan.get("transport", "stdio"):
        case "http":
            client = httpx2.AsyncClient(headers=plan["headers"], timeout=30)
            return streamable_http_client(plan["url"], http_client=client)
        case "sse":
            return sse_client(plan["url"], headers=plan["headers"])
        case _:
            return StdioServerParameters(command=plan["command"], args=plan["args"], env=dict(os.environ))


async def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as file:
        plan = json.load(file)
    async with Client(transport(plan), mode=plan["mode"]) as client:
        report = {
            "negotiated": client.protocol_version,
            "tools": [tool.name for tool in (await client.list_tools()).tools],
            "results": [],
        }
        for call in plan["calls"]:
            try:
                result = await client.call_tool(call["name"], call.get("arguments"))
                report["results"].append({"result": result.model_dump(mode="json", by_alias=True, exclude_none=True)})
            except MCPError as error:
                report["results"].append({"error": {"code": error.error.code, "message": error.error.message}})
    print(json.dumps(report))


asyncio.run(main())
