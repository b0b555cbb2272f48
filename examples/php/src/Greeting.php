<?php

declare(strict_types=1);

namespace Hello;

final class Greeting
{
    public const VERSION = '1';

    public static function text(): string
    {
        $greeting = getenv('GREETING') ?: 'Hello';

        return sprintf("%s from PHP %s (version %s)\n", $greeting, PHP_VERSION, self::VERSION);
    }
}
