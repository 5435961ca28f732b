<?php
// A worker that makes its requests with one multi handle: libcurl gives all connections back to the pool of that handle. It
// looks at them only while it works, and closes then what the server has ended. There is work again after as many seconds
// as the argument says.
$multi = curl_multi_init();
curl_multi_setopt($multi, CURLMOPT_MAXCONNECTS, 20);
while (true) {
    for ($round = 0; $round < 3; $round++) {
        $handles = [];
        for ($number = 0; $number < 20; $number++) {
            $handle = curl_init("http://127.0.0.1:8080/item/$number");
            curl_setopt($handle, CURLOPT_RETURNTRANSFER, true);
            curl_multi_add_handle($multi, $handle);
            $handles[] = $handle;
        }
        do {
            curl_multi_exec($multi, $running);
            curl_multi_select($multi, 1.0);
        } while ($running);
        foreach ($handles as $handle) {
            curl_multi_remove_handle($multi, $handle);
            curl_close($handle);
        }
    }
    sleep((int) $argv[1]);
}
