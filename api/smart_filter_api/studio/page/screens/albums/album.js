/** One album, while it is rated and after it is ranked. */

import { useEffect, useState } from "preact/hooks";
import { Button } from "../../controls/button.js";
import { Dialog } from "../../controls/dialog.js";
import { Icon } from "../../controls/icon.js";
import { Trouble, say, sayTrouble } from "../../controls/notices.js";
import { Progress } from "../../controls/progress.js";
import { html } from "../../html.js";
import { go } from "../../router.js";
import { reachable } from "../../service/api.js";
import { leftOut } from "../../state/album-drafts.js";
import { albums, cancelAlbum, deleteAlbum, followAlbum, readAlbum, readJobs } from "../../state/albums.js";
import { hasExpired } from "../../state/jobs.js";
import { counted, dayInWords } from "../../words.js";
import { BestShot } from "./best-shot.js";
import { Member } from "./member.js";
import { isCounted, isRated, membersOf, pictureOf } from "./members.js";
import { nameOfAlbum, outcome } from "./naming.js";
import { Refused } from "./on-its-way.js";
import { Show } from "./show.js";
import { Take } from "./take.js";
import { Zip } from "./zip-button.js";

const GONE = {
  title: "This album no longer exists",
  detail: "It was deleted, or belongs to another user.",
};

/** `#/albums/ID`. */
export function Album({ id }) {
  const [error, setError] = useState(null);
  const album = albums.value.get(id);
  const read = () => {
    setError(null);
    readAlbum(id).then(() => readJobs(albums.value.get(id))).catch(setError);
  };
  const isHere = reachable.value;
  useEffect(() => {
    if (isHere) read();
  }, [id, isHere]);
  useFollowing(album);
  if (album?.items === undefined) {
    return html`<${Back} />${error
      ? html`<h1 class="unseen">Album</h1><${Unread} error=${error} again=${read} />`
      : html`<p class="soft" role="status">Reading the album…</p>`}`;
  }
  return html`<${Back} />
    ${error && html`<${Unread} error=${error} again=${read} />`}
    <${Whole} album=${album} />`;
}

function Whole({ album }) {
  const [shown, setShown] = useState(null);
  const members = membersOf(album);
  const isRanked = Boolean(album.album?.ranked_at) && members.some(({ rank }) => rank !== null);
  const left = leftOut.value.get(album.id) ?? [];
  const visible = members.filter(({ item, photo }) => !item.deleted && photo?.current.state === "succeeded");
  const show = (member) => setShown(visible.findIndex(({ item }) => item === member.item));
  const [best] = members;
  return html`
    <${Head} album=${album} members=${members} />
    ${left.length > 0 && html`<${Refused} photos=${left} />`}
    ${album.take && html`<${Take} album=${album} members=${members} />`}
    ${isRanked && !album.take && best.rank === 1 && html`<${BestShot} member=${best} onShow=${() => show(best)} />`}
    ${parts(album, members, isRanked).map(({ title, about, those }) => those.length > 0 && html`
      <section class="day" key=${title} aria-label=${title}>
        <h2>${title}</h2>
        ${about && html`<p class="soft small">${about}</p>`}
        <ul class="sheet">${those.map((member) => html`<${Member} key=${member.item.index} member=${member}
          onShow=${() => show(member)} />`)}</ul>
      </section>`)}
    ${shown !== null && visible[shown] && html`<${Show} members=${visible} at=${shown} onMove=${setShown}
      onClose=${() => setShown(null)} />`}`;
}

