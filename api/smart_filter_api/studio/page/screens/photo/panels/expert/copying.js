/** A recipe as code to copy. */

import { useRef, useState } from "preact/hooks";
import { Button } from "../../../../controls/button.js";
import { Segmented } from "../../../../controls/choices.js";
import { Dialog } from "../../../../controls/dialog.js";
import { Check } from "../../../../controls/fields.js";
import { html } from "../../../../html.js";
import { pathOf } from "../../../../service/file-names.js";
import { LANGUAGES } from "./code.js";

const OPTIONS = Object.entries(LANGUAGES).map(([value, { title }]) => ({ value, label: title }));

/** A dialog with the code that repeats a job for another photo. */
export function Copying({ job, recipe, onClose }) {
  const [language, setLanguage] = useState("curl");
  const [isSeeded, setSeeded] = useState(true);
  const [said, setSaid] = useState("");
  const text = useRef(null);
  const whole = isSeeded ? { seed: job.seed, ...recipe } : recipe;
  const code = LANGUAGES[language].write(whole, pathOf(job.metadata.name ?? job.photo_name ?? ""));
  const copy = async () => {
    text.current.select();
    try {
      // Missing on plain http pages, except on localhost.
      await navigator.clipboard.writeText(code);
      setSaid("Copied.");
    } catch {
      text.current.focus();
      setSaid("The code is selected: press Ctrl+C, or ⌘C on a Mac. Browsers allow automatic copying only over https.");
    }
  };
  const choose = (next) => {
    setLanguage(next);
    setSaid("");
  };
  return html`<${Dialog} title="Copy as code" onClose=${onClose} actions=${html`
    <${Button} kind="primary" icon="copy" onClick=${copy}>Copy<//>`}>
    <div><${Segmented} legend="Language" options=${OPTIONS} value=${language} onChange=${choose} /></div>
    <textarea class="textarea code" ref=${text} readonly rows="14" spellcheck="false" wrap="off"
      aria-label=${`The recipe as ${LANGUAGES[language].title}`} value=${code} />
    <${Check} checked=${isSeeded} onChange=${setSeeded}>Repeat the same choices: include this picture's seed<//>
    ${language === "json"
      ? html`<p class="small soft">The <code>recipe</code> of a request; can also be pasted here.</p>`
      : html`<p class="small soft">Set <code>SMART_FILTER_URL</code> to <code>${location.origin}</code> and${" "}
          <code>SMART_FILTER_API_KEY</code> to one of your keys; the page does not know any.</p>`}
    <p class="small" role="status">${said}</p>
  <//>`;
}
