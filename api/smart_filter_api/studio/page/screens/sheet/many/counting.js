/** The numbers of a choice, which the service counts. */

import { useEffect, useState } from "preact/hooks";
import { Trouble } from "../../../controls/notices.js";
import { html } from "../../../html.js";
import { choose } from "../../../state/choices.js";

/** Return `{counts, error}` of a choice: counts is the service's choice, null until it has counted. */
export function useChoice({ wanted }) {
  const [counts, setCounts] = useState(null);
  const [error, setError] = useState(null);
  useEffect(() => {
    const stop = new AbortController();
    const fail = (problem) => problem.name !== "AbortError" && setError(problem);
    choose(wanted, stop.signal).then(setCounts, fail);
    return () => stop.abort();
  }, []);
  return { counts, error };
}

/** What is shown until the numbers are there. */
export function Counting({ counts, error }) {
  if (error !== null) return html`<${Trouble} error=${error} />`;
  return counts === null ? html`<p role="status">Counting…</p>` : null;
}
