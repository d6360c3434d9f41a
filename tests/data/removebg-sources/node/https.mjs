import https from "node:https";

export const begin = (key) =>
  https.request({
    hostname: "api.remove.bg",
    path: "/v1.0/removebg",
    method: "POST",
    headers: { "X-Api-Key": key },
  });
