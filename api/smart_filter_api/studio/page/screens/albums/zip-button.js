/** The finished pictures of an album as one zip. */

import { useEffect, useRef, useState } from "preact/hooks";
import { Button } from "../../controls/button.js";
import { say, sayTrouble } from "../../controls/notices.js";
import { html } from "../../html.js";
import { fetchBlob } from "../../service/api.js";
import { saveBlob } from "../../service/downloads.js";
import { stemOf } from "../../service/file-names.js";
import { distinct, zip } from "../../service/zip.js";
import { counted } from "../../words.js";
import { fileNameOf } from "./member.js";
import { pictureOf } from "./members.js";

/** members: those with finished pictures. isCounted: whether the page knows all of them. */
export function Zip({ name, members, isCounted }) {
  const [done, setDone] = useState(null);
  const stop = useRef(null);
  useEffect(() => () => stop.current?.abort(), []);
  const make = async () => {
    stop.current = new AbortController();
    const { signal } = stop.current;
    setDone(0);
    try {
      const names = distinct(members.map(fileNameOf));
      const files = members.map((member, index) => ({
        name: names[index],
        load: () => fetchBlob(pictureOf(member), { signal }),
      }));
      saveBlob(await zip(files, { onFile: () => setDone((before) => before + 1) }), `${stemOf(name)}.zip`);
      say(`${counted(members.length, "picture")} put into one zip.`);
    } catch (error) {
      sayTrouble(error);
    }
    setDone(null);
  };
  if (isCounted && members.length === 0) return null;
  if (done !== null) {
    return html`<p class="figures" role="status">${done} of ${members.length}</p>
      <${Button} icon="close" onClick=${() => stop.current.abort()}>Stop<//>`;
  }
  return html`<${Button} kind="primary" icon="download" disabled=${!isCounted} onClick=${make}>
    ${isCounted ? `Download ${counted(members.length, "picture")} as zip` : "Counting the pictures…"}<//>`;
}
