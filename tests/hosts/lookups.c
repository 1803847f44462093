/* Prints what getaddrinfo() says of each name: its addresses on a line, or the error. */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>

int main(int argc, char **argv) {
    struct addrinfo wish = {.ai_socktype = SOCK_STREAM}, *found, *each;
    char host[NI_MAXHOST];
    for (int i = 1; i < argc; i++) {
        int error = getaddrinfo(argv[i], NULL, &wish, &found);
        if (error) {
            printf("error %d\n", error);
            continue;
        }
        for (each = found; each; each = each->ai_next) {
            getnameinfo(each->ai_addr, each->ai_addrlen, host, sizeof host, NULL, 0, NI_NUMERICHOST);
            printf("%s%s", host, each->ai_next ? " " : "\n");
        }
        freeaddrinfo(found);
    }
    return 0;
}
