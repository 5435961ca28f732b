// A client of libcurl that speaks HTTP/2 on 20 connections. The server says goodbye (GOAWAY) on those that are idle, and
// closes. libcurl keeps them in its cache, and finds out when it wants to use one again: after ten minutes here.
#include <curl/curl.h>
#include <unistd.h>

enum { CONNECTIONS = 20 };

static size_t ignore(char *data, size_t size, size_t count, void *nothing) {
  (void)data, (void)nothing;
  return size * count;
}

int main(void) {
  CURL *calls[CONNECTIONS];
  CURLM *all = curl_multi_init();
  // One request on each connection at a time.
  curl_multi_setopt(all, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
  for (int i = 0; i < CONNECTIONS; i++) {
    calls[i] = curl_easy_init();
    curl_easy_setopt(calls[i], CURLOPT_URL, "http://127.0.0.1:8080/item");
    curl_easy_setopt(calls[i], CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE);
    curl_easy_setopt(calls[i], CURLOPT_WRITEFUNCTION, ignore);
  }
  for (;;) {
    for (int i = 0; i < CONNECTIONS; i++)
      curl_multi_add_handle(all, calls[i]);
    for (int running = 1; running > 0;) {
      curl_multi_perform(all, &running);
      curl_multi_poll(all, NULL, 0, 100, NULL);
    }
    for (int i = 0; i < CONNECTIONS; i++)
      curl_multi_remove_handle(all, calls[i]);
    sleep(600);
  }
}
