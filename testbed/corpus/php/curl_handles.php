<?php
// A worker that keeps the handle of each request, for statistics. libcurl holds the connection of a handle open for the
// handle's next request, and there is none: each request has a handle of its own.
$handles = [];
for ($number = 0; ; $number++) {
    $handle = curl_init("http://127.0.0.1:8080/item/$number");
    curl_setopt($handle, CURLOPT_RETURNTRANSFER, true);
    curl_exec($handle);
    $handles[] = $handle;
    if ($number > 50) {
        sleep(3);
    }
}
