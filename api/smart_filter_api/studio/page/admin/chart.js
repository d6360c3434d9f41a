/** Charts over time: bars for counts, an area for measured values. */

import { html } from "../html.js";
import { count } from "./figures.js";

const HEIGHT = 40;
const STEP = 4;

/**
 * Draw a bar per step.
 *
 * values: counts, null for steps without data. poor: counts of failures, stacked on top.
 * format: formats a value. isSmall: draws without figures.
 */
export function Bars({ label, values, poor, format = count, isSmall }) {
  const whole = values.map((value, step) => (value ?? 0) + (poor?.[step] ?? 0));
  const most = Math.max(0, ...whole);
  const high = (value) => (most ? (HEIGHT * value) / most : 0);
  const said = `${label}: ${format(sum(values))}${poor ? `, ${format(sum(poor))} failed` : ""} in all,
    at most ${format(most)} at once`;
  return html`<${Drawn} label=${said} steps=${values.length} isSmall=${isSmall}>
    ${values.map((value, step) =>
      value === null
        ? html`<rect class="unknown" x=${step * STEP} width=${STEP} y=${HEIGHT - 1} height="1" />`
        : html`<g><title>${format(value)}${poor ? `, ${format(poor[step] ?? 0)} failed` : ""}</title>
            <rect class="catch" x=${step * STEP} width=${STEP} y="0" height=${HEIGHT} />
            <rect class="bar-good" x=${step * STEP + 0.4} width=${STEP - 0.8}
              y=${HEIGHT - high(value)} height=${high(value)} />
            ${poor?.[step] > 0 && html`<rect class="bar-poor" x=${step * STEP + 0.4}
              width=${STEP - 0.8} y=${HEIGHT - high(whole[step])} height=${high(poor[step])} />`}</g>`,
    )}
  <//>`;
}

/**
 * Draw the maximum of each step.
 *
 * values, format: as for Bars. least: minimum of the axis maximum, so that small values look
 * small.
 */
export function Area({ label, values, least, format = count }) {
  const most = Math.max(0, ...values.map((value) => value ?? 0));
  const level = (value) => HEIGHT - (HEIGHT * value) / Math.max(most, least);
  return html`<${Drawn} label=${`${label}: at most ${format(most)}`} steps=${values.length}>
    ${runs(values).map(({ from, run }) => html`<path class="area" d=${outline(from, run, level)} />`)}
    ${values.map((value, step) => value !== null && html`<g><title>${format(value)}</title>
      <rect class="catch" x=${step * STEP} width=${STEP} y="0" height=${HEIGHT} /></g>`)}
  <//>`;
}

function Drawn({ label, steps, isSmall, children }) {
  return html`<svg class=${`chart ${isSmall ? "small" : ""}`} role="img" aria-label=${label}
    viewBox=${`0 0 ${steps * STEP} ${HEIGHT}`} preserveAspectRatio="none">${children}
    <path class="ground" d=${`M0 ${HEIGHT}H${steps * STEP}`} /></svg>`;
}

/** Return the runs of consecutive steps with data. */
function runs(values) {
  const found = [];
  values.forEach((value, step) => {
    if (value === null) return;
    const last = found.at(-1);
    if (last && last.from + last.run.length === step) last.run.push(value);
    else found.push({ from: step, run: [value] });
  });
  return found;
}

function outline(from, run, level) {
  const steps = run.map((value, step) => `V${level(value)}H${(from + step + 1) * STEP}`);
  return `M${from * STEP} ${HEIGHT}${steps.join("")}V${HEIGHT}Z`;
}

function sum(values) {
  return values.reduce((total, value) => total + (value ?? 0), 0);
}
