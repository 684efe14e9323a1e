<?php
// Sends a text and a picture through the mpwa API.

$url = getenv('GERBANG_URL');
$key = getenv('GERBANG_KEY');
$sender = getenv('GERBANG_SENDER');
$to = getenv('GERBANG_TO');
$media_url = getenv('GERBANG_MEDIA_URL');

function call(string $method, string $path, ?array $body = null): array
{
    global $url;
    $curl = curl_init($url . $path);
    curl_setopt_array($curl, [
        CURLOPT_CUSTOMREQUEST => $method,
        CURLOPT_HTTPHEADER => ['Content-Type: application/json'],
        CURLOPT_RETURNTRANSFER => true,
    ]);
    if ($body) {
        curl_setopt($curl, CURLOPT_POSTFIELDS, json_encode($body));
    }
    $answer = json_decode(curl_exec($curl), true);
    if (curl_getinfo($curl, CURLINFO_RESPONSE_CODE) >= 400) {
        fwrite(STDERR, 'error: ' . $answer['msg'] . PHP_EOL);
        exit(1);
    }
    return $answer;
}

$text = call('POST', '/send-message', [
    'api_key' => $key,
    'sender' => $sender,
    'number' => $to,
    'message' => 'Hello from PHP',
]);
echo 'text ', $text['msg'], PHP_EOL;

$media = call('POST', '/send-media', [
    'api_key' => $key,
    'sender' => $sender,
    'number' => $to,
    'media_type' => 'image',
    'url' => $media_url,
    'caption' => 'A picture from PHP',
]);
echo 'media ', $media['msg'], PHP_EOL;
