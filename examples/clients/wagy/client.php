<?php
// Sends a text and a picture through the wagy API, then asks for the latest messages.

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
        fwrite(STDERR, 'error: ' . $answer['message'] . PHP_EOL);
        exit(1);
    }
    return $answer;
}

$text = call('POST', "/$device/send", [
    'phone' => $to,
    'message' => 'Hello from PHP',
]);
echo 'text ', $text['data']['message_id'], PHP_EOL;

$media = call('POST', "/$device/send", [
    'phone' => $to,
    'message' => 'A picture from PHP',
    'media_url' => $media_url,
    'media_type' => 'image',
]);
echo 'media ', $media['data']['message_id'], PHP_EOL;

$answer = call('GET', "/$device/messages?limit=2");
echo 'status ', $answer['data'][0]['status'], PHP_EOL;
