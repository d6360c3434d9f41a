/** A recipe as runnable code: curl, Python, or JSON. */

import { nested } from "../../../../state/recipes.js";

/** `{id: {title, write(recipe, fileName)}}`; the code reads key and address from the environment. */
export const LANGUAGES = {
  curl: { title: "curl", write: curl },
  python: { title: "Python", write: python },
  json: { title: "JSON", write: (recipe) => JSON.stringify(nested(recipe), null, 2) },
};

function curl(recipe, fileName) {
  const lines = [
    'curl --fail-with-body --silent --show-error "$SMART_FILTER_URL/v1/jobs"',
    '-H "Authorization: Bearer $SMART_FILTER_API_KEY"',
    `-H ${quoted("Prefer: wait=60")}`,
    `-F ${quoted(`photo=@${curlName(fileName)}`)}`,
  ];
  for (const [name, value] of Object.entries(recipe)) {
    // With --form-string, unlike -F, the characters @, < and ; have no meaning.
    lines.push(`--form-string ${quoted(`${name}=${[value].flat().join(",")}`)}`);
    if (name === "background" && value === "file") lines.push(`-F ${quoted("background_file=@background.jpg")}`);
  }
  return `${lines.join(" \\\n  ")}\n`;
}

function python(recipe, fileName) {
  const entries = Object.entries(recipe).map(
    ([name, value]) => `    ${JSON.stringify(name)}: ${literal(value)},\n`,
  );
  const background = recipe.background === "file" ? ', background_file=Path("background.jpg")' : "";
  const output = recipe.outputs?.[0] ?? "image";
  return `import os
from pathlib import Path

from smart_filter_client import Client

recipe = {
${entries.join("")}}

with Client(os.environ["SMART_FILTER_URL"], os.environ["SMART_FILTER_API_KEY"]) as client:
    job = client.submit(Path(${literal(fileName)}), recipe${background}, wait=60)
    job = client.wait(job.id, timeout=600)
    print(job.id, job.state, job.error or "")
    if job.succeeded:
        result = client.output(job.id, ${literal(output)})
        ending = result.media_type.rpartition("/")[2]
        Path(f"result.{ending}").write_bytes(result.content)
`;
}

/** Return a scalar or a list of words as a Python literal; strings are written as in JSON. */
function literal(value) {
  if (value === true) return "True";
  if (value === false) return "False";
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  return JSON.stringify(value);
}

/** Return a word quoted for a POSIX shell. */
function quoted(word) {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/** Return a file name escaped for curl's -F, where commas and semicolons have a meaning. */
function curlName(name) {
  if (!/["\\,;]/.test(name)) return name;
  return `"${name.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}
