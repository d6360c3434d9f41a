/** Options of the camera and its picture. */

import { useEffect, useState } from "preact/hooks";
import { Check, Select } from "../../controls/fields.js";
import { html } from "../../html.js";
import { cameras } from "../../service/camera.js";
import { live } from "../../state/live.js";
import { changeSettings, settings } from "../../state/live-settings.js";

const SIDES = [
  { value: "640", label: "640 × 360, quick" },
  { value: "960", label: "960 × 540, finer" },
];

/** onCamera: called when the user chooses another camera. */
export function Options({ onCamera }) {
  const { isMirrored, hasOverlays, side, cameraId } = settings.value;
  const found = useCameras();
  const turn = (id) => {
    changeSettings({ cameraId: id });
    onCamera();
  };
  return html`<section class="stack tight" aria-labelledby="live-view">
    <h2 id="live-view">View</h2>
    ${found.length > 1 && html`<${Select} label="Camera" value=${cameraId} onChange=${turn}
      options=${found.map(({ id, name }) => ({ value: id, label: name }))} />`}
    <${Select} label="Size of the live picture" value=${String(side)} options=${SIDES}
      hint="Photos are taken at the camera's full size."
      onChange=${(value) => changeSettings({ side: Number(value) })} />
    <${Check} checked=${isMirrored} onChange=${(on) => changeSettings({ isMirrored: on })}>Like a mirror<//>
    <${Check} checked=${hasOverlays} onChange=${(on) => changeSettings({ hasOverlays: on })}>
      Show smiles, eyes and rating<//>
  </section>`;
}

function useCameras() {
  const [found, setFound] = useState([]);
  const isOn = live.value.state === "on";
  useEffect(() => {
    // On an error the list holds only the browser's camera.
    if (isOn) cameras().then(setFound, () => {});
  }, [isOn]);
  return found;
}
