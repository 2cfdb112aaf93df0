/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* The session of a connection, and its transactions. */
#include "rh_db_private.h"

void rh_db_forget_statements(rh_db_t *db, rh_db_session_t *session)
{
    apr_hash_clear(db->prepared);
    if (session->statements != db->pool) {
        apr_pool_clear(session->statements);
    }
}

void rh_db_set_init(rh_db_t *db, const apr_array_header_t *init, bool ran)
{
    rh_db_session_t *session = rh_db_session(db);

    if (!session->init) {
        session->init = init;
        session->init_ran = ran;
    }
}

apr_status_t rh_db_run_init(rh_db_t *db, rh_db_session_t *session, apr_pool_t *scratch)
{
    for (int i = 0; session->init && !session->init_ran && i < session->init->nelts; i++) {
        const char *sql = APR_ARRAY_IDX(session->init, i, const char *);

        /* Run it as a select, because SQLite's driver otherwise reports an error for a PRAGMA that
         * returns a row. */
        if (rh_db_query_rows(db, sql, scratch, NULL) != APR_SUCCESS) {
            session->error =
                apr_psprintf(session->error_pool, "DBDInitSQL: %s: %s", sql, session->error);
            return APR_EAGAIN;
        }
    }
    session->init_ran = true;
    return APR_SUCCESS;
}

apr_status_t rh_db_prepare_session(rh_db_t *db, apr_pool_t *scratch)
{
    rh_db_session_t *session = rh_db_session(db);

    if (session->connector->is_established(db, session)) {
        if (session->connector->keep) {
            session->connector->keep(db, session, scratch);
        }
        return APR_SUCCESS;
    }
    return session->connector->establish(db, session, scratch);
}

apr_status_t rh_db_begin(rh_db_t *db, apr_pool_t *pool)
{
    rh_db_session_t *session = rh_db_session(db);
    apr_status_t status = session->connector->begin(db, session, pool);

    if (status == APR_SUCCESS) {
        session->in_transaction = true;
    } else {
        session->connector->ended(session);
    }
    return status;
}

apr_status_t rh_db_end(rh_db_t *db, apr_status_t status, apr_pool_t *pool)
{
    rh_db_session_t *session = rh_db_session(db);
    int affected;

    if (session->in_transaction) {
        if (status == APR_SUCCESS) {
            status = session->connector->commit(db, session, pool);
        }
        session->in_transaction = false;
        if (status != APR_SUCCESS) {
            /* After some errors the transaction has ended already: then this one fails. */
            apr_dbd_query(db->driver, db->handle, &affected, "ROLLBACK");
        }
    }
    session->connector->ended(session);
    return status;
}
