/** What albums and their photos are called, and what became of them, in words. */

import { jobs } from "../../state/jobs.js";
import { counted } from "../../words.js";

/** Return an album's name: that of its photos' metadata, else the day it was made. */
export function nameOfAlbum(album) {
  for (const item of album.items ?? []) {
    const name = jobs.value.get(item.job_id)?.metadata.album_name;
    if (name) return name;
  }
  return usualName(album.created_at);
}

/** Return what an album is called that was given no name: when (ms) it was begun. */
export function usualName(moment) {
  // In full, for it is kept with the photos, and is still true on another day.
  return new Date(moment).toLocaleString([], {
    day: "numeric",
    month: "long",
    hour: "2-digit",
    minute: "2-digit",
  });
}

/** Return what became of an album that has finished. */
export function outcome({ total, failed, canceled, album }) {
  const others = [
    failed > 0 && `${failed} failed`,
    canceled > 0 && `${canceled} canceled`,
  ].filter(Boolean);
  const winners = album?.ranked_at && album.best > 0 ? [`best ${Math.min(album.best, total)} composed`] : [];
  return [counted(total, "photo"), ...winners, ...others].join(", ");
}
