/** The take of an album: one picture of its photos, with a choice of each person's face. */

import { useEffect, useId, useState } from "preact/hooks";
import { Icon } from "../../controls/icon.js";
import { sayTrouble } from "../../controls/notices.js";
import { ServiceImage } from "../../controls/service-image.js";
import { html } from "../../html.js";
import { find, hasExpired, isFinal, jobs } from "../../state/jobs.js";
import { derive, photoIdOf, photos } from "../../state/photos.js";
import { AtWork } from "../sheet/at-work.js";
import { Fault } from "../sheet/ended.js";

// The side of a face's square crop, in widths of the face.
const CROP_WIDTHS = 1.9;

/** members: see members.js. */
export function Take({ album, members }) {
  const { take } = album;
  const job = jobs.value.get(take.job_id);
  useEffect(() => {
    find(take.job_id).catch(sayTrouble);
  }, [take.job_id]);
  const photo = album.areJobsRead && job && photos.value.find(({ id }) => id === photoIdOf(job));
  if (!photo) return null;
  const { current } = photo;
  const picture = current.state === "succeeded" && !hasExpired(current) ? current.outputs.image : null;
  return html`<section class="panel best-shot" aria-label="Best take">
    <a class="picture" href=${`#/photo/${encodeURIComponent(photo.id)}`} aria-label="Open the take">
      ${picture
        ? html`<${ServiceImage} src=${picture} alt="The best take" />`
        : html`<span class="no-picture"><${Icon} name="image" />${hasExpired(current) && "Expired"}</span>`}</a>
    <div class="stack">
      <p class="tag accent">Best take</p>
      <h2>Everyone at their best</h2>
      ${current.error && html`<${Fault} error=${current.error} />`}
      ${!isFinal(current) && (album.album.ranked_at
        ? html`<${AtWork} photo=${photo} />`
        : html`<p class="soft">Waiting for the photos to be rated.</p>`)}
      ${current.take && html`<${Report} job=${current} members=${members} />`}
    </div>
  </section>`;
}

function Report({ job, members }) {
  const { base, swaps, people, fallback } = job.take;
  const byItem = new Map(members.map((member) => [member.item.index, member]));
  const nameOf = (item) => byItem.get(item)?.name ?? `Photo ${item + 1}`;
  return html`
    <ul class="reasons soft">
      ${fallback && html`<li>${nameOf(base)}, as it is. ${fallback}</li>`}
      ${swaps.map(({ person, item, reason }) => html`<li key=${person}>
        Person ${person} from ${nameOf(item)}: ${reason}.</li>`)}
    </ul>
    ${people.filter(({ items }) => items.length > 1).map((person) => html`<${Faces} key=${person.person}
      job=${job} person=${person} byItem=${byItem} nameOf=${nameOf}
      shown=${swaps.find((swap) => swap.person === person.person)?.item ?? base} />`)}`;
}

/** Radio buttons with the faces of one person. */
function Faces({ job, person, byItem, nameOf, shown }) {
  const [asked, setAsked] = useState(null);
  const name = useId();
  const choose = async (item) => {
    setAsked(item);
    await derive(job, {}, { faces: { [person.person]: item } }).catch(sayTrouble);
    setAsked(null);
  };
  return html`<fieldset class="take-faces" disabled=${asked !== null || !isFinal(job)}>
    <legend>Person ${person.person}</legend>
    ${person.items.map((item) => html`<label key=${item}>
      <input type="radio" name=${name} checked=${item === (asked ?? shown)} onChange=${() => choose(item)} />
      <${Face} box=${person.box} size=${job.photo} member=${byItem.get(item)} />
      <span class="unseen">The face of ${nameOf(item)}</span></label>`)}
  </fieldset>`;
}

/** The place of a face in one of the photos. size: of the take, which its photos share. */
function Face({ box: [x, y, width, height], size, member }) {
  const side = CROP_WIDTHS * width;
  const left = x + width / 2 - side / 2;
  const top = y + height / 2 - side / 2;
  const percent = (length) => `${(100 * length) / side}%`;
  const place = { width: percent(size.width), left: percent(-left), top: percent(-top) };
  const address = member?.job && !hasExpired(member.job) && member.job.links.photo;
  return html`<span class="face-crop">${address
    && html`<${ServiceImage} src=${address} alt="" style=${place} instead="" />`}</span>`;
}
