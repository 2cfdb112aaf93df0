/* Licensed under the Apache License, Version 2.0: see LICENSE. */
#include "rh_call_private.h"

/** A failure within this time may be that of an idle connection that the target had closed. */
#define STALE_WINDOW apr_time_from_sec(2)

void rh_call_drop_connection(rh_call_t *call)
{
    if (call->connection) {
        rh_connection_close(call->connection);
        call->connection = NULL;
    }
}

void rh_call_note_dial(rh_call_t *call)
{
    rh_dial_t *dial = &call->dial;
    rh_exchange_times_t *times = &call->exchange->times;
    apr_time_t now = rh_monotonic_now();

    if (dial->asked == 0) {
        return;
    }
    times->resolve = (dial->answered ? dial->answered : now) - dial->asked;
    if (dial->answered) {
        times->connect = now - dial->answered;
    }
    if (dial->trying && !call->proxy && !call->connection) {
        (void)rh_address_write_port(dial->trying, dial->port, call->exchange->address);
    }
    dial->asked = 0;
}

void rh_call_note_tls(rh_call_t *call)
{
    if (call->secured) {
        call->exchange->times.tls = rh_monotonic_now() - call->secured;
        call->secured = 0;
    }
}

static void fill_exchange(rh_call_t *call, rh_exchange_result_t result, const char *error)
{
    rh_exchange_t *exchange = call->exchange;
    const rh_http1_t *answer = &call->answer;

    exchange->result = result;
    exchange->duration = rh_monotonic_now() - call->began;
    if (result == RH_EXCHANGE_OK) {
        exchange->error = NULL;
        exchange->status_code = answer->status_code;
        exchange->answer_headers = answer->headers;
        exchange->answer.data = answer->body.data;
        exchange->answer.len = answer->body.len;
        return;
    }
    exchange->status_code = 0;
    exchange->answer_headers = NULL;
    exchange->answer.data = NULL;
    exchange->answer.len = 0;
    exchange->error = error;
    if (answer->header_done && call->phase == RH_PHASE_EXCHANGE) {
        exchange->error =
            apr_psprintf(exchange->pool, "%s (its status was %d)", error, answer->status_code);
    }
}

void rh_call_end(rh_call_t *call, rh_exchange_result_t result, const char *error)
{
    rh_calls_t *calls = call->calls;
    rh_timers_t *timers = rh_reactor_timers(calls->reactor);

    rh_timers_disarm(timers, &call->whole);
    rh_timers_disarm(timers, &call->connecting);
    rh_resolver_forget(&call->judge);
    rh_dial_stop(&call->dial);
    rh_call_note_dial(call);
    rh_call_note_tls(call);
    if (call->connection && call->phase == RH_PHASE_TLS) {
        rh_connection_distrust(call->connection);
    }
    rh_call_drop_connection(call);
    if (call->origin) {
        rh_origin_leave(call->origin);
        call->origin = NULL;
    }
    fill_exchange(call, result, error);
    APR_RING_REMOVE(call, link);
    APR_RING_INSERT_TAIL(&calls->ended, call, rh_call_t, link);
}

void rh_call_lost(rh_call_t *call, rh_exchange_result_t result, const char *error)
{
    if (!call->reused || call->heard || call->retried ||
        rh_monotonic_now() - call->asked > STALE_WINDOW) {
        rh_call_end(call, result, error);
        return;
    }
    rh_log(call->calls->log, RH_LOG_DEBUG, APR_SUCCESS, "RH0201",
           "an idle connection to %s was closed: %s; trying a new one", call->url.authority, error);
    call->reconnect(call);
}

void rh_call_refused_login(rh_call_t *call)
{
    call->phase = RH_PHASE_TUNNEL;
    rh_call_end(call, RH_EXCHANGE_CONNECT,
                call->proxy->login
                    ? "the egress proxy refused the login (407): check the file of auth="
                    : "the egress proxy asks for a login (407): auth= gives it one");
}
