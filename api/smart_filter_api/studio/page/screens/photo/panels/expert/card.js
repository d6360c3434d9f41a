/** A model card as a list. */

import { html } from "../../../../html.js";

const UNITS = { cpu_ms: "ms on one core", peak_mb: "MB peak memory" };

/** A card of `GET /v1/models`. */
export function Card({ card }) {
  const lines = [
    ["Title", card.title],
    ["Version", card.digest ? `${card.version}, weights ${card.digest.slice(0, 8)}` : card.version],
    ["License", card.license],
    ["Learned from", card.data_terms],
    ["Commercial", card.commercial],
    ["Needs", needs(card)],
    ["Measured", figures(card.quality)],
    ["Takes", speed(card.speed)],
    ["Runs on", card.devices.join(", ")],
    ["Persons", card.tells_persons_apart && "Separated"],
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

/** Names of figures are those of the card; docs/evaluation.md defines them. */
function figures(quality) {
  return Object.entries(quality)
    .map(([name, value]) => `${name.replaceAll("_", " ")} ${value}`)
    .join(", ");
}

function speed(quantities) {
  return Object.entries(quantities)
    .map(([name, value]) => `${value} ${UNITS[name] ?? name}`)
    .join(", ");
}
