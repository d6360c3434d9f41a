/** Printability of the picture, term by term, and its print sizes. */

import { html } from "../../../html.js";
import { Coded } from "../../../controls/coded.js";
import { Icon } from "../../../controls/icon.js";
import { hasExpired } from "../../../state/jobs.js";
import { Lacking } from "../lacking.js";
import { Sizes } from "../print/sizes.js";
import { termsOf } from "../print/terms.js";
import { pictured } from "../viewer/shown.js";

export const print = { id: "print", title: "Print", icon: "print", Panel };

const VERDICTS = { good: "Prints well", fair: "Prints, with limits", poor: "Prints poorly" };
// The tone of each verdict of a document's check, and their order, the worst first.
const TONES = { fail: "poor", unsure: "fair", ask: "fair", pass: "good" };
const ORDER = Object.keys(TONES);
const WORDS = { good: "Good", fair: "Fair", poor: "Poor" };

function Panel({ photo }) {
  const job = pictured(photo);
  // A version that its document refused has a report and no picture.
  const report = photo.current.document_report ?? job.document_report;
  return html`<div class="stack prints">
    ${report && html`<${Document} report=${report} />`}
    ${job.printability !== null && html`<${Printability} job=${job} />`}
    ${job.printability === null && !(report && job.state === "failed") && html`<${Unknown} job=${job} />`}
  </div>`;
}

/** How well the picture prints, and in which sizes. */
function Printability({ job }) {
  const { printability } = job;
  return html`<h2 class=${`verdict ${printability.verdict}`}><${Icon} name=${printability.verdict === "good" ? "check" : "alert"} />
      ${VERDICTS[printability.verdict]}</h2>
    ${job.needs_review && html`<${Review} job=${job} />`}
    ${job.warnings.map((warning) => html`<div class="notice fair" key=${warning}><${Icon} name="alert" />
      <p>${warning}</p></div>`)}
    <${Sizes} size=${printability.size} image=${job.outputs.thumbnail ?? job.outputs.image} />
    <ul class="verdicts">
      ${termsOf(job).map((term) => html`<li key=${term.title} class=${term.verdict}>
        <div class="row spread"><h3>${term.title}</h3>
          <span class=${`tag ${term.verdict}`}>${WORDS[term.verdict]}</span></div>
        <p>${term.text}</p>
        ${term.figures && html`<p class="small soft figures">${term.figures}</p>`}
      </li>`)}
    </ul>`;
}

/** Return the name of a check as a title. */
const titled = (name) => name[0].toUpperCase() + name.slice(1).replaceAll("_", " ");

/** What was checked for the recipe's document, the faults first. */
function Document({ report }) {
  const checks = report.checks.toSorted((a, b) => ORDER.indexOf(a.verdict) - ORDER.indexOf(b.verdict));
  return html`<h2 class=${`verdict ${TONES[report.verdict]}`}>
      <${Icon} name=${report.verdict === "pass" ? "check" : "alert"} /> ${report.title}: ${report.verdict}</h2>
    <ul class="verdicts">
      ${checks.map((check) => html`<li key=${check.name} class=${TONES[check.verdict]}>
        <div class="row spread"><h3>${titled(check.name)}</h3>
          <span class=${`tag ${TONES[check.verdict]}`}>${check.verdict}</span></div>
        <p>${check.measured !== "not measured" && `${check.measured ?? "Not seen"}; asked: `}${check.limit}.</p>
        ${check.remedy && html`<p class="small soft figures"><${Coded} text=${check.remedy} /></p>`}
      </li>`)}
    </ul>`;
}

/** Warning that the models disagree on the cutout. */
function Review({ job }) {
  if (job.confidence === null) {
    return html`<div class="notice fair"><${Icon} name="alert" /><p>Check the people before you print:
      it is not certain that all of them were found.</p></div>`;
  }
  const percent = Math.round(100 * job.confidence);
  return html`<div class="notice fair"><${Icon} name="alert" /><p>Check the edges of the people before
    you print: the models agree on only ${percent}\u00a0% of the cutout.</p></div>`;
}

function Unknown({ job }) {
  if (hasExpired(job)) return html`<p class="soft">The findings have expired.</p>`;
  if (job.state !== "succeeded") return html`<p class="soft">Available when the picture is finished.</p>`;
  return html`<${Lacking} job=${job} outputs=${["printability"]}>The printability was not requested
    for this photo.<//>`;
}
