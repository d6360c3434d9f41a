// The example's backend: serves the two pages, and issues device tokens to them.
//
//   SMART_FILTER_URL=… SMART_FILTER_API_KEY=… npm run example
//
// The key (scope `submit`) never leaves this program.
import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

import { SmartFilter } from "smart-filter-client";

const { SMART_FILTER_URL: url, SMART_FILTER_API_KEY: key, PORT = "8080" } = process.env;
if (url === undefined || key === undefined) {
  throw new Error("set SMART_FILTER_URL and SMART_FILTER_API_KEY");
}
const service = new SmartFilter({ url, key });

const TOKEN_SECONDS = 900;
const FILES: Record<string, string> = {
  "/": "../submit.html",
  "/result": "../result.html",
  "/style.css": "../style.css",
  "/submit.js": "submit.js",
  "/result.js": "result.js",
  "/openapi-fetch.js": "../../node_modules/openapi-fetch/dist/index.mjs",
};
const MEDIA_TYPES: Record<string, string> = {
  css: "text/css",
  html: "text/html; charset=utf-8",
  js: "text/javascript",
  mjs: "text/javascript",
};

/** Where a page submits one photo, and the token that allows it and reads the job. */
export interface Access {
  url: string;
  key: string;
}

/** Issue a token for one photo. A real backend identifies its user first. */
async function issueAccess(url: string): Promise<Access> {
  const { data } = await service.api.POST("/v1/tokens", {
    body: { ttl_seconds: TOKEN_SECONDS, max_jobs: 1, scopes: ["submit"] },
  });
  return { url, key: data?.key ?? "" };
}

async function respond(request: IncomingMessage, response: ServerResponse, url: string) {
  const { pathname } = new URL(request.url ?? "/", "http://example");
  if (request.method === "POST" && pathname === "/access") {
    const access = JSON.stringify(await issueAccess(url));
    response.writeHead(201, { "Content-Type": "application/json", "Cache-Control": "no-store" });
    response.end(access);
    return;
  }
  const [, module] = /^\/client\/([a-z]+\.js)$/.exec(pathname) ?? [];
  const file = module === undefined ? FILES[pathname] : `../../dist/${module}`;
  if (file === undefined) {
    response.writeHead(404).end();
    return;
  }
  const bytes = await readFile(new URL(file, import.meta.url));
  response.writeHead(200, { "Content-Type": MEDIA_TYPES[file.replace(/.*\./, "")] });
  response.end(bytes);
}

const server = createServer((request, response) => {
  respond(request, response, url).catch((error: unknown) => {
    console.error(error);
    response.writeHead(500).end();
  });
});
server.listen(Number(PORT), "127.0.0.1", () => {
  console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
