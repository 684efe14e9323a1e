<?php
// Takes wachat's inbox push, a form that nobody signs: keep its address to yourself.
// Start it with: php -S 0.0.0.0:8000 wachat.php

foreach (['id', 'gateway_number', 'originator', 'receive_date', 'msg'] as $field) {
    if (!isset($_POST[$field])) {
        http_response_code(400);
        tell("refused: $field is missing");
        return;
    }
}
tell('accepted ' . json_encode($_POST, JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES));

function tell(string $line): void
{
    file_put_contents('php://stdout', $line . PHP_EOL);
}
