/** All albums, newest first. */

import { useEffect, useState } from "preact/hooks";
import { Button } from "../../controls/button.js";
import { Icon } from "../../controls/icon.js";
import { Trouble } from "../../controls/notices.js";
import { Progress } from "../../controls/progress.js";
import { NoPicture, ServiceImage } from "../../controls/service-image.js";
import { html } from "../../html.js";
import { reachable } from "../../service/api.js";
import { albumDrafts } from "../../state/album-drafts.js";
import { albums, readAlbum, readNewest, readOlder, reading } from "../../state/albums.js";
import { find } from "../../state/jobs.js";
import { counted } from "../../words.js";
import { nameOfAlbum, outcome } from "./naming.js";

const AGAIN_MS = 5000;
const COVERS = 3;

/** `#/albums`. */
export function List() {
  const [error, setError] = useState(null);
  const [isBusy, setBusy] = useState(false);
  useKeptFresh(setError);
  const older = async () => {
    setBusy(true);
    await readOlder().catch(setError);
    setBusy(false);
  };
  const { isRead, cursor } = reading.value;
  // Ids begin with the time.
  const known = [...albums.value.values()].sort((a, b) => (a.id < b.id ? 1 : -1));
  const isEmpty = isRead && known.length === 0 && albumDrafts.value.length === 0;
  if (isEmpty) return html`<${Welcome} />`;
  return html`
    <div class="albums-head">
      <div class="stack tight"><h1>Albums</h1>
        <p class="soft">Finds the best of many photos: rated, ranked, and given a background.</p></div>
      <${New} />
    </div>
    ${error && html`<${Trouble} error=${error} />`}
    ${!isRead && !error && html`<ul class="albums skeleton" aria-busy="true" aria-label="Reading the albums">
      ${[1, 2, 3].map((one) => html`<li key=${one} class="card" />`)}</ul>`}
    <ul class="albums">
      ${albumDrafts.value.map((draft) => html`<${DraftCard} key=${draft.id} draft=${draft} />`)}
      ${known.map((album) => html`<${Card} key=${album.id} album=${album} />`)}
    </ul>
    ${cursor !== null && html`<p class="row older"><${Button} disabled=${isBusy} onClick=${older}>
      ${isBusy ? "Reading…" : "Show older ones"}<//></p>`}`;
}

function New() {
  return html`<a class="button primary" href="#/albums/new"><${Icon} name="add" />New album</a>`;
}

function Welcome() {
  return html`<section class="panel intake wide" aria-label="Albums">
    <div class="stack"><h1>The best of many</h1>
      <p class="soft">Add the photos of a day. They are rated by smiles and open eyes, photos of the
        same scene are grouped, and the winners get a background.</p></div>
    <${New} />
  </section>`;
}

function Card({ album }) {
  const covers = useCovers(album);
  const done = album.succeeded + album.failed + album.canceled;
  const name = nameOfAlbum(album);
  return html`<li class="card album-card">
    <a href=${`#/albums/${album.id}`} aria-label=${`Open ${name}`}>
      <div class="covers" data-count=${covers.length}>
        ${covers.length > 0
          ? covers.map((address) => html`<${ServiceImage} key=${address} src=${address} alt="" loading="lazy"
            instead=${html`<${NoPicture} />`} />`)
          : html`<span class="no-picture"><${Icon} name="album" /></span>`}
      </div></a>
    <div class="about">
      <h2 title=${name}>${name}</h2>
      ${album.state === "running"
        ? html`<p class="soft figures">${done} of ${counted(album.total, "photo")} done</p>
          <${Progress} done=${done / album.total} label=${`${name} done`} />`
        : html`<p class="soft">${outcome(album)}</p>`}
    </div>
  </li>`;
}

function DraftCard({ draft }) {
  const wanted = draft.photos.filter((photo) => photo.state !== "refused");
  const sent = wanted.filter((photo) => photo.state === "sent").length;
  const words = draft.error ? draft.error.title : `${sent} of ${counted(wanted.length, "photo")} sent`;
  return html`<li class="card album-card">
    <a href=${`#/albums/${draft.id}`} aria-label=${`Open ${draft.name}`}>
      <div class="covers"><span class="no-picture"><${Icon} name="upload" />Uploading</span></div></a>
    <div class="about"><h2 title=${draft.name}>${draft.name}</h2>
      <p class="soft figures">${words}</p>
      <${Progress} done=${sent / Math.max(1, wanted.length)} label=${`${draft.name} sent`} /></div>
  </li>`;
}

/** Return the addresses of the pictures of an album's best photos. */
function useCovers(album) {
  const [covers, setCovers] = useState([]);
  const isThere = album.items !== undefined;
  const stage = `${isThere} ${album.state} ${album.succeeded}`;
  useEffect(() => {
    let isOn = true;
    const look = async () => {
      // An album of the list has no items.
      if (!isThere) await readAlbum(album.id);
      const items = (albums.value.get(album.id)?.items ?? []).filter(
        (item) => item.state === "succeeded" && !item.deleted,
      );
      const best = items.sort((a, b) => (a.rank ?? a.index) - (b.rank ?? b.index)).slice(0, COVERS);
      const jobs = await Promise.all(best.map((item) => find(item.job_id)));
      if (isOn) setCovers(jobs.map((job) => job.outputs.thumbnail ?? job.outputs.image ?? job.links.photo));
    };
    // Without its cover, the card still shows the album.
    look().catch(() => {});
    return () => {
      isOn = false;
    };
  }, [album.id, stage]);
  return covers;
}

function useKeptFresh(setError) {
  const isHere = reachable.value;
  useEffect(() => {
    if (!isHere) return undefined;
    const look = () => readNewest().then(() => setError(null), setError);
    look();
    const timer = setInterval(() => {
      const isBusy = [...albums.value.values()].some((album) => album.state === "running");
      if (isBusy && !document.hidden) look();
    }, AGAIN_MS);
    return () => clearInterval(timer);
  }, [isHere]);
}
