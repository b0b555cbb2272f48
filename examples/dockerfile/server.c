/* A web server that says hello, one connection after the other. */
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static volatile sig_atomic_t stopping;

static void stop(int sig) { (void)sig; stopping = 1; }

static void answer(int c) {
    static const char body[] = "Hello from a Dockerfile (version 1)\n";
    struct timeval limit = {.tv_sec = 5};
    char request[8192], response[256];
    setsockopt(c, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (read(c, request, sizeof request) > 0) {
        int n = snprintf(response, sizeof response,
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
            sizeof body - 1, body);
        if (write(c, response, n) < 0) perror("write");
    }
    close(c);
}

int main(void) {
    struct sigaction a = {.sa_handler = stop}; /* no SA_RESTART: accept returns */
    const char *port = getenv("PORT");
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port ? atoi(port) : 8080)};
    int one = 1, s = socket(AF_INET, SOCK_STREAM, 0);
    sigaction(SIGTERM, &a, NULL);
    signal(SIGPIPE, SIG_IGN);
    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(s, (struct sockaddr *)&at, sizeof at) || listen(s, 128)) {
        perror("listen");
        return 1;
    }
    printf("listening on port %d\n", ntohs(at.sin_port));
    fflush(stdout);
    while (!stopping) {
        int c = accept(s, NULL, NULL);
        if (c >= 0) answer(c);
    }
    puts("stopped");
    return 0;
}
