/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_reactor.h"

#include "tap.h"

#include <apr_general.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static apr_pool_t *pool;

/* ---- addresses ---- */

static const char *written(const char *text)
{
    static char result[RH_ADDRESS_TEXT_BYTES];
    rh_address_t address;

    return rh_address_read(text, &address) ? rh_address_write(&address, result) : "none";
}

static void addresses(void)
{
    static const char longest[] = "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255";
    struct sockaddr_in6 os = {.sin6_family = AF_INET6, .sin6_scope_id = 7};
    struct sockaddr other = {.sa_family = AF_UNIX};
    apr_sockaddr_t filled;
    rh_address_t address;
    char with_port[RH_ADDRESS_PORT_TEXT_BYTES], *ip = NULL;

    is(written("192.0.2.1"), "192.0.2.1", "an IPv4 address");
    is(written("2001:DB8::1"), "[2001:db8::1]", "one of IPv6, in brackets");
    is(written(longest), "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]", "the maximum length");
    rh_address_read("203.0.113.255", &address);
    is(rh_address_write_port(&address, 65535, with_port), "203.0.113.255:65535", "with a port");
    rh_address_read("::", &address);
    is(rh_address_write_port(&address, 1, with_port), "[::]:1", "an IPv6 address likewise");
    is(written("0.10.200.9"), "0.10.200.9", "octets have no leading zeros");
    is(written("example.com"), "none", "a name is not an address");
    is(written("1.2.3"), "none", "nor are three octets");
    is(written("fe80::1%eth0"), "none", "an address with a zone is not one");
    inet_pton(AF_INET6, "fe80::9", &os.sin6_addr);
    ok(rh_address_of_os(&os, &address) && address.family == APR_INET6 && address.scope == 7,
       "the interface of a link-local address is kept");
    rh_address_to_apr(&address, 8443, pool, &filled);
    ok(filled.salen == sizeof(struct sockaddr_in6) && filled.port == 8443 &&
           filled.sa.sin6.sin6_scope_id == 7 && filled.sa.sin6.sin6_port == htons(8443),
       "it is connected to, at its port");
    rh_address_read("2001:db8::9", &address);
    rh_address_to_apr(&address, 1, pool, &filled);
    apr_sockaddr_ip_get(&ip, &filled);
    is(ip, "2001:db8::9", "APR reads it back");
    ok(!rh_address_of_os(&other, &address), "a path is not an address");
}

/* ---- sockets ---- */

static unsigned short listen_on_loopback(int *listener)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof(address);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    *listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(*listener, (struct sockaddr *)&address, size) != 0 || listen(*listener, 16) != 0 ||
        getsockname(*listener, (struct sockaddr *)&address, &size) != 0) {
        printf("Bail out! no listener\n");
        exit(1);
    }
    return ntohs(address.sin_port);
}

/** Connect and wait until that is decided. */
static apr_status_t connect_to(rh_sockets_t *sockets, unsigned short port, rh_socket_t **made)
{
    rh_address_t address;
    apr_status_t status;

    rh_address_read("127.0.0.1", &address);
    status = rh_socket_open(sockets, &address, port, made);
    if (status != APR_SUCCESS) {
        return status;
    }
    while ((status = rh_socket_connect(*made)) == APR_EINPROGRESS) {
        usleep(1000);
    }
    return status;
}

static void connections(rh_sockets_t *sockets)
{
    rh_socket_t *made;
    char text[128];
    int listener;
    unsigned short port = listen_on_loopback(&listener);
    apr_int32_t on = 0;
    apr_size_t len = 1;
    char byte;

    is_int(connect_to(sockets, port, &made), APR_SUCCESS, "a socket connects");
    is_int(rh_socket_connect(made), APR_SUCCESS, "it returns the reason each time");
    ok(APR_STATUS_IS_EAGAIN(apr_socket_recv(made->apr, &byte, &len)), "reading does not block");
    apr_socket_opt_get(made->apr, APR_TCP_NODELAY, &on);
    ok(on, "neither does writing to the kernel");
    rh_socket_close(made);
    close(listener);
    is(apr_strerror(connect_to(sockets, port, &made), text, sizeof(text)), "Connection refused",
       "if nothing listens, the reason is returned");
    rh_socket_close(made);
}

static void descriptors_run_out(rh_sockets_t *sockets)
{
    rh_address_t address;
    rh_socket_t *made[64];
    struct rlimit limit, low;
    apr_status_t status = APR_SUCCESS;
    int count = 0;

    rh_address_read("::1", &address);
    getrlimit(RLIMIT_NOFILE, &limit);
    low = limit;
    low.rlim_cur = 40;
    setrlimit(RLIMIT_NOFILE, &low);
    while (count < 64 &&
           (status = rh_socket_open(sockets, &address, 1, &made[count])) == APR_SUCCESS) {
        count++;
    }
    ok(APR_STATUS_IS_EMFILE(status) && count > 20, "descriptors run out");
    for (int i = 0; i < 1000; i++) {
        (void)rh_socket_open(sockets, &address, 1, &made[count]);
    }
    rh_socket_close(made[--count]);
    status = rh_socket_open(sockets, &address, 1, &made[count]);
    is_int(status, APR_SUCCESS, "closing one frees a descriptor");
    while (count >= 0) {
        rh_socket_close(made[count--]);
    }
    setrlimit(RLIMIT_NOFILE, &limit);
}

static long resident_pages(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    long size = 0, resident = 0;

    if (!file || fscanf(file, "%ld %ld", &size, &resident) != 2) {
        resident = 0;
    }
    if (file) {
        fclose(file);
    }
    return resident;
}

/** Close sockets in another order than they were opened, a few at a time. */
static void come_and_go(rh_sockets_t *sockets, int rounds)
{
    rh_socket_t *open[24];
    rh_address_t address;

    memset(open, 0, sizeof(open));
    rh_address_read("127.0.0.1", &address);
    for (int i = 0; i < rounds; i++) {
        rh_socket_t **one = &open[(i * 7 + i / 24) % 24];

        if (*one) {
            rh_socket_close(*one);
        }
        if (rh_socket_open(sockets, &address, 1, one) != APR_SUCCESS) {
            *one = NULL;
        }
    }
    for (int i = 0; i < 24; i++) {
        if (open[i]) {
            rh_socket_close(open[i]);
        }
    }
}

static void memory(rh_sockets_t *sockets)
{
    long before;

    come_and_go(sockets, 5000);
    before = resident_pages();
    come_and_go(sockets, 50000);
    ok(resident_pages() - before < 256, "after 50,000 sockets the memory is as large as before");
}

int main(void)
{
    apr_allocator_t *allocator;
    apr_pool_t *loop;
    rh_sockets_t *sockets;

    signal(SIGPIPE, SIG_IGN);
    apr_initialize();
    apr_pool_create(&pool, NULL);
    apr_allocator_create(&allocator);
    apr_pool_create_unmanaged_ex(&loop, NULL, allocator);
    apr_allocator_owner_set(allocator, loop);
    sockets = rh_sockets_make(loop);
    addresses();
    connections(sockets);
    descriptors_run_out(sockets);
    memory(sockets);
    apr_pool_destroy(loop);
    apr_pool_destroy(pool);
    apr_terminate();
    return done_testing();
}
