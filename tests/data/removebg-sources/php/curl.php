<?php
$curl = curl_init('https://api.remove.bg/v1.0/removebg');
curl_setopt($curl, CURLOPT_HTTPHEADER, ['X-Api-Key: ' . getenv('REMOVEBG_API_KEY')]);
curl_setopt($curl, CURLOPT_POSTFIELDS, ['image_url' => 'https://static.remove.bg/sample-gallery/cars/thumbnail.jpg']);
