<?php
// Sends a text and a picture through the wasyik API, then asks how the device is.

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
        fwrite(STDERR, 'error: ' . $answer['data']['message'] . PHP_EOL);
        exit(1);
    }
    return $answer;
}

$text = call('POST', '/api/v2/messaging/whatsapp/send-text', [
    'accountId' => $device,
    'to' => $to,
    'text' => 'Hello from PHP',
]);
echo 'text ', $text['data']['messageId'], PHP_EOL;

$media = call('POST', '/api/v2/messaging/whatsapp/message', [
    'accountId' => $device,
    'to' => $to,
    'messageType' => 'image',
    'url' => $media_url,
    'caption' => 'A picture from PHP',
]);
echo 'media ', $media['data']['messageId'], PHP_EOL;

$answer = call('GET', "/api/v2/messaging/whatsapp/accounts/status?accountId=$device");
echo 'status ', $answer['data']['whatsapp_status'], PHP_EOL;
