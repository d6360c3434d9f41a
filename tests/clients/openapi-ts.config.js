// The compiled client runs in Node.js, which needs the extensions.
export default { output: { path: "generated/hey_api", importFileExtension: ".js" } };
