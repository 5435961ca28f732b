<?php
// Twelve worker processes, as php-fpm has them, each with a persistent connection (pfsockopen) that outlives the request.
// PHP looks whether it still stands when the next request asks for it, and connects anew if not. Nobody comes at night: the
// next request of each worker is as many seconds away as the argument says.
function request(): void
{
    $socket = pfsockopen('127.0.0.1', 8080, $code, $error, 5);
    fwrite($socket, "GET /price HTTP/1.1\r\nHost: shop\r\n\r\n");
    $length = 0;
    while (($line = fgets($socket)) !== false && $line !== "\r\n") {
        if (stripos($line, 'Content-Length:') === 0) {
            $length = (int) substr($line, 15);
        }
    }
    stream_get_contents($socket, $length);
}

for ($worker = 0; $worker < 12; $worker++) {
    if (pcntl_fork() === 0) {
        while (true) {
            for ($number = 0; $number < 5; $number++) {
                request();
                usleep(200_000);
            }
            sleep((int) $argv[1]);
        }
    }
}
pcntl_wait($status);
