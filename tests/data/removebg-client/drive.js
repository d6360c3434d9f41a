// Calls the published client remove.bg as its documentation shows.
//
//   node drive.js KEY FILE|BASE64|URL SOURCE {OPTIONS}

const [key, kind, source, options] = process.argv.slice(2);

const client = require("remove.bg");
const call = {
  FILE: () => client.removeBackgroundFromImageFile({ apiKey: key, path: source, ...JSON.parse(options) }),
  BASE64: () =>
    client.removeBackgroundFromImageBase64({
      apiKey: key,
      base64img: require("fs").readFileSync(source).toString("base64"),
      ...JSON.parse(options),
    }),
  URL: () => client.removeBackgroundFromImageUrl({ apiKey: key, url: source, ...JSON.parse(options) }),
}[kind];

call().then(
  (answer) => console.log(JSON.stringify(answer)),
  (errors) => console.log(JSON.stringify({ errors })),
);
