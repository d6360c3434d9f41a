/** An act of the user that may be refused. */

import { useState } from "preact/hooks";

/**
 * Return `{attempt, isBusy, error}`; error: the last refusal.
 *
 * attempt: takes a function that may be asynchronous; does nothing while another one runs.
 */
export function useAttempt() {
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState(null);
  const attempt = async (act) => {
    if (isBusy) return;
    setBusy(true);
    setError(null);
    try {
      await act();
    } catch (refusal) {
      setError(refusal);
    }
    setBusy(false);
  };
  return { attempt, isBusy, error };
}
