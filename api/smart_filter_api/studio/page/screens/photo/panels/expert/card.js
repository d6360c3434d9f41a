/** What a model's card says, in a list. */

import { html } from "../../../../html.js";

const UNITS = { cpu_ms: "ms on one core", peak_mb: "MB of memory at most" };

/** A card of `GET /v1/models`. */
export function Card({ card }) {
  const lines = [
    ["What it is", card.title],
    ["Version", card.digest ? `${card.version}, weights ${card.digest.slice(0, 8)}` : card.version],
    ["Licence", card.licence],
    ["Learned from", card.data_terms],
    ["Research", card.research && "Its weights come of data that is for research only, or of unknown terms"],
    ["Needs", needs(card)],
    ["Measured", figures(card.quality)],
    ["Takes", speed(card.speed)],
    ["Runs on", card.devices.join(", ")],
    ["Persons", card.tells_persons_apart && "Told apart, one by one"],
    ["Source", card.source],
  ];
  return html`<dl class="card-lines">
    ${lines.filter(([, said]) => said).map(([term, said]) => html`<div key=${term}>
      <dt>${term}</dt><dd>${said}</dd></div>`)}
  </dl>`;
}

function needs({ needs: { packages, extra } }) {
  if (packages.length === 0) return "";
  return extra ? `${packages.join(", ")} (smart-filter[${extra}])` : packages.join(", ");
}

/** Names of figures are the card's own: what they count is in docs/evaluation.md. */
function figures(quality) {
  return Object.entries(quality)
    .map(([name, value]) => `${name.replaceAll("_", " ")} ${value}`)
    .join(", ");
}

function speed(told) {
  return Object.entries(told)
    .map(([name, value]) => `${value} ${UNITS[name] ?? name}`)
    .join(", ");
}
