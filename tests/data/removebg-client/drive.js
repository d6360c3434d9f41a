// Calls the published client remove.bg as its documentation shows, with another base URL: its own
// is a constant, so its HTTP library replaces the address.
//
//   node drive.js URL KEY FILE|BASE64|URL SOURCE {OPTIONS}

const [url, key, kind, source, options] = process.argv.slice(2);

const unirest = require("unirest");
const post = unirest.post;
unirest.post = (address) => post(address.replace("https://api.remove.bg", url));

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
