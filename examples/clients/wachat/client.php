<?php
// Sends a text and a picture through the wachat API, then asks how the text fares.

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
        CURLOPT_HTTPHEADER => ["APIKey: $key", 'Content-Type: application/json'],
        CURLOPT_RETURNTRANSFER => true,
    ]);
    if ($body) {
        curl_setopt($curl, CURLOPT_POSTFIELDS, json_encode($body));
    }
    $answer = json_decode(curl_exec($curl), true);
    if (curl_getinfo($curl, CURLINFO_RESPONSE_CODE) >= 400) {
        // A parameter at fault has another error shape than everything else.
        fwrite(STDERR, 'error: ' . ($answer['message'] ?? $answer['detail'][0]['msg']) . PHP_EOL);
        exit(1);
    }
    return $answer;
}

$text = call('POST', '/wachat_api/1.0/message', [
    'queue' => $device,
    'destination' => $to,
    'message' => 'Hello from PHP',
]);
echo 'text ', $text['data']['ref_no'], PHP_EOL;

$media = call('POST', '/wachat_api/1.0/media', [
    'queue' => $device,
    'destination' => $to,
    'caption' => 'A picture from PHP',
    'media_url' => $media_url,
]);
echo 'media ', $media['data']['ref_no'], PHP_EOL;

$answer = call('GET', '/wachat_api/1.0/status/' . $text['data']['ref_no']);
echo 'status ', $answer['data']['status'], PHP_EOL;
