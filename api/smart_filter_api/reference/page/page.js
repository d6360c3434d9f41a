/* global SwaggerUIBundle */

const METHODS = new Set(["get", "post", "put", "patch", "delete"]);
const FORM = "multipart/form-data";

/** Return the document with examples that can be sent to this server from a page. */
function prepare(document) {
  // One field for the key: X-Api-Key takes the same one, and the session's cookie is not sent.
  const { HTTPBearer } = document.components.securitySchemes;
  document.components.securitySchemes = { HTTPBearer };
  for (const path of Object.values(document.paths)) {
    for (const [method, operation] of Object.entries(path)) {
      const form = METHODS.has(method) && operation.requestBody?.content[FORM];
      if (form) {
        offerForm(operation.requestBody, form);
      }
    }
  }
  return document;
}

/** Offer a form before the other types of a body, with the fields of its example filled in. */
function offerForm(body, form) {
  body.content = { [FORM]: form, ...body.content };
  if ("photo" in form.schema.properties) {
    // The example's photo cannot be filled in. A request with its address is sent as JSON.
    form.schema.required = ["photo"];
  }
  const [example] = Object.values(form.examples ?? {});
  for (const [name, field] of Object.entries(form.schema.properties ?? {})) {
    if (field.format !== "binary") {
      // Swagger UI would fill a field without an example with the name of its type.
      field.example = example?.value[name] ?? (field.type === "array" ? [] : "");
    }
  }
}

/** Return a form without its empty texts and files, which the service would refuse. */
function withoutEmptyFields(form) {
  const filled = new FormData();
  for (const [name, value] of form) {
    if ((value.size ?? value.length) > 0) {
      filled.append(name, value);
    }
  }
  return filled;
}

const answer = await fetch("/openapi.json");
SwaggerUIBundle({
  spec: prepare(await answer.json()),
  dom_id: "#reference",
  deepLinking: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  filter: true,
  tryItOutEnabled: true,
  // The key stays in the memory of this page.
  persistAuthorization: false,
  // Settings, such as another document, are not read from the address of the page.
  queryConfigEnabled: false,
  // Documents are not sent to validator.swagger.io.
  validatorUrl: null,
  requestInterceptor: (request) => {
    // Only the key that was entered counts, not a session of the studio.
    request.credentials = "omit";
    if (request.body instanceof FormData) {
      request.body = withoutEmptyFields(request.body);
    }
    return request;
  },
});
