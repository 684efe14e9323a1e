<?php
// Sends a text and a picture through the wagate API, then asks for the latest messages.

$url = getenv('GERBANG_URL');
$key = getenv('GERBANG_KEY');
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
        fwrite(STDERR, 'error: ' . $answer['message'] . PHP_EOL);
        exit(1);
    }
    return $answer;
}

$text = call('POST', '/api/v1/send-message', [
    'recipient' => $to,
    'message' => 'Hello from PHP',
]);
echo 'text ', $text['data']['message_id'], PHP_EOL;

$media = call('POST', '/api/v1/send-media', [
    'recipient' => $to,
    'media_url' => $media_url,
    'media_type' => 'image',
    'caption' => 'A picture from PHP',
]);
echo 'media ', $media['data']['message_id'], PHP_EOL;

$answer = call('GET', '/api/v1/messages?limit=2');
echo 'status ', $answer['data'][0]['status'], PHP_EOL;
