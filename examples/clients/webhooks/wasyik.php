<?php
// Takes wasyik's webhooks and checks their signature. Start it with: php -S 0.0.0.0:8000 wasyik.php

$webhook_secret = getenv('GERBANG_WEBHOOK_SECRET');
$payload = json_decode(file_get_contents('php://input'), true);

$signature = hash_hmac('sha256', json_encode($payload), $webhook_secret);
if (!hash_equals($signature, $_SERVER['HTTP_X_ZUWINDA_SIGNATURE'] ?? '')) {
    http_response_code(401);
    tell('refused: the signature is wrong');
    return;
}
tell('accepted ' . json_encode($payload['data'], JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES));

function tell(string $line): void
{
    file_put_contents('php://stdout', $line . PHP_EOL);
}
