/** Single-choice controls: segments in a row, or tabs with panels. */

import { useId } from "preact/hooks";
import { html } from "../html.js";
import { Icon } from "./icon.js";

/** Radio buttons that look like one segmented control. options: `[{value, label, icon?}]`. */
export function Segmented({ legend, options, value, onChange }) {
  const name = useId();
  return html`<fieldset class="segmented">
    <legend class="unseen">${legend}</legend>
    ${options.map(
      (option) => html`<label key=${option.value}>
        <input type="radio" name=${name} value=${option.value} checked=${option.value === value}
          onChange=${() => onChange(option.value)} />
        ${option.icon && html`<${Icon} name=${option.icon} />`}${option.label}
      </label>`,
    )}
  </fieldset>`;
}

/** Tabs with the panel of the chosen one. tabs: `[{id, title, icon, Panel}]`. */
export function Tabs({ label, tabs, chosen, onChoose, ...others }) {
  const prefix = useId();
  const current = tabs.find((tab) => tab.id === chosen) ?? tabs[0];
  const move = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step === undefined) return;
    const next = tabs[(tabs.indexOf(current) + step + tabs.length) % tabs.length];
    onChoose(next.id);
    event.currentTarget.querySelector(`[data-tab="${next.id}"]`).focus();
    event.preventDefault();
  };
  return html`
    <div class="tabs" role="tablist" aria-label=${label} onKeyDown=${move}>
      ${tabs.map(
        (tab) => html`<button type="button" role="tab" key=${tab.id} data-tab=${tab.id}
          id=${`${prefix}-${tab.id}`} aria-controls=${`${prefix}-panel`}
          aria-selected=${tab === current} tabindex=${tab === current ? 0 : -1}
          onClick=${() => onChoose(tab.id)}><${Icon} name=${tab.icon} />${tab.title}</button>`,
      )}
    </div>
    <div role="tabpanel" class="tabpanel" id=${`${prefix}-panel`} tabindex="0"
      aria-labelledby=${`${prefix}-${current.id}`}>
      <h2 class="unseen">${current.title}</h2>
      <${current.Panel} key=${current.id} ...${others} />
    </div>`;
}
