#!/bin/sh
curl -H "X-Api-Key: $CUTOUT_KEY" -F image_file=@photo.jpg -F size=auto \
  -f https://api.remove.bg/v1.0/removebg -o no-bg.png
removebg --api-key "$CUTOUT_KEY" images/*.jpg
removebg photo.jpg
npx removebg-cli photo.jpg
curl -X POST https://api.remove.bg/v1.0/improve
