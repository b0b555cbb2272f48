<?php

declare(strict_types=1);

require __DIR__ . '/../vendor/autoload.php';

header('Content-Type: text/plain; charset=utf-8');

switch (parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH)) {
    case '/':
        echo Hello\Greeting::text();
        break;
    case '/healthz':
        echo "ok\n";
        break;
    default:
        http_response_code(404);
        echo "not found\n";
}
