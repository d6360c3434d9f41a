/** Card of a finished picture, with the most common actions. */

import { useState } from "preact/hooks";
import { Button } from "../../controls/button.js";
import { Icon } from "../../controls/icon.js";
import { say, sayTrouble } from "../../controls/notices.js";
import { html } from "../../html.js";
import { fetchBlob } from "../../service/api.js";
import { copyPicture } from "../../service/clipboard.js";
import { stemOf } from "../../service/file-names.js";
import { hasExpired } from "../../state/jobs.js";
import { derive } from "../../state/photos.js";
import { counted, dayInWords } from "../../words.js";
import { nameOf } from "../naming.js";
import { deleteThese } from "./deleting.js";
import { Stars } from "./stars.js";

const SMILES = { none: "No smile", mild: "Slight smile", moderate: "Smile", huge: "Big smile" };
// Printability is a note, not a fault: many photos are small, and most are for screens.
const PRINTS = { good: "Prints well", fair: "Prints fairly well", poor: "Prints poorly" };

/** photo: see state/photos.js; its current version has succeeded. */
export function Finished({ photo, ...entry }) {
  const job = photo.current;
  const [isBusy, setBusy] = useState(false);
  const name = nameOf({ photo });
  const remove = html`<${Button} kind="quiet" icon="clear" label=${`Delete ${name}`}
    onClick=${() => deleteThese([{ ...entry, photo }])} />`;
  if (hasExpired(job)) {
    return html`<p class="soft">Its pictures expired ${dayInWords(job.expires_at).toLowerCase()}.</p>
      <div class="row actions">${remove}</div>`;
  }
  const { image } = job.outputs;
  const cutOut = async () => {
    setBusy(true);
    await derive(job, { subject: "any" }).catch(sayTrouble);
    setBusy(false);
  };
  return html`
    ${job.rating && html`<${Stars} points=${job.rating.points} />`}
    <ul class="row wrap tags">${tagsOf(job).map(
      ({ words, tone, why }) => html`<li key=${words} class=${`tag ${tone ?? ""}`} title=${why}>${words}</li>`,
    )}</ul>
    <div class="row wrap actions">
      ${isEmpty(job) && job.recipe.subject !== "any" && html`<${Button} kind="small" icon="wand"
        disabled=${isBusy} onClick=${cutOut}>Cut out the object<//>`}
      ${image && html`
        <a class="button quiet icon" href=${image} download=${`${stemOf(name)}.${job.image.format}`}
          aria-label=${`Download ${name}`} title=${`Download ${name}`}><${Icon} name="download" /></a>
        <${Button} kind="quiet" icon="copy" label=${`Copy ${name}`} onClick=${() => copy(image)} />`}
      ${remove}
    </div>`;
}

/** Return the tags of a picture: `{words, tone, why}`. */
function tagsOf(job) {
  const tags = [];
  if (job.needs_review) {
    tags.push({ words: "Needs review", tone: "fair", why: "The models disagree on the cutout." });
  }
  if (job.persons?.some(({ kept, role }) => role === "possible" && !kept)) {
    tags.push({ words: "Maybe a person", tone: "fair", why: "Open the cutout to keep them by a click." });
  } else if (job.subject === "object") tags.push({ words: "1 object" });
  else if (job.people === 0) tags.push({ words: "No person found", why: job.warnings.join(" ") });
  if (job.people > 1) tags.push({ words: counted(job.people, "person", "people") });
  if (job.faces?.length) tags.push({ words: smilesOf(job.faces) });
  if (job.faces?.length === 0 && job.people > 0) tags.push({ words: "No face found" });
  if (job.document_report) {
    const { title, verdict, checks } = job.document_report;
    const faults = checks.filter((check) => ["fail", "unsure"].includes(check.verdict));
    tags.push({
      words: `${title}: ${verdict}`,
      tone: verdict === "pass" ? "good" : "fair",
      why: faults.map(({ remedy }) => remedy).join(" "),
    });
  } else if (job.warnings.length > 0 && !isEmpty(job)) {
    // A small picture prints poorly too: one tag says it.
    tags.push({ words: "Check the size", tone: "fair", why: job.warnings.join(" ") });
  } else if (job.printability) {
    const { verdict, reasons } = job.printability;
    tags.push({ words: PRINTS[verdict], tone: verdict === "good" ? "good" : null, why: reasons.join(" ") });
  }
  return tags;
}

/** Return whether the cutout is empty, as of a product that was not asked for. */
function isEmpty({ people, subject }) {
  return people === 0 && subject !== "object";
}

function smilesOf(faces) {
  const levels = faces.map((face) => face.smile?.level).filter(Boolean);
  if (levels.length === 0) return counted(faces.length, "face");
  if (levels.length === 1) return SMILES[levels[0]];
  const smiling = levels.filter((level) => level !== "none").length;
  if (smiling === levels.length) return levels.length === 2 ? "Both smile" : "All smile";
  return smiling === 0 ? "No smiles" : `${smiling} of ${levels.length} faces ${smiling === 1 ? "smiles" : "smile"}`;
}

async function copy(address) {
  try {
    await copyPicture(() => fetchBlob(address));
    say("Copied. Paste it where you need it.");
  } catch (error) {
    sayTrouble(error);
  }
}
