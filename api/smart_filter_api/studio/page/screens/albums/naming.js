/** Names and outcomes of albums, as text. */

import { jobs } from "../../state/jobs.js";
import { counted } from "../../words.js";

/** Return an album's name from its photos' metadata, else from its creation time. */
export function nameOfAlbum(album) {
  for (const item of album.items ?? []) {
    const name = jobs.value.get(item.job_id)?.metadata.album_name;
    if (name) return name;
  }
  return usualName(album.created_at);
}

/** Return the name of an album without one, from its creation time in ms. */
export function usualName(moment) {
  // With the date, because the name is stored with the photos.
  return new Date(moment).toLocaleString([], {
    day: "numeric",
    month: "long",
    hour: "2-digit",
    minute: "2-digit",
  });
}

/** Return the outcome of a finished album. */
export function outcome({ total, failed, canceled, album }) {
  const others = [
    failed > 0 && `${failed} failed`,
    canceled > 0 && `${canceled} canceled`,
  ].filter(Boolean);
  const winners = album?.ranked_at && album.best > 0 ? [`best ${Math.min(album.best, total)} composed`] : [];
  return [counted(total, "photo"), ...winners, ...others].join(", ");
}
