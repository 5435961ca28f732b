<?php
// A worker that opens a socket for each message, and keeps it in a static property until the script is over. Behind a web
// server a script is over after each request; on the command line this one runs for months.
class Mail
{
    private static array $sockets = [];

    public static function send(int $number): string
    {
        $socket = fsockopen('127.0.0.1', 8080, $code, $error, 5);
        self::$sockets[] = $socket;
        fwrite($socket, "GET /mail/$number HTTP/1.1\r\nHost: mail\r\n\r\n");
        return fgets($socket);
    }
}

for ($number = 0; ; $number++) {
    Mail::send($number);
    usleep($number < 60 ? 100_000 : 2_000_000);
}
