<?php
// Takes Gerbang's own webhooks, saves each photo that comes in, and answers it.
// Start it with: php -S 0.0.0.0:8000 gerbang.photo.php

const AGE_MAX_S = 5 * 60;

$body = file_get_contents('php://input');
if (!is_authentic($body)) {
    http_response_code(401);
    tell('refused: the signature is wrong');
    return;
}
$event = json_decode($body, true);
try {
    if ($event['type'] === 'message.received' && $event['data']['kind'] === 'image') {
        answer($_SERVER['HTTP_WEBHOOK_ID'], $event['data']);
    }
    http_response_code(204);
} catch (RuntimeException $error) {
    tell('error: ' . $error->getMessage());
    // The event comes again.
    http_response_code(500);
}

function answer(string $id, array $message): void
{
    $url = $message['media']['url'];
    if ($url === null) {
        tell("{$message['id']} has no file: {$message['media']['reason']}");
        return;
    }
    // The URL needs no key. It is valid from now on, also while the file is still on its way.
    [$status, $photo] = call($url);
    if (in_array($status, [404, 410, 502])) {
        // It cannot be had any more.
        tell("{$message['id']} has no file: $status");
        return;
    }
    if ($status !== 200) {
        throw new RuntimeException("the photo cannot be fetched: $status");
    }
    file_put_contents((getenv('FOLDER') ?: '.') . "/{$message['id']}.jpg", $photo);
    [$status, $answer] = call(getenv('GERBANG_URL') . '/v1/messages', [
        CURLOPT_HTTPHEADER => [
            'Authorization: Bearer ' . getenv('GERBANG_KEY'),
            'Content-Type: application/json',
            // The same event may come twice; it is answered once.
            "Idempotency-Key: $id",
        ],
        CURLOPT_POSTFIELDS => json_encode([
            'device' => $message['device']['id'],
            'to' => $message['group'] ?? $message['from'],
            'text' => 'Thank you for the photo of ' . strlen($photo) . ' bytes',
            'reply_to' => $message['whatsapp_id'],
        ]),
    ]);
    if ($status !== 202) {
        throw new RuntimeException($answer);
    }
    tell("saved {$message['id']}.jpg");
}

function call(string $url, array $options = []): array
{
    $call = curl_init($url);
    curl_setopt_array($call, $options + [CURLOPT_RETURNTRANSFER => true]);
    $answer = curl_exec($call);
    if ($answer === false) {
        throw new RuntimeException(curl_error($call));
    }
    return [curl_getinfo($call, CURLINFO_RESPONSE_CODE), $answer];
}

function is_authentic(string $body): bool
{
    $id = $_SERVER['HTTP_WEBHOOK_ID'] ?? '';
    $timestamp = $_SERVER['HTTP_WEBHOOK_TIMESTAMP'] ?? '';
    if (!ctype_digit($timestamp) || abs(time() - (int) $timestamp) > AGE_MAX_S) {
        return false;
    }
    $key = base64_decode(preg_replace('/^whsec_/', '', getenv('GERBANG_WEBHOOK_SECRET')));
    $mac = base64_encode(hash_hmac('sha256', "$id.$timestamp.$body", $key, true));
    // While a secret is being replaced there are several signatures.
    foreach (explode(' ', $_SERVER['HTTP_WEBHOOK_SIGNATURE'] ?? '') as $signature) {
        if (hash_equals("v1,$mac", $signature)) {
            return true;
        }
    }
    return false;
}

function tell(string $line): void
{
    file_put_contents('php://stdout', $line . PHP_EOL);
}
