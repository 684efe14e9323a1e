<?php
// Sends a text and a picture through Gerbang's own API, then asks how the text fares.

$url = getenv('GERBANG_URL');
$key = getenv('GERBANG_KEY');
$device = getenv('GERBANG_DEVICE');
$to = getenv('GERBANG_TO');
$media_url = getenv('GERBANG_MEDIA_URL');

function call(string $method, string $path, ?array $body = null): array
{
    global $url, $key;
    $curl = curl_init($url . $path);
    curl_setopt_array($curl, [
        CURLOPT_CUSTOMREQUEST => $method,
        CURLOPT_HTTPHEADER => ["Authorization: Bearer $key", 'Content-Type: application/json'],
        CURLOPT_RETURNTRANSFER => true,
    ]);
    if ($body) {
        curl_setopt($curl, CURLOPT_POSTFIELDS, json_encode($body));
    }
    $answer = json_decode(curl_exec($curl), true);
    if (curl_getinfo($curl, CURLINFO_RESPONSE_CODE) >= 400) {
        fwrite(STDERR, 'error: ' . $answer['detail'] . PHP_EOL);
        exit(1);
    }
    return $answer;
}

$text = call('POST', '/v1/messages', [
    'device' => $device,
    'to' => $to,
    'text' => 'Hello from PHP',
]);
echo 'text ', $text['id'], PHP_EOL;

$media = call('POST', '/v1/messages', [
    'device' => $device,
    'to' => $to,
    'media' => [
        'url' => $media_url,
        'caption' => 'A picture from PHP',
    ],
]);
echo 'media ', $media['id'], PHP_EOL;

$answer = call('GET', '/v1/messages/' . $text['id']);
echo 'status ', $answer['status'], PHP_EOL;
