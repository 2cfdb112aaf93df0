/* Licensed under the Apache License, Version 2.0: see LICENSE. */
/* The meanings of SQLite's result codes (https://www.sqlite.org/rescode.html). */
#include "rh_db_private.h"

/** Result codes, as the file format and the library's interface fix them. */
enum {
    CODE_OK = 0,
    CODE_ERROR = 1,
    CODE_INTERNAL = 2,
    CODE_PERM = 3,
    CODE_ABORT = 4,
    CODE_BUSY = 5,
    CODE_LOCKED = 6,
    CODE_NOMEM = 7,
    CODE_READONLY = 8,
    CODE_INTERRUPT = 9,
    CODE_IOERR = 10,
    CODE_CORRUPT = 11,
    CODE_FULL = 13,
    CODE_CANTOPEN = 14,
    CODE_PROTOCOL = 15,
    CODE_SCHEMA = 17,
    CODE_AUTH = 23,
    CODE_NOTADB = 26,
    CODE_READONLY_DBMOVED = CODE_READONLY | (4 << 8),
    PRIMARY_CODE = 0xff
};

rh_error_t rh_sqlite_judge_code(int code, bool preparing)
{
    if (code == CODE_READONLY_DBMOVED) {
        return RH_ERROR_LOST; /* the file was replaced: another connection has the new one */
    }
    switch (code & PRIMARY_CODE) {
    /* The driver prepares in the old way, where a statement that is older than the tables fails
     * with one of these; the library may know of no error then. */
    case CODE_OK:
    case CODE_SCHEMA:
        return RH_ERROR_FORGOTTEN;
    case CODE_PERM:
    case CODE_ABORT:
    case CODE_BUSY:
    case CODE_LOCKED:
    case CODE_NOMEM:
    case CODE_READONLY:
    case CODE_INTERRUPT:
    case CODE_IOERR:
    case CODE_FULL:
    case CODE_CANTOPEN:
    case CODE_PROTOCOL:
        return RH_ERROR_PASSING;
    case CODE_INTERNAL:
    case CODE_CORRUPT:
    case CODE_AUTH:
    case CODE_NOTADB:
        return RH_ERROR_FAULTY;
    case CODE_ERROR:
        /* One code stands for a missing table, which is only found while preparing, and for a
         * function that rejects its data. */
        return preparing ? RH_ERROR_FAULTY : RH_ERROR_REFUSED;
    default:
        return RH_ERROR_REFUSED;
    }
}
