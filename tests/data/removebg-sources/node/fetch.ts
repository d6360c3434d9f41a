const ENDPOINT = 'https://api.remove.bg/v1.0/removebg';

export async function cutOut(photo: Blob, key: string): Promise<Blob> {
  const body = new FormData();
  body.append('image_file', photo);
  const answer = await fetch(ENDPOINT, { method: 'POST', headers: { 'X-Api-Key': key }, body });
  return answer.blob();
}

export const account = (key: string) =>
  fetch("https://api.remove.bg/v1.0/account", { headers: { "X-Api-Key": key } });