function Head({ album, members }) {
  const [isAsking, setAsking] = useState(false);
  const [isBusy, setBusy] = useState(false);
  const name = nameOfAlbum(album);
  const isRunning = album.state === "running";
  const done = album.succeeded + album.failed + album.canceled;
  const rated = album.album?.ranked_at ? done : members.filter(isRated).length;
  const cancel = async () => {
    setBusy(true);
    await cancelAlbum(album.id).catch((error) => error.code !== "job_final" && sayTrouble(error));
    setBusy(false);
  };
  const first = members.find(({ job }) => job?.expires_at)?.job;
  return html`<div class="albums-head">
      <div class="stack tight"><h1>${name}</h1>
        <p class="soft figures" role="status">${isRunning ? progressOf(album, rated) : endOf(album, first)}</p></div>
      <div class="row wrap">
        ${isRunning
          ? html`<${Button} icon="close" disabled=${isBusy} onClick=${cancel}>Cancel<//>`
          : html`<${Zip} name=${name} members=${members.filter(pictureOf)} isCounted=${isCounted(album, members)} />`}
        <${Button} kind="quiet" icon="clear" label="Delete this album" onClick=${() => setAsking(true)} />
      </div>
    </div>
    ${isRunning && html`<${Progress} done=${rated / album.total} label="Photos done" />`}
    ${isAsking && html`<${Delete} album=${album} name=${name} onClose=${() => setAsking(false)} />`}`;
}

function Delete({ album, name, onClose }) {
  const [error, setError] = useState(null);
  const [isBusy, setBusy] = useState(false);
  const remove = async () => {
    setBusy(true);
    try {
      await deleteAlbum(album);
      go("albums");
      say("The album is deleted from the service.");
    } catch (problem) {
      setError(problem);
      setBusy(false);
    }
  };
  return html`<${Dialog} title=${`Delete “${name}”?`} onClose=${onClose} actions=${html`
      <${Button} disabled=${isBusy} onClick=${onClose}>Keep<//>
      <${Button} kind="danger" icon="clear" disabled=${isBusy} onClick=${remove}>
        ${isBusy ? "Deleting…" : "Delete"}<//>`}>
    ${error && html`<${Trouble} error=${error} />`}
    <p>${counted(album.total, "photo")} and all pictures made from them are deleted from the service
      at once. This cannot be undone.</p>
  <//>`;
}

function Back() {
  return html`<p><a class="back" href="#/albums"><${Icon} name="arrowLeft" />Albums</a></p>`;
}

/** Return the sections of the album: `[{title, about, those}]`. */
function parts(album, members, isRanked) {
  const isBad = ({ item }) => item.deleted || ["failed", "canceled"].includes(item.state);
  const bad = members.filter(isBad);
  const good = members.filter((member) => !isBad(member));
  const ended = { title: "Not finished", about: "These could not be ranked or processed.", those: bad };
  if (!isRanked) {
    return [{ title: album.state === "running" ? "Being rated" : "Photos", those: good }, ended];
  }
  if (album.take) return [{ title: "The photos", about: "Rated and ranked; each can be composited too.", those: good }, ended];
  const isWinner = ({ rank }) => rank !== null && rank <= album.album.best;
  const rest = good.filter((member) => !isWinner(member) && member.rank !== 1);
  return [
    { title: "The other winners", those: good.filter((member) => isWinner(member) && member.rank !== 1) },
    { title: "Close behind", about: "Rated and ranked; each can be composited too.", those: rest.filter(({ better }) => better === null) },
    {
      title: "The same scene again",
      about: "A better photo of each of these scenes is above.",
      those: rest.filter(({ better }) => better !== null),
    },
    ended,
  ];
}

function progressOf(album, done) {
  const { total } = album;
  if (!album.album?.ranked_at) return `Rating: ${done} of ${counted(total, "photo")} done`;
  if (album.take) return "Ranked. Composing the take";
  return `Ranked. Composing the winners: ${done} of ${counted(total, "photo")} done`;
}

/** first: any job of the album that has an expiry time. */
function endOf(album, first) {
  if (first === undefined) return outcome(album);
  const verb = hasExpired(first) ? "Its pictures expired" : "Kept until";
  return `${outcome(album)}. ${verb} ${dayInWords(first.expires_at)}.`;
}

function Unread({ error, again }) {
  if ([404, 410].includes(error.status)) return html`<${Trouble} error=${GONE} />`;
  return html`<${Trouble} error=${error}><${Button} kind="small" onClick=${again}>Try again<//><//>`;
}

/** Follow an album's events while it is running. */
function useFollowing(album) {
  const isOn = album?.items !== undefined && album.state === "running" && reachable.value;
  useEffect(() => {
    if (!isOn) return undefined;
    // Ignore errors: the offline bar shows them, and the next read catches up.
    return followAlbum(album, () => {});
  }, [album?.id, isOn]);
}
